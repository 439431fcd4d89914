/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The connections' one guard and their signals. Every message passes api_guard() before any object sees it,
 * so that a member can be forgotten only in the table, where that means "denied".
 */

#include "api-internal.h"
#include "authorize.h"

#include <string.h>

static const struct {
        FailureCode code;
        const char *name;
} error_names[] = {
        { FAILURE_INVALID_ALLOCATION, "org.headgate.Error.InvalidAllocation" },
        { FAILURE_UNKNOWN_KEY, "org.headgate.Error.UnknownKey" },
        { FAILURE_INSUFFICIENT_RESOURCES, "org.headgate.Error.InsufficientResources" },
        { FAILURE_STALE_GENERATION, "org.headgate.Error.StaleGeneration" },
        { FAILURE_GENERATION_CONFLICT, "org.headgate.Error.GenerationConflict" },
        { FAILURE_NO_SUCH_TENANT, "org.headgate.Error.NoSuchTenant" },
        { FAILURE_NO_SUCH_ALLOCATION, "org.headgate.Error.NoSuchAllocation" },
        { FAILURE_NO_SUCH_UNIT, "org.headgate.Error.NoSuchUnit" },
        { FAILURE_NO_SUCH_PROCESS, "org.headgate.Error.NoSuchProcess" },
        { FAILURE_NO_SUCH_GROUP, "org.headgate.Error.NoSuchGroup" },
        { FAILURE_INVALID_GROUP, "org.headgate.Error.InvalidGroup" },
        { FAILURE_LIMIT_EXCEEDED, "org.headgate.Error.LimitExceeded" },
        { FAILURE_NOT_SUPPORTED, "org.headgate.Error.NotSupported" },
        { FAILURE_ACCESS_DENIED, "org.headgate.Error.AccessDenied" },
        { FAILURE_DRAINING, "org.headgate.Error.Draining" },
        { FAILURE_NOT_ENFORCED, "org.headgate.Error.NotEnforced" },
};

int api_fail(int r, const Failure *failure, sd_bus_error *ret_error) {
        for (size_t i = 0; r > 0 && i < ELEMENTSOF(error_names); i++)
                if (error_names[i].code == failure->code)
                        return sd_bus_error_set(ret_error, error_names[i].name, failure->message);
        return sd_bus_error_set_errno(ret_error, r < 0 ? r : -EIO);
}

static char *encode_path(const char *prefix, const char *id) {
        char *path;

        return sd_bus_path_encode(prefix, id, &path) < 0 ? NULL : path;
}

