/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The node as a whole: its properties, its counters, its calendar read ahead, and what an operator says of
 * it. */

#include "api-internal.h"
#include "util/strv.h"

#include <string.h>

/* What the caller may see: all (NULL in *ret), or the tenants that it is a user of; the caller frees. */
static int snapshot_scope(const Api *api, uid_t caller, char ***ret, Failure *failure) {
        _cleanup_strv_ char **tenants = NULL;

        if (api_is_reader(api, caller))
                return 0;
        for (size_t i = 0; i < api->node->n_tenants; i++)
                if (api_is_tenant_user(api, api->node->tenants[i]->id, caller) &&
                                strv_push(&tenants, api->node->tenants[i]->id) < 0)
                        return -ENOMEM;
        if (!tenants)
                return failure_set(failure, FAILURE_ACCESS_DENIED,
                                "Snapshot is for readers and for users of a tenant; user %d is neither",
                                (int) caller);
        *ret = TAKE_PTR(tenants);
        return 0;
}

/* To a user of these tenants, who may ask as often, and keep as long, as it likes. */
static int snapshot_for_user(Api *api, uid_t caller, const char *format, char *const *tenants, int *ret_fd,
                Failure *failure) {
        int fd, r = pages_find(&api->pages, caller, format, api->operations->boottime_usec(api->userdata),
                                ret_fd);

        if (r == -EBUSY)
                return failure_set(failure, FAILURE_LIMIT_EXCEEDED,
                                "Snapshot: user %d has %d of them open: one more when one is closed",
                                (int) caller, PAGES_A_USER);
        if (r != 0)
                return r < 0 ? r : 0;
        r = api->operations->snapshot(api->userdata, format, tenants, &fd, failure);
        return r != 0 ? r
                      : pages_put(&api->pages, caller, format, api->operations->boottime_usec(api->userdata),
                                        fd, ret_fd);
}

int api_method_snapshot(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        _cleanup_strv_ char **only_tenants = NULL;
        const char *format;
        _cleanup_close_ int fd = -EBADF;
        Api *api = userdata;
        uid_t caller = (uid_t) -1;
        int r;

        r = sd_bus_message_read_basic(message, 's', &format);
        if (r >= 0)
                r = api_caller(api, message, &caller);
        if (r >= 0)
                r = snapshot_scope(api, caller, &only_tenants, &failure);
        if (r == FAILURE_ACCESS_DENIED && api_polkit_ask(api, message, caller) > 0)
                return 1;
        if (r == 0 && only_tenants)
                r = snapshot_for_user(api, caller, format, only_tenants, &fd, &failure);
        else if (r == 0)
                r = api->operations->snapshot(api->userdata, format, NULL, &fd, &failure);
        return r != 0 ? api_fail(r, &failure, ret_error) : sd_bus_reply_method_return(message, "h", fd);
}

static int append_segment(sd_bus_message *reply, const void *list, size_t i) {
        const Segment *segment = (const Segment *) list + i;
        char name[RESOURCE_NAME_SIZE];

        resource_format_name(segment->kind, segment->target, name);
        return sd_bus_message_append(reply, "a{sv}", 6, "TenantId", "s", segment->tenant_id, "Resource", "s",
                        name, "Start", "t", segment->window.start_usec, "End", "t", segment->window.end_usec,
                        "Reserved", "t", segment->amount.reserved, "Limit", "t", segment->amount.limit);
}

int api_method_get_calendar(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        _cleanup_free_ Segment *segments = NULL;
        uint64_t from_usec, until_usec;
        Api *api = userdata;
        size_t n = 0;
        int r;

        r = sd_bus_message_read(message, "tt", &from_usec, &until_usec);
        if (r >= 0)
                r = api->operations->calendar(api->userdata, from_usec, until_usec, &segments, &n, &failure);
        if (r != 0)
                return api_fail(r, &failure, ret_error);
        return api_reply_list(message, segments, n, append_segment);
}

int api_method_drain(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        Api *api = userdata;
        const char *reason;
        int r;

        r = sd_bus_message_read_basic(message, 's', &reason);
        if (r >= 0)
                r = api->operations->drain(api->userdata, reason, &failure);
        return r != 0 ? api_fail(r, &failure, ret_error) : sd_bus_reply_method_return(message, "");
}

int api_method_resume(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        Api *api = userdata;
        int r = api->operations->resume(api->userdata, &failure);

        return r != 0 ? api_fail(r, &failure, ret_error) : sd_bus_reply_method_return(message, "");
}

