/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * run: joins the tenant, then becomes the command. So standard input and output, signals, the terminal and
 * the exit code are the command's own, and all that it ever charges is the tenant's.
 */

#include "attach.h"

#include <string.h>

/*
 * Whether an allocation of the tenant is active. Returns 0 or an exit code, having said why, but for
 * CTL_DENIED: its users may run in a tenant that they may not read.
 */
static int in_window(Client *client, const char *tenant_id, bool *ret) {
        _cleanup_json_ json_t *tenant = NULL;
        json_t *path;
        size_t i;
        int r;

        r = client_get_tenant(client, tenant_id, &tenant);
        if (r == CTL_NOT_FOUND)
                return ctl_fail(r, "there is no tenant '%s' ('headgatectl list tenants' names them)",
                                tenant_id);
        if (r != 0)
                return r;

        json_array_foreach (json_object_get(tenant, "Allocations"), i, path) {
                _cleanup_free_ char *id = client_path_id(json_string_value(path), HEADGATE_ALLOCATION_PREFIX);
                _cleanup_json_ json_t *allocation = NULL;

                if (!id)
                        continue;

                /* One that has just gone is not active. */
                r = client_get_allocation(client, id, &allocation);
                if (r != 0 && r != CTL_NOT_FOUND)
                        return r;
                if (strcmp(variant_get_string(allocation, "State"), "active") == 0) {
                        *ret = true;
                        return 0;
                }
        }

        *ret = false;
        return 0;
}

static int join(const Ctl *ctl) {
        const char *tenant_id = ctl->args[0];
        _cleanup_client_ Client client = CLIENT_NULL;
        pid_t self = getpid();
        bool open;
        int r;

        if (ctl->host)
                return ctl_fail(CTL_RUN_FAILED,
                                "a command runs on the node itself: ssh %s headgatectl run ...", ctl->host);

        r = client_open(ctl, &client);
        if (r != 0)
                return r;

        if (!ctl->residual) {
                client.keep = true;
                r = in_window(&client, tenant_id, &open);
                client.keep = false;
                if (r == CTL_DENIED)
                        return ctl_fail(r,
                                        "you may not see whether an allocation of tenant '%s' is active "
                                        "(--residual "
                                        "runs it in whatever share the tenant has)",
                                        tenant_id);
                if (client.kept)
                        return ctl_fail(r, "%s", client.kept);
                if (r != 0)
                        return r;
                if (!open)
                        return ctl_fail(CTL_RUN_FAILED,
                                        "no allocation of tenant '%s' is active ('headgatectl show %s' says "
                                        "when one is; "
                                        "--residual runs it in the residual share)",
                                        tenant_id, tenant_id);
        }

        return attach_pids(&client, tenant_id, &self, 1);
}

int verb_run(const Ctl *ctl) {
        int error;

        if (join(ctl) != 0)
                return CTL_RUN_FAILED;

        execvp(ctl->command[0], ctl->command);

        error = errno;
        return ctl_fail(error == ENOENT ? CTL_RUN_NO_COMMAND : CTL_RUN_NO_EXEC, "cannot execute '%s': %s",
                        ctl->command[0], strerror(error));
}
