/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What is planned of one tenant, in steps; the rest of the node is plan-keep.c's:
 *   1. its share: the sum of its active allocations, or the residual share;
 *   2. the settings of its control group, from the share and from the classes of its allocations, and what
 * it holds by device (plan-limits.c);
 *   3. what of that the parent must have;
 *   4. its class on an uplink.
 */

#include "plan-internal.h"

uint64_t plan_clamp(uint64_t value, uint64_t low, uint64_t high) {
        return value < low ? low : value > high ? high : value;
}

uint64_t plan_scale(uint64_t value, uint64_t multiplier, uint64_t divisor) {
        return divisor == 0 ? 0 : (uint64_t) ((unsigned __int128) value * multiplier / divisor);
}

/* All weights are in proportion to the reserved part of the node, so that their ratios are those of the
 * floors. */
static uint64_t cpu_weight(const PlanInput *input, uint64_t reserved_millicores) {
        return plan_clamp(plan_scale(reserved_millicores, CPU_WEIGHT_MAX, input->cpu_millicores), 1,
                        CPU_WEIGHT_MAX);
}

/* 0: nothing of it is left. */
static uint64_t residual_limit(const ResidualShare *residual, ResourceKind kind) {
        switch (kind) {
        case RESOURCE_CPU:
                return residual->cpu_millicores;
        case RESOURCE_NET_EGRESS:
                return residual->net_egress_bps;
        case RESOURCE_NET_INGRESS:
                return residual->net_ingress_bps;
        case RESOURCE_IO_READ:
        case RESOURCE_IO_WRITE:
                return residual->io_bytes;
        case RESOURCE_IOPS_READ:
        case RESOURCE_IOPS_WRITE:
                return residual->io_bytes / 4096 + 1; /* by pages */
        case RESOURCE_TASKS:
                return residual->tasks;
        default:
                return 0;
        }
}

/* Never nothing: what a suspended allocation lends leaves the residual share. */
static void keep_residual(const ResidualShare *residual, ResourceSet *share) {
        for (size_t i = 0; i < share->n; i++) {
                Resource *entry = &share->entries[i];
                if (entry->amount.limit == 0)
                        entry->amount.limit = residual_limit(residual, entry->kind);
        }
}

/* 1. */
static int make_share(const PlanInput *input, const CalendarTenant *own, TenantPlan *plan) {
        static const ResourceKind limits[] = { RESOURCE_SWAP, RESOURCE_TASKS, RESOURCE_IO_READ,
                RESOURCE_IO_WRITE, RESOURCE_HUGETLB_2M, RESOURCE_HUGETLB_1G };
        const Tenant *tenant = plan->tenant;
        const ResidualShare *residual = &input->residual;
        uint64_t memory = tenant->residual_memory_bytes;
        int r;

        plan->residual = calendar_tenant_active(own) == 0;
        if (!plan->residual) {
                r = calendar_tenant_share(own, &plan->share);
                if (r >= 0)
                        keep_residual(residual, &plan->share);
                return r;
        }
        if (memory < residual->memory_bytes)
                memory = residual->memory_bytes;
        r = resource_set_put(&plan->share, RESOURCE_CPU, "", (Amount){ 0, residual->cpu_millicores });
        if (r >= 0)
                r = resource_set_put(&plan->share, RESOURCE_MEMORY, "",
                                (Amount){ 0, memory + memory / 4 + (16 << 20) });
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(limits); i++)
                r = resource_set_put(&plan->share, limits[i], "",
                                (Amount){ 0, residual_limit(residual, limits[i]) });
        for (size_t i = 0; input->targets && r >= 0 && i < input->targets->n; i++) {
                const Resource *target = &input->targets->entries[i];

                if (resource_info(target->kind)->target != TARGET_BLOCK)
                        r = resource_set_put(&plan->share, target->kind, target->target, (Amount){ 0, 0 });
        }
        for (size_t i = 0; r >= 0 && i < input->n_uplinks; i++)
                r = resource_set_put(&plan->share, input->uplinks[i].kind,
                                input->uplinks[i].is_default ? "" : input->uplinks[i].name,
                                (Amount){ 0, residual_limit(residual, input->uplinks[i].kind) });
        return r;
}

/* Memory floors by class: what guaranteed allocations reserve, and what burstable ones do. Ending ones have
 * none. */
