/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One tenant read back after a change: what the kernel holds becomes its Effective, what differs from the
 * plan a problem, in words, and what is as planned is verified. It writes nothing.
 */

#include "reconcile-internal.h"

#include "util/strv.h"

/* What is written on the way with another (enforce/cgroup.c), or by the kernel. */
static const uint32_t written_together[] = {
        1U << SETTING_CPU_IDLE | 1U << SETTING_CPU_WEIGHT,
        1U << SETTING_CPU_MAX | 1U << SETTING_CPU_BURST,
        1U << SETTING_MEMORY_MAX | 1U << SETTING_MEMORY_HIGH,
};

/* PID 1 writes more than it was asked for: all that it knows of a controller. */
static uint32_t may_be_otherwise(const Reconciler *reconciler, uint32_t written) {
        if (written && cgroup_driver_kind(reconciler->driver) == CGROUP_DRIVER_SYSTEMD)
                return UINT32_MAX;
        for (size_t i = 0; i < ELEMENTSOF(written_together); i++)
                if (written & written_together[i])
                        written |= written_together[i];
        return written;
}

static int observe_change(const Reconciler *reconciler, const TenantChange *change, GroupState *ret) {
        TenantGroup *group = reconciler->groups[change->tenant->slot];
        GroupState state = { .limit_files = reconciler->limit_files, .frozen = change->before.frozen };
        uint32_t which = may_be_otherwise(reconciler, change->written);
        Settings read;
        int r;

        if (!tenant_change_is_known(change))
                return reconciler_observe(reconciler, group, ret);
        state.settings = reconciler_known_settings(reconciler, change);
        r = tenant_group_observe_some(group, which, &read);
        if (r >= 0)
                r = which != UINT32_MAX && reconciler_limits_are_so(change)
                                    ? limit_set_copy(&change->before.limits, &state.limits)
                                    : tenant_group_observe_limits(group, state.limit_files, &state.limits);
        if (r < 0)
                return r;
        state.settings.present &= ~which;
        for (Setting setting = 0; setting < SETTING_MAX; setting++)
                if (settings_has(&read, setting))
                        settings_put(&state.settings, setting, read.value[setting]);
        if (change->before.frozen != change->plan->frozen)
                state.frozen = tenant_group_is_frozen(group);
        *ret = state;
        return 0;
}

/* What is held is verified as it is: not as planned, and so tried again with each apply. */
static int verify(Reconciler *reconciler, const TenantPlan *plan, const Settings *observed) {
        Verified *verified = &reconciler->verified[plan->tenant->slot];

        verified_forget(verified);
        verified->settings = plan->settings;
        for (Setting setting = 0; setting < SETTING_MAX; setting++)
                if (reconciler_is_held(plan, setting) && settings_has(&verified->settings, setting) &&
                                settings_has(observed, setting))
                        verified->settings.value[setting] = observed->value[setting];
        verified->frozen = plan->frozen;
        verified->observed = plan->observed;
        return limit_set_copy(&plan->limits, &verified->limits);
}

int reconciler_read_back(Reconciler *reconciler, Node *node, const PlanInput *input,
                const TenantChange *change, const NetPlan *observed_uplinks) {
        const TenantPlan *tenant_plan = change->plan;
        Tenant *tenant = change->tenant;
        const Plan *plan = &reconciler->plan;
        TenantGroup *group = reconciler->groups[tenant->slot];
        _cleanup_(group_state_deinit) GroupState observed = {};
        int r;

        r = group ? observe_change(reconciler, change, &observed) : -ENOLINK;
        if (r < 0) {
                tenant->failed = true;
                return strv_pushf(&tenant->problems, "its control group cannot be read: %s", strerror(-r));
        }
        resource_set_deinit(&tenant->effective);
        r = plan_effective(input, tenant_plan, &observed, observed_uplinks, plan->uplinks, plan->n_uplinks,
                        &tenant->effective);
        if (r >= 0 && !tenant_plan->observed)
                r = reconciler_note_problems(reconciler, input, tenant_plan, &observed, tenant);
        if (r >= 0)
                r = reconciler_read_placement(reconciler, input, &node->features, change);
        if (r > 0)
                node_note_news(node, tenant);
        if (r >= 0 && !tenant_plan->observed)
                r = reconciler_note_missing(reconciler, input, &node->features, tenant_plan, tenant);
        return r >= 0 && !tenant->failed ? verify(reconciler, tenant_plan, &observed.settings) : r;
}
