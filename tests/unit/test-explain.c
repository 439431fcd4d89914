/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "decide/explain.h"

#include <criterion/criterion.h>
#include <string.h>

#define MIB (1ULL << 20)

static const UplinkCapacity uplink = {
        .kind = RESOURCE_NET_EGRESS, .name = "eth0", .is_default = true, .capacity_bps = 100000000
};

static Node node;
static PlanInput input;
static Plan plan;

static Allocation *add(const char *id, const char *tenant_id, AllocationState state, Amount cpu,
                Amount memory, Amount net) {
        Allocation *a, *replaced;
        Tenant *tenant;

        if (!node_find_tenant(&node, tenant_id))
                cr_assert_eq(node_add_tenant(&node, tenant_id, 100, &tenant), 0);
        cr_assert_eq(allocation_new(&a), 0);
        a->id = strdup(id);
        a->tenant_id = strdup(tenant_id);
        a->state = state;
        a->window = (Window){ 1795341600000000, UINT64_MAX }; /* 2026-11-22T10:00:00Z */
        cr_assert_eq(resource_set_put(&a->resources, RESOURCE_CPU, "", cpu), 0);
        cr_assert_eq(resource_set_put(&a->resources, RESOURCE_MEMORY, "", memory), 0);
        cr_assert_eq(resource_set_put(&a->resources, RESOURCE_NET_EGRESS, "", net), 0);
        a->start_usec = a->window.start_usec;
        a->end_usec = a->window.end_usec;
        cr_assert_eq(calendar_put(&node.calendar, a, &replaced), 0);
        return a;
}

/* Tenants in the order of their ids: both with two allocations, ends in its residual share, seen observed,
 * xlent with all that it has lent. */
static void make(void) {
        add("b1", "both", ALLOCATION_ACTIVE, (Amount){ 500, 1000 }, (Amount){ 64 * MIB, 64 * MIB },
                        (Amount){ 1000000, 2000000 });
        add("b2", "both", ALLOCATION_SUSPENDED, (Amount){ 200, 500 }, (Amount){ 32 * MIB, 96 * MIB },
                        (Amount){ 0, 500000000 });
        add("e1", "ends", ALLOCATION_ENDED, (Amount){ 1000, 4000 }, (Amount){ 0, UNLIMITED },
                        (Amount){ 0, 8 });
        add("s1", "seen", ALLOCATION_ENDING, (Amount){ 100, 300 }, (Amount){ 16 * MIB, UNLIMITED },
                        (Amount){ 0, 5000000 });
        add("x1", "xlent", ALLOCATION_SUSPENDED, (Amount){ 200, 500 }, (Amount){ 0, UNLIMITED },
                        (Amount){ 0, 5000000 });
        node_find_tenant(&node, "ends")->throttled = true;
        node_find_tenant(&node, "ends")->residual_memory_bytes = 80 * MIB;
        node_find_tenant(&node, "seen")->observed = true;
        input = (PlanInput){ &node, 4000, 200,
                { .cpu_millicores = 50, .memory_bytes = 64 * MIB, .tasks = 256, .net_egress_bps = 1000000 },
                &uplink, 1 };
        cr_assert_eq(plan_make(&input, &plan), 0);
}

static void unmake(void) {
        plan_deinit(&plan);
        node_deinit(&node);
}

TestSuite(explain, .init = make, .fini = unmake);

enum { BOTH, ENDS, SEEN, LENT };