int api_method_accept_clock(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        Api *api = userdata;
        int r = api->operations->accept_clock(api->userdata, &failure);

        return r != 0 ? api_fail(r, &failure, ret_error) : sd_bus_reply_method_return(message, "");
}

int api_method_release_all(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        _cleanup_strv_ char **left = NULL;
        Api *api = userdata;
        int r = api->operations->release_all(api->userdata, &left, &failure);

        if (r != 0)
                return api_fail(r, &failure, ret_error);
        r = sd_bus_message_new_method_return(message, &reply);
        if (r >= 0)
                r = sd_bus_message_append_strv(reply, left);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int read_capacity(sd_bus_message *message, ResourceSet *set, Failure *failure) {
        char target[RESOURCE_TARGET_SIZE];
        ResourceKind kind;
        const char *name;
        uint64_t value;
        int r;

        r = sd_bus_message_enter_container(message, 'a', "{st}");
        while (r >= 0 && (r = sd_bus_message_read(message, "{st}", &name, &value)) > 0) {
                if (resource_parse_name(name, &kind, target) < 0)
                        return resource_refuse_name("capacity", name, failure);
                r = resource_set_put(set, kind, target, (Amount){ 0, value });
        }
        return r;
}

int api_method_set_capacity(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_resource_set_ ResourceSet capacity = RESOURCE_SET_NULL;
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        Api *api = userdata;
        int r;

        r = read_capacity(message, &capacity, &failure);
        if (r == 0)
                r = api->operations->set_capacity(api->userdata, &capacity, &failure);
        return r != 0 ? api_fail(r, &failure, ret_error) : sd_bus_reply_method_return(message, "");
}

int api_get_string(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const Node *node = ((const Api *) userdata)->node;
        const char *value = strcmp(property, "NodeId") == 0        ? node->node_id
                            : strcmp(property, "BootId") == 0      ? node->boot_id
                            : strcmp(property, "Version") == 0     ? node->version
                            : strcmp(property, "DrainReason") == 0 ? node->drain_reason ?: ""
                                                                   : node_state_to_string(node->state);

        return sd_bus_message_append_basic(reply, 's', value);
}

/* Capacity, Reserved and Idle: three views of one set; OperatorCapacity is another. */
int api_get_amounts(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const Node *node = ((const Api *) userdata)->node;
        const ResourceSet *capacity = strcmp(property, "OperatorCapacity") == 0 ? &node->operator_capacity
                                                                                : &node->capacity;
        int r = sd_bus_message_open_container(reply, 'a', "{st}");

        for (size_t i = 0; r >= 0 && i < capacity->n; i++) {
                const Resource *entry = &capacity->entries[i];
                char name[RESOURCE_NAME_SIZE];
                uint64_t value = entry->amount.limit;

                if (strcmp(property, "Reserved") == 0)
                        value = entry->amount.reserved;
                else if (strcmp(property, "Idle") == 0)
                        value = value > entry->amount.reserved ? value - entry->amount.reserved : 0;
                resource_format_name(entry->kind, entry->target, name);
                r = sd_bus_message_append(reply, "{st}", name, value);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

int api_get_features(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const FeatureSet *features = &((const Api *) userdata)->node->features;
        int r = sd_bus_message_open_container(reply, 'a', "{s(bs)}");

        for (size_t i = 0; r >= 0 && i < features->n; i++)
                r = sd_bus_message_append(reply, "{s(bs)}", features->entries[i].name,
                                (int) features->entries[i].available, features->entries[i].words);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

int api_get_control_usage(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        return api_append_usage(reply, &((const Api *) userdata)->node->control);
}

int api_get_control_histograms(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        return api_append_histograms(reply, ((const Api *) userdata)->node, /* tenant= */ NULL);
}

int api_get_clock_trusted(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        int trusted = ((const Api *) userdata)->node->clock_trusted;

        return sd_bus_message_append_basic(reply, 'b', &trusted);
}

int api_get_horizon(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        return sd_bus_message_append_basic(
                        reply, 't', &((const Api *) userdata)->node->calendar.horizon_usec);
}

void api_capacity_changed(Api *api) {
        API_FOREACH_LISTENER(c, api) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *signal = NULL;
                int r;

                r = sd_bus_message_new_signal(
                                c->bus, &signal, API_PATH, API_MANAGER_INTERFACE, "CapacityChanged");
                if (r >= 0)
                        r = api_get_amounts(c->bus, API_PATH, API_MANAGER_INTERFACE, "Capacity", signal, api,
                                        NULL);
                if (r >= 0)
                        (void) sd_bus_send(c->bus, signal, NULL);
        }
}
