/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One tenant's control group: made, metered, compared with the plan, written, in two phases. It reads nothing
 * back.
 */

#include "reconcile-internal.h"

#include "enforce/cgroup-placement.h"

#include "util/strv.h"

int reconciler_meter_group(Reconciler *reconciler, uint32_t slot, const char *path, int fd, uint64_t id,
                MeterGroup kind) {
        _cleanup_free_ char *absolute = NULL;

        if (!reconciler->meter)
                return 0;
        if (asprintf(&absolute, "%s%s", cgroup_driver_mount(reconciler->driver), path) < 0) {
                absolute = NULL;
                return -ENOMEM;
        }
        return meter_add(reconciler->meter, slot, absolute, fd, id, kind);
}

int reconciler_group(Reconciler *reconciler, const Tenant *tenant, TenantGroup **ret) {
        TenantGroup **held = &reconciler->groups[tenant->slot];
        bool made = false;
        int r;

        if (!reconciler->driver)
                return -EOPNOTSUPP;
        if (*held && !tenant_group_alive(*held))
                *held = tenant_group_free(*held);
        if (!*held) {
                verified_forget(&reconciler->verified[tenant->slot]);
                reconciler->look_at_all = reconciler->groups_changed = true;
                r = reconciler_hold_parent(reconciler);
                if (r >= 0)
                        r = tenant_group_ensure(reconciler->driver, tenant->id, held);
                if (r < 0)
                        return r;
                made = true;
        }
        *ret = *held;
        return made;
}

int reconciler_prepare_tenant(Reconciler *reconciler, TenantChange *change) {
        Tenant *tenant = change->tenant;
        TenantGroup *group;
        int r;

        r = reconciler_group(reconciler, tenant, &group);
        if (r > 0) /* what was read back was another's */
                verified_forget(&change->before);
        if (r < 0)
                return strv_pushf(&tenant->problems, "its control group cannot be made: %s", strerror(-r)) < 0
                                       ? -ENOMEM
                                       : r;
        if (!tenant->control_group || strcmp(tenant->control_group, tenant_group_path(group)) != 0) {
                char *path = strdup(tenant_group_path(group));

                if (!path)
                        return -ENOMEM;
                free(tenant->control_group);
                tenant->control_group = path;
        }
        if (tenant_change_is_known(change))
                return 0;
        r = reconciler_meter_group(reconciler, tenant->slot, tenant_group_path(group), tenant_group_fd(group),
                        tenant_group_id(group), METER_GROUP_OWN);
        if (r < 0)
                return strv_pushf(&tenant->problems, "it cannot be metered: %s", strerror(-r)) < 0 ? -ENOMEM
                                                                                                   : r;
        return 0;
}

bool reconciler_is_settled(const Reconciler *reconciler, const TenantPlan *plan) {
        const Verified *verified = &reconciler->verified[plan->tenant->slot];

        return reconciler->groups[plan->tenant->slot] && !verified->look_again &&
               settings_equal(&verified->settings, &plan->settings) &&
               limit_set_equal(&verified->limits, &plan->limits) && verified->frozen == plan->frozen &&
               verified->observed == plan->observed && reconciler_is_placed(reconciler, plan) &&
               devices_settled(reconciler->devices, plan) && !plan->tenant->to_be_opened &&
               !plan_kills(&reconciler->plan, plan) &&
               resource_set_equal(&plan->tenant->desired, &plan->share);
}

static int freeze(TenantGroup *group, bool frozen, unsigned *changes) {
        int r = tenant_group_is_frozen(group);

        if (r < 0 || r == frozen)
                return r < 0 ? r : 0;
        ++*changes;
        return tenant_group_freeze(group, frozen);
}