static const struct {
        const char *name;
        int tenant;
        Setting setting;
        const char *why;
} settings[] = {
        { "a limit, of who runs and who lends", BOTH, SETTING_CPU_MAX,
                        "limit 1000 = 1000 (b1, active) + 0 (b2, suspended and lent) (millicores); 1000 µs a "
                        "second for each millicore" },
        { "a weight", BOTH, SETTING_CPU_WEIGHT,
                        "10000 × reserved / 4000 millicores of the node, from 1 to 10000; reserved 500 = 500 "
                        "(b1, active) + 0 (b2, suspended and lent)" },
        { "no idle class", BOTH, SETTING_CPU_IDLE, "not all its allocations are best-effort" },
        { "a floor of guaranteed ones", BOTH, SETTING_MEMORY_MIN,
                        "what its guaranteed allocations reserve of memory = 0 (bytes)" },
        { "a floor of the others", BOTH, SETTING_MEMORY_LOW,
                        "what its other allocations reserve of memory = 67108864 (b1, active) + 33554432 "
                        "(b2, "
                        "suspended) (bytes)" },
        { "room to reclaim in", BOTH, SETTING_MEMORY_HIGH,
                        "a sixteenth of what lies between reserved 100663296 and limit 167772160 below the "
                        "limit: reclaim comes before the kill" },
        { "what nobody names", BOTH, SETTING_TASKS_MAX, "no allocation names tasks (count)" },
        { "what may be saved up", BOTH, SETTING_CPU_BURST,
                        "cpu-burst of the configuration, 0 % of the quota of a tenth of a second" },
        { "nothing reserved of block devices", BOTH, SETTING_IO_WEIGHT,
                        "10000 × reserved / what the block device can do, of that of which it has the "
                        "largest part, from 1 to "
                        "10000" },
        { "huge pages", ENDS, SETTING_HUGETLB_2M,
                        "limit 0, the residual share of the configuration: no allocation is active (bytes)" },
        { "the residual share", ENDS, SETTING_CPU_MAX,
                        "limit 50, the residual share of the configuration: no allocation is active "
                        "(millicores); 1000 µs a second for each millicore" },
        { "throttled at its end", ENDS, SETTING_CPU_IDLE,
                        "OnEnd of its last allocation is throttle: the idle class" },
        { "no weight there", ENDS, SETTING_CPU_WEIGHT, "it is in the idle class, where no weight counts" },
        { "what it had", ENDS, SETTING_MEMORY_HIGH,
                        "what it had when its last allocation ended, 83886080 bytes, and at least the "
                        "residual "
                        "67108864" },
        { "what it had, and more", ENDS, SETTING_MEMORY_MAX,
                        "the residual share: memory.high of 83886080 bytes, a quarter of it and 16 MiB "
                        "more" },
        { "of who ends, no floor", SEEN, SETTING_CPU_WEIGHT,
                        "10000 × reserved / 4000 millicores of the node, from 1 to 10000; reserved 0 = 0 "
                        "(s1, "
                        "ending, of 100 promised)" },
        { "no limit", SEEN, SETTING_MEMORY_HIGH, "its memory has no limit" },
};

Test(explain, each_setting_by_its_rule_and_its_parts) {
        for (size_t i = 0; i < ELEMENTSOF(settings); i++) {
                _cleanup_free_ char *why = NULL;

                cr_assert_eq(explain_setting(&input, plan.tenants[settings[i].tenant], settings[i].setting,
                                             &why),
                                0, "%s", settings[i].name);
                cr_expect_str_eq(why, settings[i].why, "%s: %s", settings[i].name, why);
        }
}

Test(explain, every_setting_that_is_planned_has_its_words) {
        for (Setting setting = 0; setting < SETTING_MAX; setting++) {
                _cleanup_free_ char *why = NULL, *parent = NULL;

                if (settings_has(&plan.tenants[BOTH]->settings, setting))
                        cr_expect_eq(explain_setting(&input, plan.tenants[BOTH], setting, &why), 0,
                                        "setting %d has no row", (int) setting);
                if (settings_has(&plan.parent, setting))
                        cr_expect_eq(explain_parent(&input, &plan, setting, &parent), 0);
        }
}