static void sum_memory_floors(const CalendarTenant *tenant, uint64_t *ret_min, uint64_t *ret_low,
                bool *ret_all_best_effort) {
        *ret_min = *ret_low = 0;
        *ret_all_best_effort = true;
        for (size_t i = 0; tenant && i < tenant->n; i++) {
                const Allocation *allocation = tenant->allocations[i];
                QosClass qos_class = allocation_qos_class(allocation);
                uint64_t reserved;

                if (!allocation_is_current(allocation))
                        continue;
                if (qos_class != QOS_CLASS_BEST_EFFORT)
                        *ret_all_best_effort = false;
                reserved = calendar_reserved_now(allocation, RESOURCE_MEMORY, "");
                if (qos_class == QOS_CLASS_GUARANTEED)
                        *ret_min = amount_add(*ret_min, reserved);
                else
                        *ret_low = amount_add(*ret_low, reserved);
        }
}

static Amount share_amount(const ResourceSet *share, ResourceKind kind) {
        const Amount *amount = resource_set_get(share, kind, "");

        return amount ? *amount : (Amount){ 0, UNLIMITED };
}

/* Below the limit where there is room between floor and limit: reclaim and throttling come before the kill.
 */
static uint64_t memory_high(const TenantPlan *plan, Amount memory) {
        if (plan->residual) /* the headroom that make_share() added, taken off again: what it had is what it
                               keeps */
                return plan_scale(memory.limit - (16 << 20), 4, 5);
        if (memory.limit == UNLIMITED || memory.reserved >= memory.limit)
                return UNLIMITED;
        return memory.limit - (memory.limit - memory.reserved) / 16;
}

/* Of a period of a tenth of a second, in which cpu.max's quota counts. */
static uint64_t cpu_burst(const PlanInput *input, uint64_t usec_per_sec) {
        return usec_per_sec == UNLIMITED ? 0 : plan_scale(usec_per_sec / 10, input->cpu_burst_percent, 100);
}

/* 2. */
static void make_settings(const PlanInput *input, const CalendarTenant *own, TenantPlan *plan) {
        Amount cpu = share_amount(&plan->share, RESOURCE_CPU),
               memory = share_amount(&plan->share, RESOURCE_MEMORY);
        Settings *settings = &plan->settings;
        uint64_t min, low;
        bool idle;

        sum_memory_floors(own, &min, &low, &idle);
        if (plan->residual)
                idle = plan->tenant->throttled;
        settings_put(settings, SETTING_CPU_IDLE, idle);
        settings_put(settings, SETTING_CPU_WEIGHT, cpu_weight(input, cpu.reserved));
        settings_put(settings, SETTING_CPU_MAX, cpu.limit >= UNLIMITED / 1000 ? UNLIMITED : cpu.limit * 1000);
        settings_put(settings, SETTING_MEMORY_MIN, min);
        settings_put(settings, SETTING_MEMORY_LOW, low);
        settings_put(settings, SETTING_MEMORY_HIGH, memory_high(plan, memory));
        settings_put(settings, SETTING_MEMORY_MAX, memory.limit);
        settings_put(settings, SETTING_SWAP_MAX, share_amount(&plan->share, RESOURCE_SWAP).limit);
        settings_put(settings, SETTING_TASKS_MAX, share_amount(&plan->share, RESOURCE_TASKS).limit);
        settings_put(settings, SETTING_CPU_BURST, cpu_burst(input, settings->value[SETTING_CPU_MAX]));
        settings_put(settings, SETTING_OOM_GROUP, input->oom_group);
        settings_put(settings, SETTING_HUGETLB_2M, share_amount(&plan->share, RESOURCE_HUGETLB_2M).limit);
        settings_put(settings, SETTING_HUGETLB_1G, share_amount(&plan->share, RESOURCE_HUGETLB_1G).limit);
}

/* 3. */
static void make_floors(const PlanInput *input, TenantPlan *plan) {
        if (plan->observed) /* no floors; but it has a weight, beside which others keep theirs */
                plan->floors = (PlanFloors){
                        .cpu_millicores =
                                        plan_scale(input->cpu_millicores, CPU_WEIGHT_DEFAULT, CPU_WEIGHT_MAX),
                        .io_fraction = IO_WEIGHT_DEFAULT,
                };
        else
                plan->floors = (PlanFloors){
                        .memory_min = plan->settings.value[SETTING_MEMORY_MIN],
                        .memory_low = plan->settings.value[SETTING_MEMORY_LOW],
                        .cpu_millicores = share_amount(&plan->share, RESOURCE_CPU).reserved,
                        .io_fraction = plan_io_fraction(input, &plan->share),
                };
}

