/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How things stand: a tenant's Mode, and what differs from the plan. */

#include "api-internal.h"

int api_method_set_mode(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        const char *tenant, *mode;
        Api *api = userdata;
        int r;

        r = sd_bus_message_read(message, "ss", &tenant, &mode);
        if (r >= 0)
                r = api->operations->set_mode(api->userdata, tenant, mode, &failure);
        return r != 0 ? api_fail(r, &failure, ret_error) : sd_bus_reply_method_return(message, "");
}

static int append_difference(sd_bus_message *reply, const Difference *entry) {
        return sd_bus_message_append(reply, "a{sv}", 6, "TenantId", "s", entry->tenant_id ?: "", "Object",
                        "s", entry->object, "Name", "s", entry->name, "Have", "s", entry->have, "Want", "s",
                        entry->want, "HeldBack", "s", entry->held_back ?: "");
}

int api_method_diff(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
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
        r = sd_bus_message_new_method_return(message, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; r >= 0 && i < list.n; i++)
                r = append_difference(reply, &list.entries[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}
