/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who made a tenant wait for a CPU, to who may know of all tenants. */

#include "api-internal.h"

int api_method_culprits(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        const Api *api = userdata;
        const Tenant *tenant;
        const char *id;
        int r;

        r = sd_bus_message_read(message, "s", &id);
        if (r < 0)
                return r;
        tenant = node_find_tenant(api->node, id);
        if (!tenant || tenant->untold)
                return api_fail(failure_set(&failure, FAILURE_NO_SUCH_TENANT, "there is no tenant '%.64s'",
                                                id),
                                &failure, ret_error);
        r = api->operations->refresh_blames(api->userdata, &failure);
        if (r != 0)
                return api_fail(r, &failure, ret_error);
        r = sd_bus_message_new_method_return(message, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{st}");
        for (size_t i = 0; r >= 0 && i < tenant->blames.n; i++)
                r = sd_bus_message_append(reply, "{st}", tenant->blames.entries[i].culprit,
                                tenant->blames.entries[i].nsec);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}
