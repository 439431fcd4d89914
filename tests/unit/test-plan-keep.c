/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A plan that is kept, after any sequence of changes, is the plan that is made from nothing; and who is not
 * among those that changed is planned as before. The sequences are made at random from a seed that a failure
 * names.
 */

#include "decide/plan.h"
#include "decide/shortage.h"
#include "support/calendar-make.h"
#include "support/topology-make.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CPU 4000
#define MEMORY 65536
#define NET 1000
#define TENANTS 12
#define ALLOCATIONS 40
#define STEPS 1500

static const UplinkCapacity uplinks[] = {
        { RESOURCE_NET_EGRESS, "eth0", "eth0", .is_default = true, 100000, 1000, 10000, 2000 },
        { RESOURCE_NET_INGRESS, "eth1", "ifb1", .is_default = false, 50000, 1000, 10000, 2000 },
};
static const BlockDevice disks[] = {
        { .number = "8:0", .name = "sda", .leaf = true, .policy = IO_POLICY_BFQ }
};

typedef struct World {
        Node node;
        Topology topology;
        Capacity capacity;
        PlanInput input;
        Instant now;
        unsigned seed;
        Plan kept;
} World;

static uint64_t below(World *world, uint64_t n) {
        return (uint64_t) rand_r(&world->seed) % n;
}

/* --- a plan as text --- */

static void print_set(FILE *f, const char *what, const CpuSet *set) {
        _cleanup_free_ char *text = cpu_set_format(set);

        fprintf(f, " %s=%s", what, text);
}

static void print_settings(FILE *f, const Settings *settings) {
        for (Setting setting = 0; setting < SETTING_MAX; setting++)
                if (settings_has(settings, setting))
                        fprintf(f, " %d:%" PRIu64, (int) setting, settings->value[setting]);
}

static char *print_tenant(const Plan *plan, const TenantPlan *tenant) {
        size_t size;
        char *text;
        FILE *f = open_memstream(&text, &size);

        fprintf(f, "%s %p %u %d%d%d%d%d", tenant->id, (const void *) tenant->tenant, tenant->slot,
                        tenant->residual, tenant->observed, tenant->frozen, plan_kills(plan, tenant),
                        tenant->guarded);
        print_settings(f, &tenant->settings);
        for (size_t i = 0; i < tenant->share.n; i++)
                fprintf(f, " %d%s=%" PRIu64 "/%" PRIu64, (int) tenant->share.entries[i].kind,
                                tenant->share.entries[i].target, tenant->share.entries[i].amount.reserved,
                                tenant->share.entries[i].amount.limit);
        for (size_t i = 0; i < tenant->limits.n; i++)
                fprintf(f, " %d@%s=%" PRIu64, (int) tenant->limits.lines[i].file,
                                tenant->limits.lines[i].target, tenant->limits.lines[i].values[0]);
        for (size_t i = 0; i < tenant->devices.n; i++)
                fprintf(f, " %s", tenant->devices.entries[i].name);
        if (tenant->placement) {
                print_set(f, tenant->placement->alone ? "alone" : "cpus", &tenant->placement->cpus);
                print_set(f, "nodes", &tenant->placement->nodes);
        }
        fclose(f);
        return text;
}

static char *print_plan(const Plan *plan) {
        size_t size;
        char *text;
        FILE *f = open_memstream(&text, &size);

        for (size_t i = 0; i < plan->n_tenants; i++) {
                _cleanup_free_ char *tenant = print_tenant(plan, plan->tenants[i]);

                fprintf(f, "%s\n", tenant);
        }
        print_settings(f, &plan->parent);
        fprintf(f, " weight %" PRIu64, plan->parent_weight);
        print_set(f, "alone", &plan->alone);
        for (size_t i = 0; i < plan->n_uplinks; i++) {
                fprintf(f, "\n%s %" PRIu64, plan->uplinks[i].uplink, plan->uplinks[i].capacity_bps);
                for (size_t k = 0; k < plan->uplinks[i].n_classes; k++)
                        fprintf(f, " %u %u %" PRIu64 " %" PRIu64, plan->uplinks[i].classes[k].slot,
                                        plan->uplinks[i].classes[k].priority,
                                        plan->uplinks[i].classes[k].floor_bps,
                                        plan->uplinks[i].classes[k].ceil_bps);
        }
        fclose(f);
        return text;
}

