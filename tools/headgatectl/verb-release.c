/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* release: end an allocation before its end; --all: headgated, and what it has put into the kernel. */

#include "client.h"
#include "view.h"

/* The tenants whose groups are left to what runs in them. */
static int print_left(const Ctl *ctl, Client *client, sd_bus_message *reply) {
        _cleanup_json_ json_t *tenants = NULL;
        int r = variant_read(reply, &tenants);
        json_t *tenant;
        size_t i;

        if (r < 0)
                return client_fail(client, r, "cannot read what headgated answered");
        if (ctl->json)
                return view_json(tenants, /* one_line= */ false);

        json_array_foreach (tenants, i, tenant)
                printf("%s is still in use: its group is left as it is, without limits\n",
                                json_string_value(tenant) ?: "?");
        return CTL_OK;
}

static int release_all(const Ctl *ctl) {
        _cleanup_bus_message_ sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_client_ Client client = CLIENT_NULL;
        int r;

        r = client_open(ctl, &client);
        if (r == 0)
                r = client_new_call(&client, HEADGATE_PATH, HEADGATE_MANAGER, "ReleaseAll", &call);
        if (r == 0)
                r = client_call(&client, call, CLIENT_TIMEOUT_CHANGE, &reply);
        return r != 0 ? r : print_left(ctl, &client, reply);
}

int verb_release(const Ctl *ctl) {
        if (ctl->all && (ctl->n_args > 0 || ctl->generation || *ctl->reason))
                return ctl_fail(CTL_USAGE, "--all takes everything: it goes with no allocation, --generation "
                                           "or --reason");
        if (!ctl->all && ctl->n_args == 0)
                return ctl_fail(CTL_USAGE, "'release' wants more: headgatectl release ALLOCATION|--all");
        return ctl->all ? release_all(ctl)
                        : client_change(ctl, "Release", "sts", ctl->args[0], ctl->generation, ctl->reason);
}
