/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What an apply that passes over nothing would change, and what it would leave: the kernel read anew against
 * the plan of now. It makes no group, writes nothing and remembers nothing.
 */

#include "reconcile-internal.h"

#include "enforce/htb-tree.h"

#include <inttypes.h>

#define OBSERVED "its Mode is observe"

static int put(const ReconcilerDiff *diff, const char *tenant_id, const char *object, const char *name,
                const char *have, const char *want, const char *held_back) {
        return difference_list_add(diff->list, tenant_id, object, name, have, want, held_back);
}

int reconciler_put_difference(const ReconcilerDiff *diff, const TenantPlan *tenant, const char *object,
                const char *name, const char *have, const char *want) {
        return put(diff, tenant->tenant->id, object, name, have, want, tenant->observed ? OBSERVED : NULL);
}

static bool is_asked_for(const ReconcilerDiff *diff, const char *tenant_id) {
        return !diff->only_tenant || (tenant_id && strcmp(diff->only_tenant, tenant_id) == 0);
}

static int diff_settings(const ReconcilerDiff *diff, const TenantPlan *tenant, const char *object,
                const Settings *observed, const Settings *planned, uint32_t can) {
        Settings changes;
        int r = 0;

        settings_diff(observed, planned, &changes);
        changes.present &= can;
        for (Setting setting = 0; r >= 0 && setting < SETTING_MAX; setting++) {
                char have[SETTING_TEXT_SIZE] = "", want[SETTING_TEXT_SIZE];

                if (!settings_has(&changes, setting))
                        continue;
                if (settings_has(observed, setting))
                        setting_format(setting, observed->value[setting], have);
                setting_format(setting, changes.value[setting], want);
                r = put(diff, tenant ? tenant->tenant->id : NULL, object, setting_info(setting)->file, have,
                                want, tenant && tenant->observed ? OBSERVED : NULL);
        }
        return r;
}

static int diff_controllers(const Reconciler *reconciler, const ReconcilerDiff *diff) {
        char have[CONTROLLERS_TEXT_SIZE], want[CONTROLLERS_TEXT_SIZE];

        if (reconciler_has_controllers(reconciler, have, want))
                return 0;
        return put(diff, /* tenant_id= */ NULL, cgroup_driver_parent(reconciler->driver),
                        CGROUP_CONTROLLERS_FILE, have, want, /* held_back= */ NULL);
}

static int diff_limits(const ReconcilerDiff *diff, const TenantPlan *tenant, const char *object,
                const LimitSet *observed, uint32_t can) {
        _cleanup_free_ LimitLine *changes = NULL;
        size_t n;
        int r;

        r = limit_set_diff(observed, &tenant->limits, can, &changes, &n);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                char have[LIMIT_TEXT_SIZE], want[LIMIT_TEXT_SIZE];

                limit_format(&changes[i], want);
                limit_format_held(observed, &changes[i], have);
                r = put(diff, tenant->tenant->id, object, limit_file_info(changes[i].file)->file, have, want,
                                tenant->observed ? OBSERVED : NULL);
        }
        return r;
}

static int diff_processes(const ReconcilerDiff *diff, const TenantPlan *tenant, TenantGroup *group) {
        const char *id = tenant->tenant->id, *path = tenant_group_path(group);
        int frozen = tenant_group_is_frozen(group), r = frozen < 0 ? frozen : 0;

        if (r >= 0 && frozen != tenant->frozen)
                r = put(diff, id, path, "cgroup.freeze", frozen ? "1" : "0", tenant->frozen ? "1" : "0",
                                tenant->observed ? OBSERVED : NULL);
        if (r >= 0 && tenant->tenant->doomed)
                r = put(diff, id, path, "cgroup.kill", "", "1",
                                plan_kills(diff->plan, tenant) ? NULL
                                                               : "it waits for a clock that is trusted");
        return r;
}

static int diff_tenant(Reconciler *reconciler, const ReconcilerDiff *diff, const TenantPlan *tenant) {
        TenantGroup *group = reconciler->groups[tenant->tenant->slot];
        _cleanup_(group_state_deinit) GroupState observed = {};
        int r;

        r = group ? reconciler_observe(reconciler, group, &observed) : -ENOLINK;
        if (r == -ENOLINK)
                return put(diff, tenant->tenant->id, cgroup_driver_parent(reconciler->driver),
                                "control group", "", "one for it", NULL);
        if (r >= 0)
                r = diff_settings(diff, tenant, tenant_group_path(group), &observed.settings,
                                &tenant->settings, cgroup_driver_settings(reconciler->driver));
        if (r >= 0)
                r = diff_limits(diff, tenant, tenant_group_path(group), &observed.limits,
                                observed.limit_files);
        if (r >= 0)
                r = reconciler_diff_placement(diff, tenant, group);
        if (r >= 0)
                r = devices_diff(reconciler->devices, diff, tenant, group);
        return r < 0 ? r : diff_processes(diff, tenant, group);
}

