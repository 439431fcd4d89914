/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "decide/plan.h"
#include "support/topology-make.h"

#include <criterion/criterion.h>
#include <string.h>

typedef struct Held {
        const char *tenant; /* NULL: no more */
        AllocationState state;
        const char *cpus;
        PlacementMode mode;
        const char *assigned;
        const char *nodes;
        PlacementMode node_mode;
} Held;

typedef struct Where {
        const char *cpus, *nodes;
        bool alone;
} Where;

/* CPUs 0-3 of two NUMA nodes. Tenants a, b and c; c never has an allocation. */
static const struct {
        const char *name;
        const char *online;
        Held held[4];
        Where a, b, c;
} cases[] = {
        { "nobody names any", "0-3", { { "a" }, { "b" } }, {}, {}, {} },
        { "shared", "0-3", { { "a", .cpus = "1" }, { "b" } }, { "1" }, {}, {} },
        { "a union", "0-3", { { "a", .cpus = "1" }, { "a", .cpus = "3" } }, { "1,3" }, {}, {} },
        { "a union with anywhere", "0-3", { { "a", .cpus = "1" }, { "a" } }, {}, {}, {} },
        { "alone", "0-3", { { "a", .cpus = "2-3", .mode = PLACEMENT_EXCLUSIVE }, { "b" } },
                        { "2-3", .alone = true }, { "0-1" }, { "0-1" } },
        { "chosen", "0-3", { { "a", .mode = PLACEMENT_EXCLUSIVE, .assigned = "3" }, { "b" } },
                        { "3", .alone = true }, { "0-2" }, { "0-2" } },
        { "both alone", "0-3",
                        { { "a", .cpus = "3", .mode = PLACEMENT_EXCLUSIVE },
                                        { "b", .cpus = "1", .mode = PLACEMENT_EXCLUSIVE } },
                        { "3", .alone = true }, { "1", .alone = true }, { "0,2" } },
        { "held is as active", "0-3", { { "a", ALLOCATION_HELD, "3", PLACEMENT_EXCLUSIVE }, { "b" } },
                        { "3", .alone = true }, { "0-2" }, { "0-2" } },
        { "alone, and shared beside it", "0-3",
                        { { "a", .cpus = "3", .mode = PLACEMENT_EXCLUSIVE }, { "a", .cpus = "0" } },
                        { "0,3" }, { "0-2" }, { "0-2" } },
        { "alone, and anywhere else", "0-3", { { "a", .cpus = "3", .mode = PLACEMENT_EXCLUSIVE }, { "a" } },
                        { "0-3" }, { "0-2" }, { "0-2" } },
        { "pending takes nothing", "0-3", { { "a", ALLOCATION_PENDING, "3", PLACEMENT_EXCLUSIVE }, { "b" } },
                        {}, {}, {} },
        { "ending is alone no more, and stays where it was", "0-3",
                        { { "a", ALLOCATION_ENDING, "3", PLACEMENT_EXCLUSIVE }, { "b" } }, { "3" }, {}, {} },
        { "ending makes room for the next", "0-3",
                        { { "a", ALLOCATION_ENDING, "2-3", PLACEMENT_EXCLUSIVE },
                                        { "b", .cpus = "3", .mode = PLACEMENT_EXCLUSIVE } },
                        { "2" }, { "3", .alone = true }, { "0-2" } },
        { "ending with nowhere left", "0-3",
                        { { "a", ALLOCATION_ENDING, "3", PLACEMENT_EXCLUSIVE },
                                        { "b", .cpus = "3", .mode = PLACEMENT_EXCLUSIVE } },
                        { "0-2" }, { "3", .alone = true }, { "0-2" } },
        { "suspended lends its CPUs", "0-3",
                        { { "a", ALLOCATION_SUSPENDED, "3", PLACEMENT_EXCLUSIVE }, { "b" } }, { "3" }, {},
                        {} },
        { "one of its CPUs offline", "0-2", { { "a", .cpus = "2-3", .mode = PLACEMENT_EXCLUSIVE }, { "b" } },
                        { "2", .alone = true }, { "0-1" }, { "0-1" } },
        { "all of its CPUs offline", "0-1", { { "a", .cpus = "2-3", .mode = PLACEMENT_EXCLUSIVE }, { "b" } },
                        {}, {}, {} },
        { "everyone else's CPUs offline", "2-3",
                        { { "a", .cpus = "2-3", .mode = PLACEMENT_EXCLUSIVE }, { "b" } },
                        { "2-3", .alone = true }, { "2-3" }, { "2-3" } },
        { "memory", "0-3", { { "a", .nodes = "1" }, { "b" } }, { .nodes = "1" }, {}, {} },
        { "memory alone", "0-3", { { "a", .nodes = "1", .node_mode = PLACEMENT_EXCLUSIVE }, { "b" } },
                        { .nodes = "1" }, { .nodes = "0" }, { .nodes = "0" } },
};