Test(explain, a_share_of_which_all_is_lent) {
        _cleanup_free_ char *share = NULL, *class = NULL;

        cr_assert_eq(explain_share(&input, plan.tenants[LENT], &plan.tenants[LENT]->share.entries[0], &share),
                        0);
        cr_expect_str_eq(share,
                        "reserved 0 = 0 (x1, suspended and lent); limit 50, the residual share of the "
                        "configuration: what it has else is lent (millicores)",
                        "%s", share);
        cr_assert_eq(explain_class(&input, plan.tenants[LENT], &uplink, &class), 0);
        cr_expect_not_null(strstr(class, "limit 1000000, the residual share of the configuration: what it "
                                         "has else is lent is its ceil"),
                        "%s", class);
}

Test(explain, a_share_and_a_class) {
        _cleanup_free_ char *share = NULL, *class = NULL, *observed = NULL, *residual = NULL;

        cr_assert_eq(explain_share(&input, plan.tenants[BOTH], &plan.tenants[BOTH]->share.entries[0], &share),
                        0);
        cr_expect_str_eq(share, "reserved 500 = 500 (b1, active) + 0 (b2, suspended and lent); limit 1000 = "
                                "1000 (b1, active) + 0 (b2, suspended and lent) (millicores)");
        cr_assert_eq(explain_class(&input, plan.tenants[BOTH], &uplink, &class), 0);
        cr_expect_str_eq(class,
                        "reserved 1000000 = 1000000 (b1, active) + 0 (b2, suspended and lent) is its rate; "
                        "limit 2000000 = 2000000 (b1, active) + 0 (b2, suspended and lent) is its ceil; no "
                        "more "
                        "than the uplink's 100000000 (bit/s); it borrows before the idle class");
        cr_assert_eq(explain_class(&input, plan.tenants[SEEN], &uplink, &observed), 0);
        cr_expect_not_null(strstr(observed, "observed, it has no class: its traffic is the default class's"));
        cr_assert_eq(explain_class(&input, plan.tenants[ENDS], &uplink, &residual), 0);
        cr_expect_str_eq(residual, "limit 1000000, the residual share of the configuration: no allocation is "
                                   "active is its ceil; no more than the uplink's 100000000 (bit/s); in the "
                                   "idle class it borrows last");
}

Test(explain, where_it_runs) {
        static const Placement placement = { .cpus = { { 0xf } } };
        Allocation *b1 = calendar_find(&node.calendar, "b1");
        _cleanup_free_ char *anywhere = NULL, *cpus = NULL, *nodes = NULL;
        TenantPlan *both = plan.tenants[BOTH];

        cr_assert_eq(explain_placement(&input, both, /* of_nodes= */ false, &anywhere), 0);
        cr_expect_str_eq(anywhere, "nothing asks for less than all that there are");
        both->placement = malloc(sizeof placement);
        *both->placement = placement;
        b1->cpu_set = strdup("0-1");
        b1->cpu_set_mode = PLACEMENT_EXCLUSIVE;
        cr_assert_eq(explain_placement(&input, both, /* of_nodes= */ false, &cpus), 0);
        cr_expect_str_eq(cpus, "b1 (active) has CPUs 0-1, alone; b2 (suspended) names none, and runs on what "
                               "nobody has alone");
        cr_assert_eq(explain_placement(&input, both, /* of_nodes= */ true, &nodes), 0);
        cr_expect_str_eq(nodes, "nothing asks for less than all that there are");
}

Test(explain, the_parent_and_the_capacity) {
        Resource entry = { RESOURCE_CPU, "", { 0, 900 } }, hardware = { RESOURCE_CPU, "", { 0, 3900 } };
        const Capacity capacity = { .total = { &entry, 1 }, .hardware = { &hardware, 1 } };
        _cleanup_free_ char *weight = NULL, *low = NULL, *cpu = NULL;

        cr_assert_eq(explain_parent(&input, &plan, SETTING_CPU_WEIGHT, &weight), 0);
        cr_expect_str_eq(weight,
                        "groups beside it weigh 200; reserved 500 = 500 (both) of 4000 millicores, and a "
                        "hundredth of the node for each of 1 tenants that are observed: siblings × R / (C − "
                        "R) + 1, from 100 to 10000");
        cr_assert_eq(explain_parent(&input, &plan, SETTING_MEMORY_LOW, &low), 0);
        cr_expect_str_eq(low, "the sum of its tenants' = 100663296 (both)");
        cr_assert_eq(explain_capacity(&capacity, &plan, &entry, 500, &cpu), 0);
        cr_expect_str_eq(cpu,
                        "what there is less what is kept for the system, 3900, bounded by an operator to 900 "
                        "(millicores); 500 reserved now; limits are overcommitted, their sum is 1400");
}

