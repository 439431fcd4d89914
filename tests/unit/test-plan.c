/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "decide/plan.h"

#include <criterion/criterion.h>
#include <string.h>

#define MIB (1ULL << 20)

static const UplinkCapacity uplinks[] = {
        { .kind = RESOURCE_NET_EGRESS,
                        .name = "eth0",
                        .device = "eth0",
                        .is_default = true,
                        .capacity_bps = 100000000,
                        .control_floor_bps = 1000000,
                        .control_ceil_bps = 10000000,
                        .default_floor_bps = 2000000 },
};

static PlanInput input_of(const Node *node) {
        return (PlanInput){
                .node = node,
                .cpu_millicores = 4000,
                .sibling_weight = 200,
                .residual = { .cpu_millicores = 50,
                                .memory_bytes = 64 * MIB,
                                .tasks = 256,
                                .net_egress_bps = 1000000 },
                .uplinks = uplinks,
                .n_uplinks = 1,
        };
}

static Allocation *add(Node *node, const char *id, const char *tenant_id, AllocationState state, Amount cpu,
                Amount memory, Amount net) {
        Allocation *a, *replaced;
        Tenant *tenant;

        if (!node_find_tenant(node, tenant_id))
                cr_assert_eq(node_add_tenant(node, tenant_id, 100, &tenant), 0);
        cr_assert_eq(allocation_new(&a), 0);
        a->id = strdup(id);
        a->tenant_id = strdup(tenant_id);
        a->state = state;
        cr_assert_eq(resource_set_put(&a->resources, RESOURCE_CPU, "", cpu), 0);
        cr_assert_eq(resource_set_put(&a->resources, RESOURCE_MEMORY, "", memory), 0);
        cr_assert_eq(resource_set_put(&a->resources, RESOURCE_NET_EGRESS, "", net), 0);
        cr_assert_eq(calendar_put(&node->calendar, a, &replaced), 0);
        return a;
}

static const NetClass *class_of(const Plan *plan, uint32_t slot) {
        for (size_t i = 0; i < plan->uplinks[0].n_classes; i++)
                if (plan->uplinks[0].classes[i].slot == slot)
                        return &plan->uplinks[0].classes[i];
        return NULL;
}

Test(plan, an_active_share_becomes_settings) {
        Node node = {};
        _cleanup_plan_ Plan plan = PLAN_NULL;
        const Settings *s;
        PlanInput input;

        add(&node, "g", "gold", ALLOCATION_ACTIVE, (Amount){ 1000, 1000 }, (Amount){ 256 * MIB, 256 * MIB },
                        (Amount){ 30000000, 30000000 });
        add(&node, "b", "silver", ALLOCATION_ACTIVE, (Amount){ 500, 2000 }, (Amount){ 128 * MIB, 288 * MIB },
                        (Amount){ 10000000, UNLIMITED });
        add(&node, "e", "iron", ALLOCATION_ACTIVE, (Amount){ 0, 4000 }, (Amount){ 0, UNLIMITED },
                        (Amount){ 0, UNLIMITED });
        input = input_of(&node);
        cr_assert_eq(plan_make(&input, &plan), 0);

        s = &plan.tenants[0]->settings; /* gold: guaranteed */
        cr_expect_eq(s->value[SETTING_CPU_MAX], 1000000);
        cr_expect_eq(s->value[SETTING_CPU_WEIGHT], 2500, "a quarter of the node");
        cr_expect_eq(s->value[SETTING_CPU_IDLE], 0);
        cr_expect_eq(s->value[SETTING_MEMORY_MIN], 256 * MIB);
        cr_expect_eq(s->value[SETTING_MEMORY_LOW], 0);
        cr_expect_eq(s->value[SETTING_MEMORY_MAX], 256 * MIB);
        cr_expect_eq(s->value[SETTING_MEMORY_HIGH], UNLIMITED, "no high where reserved = limit");
        cr_expect_eq(s->value[SETTING_TASKS_MAX], UNLIMITED, "not named: no ceiling");

        s = &plan.tenants[2]->settings; /* silver: burstable */
        cr_expect_eq(s->value[SETTING_CPU_WEIGHT], 1250);
        cr_expect_eq(s->value[SETTING_MEMORY_MIN], 0);
        cr_expect_eq(s->value[SETTING_MEMORY_LOW], 128 * MIB);
        cr_expect_eq(s->value[SETTING_MEMORY_HIGH], 278 * MIB, "a sixteenth of the room below the limit");

        s = &plan.tenants[1]->settings; /* iron: best-effort */
        cr_expect_eq(s->value[SETTING_CPU_IDLE], 1);
        cr_expect_eq(s->value[SETTING_MEMORY_MAX], UNLIMITED);

        cr_expect_eq(plan.parent.value[SETTING_MEMORY_MIN], 256 * MIB);
        cr_expect_eq(plan.parent.value[SETTING_MEMORY_LOW], 128 * MIB);
        cr_expect_eq(plan.parent.value[SETTING_CPU_WEIGHT], 200 * 1500 / 2500 + 1);

        cr_expect_eq(class_of(&plan, SLOT_CONTROL)->floor_bps, 1000000);
        cr_expect_eq(class_of(&plan, SLOT_CONTROL)->ceil_bps, 10000000);
        cr_expect_eq(class_of(&plan, SLOT_DEFAULT)->floor_bps, 2000000);
        cr_expect_eq(class_of(&plan, node_find_tenant(&node, "gold")->slot)->ceil_bps, 30000000);
        cr_expect_eq(class_of(&plan, node_find_tenant(&node, "silver")->slot)->ceil_bps, 100000000,
                        "no more than the link");
        cr_expect_eq(class_of(&plan, node_find_tenant(&node, "iron")->slot)->priority, 2,
                        "best-effort borrows last");
        node_deinit(&node);
}