/* What OnEnd or a preemption asks for, tried until it is done. Frozen processes die of cgroup.kill too. */
static int change_processes(
                Reconciler *reconciler, TenantChange *change, ChangePhase phase, unsigned *written) {
        TenantGroup *group = reconciler->groups[change->tenant->slot];
        bool frozen = change->plan->frozen && !change->plan->observed;
        bool is_so = tenant_change_is_known(change) && change->before.frozen == frozen;

        if (phase == PHASE_TAKE && plan_kills(&reconciler->plan, change->plan)) {
                int r;

                ++*written;
                r = tenant_group_kill(group);
                if (r < 0)
                        return r;
                change->tenant->doomed = false;
        }
        return !is_so && frozen == (phase == PHASE_TAKE) ? freeze(group, frozen, written) : 0;
}

static int write_settings(
                TenantChange *change, TenantGroup *group, const Settings *settings, unsigned *written) {
        if (!settings->present)
                return 0;
        change->written |= settings->present;
        *written += (unsigned) __builtin_popcount(settings->present);
        return tenant_group_apply(group, settings);
}

Settings reconciler_known_settings(const Reconciler *reconciler, const TenantChange *change) {
        Settings known = change->before.settings;

        known.present &= cgroup_driver_settings(reconciler->driver);
        if (settings_has(&known, SETTING_CPU_IDLE) && known.value[SETTING_CPU_IDLE])
                known.present &= ~(1U << SETTING_CPU_WEIGHT);
        return known;
}

static int change_settings(
                Reconciler *reconciler, TenantChange *change, ChangePhase phase, unsigned *written) {
        const Settings wanted = change->plan->observed ? reconciler_open_settings(reconciler)
                                                       : change->plan->settings;
        TenantGroup *group = reconciler->groups[change->tenant->slot];
        Settings observed = reconciler_known_settings(reconciler, change), diff, take;
        int r = 0;

        if (phase == PHASE_GIVE)
                return write_settings(change, group, &change->give, written);
        if (!tenant_change_is_known(change))
                r = tenant_group_observe(group, &observed);
        if (r < 0)
                return r;
        settings_diff(&observed, &wanted, &diff);
        diff.present &= cgroup_driver_settings(reconciler->driver);
        settings_split(&observed, &diff, &take, &change->give);
        return write_settings(change, group, &take, written);
}

/* A weight that rises is given; all else of what is held by device is no floor, or less of one. */
static bool is_given(const LimitSet *observed, const LimitLine *line) {
        return (line->file == LIMIT_IO_WEIGHT || line->file == LIMIT_IO_BFQ_WEIGHT) &&
               line->values[0] > limit_set_get(observed, line->file, line->target, 0);
}

