/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One connection, calls over it, and the node's objects as JSON. Does not know what the properties mean. */

#include "client.h"

#include "bus-error.h"

#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Prints the failure or keeps it, as the client is set. */
static int say(Client *client, int code, const char *sentence) {
        if (!client->keep)
                return ctl_fail(code, "%s", sentence ?: "out of memory");

        free(client->kept);
        client->kept = strdup(sentence ?: "out of memory");
        return code;
}

static int say_error(Client *client, const sd_bus_error *error, int r) {
        _cleanup_free_ char *sentence = NULL;
        int code = bus_error_explain(error, r, client->where, &sentence);

        return say(client, code, sentence);
}

int client_fail(Client *client, int error, const char *what) {
        _cleanup_free_ char *sentence = NULL;

        if (asprintf(&sentence, "%s: %s", what, strerror(-error)) < 0)
                sentence = NULL;

        return say(client, CTL_FAILED, sentence);
}

#define PEER "peer"
#define PEER_ADDRESS "unix:path=/run/headgate/bus"

/* The address of a socket of headgated's own; NULL: it is some bus that is meant. */
static const char *peer_address(const char *bus) {
        if (strcmp(bus, PEER) == 0 || strcmp(bus, PEER_ADDRESS) == 0)
                return PEER_ADDRESS;
        return strncmp(bus, PEER ":", strlen(PEER ":")) == 0 ? bus + strlen(PEER ":") : NULL;
}

static int open_address(const char *address, bool bus_client, sd_bus **ret) {
        sd_bus *bus = NULL;
        int r;

        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_address(bus, address);
        if (r >= 0)
                r = sd_bus_set_bus_client(bus, bus_client);
        if (r >= 0)
                r = sd_bus_negotiate_fds(bus, true);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r < 0) {
                sd_bus_unref(bus);
                return r;
        }

        *ret = bus;
        return 0;
}

static int no_such_bus(const char *bus) {
        return ctl_fail(CTL_USAGE, "no such bus: '%s' (system, session, peer, or an address as unix:path=…)",
                        bus);
}

int client_open(const Ctl *ctl, Client *ret) {
        _cleanup_client_ Client client = CLIENT_NULL;
        const char *peer = ctl->host ? NULL : peer_address(ctl->bus);
        int r;

        /* sd-bus takes what is no address for one at which nobody listens. */
        if (!ctl->host && strcmp(ctl->bus, "system") != 0 && strcmp(ctl->bus, "session") != 0 &&
                        !strchr(peer ?: ctl->bus, ':'))
                return no_such_bus(ctl->bus);

        if (ctl->host)
                r = asprintf(&client.where, "the system bus of %s", ctl->host);
        else if (peer)
                r = asprintf(&client.where, "its socket at %s", peer);
        else if (strcmp(ctl->bus, "system") == 0 || strcmp(ctl->bus, "session") == 0)
                r = asprintf(&client.where, "the %s bus", ctl->bus);
        else
                r = asprintf(&client.where, "the bus at %s", ctl->bus);
        if (r < 0) {
                client.where = NULL;
                return ctl_fail_errno(-ENOMEM, "cannot connect");
        }

        if (ctl->host)
                r = sd_bus_open_system_remote(&client.bus, ctl->host);
        else if (strcmp(ctl->bus, "system") == 0)
                r = sd_bus_open_system(&client.bus);
        else if (strcmp(ctl->bus, "session") == 0)
                r = sd_bus_open_user(&client.bus);
        else
                r = open_address(peer ?: ctl->bus, /* bus_client= */ !peer, &client.bus);
        if (r == -EINVAL && !ctl->host)
                return no_such_bus(ctl->bus);
        if (r < 0)
                return say_error(&client, NULL, r);

        *ret = client;
        client = (Client) CLIENT_NULL;
        return 0;
}

void client_deinit(Client *client) {
        sd_bus_flush_close_unref(client->bus);
        free(client->where);
        free(client->kept);
        *client = (Client) CLIENT_NULL;
}

int client_new_call(Client *client, const char *path, const char *interface, const char *member,
                sd_bus_message **ret) {
        int r = sd_bus_message_new_method_call(client->bus, ret, HEADGATE_NAME, path, interface, member);

        return r < 0 ? say_error(client, NULL, r) : 0;
}