Test(plan, the_parents_weight_keeps_the_floors) {
        static const uint64_t reserved[] = { 0, 100, 1500, 3000, 3900 };

        for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
                Node node = {};
                _cleanup_plan_ Plan plan = PLAN_NULL;
                PlanInput input;
                double share;

                add(&node, "g", "gold", ALLOCATION_ACTIVE, (Amount){ reserved[i], 4000 },
                                (Amount){ 0, UNLIMITED }, (Amount){ 0, UNLIMITED });
                input = input_of(&node);
                cr_assert_eq(plan_make(&input, &plan), 0);
                share = (double) plan.parent.value[SETTING_CPU_WEIGHT] /
                        (double) (plan.parent.value[SETTING_CPU_WEIGHT] + 200);
                cr_expect_geq(share * 4000, (double) reserved[i]);
                cr_expect(plan.parent_weight <= CPU_WEIGHT_MAX);
                node_deinit(&node);
        }
}

Test(plan, a_weight_that_the_kernel_does_not_take_is_known) {
        Node node = {};
        _cleanup_plan_ Plan plan = PLAN_NULL;
        PlanInput input;

        add(&node, "g", "gold", ALLOCATION_ACTIVE, (Amount){ 3950, 4000 }, (Amount){ 0, UNLIMITED },
                        (Amount){ 0, UNLIMITED });
        input = input_of(&node);
        cr_assert_eq(plan_make(&input, &plan), 0);
        cr_expect_eq(plan.parent_weight, 200 * 3950 / 50 + 1);
        cr_expect_eq(plan.parent.value[SETTING_CPU_WEIGHT], CPU_WEIGHT_MAX);
        node_deinit(&node);
}

Test(plan, who_is_observed_has_no_floors_and_no_class) {
        Node node = {};
        _cleanup_plan_ Plan plan = PLAN_NULL;
        const TenantPlan *gold;
        PlanInput input;

        add(&node, "g", "gold", ALLOCATION_ACTIVE, (Amount){ 1000, 1000 }, (Amount){ 256 * MIB, 256 * MIB },
                        (Amount){ 30000000, 30000000 });
        add(&node, "b", "silver", ALLOCATION_ACTIVE, (Amount){ 2000, 2000 }, (Amount){ 128 * MIB, 288 * MIB },
                        (Amount){ 10000000, UNLIMITED });
        node_find_tenant(&node, "gold")->observed = true;
        node_find_tenant(&node, "gold")->doomed = true;
        input = input_of(&node);
        cr_assert_eq(plan_make(&input, &plan), 0);
        gold = plan.tenants[0];
        cr_expect(gold->observed);
        cr_expect_not(plan_kills(&plan, gold), "nothing of it is");
        cr_expect_eq(gold->settings.value[SETTING_CPU_MAX], 1000000, "as it would be");
        cr_expect_eq(plan_net_class(&uplinks[0], gold).floor_bps, 30000000, "as it would be");
        cr_expect_null(class_of(&plan, gold->tenant->slot));
        cr_expect_not_null(class_of(&plan, plan.tenants[1]->tenant->slot));
        cr_expect_eq(plan.parent.value[SETTING_MEMORY_MIN], 0);
        cr_expect_eq(plan.parent.value[SETTING_MEMORY_LOW], 128 * MIB);
        cr_expect_eq(plan.parent.value[SETTING_CPU_WEIGHT], 200 * 2040 / 1960 + 1,
                        "the default weight is worth a hundredth of the node");
        node_deinit(&node);
}

