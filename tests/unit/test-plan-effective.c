/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One resource at a time: what was planned of it, what the kernel holds, and what that is of the share. */

#include "decide/plan.h"

#include <criterion/criterion.h>
#include <string.h>

#define SLOT 3U
#define ABSENT (UINT64_MAX - 1) /* of a value that is planned or observed */

static const struct {
        const char *name;
        Amount share;
        ResourceKind kind;
        struct {
                Setting setting;
                uint64_t planned, observed;
        } values[3];
        bool is_absent;
        Amount effective;
} held[] = {
        { "CPU as planned", { 333, 777 }, RESOURCE_CPU, { { SETTING_CPU_MAX, 777000, 777000 } }, false,
                        { 333, 777 } },
        { "another quota", { 333, 777 }, RESOURCE_CPU, { { SETTING_CPU_MAX, 777000, 250000 } }, false,
                        { 333, 250 } },
        { "no quota", { 333, 777 }, RESOURCE_CPU, { { SETTING_CPU_MAX, 777000, UNLIMITED } }, false,
                        { 333, UNLIMITED } },
        { "another weight", { 1000, 1000 }, RESOURCE_CPU,
                        { { SETTING_CPU_MAX, 1000000, 1000000 }, { SETTING_CPU_WEIGHT, 2500, 100 } }, false,
                        { 40, 1000 } },
        { "the weight of who is idle", { 0, 1000 }, RESOURCE_CPU,
                        { { SETTING_CPU_MAX, 1000000, 1000000 }, { SETTING_CPU_WEIGHT, 1, 100 },
                                        { SETTING_CPU_IDLE, 1, 1 } },
                        false, { 0, 1000 } },
        { "no controller of CPU", { 333, 777 }, RESOURCE_CPU, { { SETTING_CPU_MAX, 777000, ABSENT } }, true,
                        {} },
        { "both floors of memory", { 300, 900 }, RESOURCE_MEMORY,
                        { { SETTING_MEMORY_MAX, 900, 900 }, { SETTING_MEMORY_MIN, 100, 100 },
                                        { SETTING_MEMORY_LOW, 200, 200 } },
                        false, { 300, 900 } },
        { "one of them otherwise", { 300, 900 }, RESOURCE_MEMORY,
                        { { SETTING_MEMORY_MAX, 900, 900 }, { SETTING_MEMORY_MIN, 100, 100 },
                                        { SETTING_MEMORY_LOW, 200, 50 } },
                        false, { 150, 900 } },
        { "the other", { 300, 900 }, RESOURCE_MEMORY,
                        { { SETTING_MEMORY_MAX, 900, 800 }, { SETTING_MEMORY_MIN, 100, 0 },
                                        { SETTING_MEMORY_LOW, 200, 200 } },
                        false, { 200, 800 } },
        { "no controller of memory", { 300, 900 }, RESOURCE_MEMORY, { { SETTING_MEMORY_MAX, 900, ABSENT } },
                        true, {} },
        { "swap", { 0, 70 }, RESOURCE_SWAP, { { SETTING_SWAP_MAX, 70, 71 }, { SETTING_TASKS_MAX, 1, 2 } },
                        false, { 0, 71 } },
        { "tasks", { 0, 70 }, RESOURCE_TASKS, { { SETTING_TASKS_MAX, 70, 72 }, { SETTING_SWAP_MAX, 1, 2 } },
                        false, { 0, 72 } },
        { "small huge pages", { 0, 70 }, RESOURCE_HUGETLB_2M,
                        { { SETTING_HUGETLB_2M, 70, 73 }, { SETTING_HUGETLB_1G, 1, 2 } }, false, { 0, 73 } },
        { "large huge pages", { 0, 70 }, RESOURCE_HUGETLB_1G,
                        { { SETTING_HUGETLB_1G, 70, 74 }, { SETTING_HUGETLB_2M, 1, 2 } }, false, { 0, 74 } },
        { "a limit as planned", { 0, 70 }, RESOURCE_TASKS, { { SETTING_TASKS_MAX, 96, 96 } }, false,
                        { 0, 70 } },
        { "no swap", { 0, 70 }, RESOURCE_SWAP, { { SETTING_SWAP_MAX, 70, ABSENT } }, true, {} },
        { "CPUs by name", { 0, 2 }, RESOURCE_CPUSET, {}, true, {} },
};

static void expect(const char *name, const ResourceSet *effective, ResourceKind kind, const char *target,
                bool is_absent, Amount want) {
        const Amount *have = resource_set_get(effective, kind, target);

        cr_expect_eq(!have, is_absent, "%s", name);
        if (have)
                cr_expect(have->reserved == want.reserved && have->limit == want.limit, "%s: %lu of %lu",
                                name, have->reserved, have->limit);
}

