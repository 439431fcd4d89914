/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * run: joins the tenant, then becomes the command. So standard input and output, signals, the terminal and
 * the exit code are the command's own, and all that it ever charges is the tenant's.
 */

#include "attach.h"
#include "view.h"

#include <string.h>

/*
 * What the tenant's allocations make of it, as view_tenant_state() has it, and of the suspended ones the
 * last. Returns 0 or an exit code, having said why, but for CTL_DENIED: its users may run in a tenant that
 * they may not read.
 */
static int get_state(Client *client, const char *tenant_id, const char **ret_state, char **ret_suspended) {
        _cleanup_json_ json_t *tenant = NULL, *allocations = NULL;
        const char *suspended = NULL;
        json_t *allocation;
        size_t i;
        int r;

        r = client_get_tenant(client, tenant_id, &tenant);
        if (r == CTL_NOT_FOUND)
                return ctl_fail(r, "there is no tenant '%s' ('headgatectl list tenants' names them)",
                                tenant_id);
        if (r == 0)
                r = client_get_allocations_of(client, tenant, &allocations);
        if (r != 0)
                return r;

        json_array_foreach (allocations, i, allocation)
                if (strcmp(variant_get_string(allocation, "State"), "suspended") == 0)
                        suspended = variant_get_string(allocation, "AllocationId");

        *ret_state = view_tenant_state(allocations);
        *ret_suspended = suspended ? strdup(suspended) : NULL;
        return 0;
}

/* Whether the command may run there now. Returns 0 or an exit code, having said why. */
static int check_state(const Ctl *ctl, Client *client, const char *tenant_id) {
        _cleanup_free_ char *suspended = NULL;
        const char *state = "";
        int r;

        client->keep = true;
        r = get_state(client, tenant_id, &state, &suspended);
        client->keep = false;

        if (r == 0 && strcmp(state, "suspended") == 0)
                return ctl_fail(CTL_RUN_FAILED,
                                "allocation '%s' of tenant '%s' is suspended and what runs in it is frozen "
                                "('headgatectl show %s' says why)",
                                suspended, tenant_id, suspended);
        if (ctl->residual)
                return r == CTL_NOT_FOUND ? r : 0;
        if (r == CTL_DENIED)
                return ctl_fail(r,
                                "you may not see whether an allocation of tenant '%s' is active (--residual "
                                "runs it in whatever share the tenant has)",
                                tenant_id);
        if (client->kept)
                return ctl_fail(r, "%s", client->kept);
        if (r == 0 && strcmp(state, "active") != 0)
                return ctl_fail(CTL_RUN_FAILED,
                                "no allocation of tenant '%s' is active ('headgatectl show %s' says when one "
                                "is; --residual runs it in the residual share)",
                                tenant_id, tenant_id);

        return r;
}

static int join(const Ctl *ctl) {
        const char *tenant_id = ctl->args[0];
        _cleanup_client_ Client client = CLIENT_NULL;
        _cleanup_close_ int self = -EBADF;
        int r;

        if (ctl->host)
                return ctl_fail(CTL_RUN_FAILED,
                                "a command runs on the node itself: ssh %s headgatectl run ...", ctl->host);

        r = client_open(ctl, &client);
        if (r == 0)
                r = check_state(ctl, &client, tenant_id);
        if (r == 0)
                r = attach_open(getpid(), &self);
        return r != 0 ? r : attach_pidfds(&client, tenant_id, &self, 1);
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