Test(plan, effective_of_who_is_observed_is_what_holds) {
        Node node = {};
        _cleanup_plan_ Plan plan = PLAN_NULL;
        _cleanup_resource_set_ ResourceSet effective = RESOURCE_SET_NULL;
        GroupState open = {};
        PlanInput input;

        add(&node, "g", "gold", ALLOCATION_ACTIVE, (Amount){ 1000, 1000 }, (Amount){ 256 * MIB, 256 * MIB },
                        (Amount){ 30000000, 30000000 });
        node_find_tenant(&node, "gold")->observed = true;
        input = input_of(&node);
        cr_assert_eq(plan_make(&input, &plan), 0);
        settings_put(&open.settings, SETTING_CPU_MAX, UNLIMITED);
        settings_put(&open.settings, SETTING_CPU_WEIGHT, 100);
        settings_put(&open.settings, SETTING_MEMORY_MAX, UNLIMITED);
        cr_assert_eq(plan_effective(&input, plan.tenants[0], &open, plan.uplinks, plan.uplinks, 1,
                                     &effective),
                        0);
        cr_expect_eq(resource_set_get(&effective, RESOURCE_CPU, "")->limit, UNLIMITED);
        cr_expect_eq(resource_set_get(&effective, RESOURCE_CPU, "")->reserved, 40, "of 4000, by its weight");
        cr_expect_eq(resource_set_get(&effective, RESOURCE_MEMORY, "")->reserved, 0);
        cr_expect_eq(resource_set_get(&effective, RESOURCE_MEMORY, "")->limit, UNLIMITED);
        cr_expect_eq(resource_set_get(&effective, RESOURCE_NET_EGRESS, "")->reserved, 0);
        cr_expect_eq(resource_set_get(&effective, RESOURCE_NET_EGRESS, "")->limit, UNLIMITED);
        node_deinit(&node);
}

static const AllocationState not_active[] = { ALLOCATION_PENDING, ALLOCATION_ENDED, ALLOCATION_RELEASED };

Test(plan, outside_its_windows_a_tenant_has_the_residual_share) {
        for (size_t i = 0; i < sizeof not_active / sizeof not_active[0]; i++) {
                Node node = {};
                _cleanup_plan_ Plan plan = PLAN_NULL;
                const Settings *s;
                PlanInput input;

                add(&node, "a", "t", not_active[i], (Amount){ 1000, 4000 }, (Amount){ 512 * MIB, UNLIMITED },
                                (Amount){ 5, UNLIMITED });
                node_find_tenant(&node, "t")->residual_memory_bytes = 400 * MIB;
                input = input_of(&node);
                cr_assert_eq(plan_make(&input, &plan), 0);
                s = &plan.tenants[0]->settings;
                cr_expect(plan.tenants[0]->residual);
                cr_expect_eq(s->value[SETTING_CPU_MAX], 50000, "a sliver");
                cr_expect_eq(s->value[SETTING_MEMORY_MIN], 0);
                cr_expect_eq(s->value[SETTING_MEMORY_HIGH], 400 * MIB, "its present memory");
                cr_expect_gt(s->value[SETTING_MEMORY_MAX], 400 * MIB);
                cr_expect_lt(s->value[SETTING_MEMORY_MAX], UNLIMITED, "never everything");
                cr_expect_eq(s->value[SETTING_TASKS_MAX], 256);
                cr_expect_eq(class_of(&plan, SLOT_FIRST)->ceil_bps, 1000000);
                node_deinit(&node);
        }
}

