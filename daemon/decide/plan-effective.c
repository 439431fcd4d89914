/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a tenant's share is in truth: resource by resource, what was read back of its group and its classes,
 * in the share's own terms. Where the kernel holds what was planned that is the share itself, which rounding
 * and the sums of a class would not give back.
 */

#include "plan-internal.h"

#include <string.h>

typedef struct Observation {
        const PlanInput *input;
        const TenantPlan *plan;
        const GroupState *state;
        const NetPlan *observed_uplinks, *planned_uplinks;
        size_t n_uplinks;
} Observation;

static bool differs(const Observation *o, Setting setting) {
        return o->state->settings.value[setting] != o->plan->settings.value[setting];
}

/* Each of these puts into the share's amount what differs from the plan; false: it cannot be read back. */

static bool put_cpu(const Observation *o, Amount *amount) {
        const Settings *observed = &o->state->settings;

        if (!settings_has(observed, SETTING_CPU_MAX))
                return false;
        if (differs(o, SETTING_CPU_MAX))
                amount->limit = observed->value[SETTING_CPU_MAX] == UNLIMITED
                                                ? UNLIMITED
                                                : observed->value[SETTING_CPU_MAX] / 1000;
        if (!o->plan->settings.value[SETTING_CPU_IDLE] && settings_has(observed, SETTING_CPU_WEIGHT) &&
                        differs(o, SETTING_CPU_WEIGHT))
                amount->reserved = plan_scale(observed->value[SETTING_CPU_WEIGHT], o->input->cpu_millicores,
                                CPU_WEIGHT_MAX);
        return true;
}

static bool put_memory(const Observation *o, Amount *amount) {
        const Settings *observed = &o->state->settings;

        if (!settings_has(observed, SETTING_MEMORY_MAX))
                return false;
        amount->limit = observed->value[SETTING_MEMORY_MAX];
        if (differs(o, SETTING_MEMORY_MIN) || differs(o, SETTING_MEMORY_LOW))
                amount->reserved = amount_add(
                                observed->value[SETTING_MEMORY_MIN], observed->value[SETTING_MEMORY_LOW]);
        return true;
}

/* Of a resource that is a limit alone. */
static bool put_limit(const Observation *o, Setting setting, Amount *amount) {
        if (!settings_has(&o->state->settings, setting))
                return false;
        if (differs(o, setting))
                amount->limit = o->state->settings.value[setting];
        return true;
}

static bool carries(const UplinkCapacity *uplink, const Resource *entry) {
        if (uplink->kind != entry->kind)
                return false;
        return entry->target[0] ? strcmp(entry->target, uplink->name) == 0 : uplink->is_default;
}

static bool put_net(const Observation *o, const Resource *entry, Amount *amount) {
        const NetClass *have = NULL, *want = NULL;

        if (o->plan->observed) { /* in the default class, with all else */
                *amount = (Amount){ 0, UNLIMITED };
                return true;
        }
        for (size_t i = 0; i < o->n_uplinks && !have; i++)
                if (carries(&o->input->uplinks[i], entry)) {
                        have = net_plan_find_class(&o->observed_uplinks[i], o->plan->tenant->slot);
                        want = net_plan_find_class(&o->planned_uplinks[i], o->plan->tenant->slot);
                }
        if (!have || !want)
                return false;
        if (have->floor_bps / 8 != want->floor_bps / 8 && want->floor_bps >= 8)
                amount->reserved = have->floor_bps;
        if (have->ceil_bps / 8 != want->ceil_bps / 8)
                amount->limit = have->ceil_bps;
        return true;
}

static bool put_amount(const Observation *o, const Resource *entry, Amount *amount) {
        switch (entry->kind) {
        case RESOURCE_CPU:
                return put_cpu(o, amount);
        case RESOURCE_MEMORY:
                return put_memory(o, amount);
        case RESOURCE_SWAP:
                return put_limit(o, SETTING_SWAP_MAX, amount);
        case RESOURCE_TASKS:
                return put_limit(o, SETTING_TASKS_MAX, amount);
        case RESOURCE_HUGETLB_2M:
                return put_limit(o, SETTING_HUGETLB_2M, amount);
        case RESOURCE_HUGETLB_1G:
                return put_limit(o, SETTING_HUGETLB_1G, amount);
        case RESOURCE_IO_READ:
        case RESOURCE_IO_WRITE:
        case RESOURCE_IOPS_READ:
        case RESOURCE_IOPS_WRITE:
        case RESOURCE_RDMA_HANDLES:
        case RESOURCE_RDMA_OBJECTS:
        case RESOURCE_MISC:
                return plan_effective_limit(o->input, o->plan, o->state, entry, amount);
        case RESOURCE_NET_EGRESS:
        case RESOURCE_NET_INGRESS:
                return put_net(o, entry, amount);
        case RESOURCE_CPUSET:
        case RESOURCE_NUMA:
        case RESOURCE_KIND_MAX:
        case RESOURCE_KIND_INVALID:
                return false;
        }
        return false;
}

int plan_effective(const PlanInput *input, const TenantPlan *plan, const GroupState *state,
                const NetPlan *observed_uplinks, const NetPlan *planned_uplinks, size_t n_uplinks,
                ResourceSet *ret) {
        const Observation observation = { input, plan, state, observed_uplinks, planned_uplinks, n_uplinks };
        _cleanup_resource_set_ ResourceSet effective = RESOURCE_SET_NULL;

        for (size_t i = 0; i < plan->share.n; i++) {
                const Resource *entry = &plan->share.entries[i];
                Amount amount = entry->amount;
                int r;

                if (!put_amount(&observation, entry, &amount))
                        continue;
                r = resource_set_put(&effective, entry->kind, entry->target, amount);
                if (r < 0)
                        return r;
        }
        *ret = effective;
        effective = (ResourceSet) RESOURCE_SET_NULL;
        return 0;
}