int plan_make_tenant(const PlanInput *input, TenantPlan *plan) {
        const CalendarTenant *own = calendar_tenant(&input->node->calendar, plan->id);
        int r;

        plan->slot = plan->tenant->slot;
        plan->observed = plan->tenant->observed;
        r = make_share(input, own, plan);
        if (r < 0)
                return r;
        make_settings(input, own, plan);
        r = plan_make_limits(input, plan);
        if (r < 0)
                return r;
        make_floors(input, plan);
        plan->frozen = plan->residual ? plan->tenant->frozen : calendar_tenant_is_suspended(own);
        plan->doomed = plan->tenant->doomed && !plan->observed;
        plan_look_at_names(own, plan);
        return plan_make_devices(input, own, plan);
}

void tenant_plan_deinit(TenantPlan *plan) {
        free(plan->id);
        free(plan->placement);
        resource_set_deinit(&plan->share);
        device_set_deinit(&plan->devices);
        limit_set_deinit(&plan->limits);
}

/* 4. */
NetClass plan_net_class(const UplinkCapacity *uplink, const TenantPlan *tenant) {
        const Amount *named = resource_set_get(&tenant->share, uplink->kind, uplink->name);
        const Amount *plain = uplink->is_default ? resource_set_get(&tenant->share, uplink->kind, "") : NULL;
        Amount sum = { 0, named || plain ? 0 : UNLIMITED };

        for (int i = 0; i < 2; i++) {
                const Amount *amount = i == 0 ? named : plain;

                if (!amount)
                        continue;
                sum.reserved = amount_add(sum.reserved, amount->reserved);
                sum.limit = amount_add(sum.limit, amount->limit);
        }
        return (NetClass){
                .slot = tenant->tenant->slot,
                .priority = tenant->settings.value[SETTING_CPU_IDLE] ? 2 : 1,
                .floor_bps = sum.reserved,
                .ceil_bps = sum.limit < uplink->capacity_bps ? sum.limit : uplink->capacity_bps,
        };
}

void settings_diff(const Settings *observed, const Settings *desired, Settings *ret_changes) {
        Settings changes = {};

        for (Setting setting = 0; setting < SETTING_MAX; setting++) {
                if (!settings_has(desired, setting))
                        continue;
                if (setting == SETTING_CPU_WEIGHT && settings_has(desired, SETTING_CPU_IDLE) &&
                                desired->value[SETTING_CPU_IDLE])
                        continue;
                if (!settings_has(observed, setting) || observed->value[setting] != desired->value[setting])
                        settings_put(&changes, setting, desired->value[setting]);
        }
        *ret_changes = changes;
}

/* Those that are shares of what siblings have together; and whether a change makes one less. */
static bool is_floor(Setting setting) {
        return setting == SETTING_CPU_IDLE || setting == SETTING_CPU_WEIGHT ||
               setting == SETTING_MEMORY_MIN || setting == SETTING_MEMORY_LOW || setting == SETTING_IO_WEIGHT;
}

static bool is_taken(const Settings *observed, const Settings *changes, Setting setting) {
        if (!settings_has(observed, setting))
                return false;
        if (setting == SETTING_CPU_IDLE)
                return changes->value[setting] > observed->value[setting];
        return changes->value[setting] < observed->value[setting];
}

void settings_split(
                const Settings *observed, const Settings *changes, Settings *ret_take, Settings *ret_give) {
        Settings take = *changes, give = *changes;
        uint32_t taken = 0, given = 0, rest;

        for (Setting setting = 0; setting < SETTING_MAX; setting++)
                if (settings_has(changes, setting) && is_floor(setting))
                        *(is_taken(observed, changes, setting) ? &taken : &given) |= 1U << setting;
        rest = changes->present & ~(taken | given);
        take.present = taken | (given ? 0 : rest);
        give.present = given | (given ? rest : 0);
        *ret_take = take;
        *ret_give = give;
}
