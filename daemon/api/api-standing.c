/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How things stand: a tenant's Mode, what differs from the plan, and why it is what it is. */

#include "api-internal.h"

#include <string.h>

int api_method_set_mode(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        const char *tenant, *mode;
        uid_t caller = (uid_t) -1;
        Api *api = userdata;
        int r;

        r = sd_bus_message_read(message, "ss", &tenant, &mode);
        if (r >= 0)
                r = api_caller(api, message, &caller);
        if (r >= 0)
                r = api->operations->set_mode(api->userdata, caller, tenant, mode, &failure);
        return r != 0 ? api_fail(r, &failure, ret_error) : sd_bus_reply_method_return(message, "");
}

static int append_difference(sd_bus_message *reply, const void *list, size_t i) {
        const Difference *entry = (const Difference *) list + i;

        return sd_bus_message_append(reply, "a{sv}", 6, "TenantId", "s", entry->tenant_id ?: "", "Object",
                        "s", entry->object, "Name", "s", entry->name, "Have", "s", entry->have, "Want", "s",
                        entry->want, "HeldBack", "s", entry->held_back ?: "");
}

int api_method_diff(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_differences_ DifferenceList list = DIFFERENCE_LIST_NULL;
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        const char *tenant;
        Api *api = userdata;
        int r;

        r = sd_bus_message_read_basic(message, 's', &tenant);
        if (r >= 0)
                r = api->operations->diff(api->userdata, tenant, &list, &failure);
        if (r != 0)
                return api_fail(r, &failure, ret_error);
        return api_reply_list(message, list.entries, list.n, append_difference);
}

/* A tenant's users may ask of it and of its allocations. */
static bool is_own(const Api *api, const char *object, uid_t caller) {
        const char *slash = strchr(object, '/'), *id = slash ? slash + 1 : object;
        const Allocation *allocation = calendar_find(&api->node->calendar, id);

        if (strncmp(object, "allocation/", strlen("allocation/")) != 0 && node_find_tenant(api->node, id))
                return api_is_tenant_user(api, id, caller);
        return allocation && api_is_tenant_user(api, allocation->tenant_id, caller);
}

static int append_explanation(sd_bus_message *reply, const void *list, size_t i) {
        const Explanation *entry = (const Explanation *) list + i;

        return sd_bus_message_append(reply, "a{sv}", 4, "Name", "s", entry->name, "Value", "s", entry->value,
                        "InForce", "s", entry->in_force, "Why", "s", entry->why);
}

int api_method_explain(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_explanations_ ExplanationList list = EXPLANATION_LIST_NULL;
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        const char *object, *name;
        uid_t caller = (uid_t) -1;
        bool is_reader = false, is_theirs;
        Api *api = userdata;
        int r;

        r = sd_bus_message_read(message, "ss", &object, &name);
        if (r >= 0)
                r = api_caller(api, message, &caller);
        if (r >= 0)
                is_reader = api_is_reader(api, caller);
        is_theirs = r >= 0 && (is_reader || is_own(api, object, caller));
        if (r >= 0 && !is_theirs && api_polkit_ask(api, message, caller) > 0)
                return 1;
        if (r >= 0 && !is_theirs)
                r = failure_set(&failure, FAILURE_ACCESS_DENIED,
                                "Explain is for readers and for users of the tenant; user %d is neither",
                                (int) caller);
        else if (r >= 0)
                r = api->operations->explain(api->userdata, is_reader, object, name, &list, &failure);
        if (r != 0)
                return api_fail(r, &failure, ret_error);
        return api_reply_list(message, list.entries, list.n, append_explanation);
}
