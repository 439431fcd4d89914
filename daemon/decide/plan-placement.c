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

static void begin(const PlanInput *input, Kind ret[2]) {
        ret[0] = (Kind){ allocation_cpus, cpu_mode, input->topology->online, {}, {} };
        ret[1] = (Kind){ allocation_nodes, node_mode, input->topology->nodes, {}, {} };
}

void plan_look_at_names(const CalendarTenant *own, TenantPlan *plan) {
        for (size_t i = 0; own && i < own->n; i++) {
                const Allocation *allocation = own->allocations[i];

                if (!allocation_is_current(allocation) ||
                                !(allocation->cpu_set || allocation->assigned_cpus || allocation->numa_nodes))
                        continue;
                plan->named = true;
                plan->alone = plan->alone ||
                              (is_running(allocation) && !plan->observed &&
                                              (cpu_mode(allocation) == PLACEMENT_EXCLUSIVE ||
                                                              node_mode(allocation) == PLACEMENT_EXCLUSIVE));
        }
}

/* 1. Of all tenants that are not observed alone. */
static void take(const PlanInput *input, const Plan *plan, Kind *kind) {
        CpuSet alone;

        for (size_t i = 0; plan->sums.n_alone > 0 && i < plan->n_tenants; i++) {
                const CalendarTenant *tenant = plan->tenants[i]->alone
                                                               ? calendar_tenant(&input->node->calendar,
                                                                                 plan->tenants[i]->id)
                                                               : NULL;

                for (size_t k = 0; tenant && k < tenant->n; k++)
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

/* Of one tenant. */
static int place(const PlanInput *input, const Kind kinds[2], TenantPlan *plan, PlanList *list) {
        const CalendarTenant *own = calendar_tenant(&input->node->calendar, plan->id);
        Placement placement;
        bool anywhere;

        placement.alone = unite(&kinds[0], own, &placement.cpus);
        (void) unite(&kinds[1], own, &placement.nodes);
        anywhere = cpu_set_is_empty(&placement.cpus) && cpu_set_is_empty(&placement.nodes);
        if (placement_equal(anywhere ? NULL : &placement, plan->placement))
                return 0;
        if (!anywhere && !plan->placement)
                plan->placement = malloc(sizeof(Placement));
        if (!anywhere && !plan->placement)
                return -ENOMEM;
        if (anywhere)
                plan->placement = (free(plan->placement), NULL);
        else
                *plan->placement = placement;
        plan_list(list, plan);
        return 0;
}

static void unplace_all(Plan *plan, PlanList *list) {
        for (size_t i = 0; plan->placed && i < plan->n_tenants; i++) {
                if (!plan->tenants[i]->placement)
                        continue;
                free(plan->tenants[i]->placement);
                plan->tenants[i]->placement = NULL;
                plan_list(list, plan->tenants[i]);
        }
        plan->placed = false;
        plan->alone = (CpuSet){};
}

static void sum_alone(Plan *plan) {
        plan->alone = (CpuSet){};
        for (size_t i = 0; plan->sums.n_alone > 0 && i < plan->n_tenants; i++) {
                const TenantPlan *tenant = plan->tenants[i];

                if (tenant->alone && tenant->placement && tenant->placement->alone)
                        cpu_set_unite(&plan->alone, &tenant->placement->cpus);
        }
}

int plan_place(const PlanInput *input, Plan *plan, PlanList *list) {
        const size_t n_remade = list->n;
        Kind kinds[2];
        bool same;
        int r = 0;

        if (!input->topology || input->topology->n_cpus == 0 || plan->sums.n_named == 0) {
                unplace_all(plan, list);
                return 0;
        }
        begin(input, kinds);
        for (int k = 0; k < 2; k++)
                take(input, plan, &kinds[k]);
        same = plan->placed && cpu_set_equal(&kinds[0].taken, &plan->taken[0]) &&
               cpu_set_equal(&kinds[1].taken, &plan->taken[1]);
        for (size_t i = 0; r >= 0 && i < (same ? n_remade : plan->n_tenants); i++)
                r = place(input, kinds, same ? list->tenants[i] : plan->tenants[i], list);
        if (r < 0)
                return r;
        for (int k = 0; k < 2; k++)
                plan->taken[k] = kinds[k].taken;
        plan->placed = true;
        sum_alone(plan);
        return 0;
}