Test(plan, what_is_ending_keeps_its_ceiling_and_gives_its_floor_back) {
        Node node = {};
        _cleanup_plan_ Plan plan = PLAN_NULL;
        PlanInput input;

        add(&node, "a", "t", ALLOCATION_ENDING, (Amount){ 1000, 2000 }, (Amount){ 512 * MIB, 512 * MIB },
                        (Amount){ 5, 50000000 });
        input = input_of(&node);
        cr_assert_eq(plan_make(&input, &plan), 0);
        cr_expect_not(plan.tenants[0]->residual);
        cr_expect_eq(plan.tenants[0]->settings.value[SETTING_CPU_MAX], 2000000);
        cr_expect_eq(plan.tenants[0]->settings.value[SETTING_CPU_WEIGHT], 1);
        cr_expect_eq(plan.tenants[0]->settings.value[SETTING_MEMORY_MIN], 0);
        cr_expect_eq(plan.tenants[0]->settings.value[SETTING_MEMORY_MAX], 512 * MIB);
        cr_expect_eq(plan.parent.value[SETTING_MEMORY_MIN], 0);
        node_deinit(&node);
}

/* Each way has its own classes; who names only one has all of the other. */
Test(plan, what_comes_in_is_shaped_by_itself) {
        static const UplinkCapacity both[] = {
                { .kind = RESOURCE_NET_EGRESS,
                                .name = "eth0",
                                .device = "eth0",
                                .is_default = true,
                                .capacity_bps = 100000000 },
                { .kind = RESOURCE_NET_INGRESS,
                                .name = "eth0",
                                .device = "hg-in-3",
                                .is_default = true,
                                .capacity_bps = 90000000 },
        };
        _cleanup_resource_set_ ResourceSet effective = RESOURCE_SET_NULL;
        _cleanup_plan_ Plan plan = PLAN_NULL;
        GroupState state = {};
        const NetClass *out, *in;
        NetPlan observed[2];
        Node node = {};
        PlanInput input;
        Allocation *a;

        a = add(&node, "g", "gold", ALLOCATION_ACTIVE, (Amount){ 1000, 1000 }, (Amount){ 0, UNLIMITED },
                        (Amount){ 30000000, 40000000 });
        cr_assert_eq(resource_set_put(&a->resources, RESOURCE_NET_INGRESS, "eth0",
                                     (Amount){ 5000000, 6000000 }),
                        0);
        add(&node, "s", "silver", ALLOCATION_ACTIVE, (Amount){ 500, 500 }, (Amount){ 0, UNLIMITED },
                        (Amount){ 1000000, UNLIMITED });
        input = input_of(&node);
        input.uplinks = both;
        input.n_uplinks = 2;
        input.residual.net_ingress_bps = 2000000;
        cr_assert_eq(plan_make(&input, &plan), 0);
        cr_assert_eq(plan.n_uplinks, 2);
        cr_expect_str_eq(plan.uplinks[1].uplink, "hg-in-3");
        out = &plan.uplinks[0].classes[2];
        in = &plan.uplinks[1].classes[2];
        cr_expect(out->floor_bps == 30000000 && out->ceil_bps == 40000000);
        cr_expect(in->floor_bps == 5000000 && in->ceil_bps == 6000000);
        cr_expect_eq(in[1].floor_bps, 0);
        cr_expect_eq(in[1].ceil_bps, 90000000, "all of what comes in");

        observed[0] = plan.uplinks[0];
        observed[1] = (NetPlan){ .classes = (NetClass[]){ *in }, .n_classes = 1 };
        observed[1].classes[0].ceil_bps = 8000000;
        cr_assert_eq(plan_effective(&input, plan.tenants[0], &state, observed, plan.uplinks, 2, &effective),
                        0);
        cr_expect_eq(resource_set_get(&effective, RESOURCE_NET_EGRESS, "")->limit, 40000000);
        cr_expect_eq(resource_set_get(&effective, RESOURCE_NET_INGRESS, "eth0")->limit, 8000000,
                        "as the kernel has it");
        cr_expect_eq(resource_set_get(&effective, RESOURCE_NET_INGRESS, "eth0")->reserved, 5000000);
        node_deinit(&node);
}