static void add(Node *node, const Held *held, int number) {
        char id[] = "x0";
        Allocation *a, *replaced;

        cr_assert_eq(allocation_new(&a), 0);
        id[1] = (char) ('0' + number);
        a->id = strdup(id);
        a->tenant_id = strdup(held->tenant);
        a->state = held->state;
        a->cpu_set = held->cpus ? strdup(held->cpus) : NULL;
        a->cpu_set_mode = held->mode;
        a->assigned_cpus = held->assigned ? strdup(held->assigned) : NULL;
        a->numa_nodes = held->nodes ? strdup(held->nodes) : NULL;
        a->numa_mode = held->node_mode;
        cr_assert_eq(resource_set_put(&a->resources, RESOURCE_CPU, "", (Amount){ 1000, 1000 }), 0);
        cr_assert_eq(calendar_put(&node->calendar, a, &replaced), 0);
}

static void expect(const char *name, const TenantPlan *plan, const Where *want) {
        static const Placement anywhere;
        const Placement *have = plan->placement ?: &anywhere;
        char what[128];

        snprintf(what, sizeof what, "%s, CPUs of %s", name, plan->tenant->id);
        made_expect_set(what, &have->cpus, want->cpus ?: "");
        snprintf(what, sizeof what, "%s, nodes of %s", name, plan->tenant->id);
        made_expect_set(what, &have->nodes, want->nodes ?: "");
        cr_expect_eq(have->alone, want->alone, "%s, %s", name, plan->tenant->id);
        cr_expect(plan->placement == NULL || want->cpus || want->nodes, "%s: %s is to be anywhere", name,
                        plan->tenant->id);
}

/* The state 0 is pending: the table means it where it is written. */
static AllocationState state_of(const char *name, AllocationState state) {
        return state == ALLOCATION_PENDING && strncmp(name, "pending", 7) != 0 ? ALLOCATION_ACTIVE : state;
}

Test(plan_placement, who_runs_where) {
        static const char *const ids[] = { "a", "b", "c" };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_topology_ Topology topology = made_topology(2, 2, 1);
                _cleanup_plan_ Plan plan = PLAN_NULL;
                PlanInput input = { .cpu_millicores = 4000, .topology = &topology };
                CpuSet alone = {};
                Node node = {};
                Tenant *tenant;

                topology.online = made_set(cases[i].online);
                for (size_t k = 0; k < ELEMENTSOF(ids); k++)
                        cr_assert_eq(node_add_tenant(&node, ids[k], 100, &tenant), 0);
                for (int k = 0; k < 4 && cases[i].held[k].tenant; k++) {
                        Held held = cases[i].held[k];

                        held.state = state_of(cases[i].name, held.state);
                        add(&node, &held, k);
                }
                input.node = &node;
                cr_assert_eq(plan_make(&input, &plan), 0);
                expect(cases[i].name, plan.tenants[0], &cases[i].a);
                expect(cases[i].name, plan.tenants[1], &cases[i].b);
                expect(cases[i].name, plan.tenants[2], &cases[i].c);
                for (size_t k = 0; k < plan.n_tenants; k++)
                        if (plan.tenants[k]->placement && plan.tenants[k]->placement->alone)
                                cpu_set_unite(&alone, &plan.tenants[k]->placement->cpus);
                cr_expect(cpu_set_equal(&alone, &plan.alone), "%s", cases[i].name);
                node_deinit(&node);
        }
}

Test(plan_placement, who_is_observed_takes_nothing) {
        _cleanup_topology_ Topology topology = made_topology(1, 4, 1);
        _cleanup_plan_ Plan plan = PLAN_NULL;
        PlanInput input = { .cpu_millicores = 4000, .topology = &topology };
        Node node = {};
        Tenant *tenant;

        cr_assert_eq(node_add_tenant(&node, "a", 100, &tenant), 0);
        tenant->observed = true;
        cr_assert_eq(node_add_tenant(&node, "b", 100, &tenant), 0);
        add(&node, &(Held){ "a", ALLOCATION_ACTIVE, "3", PLACEMENT_EXCLUSIVE }, 0);
        add(&node, &(Held){ "b", ALLOCATION_ACTIVE }, 1);
        input.node = &node;
        cr_assert_eq(plan_make(&input, &plan), 0);
        cr_expect_null(plan.tenants[1]->placement);
        cr_expect(cpu_set_is_empty(&plan.alone));
        node_deinit(&node);
}