/* The lines that differ, without those that are given where `take_only`: 1 where any was left out. */
static int write_limits(const Reconciler *reconciler, TenantGroup *group, const LimitSet *wanted,
                bool take_only, unsigned *written) {
        _cleanup_limit_set_ LimitSet observed = LIMIT_SET_NULL;
        _cleanup_free_ LimitLine *lines = NULL;
        size_t n, kept = 0;
        int r;

        r = tenant_group_observe_limits(group, reconciler->limit_files, &observed);
        if (r >= 0)
                r = limit_set_diff(&observed, wanted, reconciler->limit_files, &lines, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                if (!take_only || !is_given(&observed, &lines[i]))
                        lines[kept++] = lines[i];
        *written += (unsigned) kept;
        r = kept > 0 ? tenant_group_apply_limits(group, lines, kept) : 0;
        return r < 0 ? r : kept < n;
}

bool reconciler_limits_are_so(const TenantChange *change) {
        return tenant_change_is_known(change) &&
               limit_set_equal(&change->before.limits, &change->plan->limits);
}

static int change_limits(Reconciler *reconciler, TenantChange *change, ChangePhase phase, unsigned *written) {
        const LimitSet none = LIMIT_SET_NULL,
                       *wanted = change->plan->observed ? &none : &change->plan->limits;
        TenantGroup *group = reconciler->groups[change->tenant->slot];
        int r;

        if (reconciler_limits_are_so(change) || (phase == PHASE_GIVE && !change->give_limits))
                return 0;
        r = write_limits(reconciler, group, wanted, phase == PHASE_TAKE, written);
        change->give_limits = r > 0;
        return r;
}

int reconciler_open_limits(const Reconciler *reconciler, TenantGroup *group) {
        unsigned written = 0;

        return write_limits(reconciler, group, &(LimitSet) LIMIT_SET_NULL, /* take_only= */ false, &written);
}

int reconciler_observe(const Reconciler *reconciler, TenantGroup *group, GroupState *ret) {
        GroupState state = { .limit_files = reconciler->limit_files };
        int r;

        r = tenant_group_observe(group, &state.settings);
        if (r >= 0)
                r = tenant_group_observe_limits(group, state.limit_files, &state.limits);
        if (r < 0)
                return r;
        state.frozen = tenant_group_is_frozen(group);
        *ret = state;
        return 0;
}

/* What a tenant has, in the order in which it is taken; it is given in reverse, so that who was frozen wakes
 * with all that is his. */
static int (*const parts[])(
                Reconciler *reconciler, TenantChange *change, ChangePhase phase, unsigned *written) = {
        change_processes,
        change_settings,
        change_limits,
        reconciler_change_placement,
};

/* Of one that is observed alone, what was enforced is taken off, once; from then on its files are left to
 * whoever writes them. */
int reconciler_change_tenant(
                Reconciler *reconciler, TenantChange *change, ChangePhase phase, unsigned *written) {
        Tenant *tenant = change->tenant;
        int r = 0;

        if (!reconciler->groups[tenant->slot]) /* said so by prepare_tenant() */
                return 0;
        /* No floor, and no file that another may write: taken and given in one exchange, and taken off a
         * tenant that is observed as long as it is there. */
        if (phase == PHASE_TAKE && !(tenant_change_is_known(change) &&
                                                   devices_settled(reconciler->devices, change->plan)))
                r = devices_apply(reconciler, change->plan, tenant, written);
        if (r < 0)
                return r;
        if (change->plan->observed && !tenant->to_be_opened)
                return 0;
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(parts); i++)
                r = parts[phase == PHASE_TAKE ? i : ELEMENTSOF(parts) - 1 - i](
                                reconciler, change, phase, written);
        if (r >= 0 && phase == PHASE_GIVE)
                tenant->to_be_opened = false;
        return r;
}

bool reconciler_slot_is_empty(const Reconciler *reconciler, uint32_t slot) {
        TenantGroup *group = reconciler->groups[slot];

        return group && tenant_group_populated(group) == 0;
}

bool reconciler_slot_is_gone(const Reconciler *reconciler, uint32_t slot) {
        return reconciler->groups[slot] && !tenant_group_alive(reconciler->groups[slot]);
}

int reconciler_remove_tenant(Reconciler *reconciler, const Tenant *tenant) {
        TenantGroup **held = &reconciler->groups[tenant->slot];
        int r;

        if (!reconciler->driver)
                return 0;
        if (*held && tenant_group_alive(*held) && tenant_group_populated(*held) > 0)
                return -EBUSY;
        if (*held) /* what it had alone is everyone's before it goes */
                (void) tenant_group_unmake_partition(*held);
        r = tenant_group_remove(reconciler->driver, tenant->id);
        if (r == -EBUSY) /* a unit of it has no process now; it may have one again, and is watched */
                return r;
        *held = tenant_group_free(*held);
        verified_forget(&reconciler->verified[tenant->slot]);
        reconciler->groups_changed = true;
        reconciler->look_at_all = true; /* where it cannot be removed, it is to be made whole again */
        if (r < 0 && r != -ENOENT)
                return r;
        devices_remove(reconciler->devices, tenant->slot);
        return meter_remove(reconciler->meter, tenant->slot);
}

int reconciler_count_sockets(Reconciler *reconciler, const Tenant *tenant, int pidfd, unsigned *ret) {
        return reconciler->meter ? meter_count_sockets(reconciler->meter, tenant->slot, pidfd, ret)
                                 : -EOPNOTSUPP;
}

int reconciler_list_groups(Reconciler *reconciler, char ***ret_tenant_ids) {
        return reconciler->driver ? cgroup_driver_list(reconciler->driver, ret_tenant_ids) : 0;
}
