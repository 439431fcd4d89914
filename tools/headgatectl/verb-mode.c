/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mode: whether what a tenant has is enforced, or only observed. */

#include "client.h"
#include "view.h"

#include <string.h>

int verb_mode(const Ctl *ctl) {
        _cleanup_client_ Client client = CLIENT_NULL;
        _cleanup_json_ json_t *tenant = NULL, *mode = NULL;
        const char *id = ctl->args[0];
        int r;

        if (ctl->n_args > 1 && strcmp(ctl->args[1], "enforce") != 0 && strcmp(ctl->args[1], "observe") != 0)
                return ctl_fail(CTL_USAGE, "'mode' does not take '%s': enforce or observe?", ctl->args[1]);
        if (ctl->n_args > 1)
                return client_change(ctl, "SetMode", "ss", id, ctl->args[1]);

        r = client_open(ctl, &client);
        if (r == 0)
                r = client_get_tenant(&client, id, &tenant);
        if (r == CTL_NOT_FOUND)
                return ctl_fail(r, "there is no tenant '%s' ('headgatectl list tenants' names them)", id);
        if (r != 0)
                return r;

        if (ctl->json) {
                mode = json_pack("{ss ss}", "TenantId", id, "Mode", variant_get_string(tenant, "Mode"));
                return view_json(mode, /* one_line= */ false);
        }

        puts(variant_get_string(tenant, "Mode"));
        return CTL_OK;
}