Test(plan, diff_names_what_differs_alone) {
        Settings have = {}, want = {}, diff;

        settings_put(&have, SETTING_CPU_MAX, 100);
        settings_put(&have, SETTING_MEMORY_MAX, 7);
        settings_put(&want, SETTING_CPU_MAX, 100);
        settings_put(&want, SETTING_MEMORY_MAX, 8);
        settings_put(&want, SETTING_TASKS_MAX, 9);
        settings_diff(&have, &want, &diff);
        cr_expect_eq(diff.present, 1U << SETTING_MEMORY_MAX | 1U << SETTING_TASKS_MAX);
        cr_expect_eq(diff.value[SETTING_MEMORY_MAX], 8);
        settings_put(&want, SETTING_CPU_IDLE, 1);
        settings_put(&want, SETTING_CPU_WEIGHT, 50);
        settings_put(&have, SETTING_CPU_IDLE, 1);
        settings_put(&have, SETTING_CPU_WEIGHT, 0);
        settings_diff(&have, &want, &diff);
        cr_expect_not(settings_has(&diff, SETTING_CPU_WEIGHT), "a weight does not count in the idle class");
}

#define BIT(name) (1U << SETTING_##name)

/* What of one group is written before anything is given to another, and what after. */
Test(plan, floors_are_taken_before_any_is_given) {
        static const struct {
                const char *name;
                uint64_t have[SETTING_MAX], want[SETTING_MAX];
                uint32_t changed, take, give, absent;
        } cases[] = {
                { "nothing", {}, {}, 0, 0, 0, 0 },
                { "a lower weight", { [SETTING_CPU_WEIGHT] = 9 }, { [SETTING_CPU_WEIGHT] = 5 },
                                BIT(CPU_WEIGHT), BIT(CPU_WEIGHT), 0, 0 },
                { "a higher one", { [SETTING_CPU_WEIGHT] = 5 }, { [SETTING_CPU_WEIGHT] = 9 }, BIT(CPU_WEIGHT),
                                0, BIT(CPU_WEIGHT), 0 },
                { "floors both ways", { [SETTING_CPU_WEIGHT] = 9, [SETTING_MEMORY_MIN] = 1 },
                                { [SETTING_CPU_WEIGHT] = 5, [SETTING_MEMORY_MIN] = 2 },
                                BIT(CPU_WEIGHT) | BIT(MEMORY_MIN) | BIT(MEMORY_MAX), BIT(CPU_WEIGHT),
                                BIT(MEMORY_MIN) | BIT(MEMORY_MAX), 0 },
                { "from min to low", { [SETTING_MEMORY_MIN] = 7 }, { [SETTING_MEMORY_LOW] = 7 },
                                BIT(MEMORY_MIN) | BIT(MEMORY_LOW), BIT(MEMORY_MIN), BIT(MEMORY_LOW), 0 },
                { "limits alone", { [SETTING_CPU_MAX] = 5 }, { [SETTING_CPU_MAX] = 9 }, BIT(CPU_MAX),
                                BIT(CPU_MAX), 0, 0 },
                { "a limit goes with a floor that rises", { [SETTING_CPU_MAX] = 9 },
                                { [SETTING_CPU_MAX] = 5, [SETTING_CPU_WEIGHT] = 1 },
                                BIT(CPU_MAX) | BIT(CPU_WEIGHT), 0, BIT(CPU_MAX) | BIT(CPU_WEIGHT), 0 },
                { "into the idle class", {}, { [SETTING_CPU_IDLE] = 1 }, BIT(CPU_IDLE), BIT(CPU_IDLE), 0, 0 },
                { "out of it, with a weight that could not be read", { [SETTING_CPU_IDLE] = 1 },
                                { [SETTING_CPU_WEIGHT] = 5 }, BIT(CPU_IDLE) | BIT(CPU_WEIGHT), 0,
                                BIT(CPU_IDLE) | BIT(CPU_WEIGHT), BIT(CPU_WEIGHT) },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Settings have = { .present = ((1U << SETTING_MAX) - 1) & ~cases[i].absent }, take, give;
                Settings changes = { .present = cases[i].changed };

                memcpy(have.value, cases[i].have, sizeof have.value);
                memcpy(changes.value, cases[i].want, sizeof changes.value);
                settings_split(&have, &changes, &take, &give);
                cr_expect_eq(take.present, cases[i].take, "%s: takes %#x", cases[i].name, take.present);
                cr_expect_eq(give.present, cases[i].give, "%s: gives %#x", cases[i].name, give.present);
                for (Setting setting = 0; setting < SETTING_MAX; setting++)
                        if (settings_has(&changes, setting))
                                cr_expect_eq((settings_has(&take, setting) ? take : give).value[setting],
                                                changes.value[setting], "%s", cases[i].name);
        }
}