int client_call(Client *client, sd_bus_message *call, uint64_t timeout_usec, sd_bus_message **ret_reply) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_call(client->bus, call, timeout_usec, &error, ret_reply);
        r = r < 0 ? say_error(client, &error, r) : 0;
        sd_bus_error_free(&error);
        return r;
}

static int new_call_with(
                Client *client, const char *member, const char *types, va_list ap, sd_bus_message **ret) {
        int r = client_new_call(client, HEADGATE_PATH, HEADGATE_MANAGER, member, ret);

        if (r != 0)
                return r;

        r = sd_bus_message_appendv(*ret, types, ap);
        return r < 0 ? client_fail(client, r, "cannot send what was given") : 0;
}

int client_change(const Ctl *ctl, const char *member, const char *types, ...) {
        _cleanup_bus_message_ sd_bus_message *call = NULL;
        _cleanup_client_ Client client = CLIENT_NULL;
        va_list ap;
        int r;

        r = client_open(ctl, &client);
        if (r != 0)
                return r;

        va_start(ap, types);
        r = new_call_with(&client, member, types, ap, &call);
        va_end(ap);
        return r != 0 ? r : client_call(&client, call, CLIENT_TIMEOUT_CHANGE, /* ret_reply= */ NULL);
}

static int read_reply(Client *client, sd_bus_message *reply, json_t **ret) {
        int r = variant_read(reply, ret);

        return r < 0 ? client_fail(client, r, "cannot read what headgated answered") : 0;
}

int client_ask(Client *client, const char *member, json_t **ret, const char *types, ...) {
        _cleanup_bus_message_ sd_bus_message *call = NULL, *reply = NULL;
        va_list ap;
        int r;

        va_start(ap, types);
        r = new_call_with(client, member, types, ap, &call);
        va_end(ap);
        if (r == 0)
                r = client_call(client, call, CLIENT_TIMEOUT_READ, &reply);
        return r != 0 ? r : read_reply(client, reply, ret);
}

/* `absent_code` is returned without a word where the object is not there. */
static int get_all(Client *client, const char *path, const char *interface, int absent_code, json_t **ret) {
        _cleanup_bus_message_ sd_bus_message *call = NULL, *reply = NULL;
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = client_new_call(client, path, "org.freedesktop.DBus.Properties", "GetAll", &call);
        if (r != 0)
                return r;

        r = sd_bus_message_append(call, "s", interface);
        if (r < 0)
                return say_error(client, NULL, r);

        r = sd_bus_call(client->bus, call, CLIENT_TIMEOUT_READ, &error, &reply);
        if (r >= 0)
                return read_reply(client, reply, ret);

        if (absent_code != 0 &&
                        (sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT) ||
                                        sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_INTERFACE)))
                r = absent_code;
        else
                r = say_error(client, &error, r);

        sd_bus_error_free(&error);
        return r;
}

int client_get_node(Client *client, json_t **ret) {
        return get_all(client, HEADGATE_PATH, HEADGATE_MANAGER, /* absent_code= */ 0, ret);
}

int client_open_node(const Ctl *ctl, Client *ret, json_t **ret_node) {
        int r = client_open(ctl, ret);

        return r != 0 ? r : client_get_node(ret, ret_node);
}

static int get_by_id(
                Client *client, const char *prefix, const char *interface, const char *id, json_t **ret) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = sd_bus_path_encode(prefix, id, &path);
        if (r < 0)
                return say_error(client, NULL, r);

        return get_all(client, path, interface, CTL_NOT_FOUND, ret);
}

int client_get_tenant(Client *client, const char *id, json_t **ret) {
        return get_by_id(client, HEADGATE_TENANT_PREFIX, HEADGATE_TENANT, id, ret);
}

int client_get_allocation(Client *client, const char *id, json_t **ret) {
        return get_by_id(client, HEADGATE_ALLOCATION_PREFIX, HEADGATE_ALLOCATION, id, ret);
}

char *client_path_id(const char *path, const char *prefix) {
        char *id = NULL;

        return sd_bus_path_decode(path, prefix, &id) > 0 ? id : NULL;
}

static int compare_allocations(const void *a, const void *b) {
        return strcmp(variant_get_string(*(json_t *const *) a, "AllocationId"),
                        variant_get_string(*(json_t *const *) b, "AllocationId"));
}

static int compare_tenants(const void *a, const void *b) {
        return strcmp(variant_get_string(*(json_t *const *) a, "TenantId"),
                        variant_get_string(*(json_t *const *) b, "TenantId"));
}