/* --- what happens --- */

static void put_allocation(World *world) {
        static const char *const sets[] = { "0", "1", "0-1", "2-3" };
        Calendar *calendar = &world->node.calendar;
        uint64_t start = world->now.utc_usec + below(world, 4) * 10;
        char id[16], tenant[16];
        Allocation *request;
        Tenant *added;

        sprintf(id, "a%d", (int) below(world, ALLOCATIONS));
        sprintf(tenant, "t%d", (int) below(world, TENANTS));
        if (calendar_find(calendar, id))
                return;
        request = made_allocation(&(Made){ id, tenant, start, start + 5 + below(world, 100),
                        .cpu = below(world, 5) * 300, .memory = below(world, 5) * 4096,
                        .net = below(world, 3) * 100, .priority = (int) below(world, 4),
                        .mode = (PreemptMode) below(world, PREEMPT_MODE_MAX) });
        if (below(world, 6) == 0)
                request->cpu_set = strdup(sets[below(world, 4)]);
        if (below(world, 8) == 0)
                request->numa_nodes = strdup(below(world, 2) ? "0" : "1");
        if (below(world, 2))
                request->cpu_set_mode = request->cpu_set ? PLACEMENT_EXCLUSIVE : PLACEMENT_SHARED;
        if (below(world, 5) == 0)
                cr_assert_eq(device_set_put(&request->devices, "/dev/a", DEVICE_READ), 0);
        if (below(world, 4) == 0)
                cr_assert_eq(resource_set_put(&request->resources, RESOURCE_IO_READ, "", (Amount){ 0, 1000 }),
                                0);
        request->grace_usec = below(world, 3) * 20;
        request->on_end = (OnEnd) below(world, ON_END_MAX);
        if (made_apply(calendar, &world->capacity, world->now.utc_usec, request))
                (void) node_add_tenant(&world->node, tenant, 100, &added);
}

static void take_allocation(World *world) {
        Calendar *calendar = &world->node.calendar;

        if (calendar->n > 0)
                allocation_free(calendar_take(
                                calendar, calendar->allocations[below(world, calendar->n)]->id));
}

static Tenant *any_tenant(World *world) {
        return world->node.n_tenants > 0 ? world->node.tenants[below(world, world->node.n_tenants)] : NULL;
}

/* As one whose group was found and whom no allocation names. */
static void add_tenant(World *world) {
        char id[16];
        Tenant *added;

        sprintf(id, "t%d", (int) below(world, TENANTS));
        (void) node_add_tenant(&world->node, id, 100, &added);
}

static void drop_tenant(World *world) {
        Tenant *tenant = any_tenant(world);

        if (tenant && !calendar_tenant(&world->node.calendar, tenant->id))
                node_remove_tenant(&world->node, tenant->id);
}

static void change_tenant(World *world) {
        Tenant *tenant = any_tenant(world);

        if (!tenant)
                return;
        tenant->observed = below(world, 4) == 0;
        tenant->throttled = below(world, 2);
        tenant->frozen = below(world, 2);
        tenant->doomed = below(world, 2);
        tenant->guarded = below(world, 2);
        tenant->residual_memory_bytes = below(world, 1 << 20);
        calendar_mark(&world->node.calendar, tenant->id);
}

static void pass_time(World *world) {
        world->now.utc_usec += below(world, 30);
        world->now.boottime_usec = world->now.utc_usec;
        made_advance(&world->node.calendar, &world->now, false, NULL);
}

static void say_nothing(Allocation *allocation, void *userdata) {
}

static void change_capacity(World *world) {
        cr_assert_eq(resource_set_put(&world->capacity.total, RESOURCE_CPU, "",
                                     (Amount){ 0, below(world, 2) ? CPU : CPU / 3 }),
                        0);
        cr_assert_eq(shortage_mark(&world->node.calendar, &world->capacity, world->now.utc_usec, say_nothing,
                                     NULL),
                        0);
}

/* What is asked of with each look, and marks nobody. */
static void change_surroundings(World *world) {
        world->node.calendar.irrevocable_waits = below(world, 2);
        world->input.sibling_weight = 100 * below(world, 5);
        world->input.io_sibling_weight = 100 * below(world, 5);
}