Test(explain, the_default_uplink_by_no_name) {
        Resource entry = { RESOURCE_NET_EGRESS, "eth0", { 0, 6000000 } };
        const Capacity capacity = { .total = { &entry, 1 }, .default_uplink = "eth0" };
        _cleanup_free_ char *egress = NULL;

        cr_assert_eq(explain_capacity(&capacity, &plan, &entry, 1000000, &egress), 0);
        cr_expect_str_eq(egress,
                        "what there is less what is kept for the system, 6000000 (bit/s); 1000000 reserved "
                        "now; limits are overcommitted, their sum is 9000000");
}

Test(explain, an_allocation) {
        Allocation *lender = calendar_find(&node.calendar, "b2"), *b1 = calendar_find(&node.calendar, "b1"),
                   *ending = calendar_find(&node.calendar, "s1");
        _cleanup_free_ char *state = NULL, *part = NULL, *lent = NULL, *none = NULL, *class = NULL,
                            *grace = NULL;

        b1->reason = strdup("its window is open");
        cr_assert_eq(explain_state(&node.calendar, true, b1, &state), 0);
        cr_expect_str_eq(state, "its window is open; its window ends never");
        cr_assert_eq(explain_part(&node.calendar, true, b1, &b1->resources.entries[0], &part), 0);
        cr_expect_str_eq(part,
                        "active: its tenant's share has reserved 500 and limit 1000 of it (millicores)");
        cr_assert_eq(explain_part(&node.calendar, true, lender, &lender->resources.entries[0], &lent), 0);
        cr_expect_str_eq(lent, "suspended: it is lent to others (millicores)");
        cr_assert_eq(explain_part(&node.calendar, true, calendar_find(&node.calendar, "e1"),
                                     &ending->resources.entries[0], &none),
                        0);
        cr_expect_str_eq(none, "ended: it is no part of its tenant's share (millicores)");
        cr_assert_eq(explain_qos_class(b1, &class), 0);
        cr_expect_str_eq(class, "something is reserved, and not all of it is its limit");
        ending->grace_usec = 5000000;
        cr_assert_eq(explain_state(&node.calendar, true, ending, &grace), 0);
        cr_expect_str_eq(grace, "it was accepted; GraceTime is 5000000 µs: ceilings hold, floors are gone");
}

Test(explain, others_are_named_to_readers_alone) {
        Allocation *lender = calendar_find(&node.calendar, "b2"), *own = calendar_find(&node.calendar, "b1"),
                   *other = calendar_find(&node.calendar, "s1"), *borrowers[] = { own, other },
                   **held = lender->borrowers;
        size_t n_held = lender->n_borrowers;

        other->priority = 7;
        lender->reason = strdup("allocation s1, of higher priority, uses what it reserves");
        lender->borrowers = borrowers;
        lender->n_borrowers = 2;
        for (int is_reader = 0; is_reader < 2; is_reader++) {
                _cleanup_free_ char *why = NULL;

                cr_assert_eq(explain_state(&node.calendar, is_reader, lender, &why), 0);
                cr_expect_not_null(
                                strstr(why, is_reader ? "; it lends to b1 (priority 0), s1 (priority 7)"
                                                      : "; it lends to b1 (priority 0), another allocation"),
                                "%s", why);
                cr_expect_not_null(strstr(why, is_reader ? "allocation s1, of higher priority, uses"
                                                         : "an allocation of higher priority uses"),
                                "%s", why);
        }
        lender->borrowers = held;
        lender->n_borrowers = n_held;
}