/* The objects that have the interface, ordered. */
static int pick(const json_t *objects, const char *interface, int (*compare)(const void *, const void *),
                json_t **ret) {
        _cleanup_json_ json_t *list = json_array();
        _cleanup_free_ json_t **found = calloc(json_object_size(objects) + 1, sizeof(*found));
        const char *path;
        json_t *object;
        size_t n = 0;

        if (!list || !found)
                return -ENOMEM;

        json_object_foreach ((json_t *) objects, path, object) {
                json_t *properties = json_object_get(object, interface);

                if (properties)
                        found[n++] = properties;
        }

        qsort(found, n, sizeof(*found), compare);
        for (size_t i = 0; i < n; i++)
                if (json_array_append(list, found[i]) < 0)
                        return -ENOMEM;

        *ret = TAKE_PTR(list);
        return 0;
}

int client_get_objects(Client *client, json_t **ret_tenants, json_t **ret_allocations) {
        _cleanup_bus_message_ sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_json_ json_t *objects = NULL, *tenants = NULL, *allocations = NULL;
        int r;

        r = client_new_call(client, HEADGATE_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects",
                        &call);
        if (r != 0)
                return r;

        r = client_call(client, call, CLIENT_TIMEOUT_READ, &reply);
        if (r != 0)
                return r;

        r = read_reply(client, reply, &objects);
        if (r != 0)
                return r;

        r = pick(objects, HEADGATE_TENANT, compare_tenants, &tenants);
        if (r >= 0)
                r = pick(objects, HEADGATE_ALLOCATION, compare_allocations, &allocations);
        if (r < 0)
                return client_fail(client, r, "cannot order the objects");

        *ret_tenants = TAKE_PTR(tenants);
        *ret_allocations = TAKE_PTR(allocations);
        return 0;
}

int client_get_allocations_of(Client *client, const json_t *tenant, json_t **ret) {
        _cleanup_json_ json_t *allocations = json_array();
        json_t *path;
        size_t i;

        json_array_foreach (json_object_get(tenant, "Allocations"), i, path) {
                _cleanup_free_ char *id = client_path_id(json_string_value(path), HEADGATE_ALLOCATION_PREFIX);
                json_t *allocation = NULL;
                int r;

                if (!id)
                        continue;
                r = client_get_allocation(client, id, &allocation);
                if (r != 0 && r != CTL_NOT_FOUND)
                        return r;
                if (r == 0)
                        json_array_append_new(allocations, allocation);
        }

        *ret = TAKE_PTR(allocations);
        return 0;
}

static int read_snapshot(int fd, Snapshot *ret) {
        struct stat st;
        void *text;
        int r;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (st.st_size == 0)
                return -EBADMSG;

        /* Sealed: it stays as long as it is. */
        text = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (text == MAP_FAILED)
                return -errno;

        r = snapshot_parse(text, (size_t) st.st_size, ret);
        munmap(text, (size_t) st.st_size);
        return r;
}

int client_get_snapshot(Client *client, Snapshot *ret) {
        _cleanup_bus_message_ sd_bus_message *call = NULL, *reply = NULL;
        int r, fd;

        r = client_new_call(client, HEADGATE_PATH, HEADGATE_MANAGER, "Snapshot", &call);
        if (r != 0)
                return r;

        r = sd_bus_message_append(call, "s", "json");
        if (r < 0)
                return say_error(client, NULL, r);

        r = client_call(client, call, CLIENT_TIMEOUT_READ, &reply);
        if (r != 0)
                return r;

        /* The descriptor stays the message's. */
        r = sd_bus_message_read(reply, "h", &fd);
        if (r >= 0)
                r = read_snapshot(fd, ret);
        return r < 0 ? client_fail(client, r, "cannot read the snapshot") : 0;
}

int client_listen(Client *client, sd_bus_message_handler_t on_signal, sd_bus_message_handler_t on_owner,
                void *userdata) {
        int r;

        r = sd_bus_add_match(
                        client->bus, NULL, "type='signal',sender='" HEADGATE_NAME "'", on_signal, userdata);
        if (r >= 0)
                r = sd_bus_add_match(client->bus, NULL,
                                "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',"
                                "arg0='" HEADGATE_NAME "'",
                                on_owner, userdata);
        return r < 0 ? client_fail(client, r, "cannot listen") : 0;
}