static void (*const changes[])(World *world) = { put_allocation, put_allocation, put_allocation,
        take_allocation, add_tenant, drop_tenant, change_tenant, pass_time, change_capacity,
        change_surroundings };

/* --- what holds --- */

static bool is_listed(const PlanList *list, const char *id) {
        for (size_t i = 0; i < list->n; i++)
                if (strcmp(list->tenants[i]->id, id) == 0)
                        return true;
        return false;
}

/* But for kills: those who are doomed are looked at each time. */
static void expect_rest_as_before(
                World *world, const Plan *before, const PlanList *list, unsigned seed, int step) {
        for (size_t i = 0; i < world->kept.n_tenants; i++) {
                const TenantPlan *tenant = world->kept.tenants[i], *was = plan_find(before, tenant->id);
                _cleanup_free_ char *now_text = print_tenant(before, tenant),
                                    *was_text = was ? print_tenant(before, was) : strdup("");

                cr_assert(is_listed(list, tenant->id) || strcmp(now_text, was_text) == 0,
                                "seed %u, step %d: %s, not listed, was\n%s", seed, step, now_text, was_text);
        }
}

static void look(World *world, unsigned seed, int step) {
        _cleanup_plan_ Plan fresh = PLAN_NULL;
        _cleanup_free_ char *kept_text = NULL, *fresh_text = NULL;
        PlanList list;

        cr_assert_eq(plan_remake(&world->input, &world->kept, &list), 0);
        calendar_unmark(&world->node.calendar);
        cr_assert_eq(plan_make(&world->input, &fresh), 0);
        kept_text = print_plan(&world->kept);
        fresh_text = print_plan(&fresh);
        cr_assert_str_eq(kept_text, fresh_text, "seed %u, step %d: kept\n%s\nfrom nothing\n%s", seed, step,
                        kept_text, fresh_text);
        free(list.tenants);
}

/* As look(), for the list: the plan as it was before is made from what was kept then. */
static void look_at_list(World *world, const Plan *before, unsigned seed, int step) {
        PlanList list;

        cr_assert_eq(plan_remake(&world->input, &world->kept, &list), 0);
        expect_rest_as_before(world, before, &list, seed, step);
        free(list.tenants);
}

static void begin(World *world, unsigned seed) {
        *world = (World){ .node.calendar.default_uplink = "eth0", .seed = seed, .now = { 1000, 1000 } };
        world->topology = made_topology(2, 2, 1);
        world->capacity = made_capacity(CPU, MEMORY, NET);
        world->capacity.topology = world->topology;
        world->input = (PlanInput){ .node = &world->node,
                .cpu_millicores = CPU + 1000,
                .sibling_weight = 200,
                .io_sibling_weight = 100,
                .residual = { 50, 4096, 256, 10, 1000 },
                .uplinks = uplinks,
                .n_uplinks = ELEMENTSOF(uplinks),
                .topology = &world->topology,
                .block_devices = disks,
                .n_block_devices = ELEMENTSOF(disks) };
}

static void end(World *world) {
        plan_deinit(&world->kept);
        node_deinit(&world->node);
        topology_deinit(&world->topology);
        made_capacity_deinit(&world->capacity);
}

Test(plan_keep, what_is_kept_is_what_is_made_from_nothing) {
        for (unsigned seed = 1; seed <= 8; seed++) {
                World world;

                begin(&world, seed);
                for (int step = 0; step < STEPS; step++) {
                        _cleanup_plan_ Plan before = PLAN_NULL;

                        cr_assert_eq(plan_make(&world.input, &before), 0);
                        for (uint64_t n = below(&world, 4); n > 0; n--)
                                changes[below(&world, ELEMENTSOF(changes))](&world);
                        look_at_list(&world, &before, seed, step);
                        look(&world, seed, step);
                }
                cr_expect_gt(world.node.n_tenants, 3);
                end(&world);
        }
}

Test(plan_keep, where_too_many_are_marked_all_are) {
        World world;

        begin(&world, 3);
        put_allocation(&world);
        look(&world, 3, 0);
        cr_expect_not(world.node.calendar.marks.all);
        for (int i = 0; i < 1000; i++)
                calendar_mark(&world.node.calendar, i % 2 ? "t0" : "t1");
        cr_expect(world.node.calendar.marks.all);
        cr_expect_eq(world.node.calendar.marks.n, 0);
        look(&world, 3, 1);
        end(&world);
}