Test(plan, effective_is_desired_where_the_kernel_holds_it) {
        Node node = {};
        _cleanup_plan_ Plan plan = PLAN_NULL;
        _cleanup_resource_set_ ResourceSet effective = RESOURCE_SET_NULL;
        GroupState observed = { .limit_files = (1U << LIMIT_FILE_MAX) - 1 };
        PlanInput input;

        add(&node, "a", "t", ALLOCATION_ACTIVE, (Amount){ 333, 777 }, (Amount){ 64 * MIB, 128 * MIB },
                        (Amount){ 5000000, 50000000 });
        input = input_of(&node);
        cr_assert_eq(plan_make(&input, &plan), 0);
        observed.settings = plan.tenants[0]->settings;
        cr_assert_eq(plan_effective(&input, plan.tenants[0], &observed, plan.uplinks, plan.uplinks, 1,
                                     &effective),
                        0);
        cr_expect(resource_set_equal(&effective, &plan.tenants[0]->share));
        resource_set_deinit(&effective);

        settings_put(&observed.settings, SETTING_CPU_MAX, UNLIMITED);
        settings_put(&observed.settings, SETTING_MEMORY_MAX, 1 * MIB);
        cr_assert_eq(plan_effective(&input, plan.tenants[0], &observed, plan.uplinks, plan.uplinks, 1,
                                     &effective),
                        0);
        cr_expect_eq(resource_set_get(&effective, RESOURCE_CPU, "")->limit, UNLIMITED);
        cr_expect_eq(resource_set_get(&effective, RESOURCE_MEMORY, "")->limit, 1 * MIB);
        node_deinit(&node);
}

static const BlockDevice devices[] = {
        { .number = "8:0", .name = "sda", .leaf = true, .policy = IO_POLICY_COST, .latency_usec = 5000 },
        { .number = "8:16", .name = "sdb", .leaf = true, .policy = IO_POLICY_BFQ },
        { .number = "253:0", .name = "dm-0" },
};

static void ask(Node *node, const char *id, const char *tenant_id, const char *resource, Amount amount) {
        Allocation *a = calendar_find(&node->calendar, id), *replaced;
        char target[RESOURCE_TARGET_SIZE];
        ResourceKind kind;
        Tenant *tenant;

        cr_assert_eq(resource_parse_name(resource, &kind, target), 0, "%s", resource);
        if (!node_find_tenant(node, tenant_id))
                cr_assert_eq(node_add_tenant(node, tenant_id, 100, &tenant), 0);
        if (!a) {
                cr_assert_eq(allocation_new(&a), 0);
                a->id = strdup(id);
                a->tenant_id = strdup(tenant_id);
                a->state = ALLOCATION_ACTIVE;
                cr_assert_eq(calendar_put(&node->calendar, a, &replaced), 0);
        }
        cr_assert_eq(resource_set_put(&a->resources, kind, target, amount), 0);
}

/* What one tenant asks for, and what its group holds by device. */
static const struct {
        const char *name;
        struct {
                const char *resource;
                Amount amount;
        } asked[3];
        struct {
                LimitFile file;
                const char *target;
                size_t column;
                uint64_t value;
        } holds[4];
        uint64_t weight;
} by_device[] = {
        { "every device: the lowest ones", { { "io.read", { 0, 500 } } },
                        { { LIMIT_IO_MAX, "8:0", IO_MAX_READ_BYTES, 500 },
                                        { LIMIT_IO_MAX, "8:16", IO_MAX_READ_BYTES, 500 },
                                        { LIMIT_IO_MAX, "253:0", IO_MAX_READ_BYTES, UNLIMITED } },
                        1 },
        { "one device", { { "io.write@8:0", { 0, 500 } } },
                        { { LIMIT_IO_MAX, "8:0", IO_MAX_WRITE_BYTES, 500 },
                                        { LIMIT_IO_MAX, "8:0", IO_MAX_READ_BYTES, UNLIMITED },
                                        { LIMIT_IO_MAX, "8:16", IO_MAX_WRITE_BYTES, UNLIMITED } },
                        1 },
        { "one above others, named", { { "iops.read@253:0", { 0, 7 } } },
                        { { LIMIT_IO_MAX, "253:0", IO_MAX_READ_OPERATIONS, 7 },
                                        { LIMIT_IO_MAX, "8:0", IO_MAX_READ_OPERATIONS, UNLIMITED } },
                        1 },
        { "every device and one more", { { "iops.write", { 0, 7 } }, { "iops.write@8:0", { 0, 2 } } },
                        { { LIMIT_IO_MAX, "8:0", IO_MAX_WRITE_OPERATIONS, 9 },
                                        { LIMIT_IO_MAX, "8:16", IO_MAX_WRITE_OPERATIONS, 7 } },
                        1 },
        { "reserved of every device", { { "io.read", { 100000, UNLIMITED } } },
                        { { LIMIT_IO_WEIGHT, "8:0", 0, 1000 }, { LIMIT_IO_BFQ_WEIGHT, "8:16", 0, 500 },
                                        { LIMIT_IO_LATENCY, "8:0", 0, 5000 } },
                        5000 },
        { "the larger of both ways",
                        { { "io.read@8:0", { 500000, UNLIMITED } }, { "io.write@8:0", { 1, 9 } } },
                        { { LIMIT_IO_WEIGHT, "8:0", 0, UNLIMITED }, { LIMIT_IO_BFQ_WEIGHT, "8:16", 0, 1 },
                                        { LIMIT_IO_LATENCY, "8:0", 0, 5000 } },
                        5000 },
        { "rdma and misc",
                        { { "rdma.handles@mlx5_0", { 0, 3 } }, { "rdma.objects@mlx5_0", { 0, 4 } },
                                        { "misc@sev", { 0, 5 } } },
                        { { LIMIT_RDMA_MAX, "mlx5_0", RDMA_MAX_HANDLES, 3 },
                                        { LIMIT_RDMA_MAX, "mlx5_0", RDMA_MAX_OBJECTS, 4 },
                                        { LIMIT_MISC_MAX, "sev", 0, 5 } },
                        1 },
};

