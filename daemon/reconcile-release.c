/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Everything of ours off the node. What processes still sit in is left to them, without limits. */

#include "reconcile-internal.h"

#include "enforce/cgroup-placement.h"

#include "util/log.h"
#include "util/strv.h"

#include <unistd.h>

Settings reconciler_open_settings(const Reconciler *reconciler) {
        Settings open = {};

        settings_put(&open, SETTING_CPU_IDLE, 0);
        settings_put(&open, SETTING_CPU_WEIGHT, 100);
        settings_put(&open, SETTING_CPU_MAX, UNLIMITED);
        settings_put(&open, SETTING_MEMORY_MIN, 0);
        settings_put(&open, SETTING_MEMORY_LOW, 0);
        settings_put(&open, SETTING_MEMORY_HIGH, UNLIMITED);
        settings_put(&open, SETTING_MEMORY_MAX, UNLIMITED);
        settings_put(&open, SETTING_SWAP_MAX, UNLIMITED);
        settings_put(&open, SETTING_TASKS_MAX, UNLIMITED);
        settings_put(&open, SETTING_CPU_BURST, 0);
        settings_put(&open, SETTING_OOM_GROUP, 0);
        settings_put(&open, SETTING_IO_WEIGHT, 100);
        settings_put(&open, SETTING_HUGETLB_2M, UNLIMITED);
        settings_put(&open, SETTING_HUGETLB_1G, UNLIMITED);
        open.present &= cgroup_driver_settings(reconciler->driver);
        return open;
}

/* A tenant's group that cannot go yet is at least left without our limits. */
static int release_group(Reconciler *reconciler, const char *tenant_id, char ***left) {
        _cleanup_(tenant_group_free_p) TenantGroup *group = NULL;
        Settings open = reconciler_open_settings(reconciler);
        int r;

        if (tenant_group_remove(reconciler->driver, tenant_id) >= 0)
                return 0;
        (void) tenant_group_untie(reconciler->driver, tenant_id);
        r = tenant_group_ensure(reconciler->driver, tenant_id, &group);
        if (r < 0) {
                (void) log_warning_errno(r, "The group of tenant %s is left as it is", tenant_id);
                return strv_push(left, tenant_id);
        }
        (void) tenant_group_freeze(group, false);
        (void) tenant_group_unmake_partition(group);
        (void) tenant_group_place(group, &(CpuSet){}, &(CpuSet){});
        (void) tenant_group_apply(group, &open);
        (void) reconciler_open_limits(reconciler, group);
        log_warning("Tenant %s is still in use: its group is left as it is, without limits", tenant_id);
        return strv_push(left, tenant_id);
}

/* It stays where a tenant's group does: with nothing that was raised for those that went. */
static void open_parent(Reconciler *reconciler) {
        Settings open = reconciler_open_settings(reconciler), observed, diff;
        SiblingWeights siblings;
        int r;

        r = cgroup_parent_observe(reconciler->driver, &observed, &siblings);
        if (r < 0)
                return;
        open.present &= observed.present;
        settings_diff(&observed, &open, &diff);
        if (diff.present)
                r = cgroup_parent_apply(reconciler->driver, &diff);
        if (r < 0)
                (void) log_warning_errno(r, "The parent control group keeps what it was given");
}

int reconciler_release(Reconciler *reconciler, char ***ret_left) {
        _cleanup_strv_ char **ids = NULL, **left = NULL;
        int r;

        r = reconciler_list_groups(reconciler, &ids);
        for (char **id = ids; r >= 0 && id && *id; id++)
                r = release_group(reconciler, *id, &left);
        reconciler_release_block_devices(reconciler);
        uplinks_release(reconciler->uplinks);
        if (reconciler->devices && r >= 0)
                r = devices_release(reconciler->devices);
        if (reconciler->meter && r >= 0)
                r = meter_release(reconciler->meter);
        /* It stays where somebody else put something into it, and is not there where nothing could be pinned.
         */
        if (reconciler->options.pin_dir)
                (void) rmdir(reconciler->options.pin_dir);
        if (reconciler->driver)
                (void) cgroup_parent_give(reconciler->driver, &(CpuSet){});
        if (reconciler->driver && left)
                open_parent(reconciler);
        if (r >= 0 && reconciler->driver) {
                r = cgroup_driver_remove_parent(reconciler->driver);
                if (r == -EBUSY || r == -ENOTEMPTY) {
                        if (!left) {
                                (void) log_warning_errno(
                                                r, "The group of all tenants is left to what is still in it");
                                open_parent(reconciler);
                        }
                        r = 0;
                }
        }
        if (r >= 0)
                *ret_left = TAKE_PTR(left);
        return r;
}