int api_reply_list(sd_bus_message *message, const void *list, size_t n,
                int (*append)(sd_bus_message *reply, const void *list, size_t i)) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(message, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = append(reply, list, i);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

char *api_tenant_path(const char *id) {
        return encode_path(API_TENANT_PREFIX, id);
}

char *api_allocation_path(const char *id) {
        return encode_path(API_ALLOCATION_PREFIX, id);
}

static const char *why_denied(Api *api, uid_t uid, AccessLevel level, const char *interface) {
        User user;

        if (level == ACCESS_NOBODY)
                return interface ? "; in this version there is no such method for anybody"
                                 : "; no interface was named";
        if (user_database_find(api->users, uid, &user) == -EAGAIN)
                return "; who that is the user database has not said yet: try again";
        return level == ACCESS_READER ? "; readers are root, the group headgate, and who polkit lets read"
                                      : "";
}

static const ApiConnection *find_peer(const Api *api, const sd_bus *bus) {
        for (const ApiConnection *c = api->connections; c; c = c->next)
                if (c->is_peer && c->bus == bus)
                        return c;
        return NULL;
}

bool api_is_peer(const Api *api, const sd_bus *bus) {
        return find_peer(api, bus);
}

bool api_is_reader(const Api *api, uid_t caller) {
        return api->verdict == API_VERDICT_GRANTED ||
               authorize_user(api->users, caller, ACCESS_READER, api->options->schedulers);
}

int api_caller(Api *api, sd_bus_message *message, uid_t *ret_uid) {
        const ApiConnection *peer = find_peer(api, sd_bus_message_get_bus(message));
        const char *name = sd_bus_message_get_sender(message);
        KnownCaller *caller;
        int r;

        if (peer) {
                *ret_uid = peer->uid;
                return 0;
        }
        for (unsigned i = 0; name && i < API_KNOWN_CALLERS; i++)
                if (strcmp(api->callers[i].name, name) == 0) {
                        *ret_uid = api->callers[i].uid;
                        return 0;
                }
        r = authorize_caller(message, ret_uid);
        if (r < 0 || !name || name[0] != ':' || strlen(name) >= sizeof caller->name)
                return r;
        caller = &api->callers[api->next_caller++ % API_KNOWN_CALLERS];
        strcpy(caller->name, name);
        caller->uid = *ret_uid;
        return 0;
}

sd_bus_slot **api_slot(ApiConnection *connection) {
        return &connection->slots[connection->n_slots++];
}

static bool is_ours(const char *path) {
        size_t n = strlen(API_PATH);

        return path && strncmp(path, API_PATH, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* Whether the object is a tenant, or an allocation of one, that the user is named in: those it may read. */
static bool is_own_object(const Api *api, const char *path, uid_t uid) {
        _cleanup_free_ char *id = NULL;
        const Allocation *allocation;

        if (sd_bus_path_decode(path, API_TENANT_PREFIX, &id) > 0)
                return api_is_tenant_user(api, id, uid);
        if (sd_bus_path_decode(path, API_ALLOCATION_PREFIX, &id) <= 0)
                return false;
        allocation = calendar_find(&api->node->calendar, id);
        return allocation && api_is_tenant_user(api, allocation->tenant_id, uid);
}

/* Runs before any object: 0 lets the message through, 1 says that it has been answered. */
static int api_guard(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        ApiConnection *connection = userdata;
        Api *api = connection->api;
        const char *interface, *member;
        AccessLevel level;
        uid_t uid;
        uint8_t type;
        int r;

        r = sd_bus_message_get_type(message, &type);
        if (r < 0 || type != SD_BUS_MESSAGE_METHOD_CALL)
                return 0;
        if (api_peer_drop_slow(connection))
                return 1;
        api->verdict = api_polkit_take_verdict(api, message);
        interface = sd_bus_message_get_interface(message);
        member = sd_bus_message_get_member(message);
        level = authorize_level(interface, member);
        /* A path that is none of ours has nothing to tell; sd-bus answers introspection of the parents "/",
         * "/org" … */
        if (!is_ours(sd_bus_message_get_path(message)) && level != ACCESS_NOBODY)
                return 0;
        r = api_caller(api, message, &uid);
        if (r >= 0 && authorize_user(api->users, uid, level, api->options->schedulers))
                return api_refuse_large(api, message);
        if (r >= 0 && level == ACCESS_READER) {
                if (api->verdict == API_VERDICT_GRANTED ||
                                is_own_object(api, sd_bus_message_get_path(message), uid))
                        return api_refuse_large(api, message);
                if (api_polkit_ask(api, message, uid) > 0)
                        return 1;
        }
        r = sd_bus_reply_method_errorf(message, "org.headgate.Error.AccessDenied", "%s is not for user %d%s",
                        member, r < 0 ? -1 : (int) uid, r < 0 ? "" : why_denied(api, uid, level, interface));
        return r < 0 ? r : 1;
}

int api_connection_new(Api *api, sd_bus *bus, ApiConnection **ret) {
        _cleanup_(api_connection_free_p) ApiConnection *connection = calloc(1, sizeof(ApiConnection));
        int r;

        if (!connection)
                return -ENOMEM;
        connection->api = api;
        connection->bus = sd_bus_ref(bus);
        connection->next = api->connections;
        api->connections = connection;
        r = sd_bus_add_filter(bus, api_slot(connection), api_guard, connection);
        if (r >= 0)
                r = sd_bus_add_object_manager(bus, api_slot(connection), API_PATH);
        if (r >= 0)
                r = api_add_manager(connection);
        if (r >= 0)
                r = api_add_objects(connection);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(connection);
        return 0;
}

ApiConnection *api_connection_free(ApiConnection *connection) {
        if (!connection)
                return NULL;
        for (ApiConnection **c = &connection->api->connections; *c; c = &(*c)->next)
                if (*c == connection) {
                        *c = connection->next;
                        break;
                }
        api_polkit_forget(connection->api, connection->bus);
        for (size_t i = 0; i < connection->n_slots; i++)
                sd_bus_slot_unref(connection->slots[i]);
        sd_event_source_disable_unref(connection->deadline);
        if (connection->is_peer)
                sd_bus_close(connection->bus);
        sd_bus_unref(connection->bus);
        free(connection);
        return NULL;
}

int api_new(const Node *node, const ApiOperations *operations, const ApiOptions *options, void *userdata,
                Api **ret) {
        _cleanup_(api_free_p) Api *api = calloc(1, sizeof(Api));
        int r;

        if (!api)
                return -ENOMEM;
        api->node = node;
        api->operations = operations;
        api->options = options;
        api->userdata = userdata;
        r = user_database_new(options->readers_group, &api->users);
        if (r >= 0)
                r = api_make_vtables(api);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(api);
        return 0;
}

Api *api_free(Api *api) {
        if (!api)
                return NULL;
        api_unlisten(api);
        api_leave(api);
        user_database_free(api->users);
        pages_deinit(&api->pages);
        free(api->allocation_vtable);
        free(api);
        return NULL;
}

int api_serve(Api *api, sd_bus *bus) {
        ApiConnection *connection;

        return api_connection_new(api, bus, &connection);
}

void api_leave(Api *api) {
        for (ApiConnection *c = api->connections, *next; c; c = next) {
                next = c->next;
                if (!c->is_peer)
                        api_connection_free(c);
        }
        memset(api->callers, 0, sizeof(api->callers)); /* names are of one bus */
}

ApiConnection *api_next_listener(Api *api, ApiConnection *last) {
        ApiConnection *c = !api ? NULL : last ? last->next : api->connections;

        while (c && (sd_bus_is_ready(c->bus) <= 0 || api_peer_drop_slow(c)))
                c = c->next;
        return c;
}

/* Signals are best effort: who missed one reads the properties. */
static void emit_object(Api *api, char *owned_path, int (*emit)(sd_bus *bus, const char *path)) {
        _cleanup_free_ char *path = owned_path;

        API_FOREACH_LISTENER(c, path ? api : NULL)
        (void) emit(c->bus, path);
}

/* Some properties of an object; the names end with NULL. */
static void emit_properties(Api *api, char *owned_path, const char *interface, const char *const *names) {
        _cleanup_free_ char *path = owned_path;

        API_FOREACH_LISTENER(c, path ? api : NULL)
        (void) sd_bus_emit_properties_changed_strv(c->bus, path, interface, (char **) names);
}

static void emit_manager(Api *api, const char *const *names) {
        emit_properties(api, strdup(API_PATH), API_MANAGER_INTERFACE, names);
}

static void emit_allocation(Api *api, const Allocation *allocation, const char *const *names) {
        emit_properties(api, api_allocation_path(allocation->id), API_ALLOCATION_INTERFACE, names);
}

void api_allocation_added(Api *api, const Allocation *allocation) {
        if (api)
                emit_object(api, api_allocation_path(allocation->id), sd_bus_emit_object_added);
}

void api_allocation_removed(Api *api, const char *id) {
        if (api)
                emit_object(api, api_allocation_path(id), sd_bus_emit_object_removed);
}

void api_tenant_added(Api *api, const Tenant *tenant) {
        if (api)
                emit_object(api, api_tenant_path(tenant->id), sd_bus_emit_object_added);
}

void api_tenant_removed(Api *api, const char *id) {
        if (api)
                emit_object(api, api_tenant_path(id), sd_bus_emit_object_removed);
}

void api_allocation_changed(Api *api, const Allocation *allocation, AllocationState old_state) {
        API_FOREACH_LISTENER(c, api)
        (void) sd_bus_emit_signal(c->bus, API_PATH, API_MANAGER_INTERFACE, "AllocationChanged", "ssss",
                        allocation->id, old_state < 0 ? "" : allocation_state_to_string(old_state),
                        allocation_state_to_string(allocation->state), allocation->reason ?: "");
        emit_allocation(api, allocation,
                        (const char *[]){ "State", "Reason", "ActualStart", "ActualEnd", "WindowStart",
                                        "WindowEnd", "Preempts", "PreemptedBy", NULL });
}

void api_allocation_ending(Api *api, const Allocation *allocation, uint64_t left_usec) {
        API_FOREACH_LISTENER(c, api)
        (void) sd_bus_emit_signal(c->bus, API_PATH, API_MANAGER_INTERFACE, "AllocationEnding", "st",
                        allocation->id, left_usec);
}

void api_allocation_renewed(Api *api, const Allocation *allocation) {
        emit_allocation(api, allocation, (const char *[]){ "LeaseExpiry", NULL });
}

void api_allocation_missing(Api *api, const Allocation *allocation) {
        emit_allocation(api, allocation, (const char *[]){ "Missing", NULL });
}

void api_clock_changed(Api *api) {
        emit_manager(api, (const char *[]){ "ClockTrusted", "Features", NULL });
}

void api_rebooted(Api *api) {
        emit_manager(api, (const char *[]){ "BootId", NULL });
}

void api_allocation_updated(Api *api, const Allocation *allocation) {
        const char *names[64];
        size_t n = 0;

        for (const AllocationKey *key = allocation_keys; key->name && n < ELEMENTSOF(names) - 1; key++)
                names[n++] = key->name;
        names[n] = NULL;
        emit_allocation(api, allocation, names);
}

void api_allocation_lends(Api *api, const Allocation *allocation) {
        emit_allocation(api, allocation, (const char *[]){ "PreemptedBy", NULL });
}

void api_allocation_moved(Api *api, const Allocation *allocation) {
        emit_allocation(api, allocation, (const char *[]){ "WindowStart", "WindowEnd", NULL });
}

void api_tenant_changed(Api *api, const Tenant *tenant) {
        emit_properties(api, api_tenant_path(tenant->id), API_TENANT_INTERFACE,
                        (const char *[]){ "ControlGroup", "AdoptedGroups", "Users", "Mode", "AssignedCpus",
                                        "Allocations", "Desired", "Problems", NULL });
}

void api_node_changed(Api *api, bool state_changed) {
        emit_manager(api, (const char *[]){ "Reserved", state_changed ? "State" : NULL, NULL });
}

void api_drain_changed(Api *api) {
        emit_manager(api, (const char *[]){ "DrainReason", NULL });
}