static void put_abilities(ResourceSet *capacity) {
        cr_assert_eq(resource_set_put(capacity, RESOURCE_IO_READ, "8:0", (Amount){ 0, 1000000 }), 0);
        cr_assert_eq(resource_set_put(capacity, RESOURCE_IO_READ, "8:16", (Amount){ 0, 200000 }), 0);
}

Test(plan, what_is_held_by_device) {
        _cleanup_resource_set_ ResourceSet capacity = RESOURCE_SET_NULL;

        put_abilities(&capacity);
        for (size_t i = 0; i < ELEMENTSOF(by_device); i++) {
                _cleanup_resource_set_ ResourceSet effective = RESOURCE_SET_NULL;
                GroupState state = { .limit_files = (1U << LIMIT_FILE_MAX) - 1 };
                _cleanup_plan_ Plan plan = PLAN_NULL;
                Node node = {};
                PlanInput input;

                for (size_t k = 0; k < 3 && by_device[i].asked[k].resource; k++)
                        ask(&node, "a", "t", by_device[i].asked[k].resource, by_device[i].asked[k].amount);
                input = input_of(&node);
                input.block_devices = devices;
                input.n_block_devices = ELEMENTSOF(devices);
                input.capacity = &capacity;
                cr_assert_eq(plan_make(&input, &plan), 0);
                for (size_t k = 0; k < 4 && by_device[i].holds[k].target; k++)
                        cr_expect_eq(limit_set_get(&plan.tenants[0]->limits, by_device[i].holds[k].file,
                                                     by_device[i].holds[k].target,
                                                     by_device[i].holds[k].column),
                                        by_device[i].holds[k].value, "%s: %s %zu", by_device[i].name,
                                        by_device[i].holds[k].target, by_device[i].holds[k].column);
                cr_expect_eq(plan.tenants[0]->settings.value[SETTING_IO_WEIGHT], by_device[i].weight,
                                "%s: %lu", by_device[i].name,
                                plan.tenants[0]->settings.value[SETTING_IO_WEIGHT]);

                state.settings = plan.tenants[0]->settings;
                cr_assert_eq(limit_set_copy(&plan.tenants[0]->limits, &state.limits), 0);
                cr_assert_eq(plan_effective(&input, plan.tenants[0], &state, plan.uplinks, plan.uplinks, 1,
                                             &effective),
                                0);
                cr_expect(resource_set_equal(&effective, &plan.tenants[0]->share), "%s", by_device[i].name);
                limit_set_deinit(&state.limits);
                node_deinit(&node);
        }
}