static const TenantPlan *find_by_slot(const Plan *plan, uint32_t slot) {
        for (size_t i = 0; i < plan->n_tenants; i++)
                if (plan->tenants[i]->slot == slot)
                        return plan->tenants[i];
        return NULL;
}

void reconciler_format_class(const NetPlan *plan, const NetClass *class, char *ret) {
        NetClass shown;

        *ret = '\0';
        if (!class)
                return;
        htb_class_round(plan, class, &shown);
        snprintf(ret, NET_CLASS_TEXT_SIZE, "prio %u rate %" PRIu64 "bit ceil %" PRIu64 "bit", shown.priority,
                        shown.floor_bps, shown.ceil_bps);
}

static int diff_class(const ReconcilerDiff *diff, size_t uplink, const NetPlan *observed, uint32_t slot,
                const char *refusal) {
        const NetPlan *planned = &diff->plan->uplinks[uplink];
        const TenantPlan *tenant = find_by_slot(diff->plan, slot);
        const bool held_back = tenant && tenant->observed;
        NetClass would_be = held_back ? plan_net_class(&diff->input->uplinks[uplink], tenant) : (NetClass){};
        char have[NET_CLASS_TEXT_SIZE], want[NET_CLASS_TEXT_SIZE], name[32];

        if (!is_asked_for(diff, tenant ? tenant->tenant->id : NULL))
                return 0;
        reconciler_format_class(observed, net_plan_find_class(observed, slot), have);
        reconciler_format_class(planned, held_back ? &would_be : net_plan_find_class(planned, slot), want);
        if (strcmp(have, want) == 0)
                return 0;
        snprintf(name, sizeof name, "class %x:%x", UPLINK_HTB_MAJOR, UPLINK_MINOR_SLOT_BASE + slot);
        return put(diff, tenant ? tenant->tenant->id : NULL, planned->uplink, name, have, want,
                        held_back ? OBSERVED : refusal);
}

/* Slots of the plan and of who is observed first, then what the kernel has besides. */
static int diff_uplink(
                const ReconcilerDiff *diff, size_t uplink, const NetPlan *observed, const char *refusal) {
        static const uint32_t own_slots[] = { SLOT_DEFAULT, SLOT_CONTROL };
        const NetPlan *planned = &diff->plan->uplinks[uplink];
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(own_slots); i++)
                r = diff_class(diff, uplink, observed, own_slots[i], refusal);
        for (size_t i = 0; r >= 0 && i < diff->plan->n_tenants; i++)
                r = diff_class(diff, uplink, observed, diff->plan->tenants[i]->slot, refusal);
        for (size_t i = 0; r >= 0 && i < observed->n_classes; i++) {
                uint32_t slot = observed->classes[i].slot;

                if (!find_by_slot(diff->plan, slot) && !net_plan_find_class(planned, slot))
                        r = diff_class(diff, uplink, observed, slot, refusal);
        }
        return r;
}

static int diff_uplinks(Reconciler *reconciler, const ReconcilerDiff *diff) {
        NetPlan observed[UPLINK_PLANS_MAX] = {};
        int r = 0;

        uplinks_observe(reconciler->uplinks, observed);
        for (size_t i = 0; r >= 0 && i < diff->plan->n_uplinks; i++)
                r = diff_uplink(diff, i, &observed[i], uplinks_refusal(reconciler->uplinks, i));
        for (size_t i = 0; i < diff->plan->n_uplinks; i++)
                free(observed[i].classes);
        return r;
}

int reconciler_diff(Reconciler *reconciler, const Node *node, const char *only_tenant, DifferenceList *ret) {
        _cleanup_differences_ DifferenceList list = DIFFERENCE_LIST_NULL;
        _cleanup_plan_ Plan plan = PLAN_NULL;
        SiblingWeights siblings;
        Settings parent;
        PlanInput input;
        const ReconcilerDiff diff = { &plan, &input, only_tenant, &list };
        int r;

        if (!reconciler->driver)
                return -EOPNOTSUPP;
        r = cgroup_parent_observe(reconciler->driver, &parent, &siblings);
        if (r >= 0)
                r = reconciler_make_plan(reconciler, node, &siblings, &input, &plan);
        if (r >= 0 && !only_tenant)
                r = diff_settings(&diff, /* tenant= */ NULL, cgroup_driver_parent(reconciler->driver),
                                &parent, &plan.parent, parent.present);
        if (r >= 0 && !only_tenant)
                r = diff_controllers(reconciler, &diff);
        for (size_t i = 0; r >= 0 && i < plan.n_tenants; i++)
                if (is_asked_for(&diff, plan.tenants[i]->id))
                        r = diff_tenant(reconciler, &diff, plan.tenants[i]);
        if (r >= 0)
                r = diff_uplinks(reconciler, &diff);
        if (r < 0)
                return r;
        *ret = list;
        list = (DifferenceList) DIFFERENCE_LIST_NULL;
        return 0;
}
