/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Where tenants run at this instant, in steps:
 *   1. what active allocations have alone is taken from everyone else: the rest is the pool;
 *   2. a tenant has the union of what its current allocations name; one that names nothing adds the pool, as
 * does a tenant without any;
 *   3. what is over, or frozen for others, is alone no more: it keeps to its CPUs as far as nobody else has
 * them alone. CPUs that are offline are left out; who has none left runs in the pool, and is marked as short
 * of them (shortage.c). While nobody names anything there is no placement at all.
 */

#include "plan-internal.h"

#include "model/allocation-placement.h"

/* One of the two kinds of numbers: what names them, and what there are. */
typedef struct Kind {
        bool (*named)(const Allocation *allocation, CpuSet *ret);
        PlacementMode (*mode)(const Allocation *allocation);
        CpuSet there; /* online, or with memory */
        CpuSet taken; /* had alone, by whomever */
        CpuSet pool;
} Kind;

static PlacementMode cpu_mode(const Allocation *allocation) {
        return allocation->cpu_set_mode;
}

static PlacementMode node_mode(const Allocation *allocation) {
        return allocation->numa_mode;
}

static bool is_running(const Allocation *allocation) {
        return allocation->state == ALLOCATION_ACTIVE || allocation->state == ALLOCATION_HELD;
}

/* What it names and is there; false where that is nothing. */
static bool named_here(const Kind *kind, const Allocation *allocation, CpuSet *ret) {
        if (!kind->named(allocation, ret))
                return false;
        cpu_set_intersect(ret, &kind->there);
        return !cpu_set_is_empty(ret);
}

static bool has_alone(const Kind *kind, const Allocation *allocation, CpuSet *ret) {
        return kind->mode(allocation) == PLACEMENT_EXCLUSIVE && is_running(allocation) &&
               named_here(kind, allocation, ret);
}

/* 1. Of all tenants that are not observed alone. */
static void take(const PlanInput *input, Kind *kind) {
        const Node *node = input->node;
        CpuSet alone;

        for (size_t i = 0; i < node->n_tenants; i++) {
                const CalendarTenant *tenant = calendar_tenant(&node->calendar, node->tenants[i]->id);

                for (size_t k = 0; tenant && !node->tenants[i]->observed && k < tenant->n; k++)
                        if (has_alone(kind, tenant->allocations[k], &alone))
                                cpu_set_unite(&kind->taken, &alone);
        }
        kind->pool = kind->there;
        cpu_set_subtract(&kind->pool, &kind->taken);
        if (cpu_set_is_empty(&kind->pool)) /* CPUs went offline: rather together than nowhere */
                kind->pool = kind->there;
}

static bool any_running(const CalendarTenant *tenant) {
        for (size_t i = 0; tenant && i < tenant->n; i++)
                if (is_running(tenant->allocations[i]))
                        return true;
        return false;
}

/* 2. and 3. The tenant's set, empty where it is anywhere; true where all of it is had alone. */
static bool unite(const Kind *kind, const CalendarTenant *tenant, CpuSet *ret) {
        bool running = any_running(tenant), anywhere = false, alone = true, any = false;
        CpuSet set = {}, own = {}, others = kind->taken, named;

        for (size_t i = 0; tenant && i < tenant->n; i++)
                if (has_alone(kind, tenant->allocations[i], &named))
                        cpu_set_unite(&own, &named);
        cpu_set_subtract(&others, &own);
        for (size_t i = 0; tenant && i < tenant->n; i++) {
                const Allocation *allocation = tenant->allocations[i];

                if (!allocation_is_current(allocation) ||
                                (running && allocation->state == ALLOCATION_SUSPENDED))
                        continue;
                any = true;
                if (has_alone(kind, allocation, &named)) {
                        cpu_set_unite(&set, &named);
                        continue;
                }
                alone = false;
                if (named_here(kind, allocation, &named))
                        cpu_set_subtract(&named, &others);
                anywhere = anywhere || cpu_set_is_empty(&named);
                cpu_set_unite(&set, &named);
        }
        if (anywhere || !any)
                cpu_set_unite(&set, &kind->pool);
        if (cpu_set_equal(&set, &kind->there) && cpu_set_is_empty(&kind->taken))
                set = (CpuSet){};
        *ret = set;
        return any && alone && !cpu_set_is_empty(&set);
}

static bool names_any(const Calendar *calendar) {
        for (size_t i = 0; i < calendar->n; i++) {
                const Allocation *allocation = calendar->allocations[i];

                if (allocation_is_current(allocation) &&
                                (allocation->cpu_set || allocation->assigned_cpus || allocation->numa_nodes))
                        return true;
        }
        return false;
}

int plan_place(const PlanInput *input, Plan *plan) {
        Kind cpus = { allocation_cpus, cpu_mode }, nodes = { allocation_nodes, node_mode };

        if (!input->topology || input->topology->n_cpus == 0 || !names_any(&input->node->calendar))
                return 0;
        cpus.there = input->topology->online;
        nodes.there = input->topology->nodes;
        take(input, &cpus);
        take(input, &nodes);
        plan->placements = reallocarray(NULL, plan->n_tenants + 1, sizeof(Placement));
        if (!plan->placements)
                return -ENOMEM;
        for (size_t i = 0; i < plan->n_tenants; i++) {
                TenantPlan *tenant = &plan->tenants[i];
                Placement *placement = &plan->placements[i];

                placement->alone = unite(&cpus, tenant->own, &placement->cpus);
                (void) unite(&nodes, tenant->own, &placement->nodes);
                if (placement->alone && !tenant->observed)
                        cpu_set_unite(&plan->alone, &placement->cpus);
                if (!cpu_set_is_empty(&placement->cpus) || !cpu_set_is_empty(&placement->nodes))
                        tenant->placement = placement;
        }
        return 0;
}
