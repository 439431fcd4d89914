/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Everything of ours off this node: at the command line with no daemon running, or by the one that runs,
 * which ends with it. The calendar stays on disk, so that the next start brings all of it back.
 */

#include "manager-internal.h"

#include "util/log.h"
#include "util/strv.h"

int manager_release_node(Manager *manager) {
        _cleanup_strv_ char **left = NULL;
        int r = reconciler_open_devices(manager->reconciler, &manager->node.features);

        if (r >= 0)
                r = reconciler_open_meter(manager->reconciler, &manager->node.features);
        if (r >= 0)
                r = reconciler_release(manager->reconciler, &left);
        return r < 0 ? log_error_errno(r, "Not everything could be taken off this node") : 0;
}

/* It ends whatever came of it: what is half gone is no node to go on with, and the next start, or a
 * --release, makes it whole. */
int manager_release_all(void *userdata, char ***ret_tenants_left, Failure *ret_failure) {
        Manager *manager = userdata;
        int r;

        if (manager->options.dry_run)
                return failure_set(ret_failure, FAILURE_NOT_SUPPORTED,
                                "this is a dry run: nothing is on this node that could be taken off");
        log_info("Everything is taken off this node, as asked");
        r = reconciler_release(manager->reconciler, ret_tenants_left);
        (void) sd_event_exit(manager->event, MANAGER_EXIT_RELEASED);
        return r < 0 ? log_error_errno(r, "Not everything could be taken off this node") : 0;
}