Test(plan, effective_is_what_a_device_lacks) {
        _cleanup_resource_set_ ResourceSet effective = RESOURCE_SET_NULL;
        GroupState state = { .limit_files = (1U << LIMIT_FILE_MAX) - 1 };
        _cleanup_plan_ Plan plan = PLAN_NULL;
        Node node = {};
        PlanInput input;

        ask(&node, "a", "t", "io.read", (Amount){ 100, 500 });
        ask(&node, "a", "t", "hugetlb.2M", (Amount){ 0, 4 * MIB });
        input = input_of(&node);
        input.block_devices = devices;
        input.n_block_devices = ELEMENTSOF(devices);
        cr_assert_eq(plan_make(&input, &plan), 0);
        state.settings = plan.tenants[0]->settings;
        settings_put(&state.settings, SETTING_HUGETLB_2M, 6 * MIB);
        cr_assert_eq(limit_set_put(&state.limits, LIMIT_IO_MAX, "8:0", IO_MAX_READ_BYTES, 500), 0);
        cr_assert_eq(plan_effective(&input, plan.tenants[0], &state, plan.uplinks, plan.uplinks, 1,
                                     &effective),
                        0);
        cr_expect_eq(resource_set_get(&effective, RESOURCE_IO_READ, "")->limit, UNLIMITED, "8:16 has none");
        cr_expect_eq(resource_set_get(&effective, RESOURCE_HUGETLB_2M, "")->limit, 6 * MIB);
        resource_set_deinit(&effective);

        state.limit_files = 0;
        state.settings.present &= ~(1U << SETTING_HUGETLB_2M);
        cr_assert_eq(plan_effective(&input, plan.tenants[0], &state, plan.uplinks, plan.uplinks, 1,
                                     &effective),
                        0);
        cr_expect_null(resource_set_get(&effective, RESOURCE_IO_READ, ""), "cannot be read back");
        cr_expect_null(resource_set_get(&effective, RESOURCE_HUGETLB_2M, ""));
        limit_set_deinit(&state.limits);
        node_deinit(&node);
}

Test(plan, the_rest_of_what_a_group_carries) {
        _cleanup_resource_set_ ResourceSet capacity = RESOURCE_SET_NULL, targets = RESOURCE_SET_NULL;
        _cleanup_plan_ Plan plan = PLAN_NULL;
        Node node = {};
        PlanInput input;
        Tenant *idle;

        put_abilities(&capacity);
        cr_assert_eq(resource_set_put(&targets, RESOURCE_MISC, "sev", (Amount){}), 0);
        ask(&node, "a", "t", "cpu", (Amount){ 100, 1500 });
        ask(&node, "a", "t", "io.read@8:16", (Amount){ 40000, UNLIMITED });
        cr_assert_eq(node_add_tenant(&node, "u", 100, &idle), 0);
        input = input_of(&node);
        input.io_sibling_weight = 300;
        input.block_devices = devices;
        input.n_block_devices = ELEMENTSOF(devices);
        input.capacity = &capacity;
        input.targets = &targets;
        input.residual.io_bytes = 4 * MIB;
        input.cpu_burst_percent = 30;
        input.oom_group = true;
        cr_assert_eq(plan_make(&input, &plan), 0);
        cr_expect_eq(plan.tenants[0]->settings.value[SETTING_CPU_BURST], 45000, "of 150 ms a period");
        cr_expect_eq(plan.tenants[0]->settings.value[SETTING_OOM_GROUP], 1);
        cr_expect_eq(plan.tenants[0]->settings.value[SETTING_HUGETLB_1G], UNLIMITED, "not named: no ceiling");
        cr_expect_eq(limit_set_get(&plan.tenants[1]->limits, LIMIT_IO_MAX, "8:16", IO_MAX_WRITE_BYTES),
                        4 * MIB, "the residual share");
        cr_expect_eq(limit_set_get(&plan.tenants[1]->limits, LIMIT_MISC_MAX, "sev", 0), 0);
        cr_expect_eq(plan.tenants[1]->settings.value[SETTING_HUGETLB_2M], 0);
        cr_expect_eq(plan.tenants[1]->settings.value[SETTING_IO_WEIGHT], 1);
        cr_expect_eq(plan.parent.value[SETTING_IO_WEIGHT], 100, "never less than the default");
        plan_deinit(&plan);
        input.io_sibling_weight = 2000;
        cr_assert_eq(plan_make(&input, &plan), 0);
        cr_expect_eq(plan.parent.value[SETTING_IO_WEIGHT], 2000 * 2000 / 8000 + 1, "a fifth of 8:16");
        node_deinit(&node);
}