Test(plan_effective, of_a_group) {
        const PlanInput input = { .cpu_millicores = 4000 };
        Tenant tenant = { .slot = SLOT };

        for (size_t i = 0; i < ELEMENTSOF(held); i++) {
                _cleanup_resource_set_ ResourceSet effective = RESOURCE_SET_NULL;
                TenantPlan plan = { .tenant = &tenant };
                GroupState state = {};

                cr_assert_eq(resource_set_put(&plan.share, held[i].kind, "", held[i].share), 0);
                for (size_t k = 0; k < ELEMENTSOF(held[i].values); k++) {
                        Setting setting = held[i].values[k].setting;

                        if (held[i].values[k].planned)
                                settings_put(&plan.settings, setting, held[i].values[k].planned);
                        if (held[i].values[k].planned && held[i].values[k].observed != ABSENT)
                                settings_put(&state.settings, setting, held[i].values[k].observed);
                }
                cr_assert_eq(plan_effective(&input, &plan, &state, NULL, NULL, 0, &effective), 0);
                expect(held[i].name, &effective, held[i].kind, "", held[i].is_absent, held[i].effective);
                resource_set_deinit(&plan.share);
        }
}

static const UplinkCapacity uplinks[] = {
        { .kind = RESOURCE_NET_EGRESS, .name = "eth0", .is_default = true },
        { .kind = RESOURCE_NET_EGRESS, .name = "eth1" },
        { .kind = RESOURCE_NET_INGRESS, .name = "eth1", .is_default = true },
};

static const struct {
        const char *name;
        size_t uplink;
        ResourceKind kind;
        const char *target;
        NetClass observed, planned;
        bool is_absent;
        Amount effective; /* of a share of 800 to 8000 */
} classes[] = {
        { "as planned", 0, RESOURCE_NET_EGRESS, "", { SLOT, 1, 800, 8000 }, { SLOT, 1, 800, 8000 }, false,
                        { 800, 8000 } },
        { "less than a byte off", 0, RESOURCE_NET_EGRESS, "", { SLOT, 1, 807, 8007 }, { SLOT, 1, 800, 8000 },
                        false, { 800, 8000 } },
        { "a byte off", 0, RESOURCE_NET_EGRESS, "", { SLOT, 1, 808, 8008 }, { SLOT, 1, 800, 8000 }, false,
                        { 808, 8008 } },
        { "the least that there is for no floor", 0, RESOURCE_NET_EGRESS, "", { SLOT, 1, 8, 8000 },
                        { SLOT, 1, 0, 8000 }, false, { 800, 8000 } },
        { "of another tenant", 0, RESOURCE_NET_EGRESS, "", { SLOT + 1, 1, 16, 16 }, { SLOT, 1, 800, 8000 },
                        true, {} },
        { "that is not planned", 0, RESOURCE_NET_EGRESS, "", { SLOT, 1, 16, 16 }, { SLOT + 1, 1, 800, 8000 },
                        true, {} },
        { "the default one by name", 0, RESOURCE_NET_EGRESS, "eth0", { SLOT, 1, 16, 16 },
                        { SLOT, 1, 800, 8000 }, false, { 16, 16 } },
        { "another by name", 1, RESOURCE_NET_EGRESS, "eth1", { SLOT, 1, 16, 16 }, { SLOT, 1, 800, 8000 },
                        false, { 16, 16 } },
        { "another than the default one", 1, RESOURCE_NET_EGRESS, "", { SLOT, 1, 16, 16 },
                        { SLOT, 1, 800, 8000 }, true, {} },
        { "the other way", 2, RESOURCE_NET_INGRESS, "", { SLOT, 1, 16, 16 }, { SLOT, 1, 800, 8000 }, false,
                        { 16, 16 } },
        { "the other way alone", 2, RESOURCE_NET_EGRESS, "eth1", { SLOT, 1, 16, 16 }, { SLOT, 1, 800, 8000 },
                        true, {} },
};

Test(plan_effective, of_a_class) {
        const PlanInput input = { .uplinks = uplinks, .n_uplinks = ELEMENTSOF(uplinks) };
        Tenant tenant = { .slot = SLOT };
        const GroupState state = {};

        for (size_t i = 0; i < ELEMENTSOF(classes); i++) {
                NetPlan observed[ELEMENTSOF(uplinks)] = {}, planned[ELEMENTSOF(uplinks)] = {};
                NetClass have = classes[i].observed, want = classes[i].planned;
                _cleanup_resource_set_ ResourceSet effective = RESOURCE_SET_NULL;
                TenantPlan plan = { .tenant = &tenant };

                observed[classes[i].uplink] = (NetPlan){ .classes = &have, .n_classes = 1 };
                planned[classes[i].uplink] = (NetPlan){ .classes = &want, .n_classes = 1 };
                cr_assert_eq(resource_set_put(&plan.share, classes[i].kind, classes[i].target,
                                             (Amount){ 800, 8000 }),
                                0);
                cr_assert_eq(plan_effective(&input, &plan, &state, observed, planned, ELEMENTSOF(uplinks),
                                             &effective),
                                0);
                expect(classes[i].name, &effective, classes[i].kind, classes[i].target, classes[i].is_absent,
                                classes[i].effective);
                resource_set_deinit(&plan.share);
        }
}
