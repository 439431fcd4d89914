/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Groups that tenants have adopted: counted, classed and guarded as the tenant's own. No file of theirs is
 * written. */

#include "reconcile-internal.h"

#include "util/strv.h"

int reconciler_adoption_rules(const Reconciler *reconciler, AdoptionRules *ret) {
        if (!reconciler->driver)
                return -EOPNOTSUPP;
        *ret = (AdoptionRules){
                .parent = cgroup_driver_parent(reconciler->driver),
                .control_groups = reconciler->options.config->control_groups,
                .total_max = 2 * (size_t) reconciler->options.config->tenants_max,
        };
        return 0;
}

int reconciler_find_foreign(Reconciler *reconciler, const char *path, uint64_t *ret_id) {
        _cleanup_close_ int fd = -EBADF;

        return cgroup_foreign_open(reconciler->driver, path, &fd, ret_id);
}

int reconciler_find_system_process(const Reconciler *reconciler, const char *path, pid_t *ret) {
        return cgroup_foreign_find_system(reconciler->driver, path, ret);
}

bool reconciler_adopted_lives(const Reconciler *reconciler, const AdoptedGroup *group) {
        return !reconciler->driver || cgroup_foreign_lives(reconciler->driver, group->path, group->id);
}

int reconciler_hold_adopted(Reconciler *reconciler, const Tenant *tenant, const AdoptedGroup *group) {
        _cleanup_close_ int fd = -EBADF;
        uint64_t id;
        int r;

        r = cgroup_foreign_open(reconciler->driver, group->path, &fd, &id);
        if (r < 0)
                return r;
        if (id != group->id)
                return -ENOENT;
        reconciler->adopted_changed = true;
        devices_look_again_at(reconciler->devices, tenant->slot);
        return reconciler_meter_group(reconciler, tenant->slot, group->path, fd, id, METER_GROUP_ADOPTED);
}

void reconciler_drop_adopted(Reconciler *reconciler, const AdoptedGroup *group) {
        reconciler->adopted_changed = true;
        if (reconciler->devices)
                devices_drop(reconciler->devices, group->id);
        if (reconciler->meter)
                meter_drop(reconciler->meter, group->id);
}

int reconciler_hold_all_adopted(Reconciler *reconciler, Tenant *tenant) {
        int any_failed = 0;

        for (size_t i = 0; i < tenant->adopted.n; i++) {
                const AdoptedGroup *group = &tenant->adopted.entries[i];
                int r = reconciler_hold_adopted(reconciler, tenant, group);

                if (r == -ENOENT || r >= 0) /* what is gone is told with the next sample */
                        continue;
                any_failed = 1;
                if (strv_pushf(&tenant->problems, "group %s, which it adopted, cannot be metered: %s",
                                    group->path, strerror(-r)) < 0)
                        return -ENOMEM;
        }
        return any_failed;
}
