/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/allocation-claim.h"
#include "model/allocation-placement.h"

#include <criterion/criterion.h>
#include <string.h>

#define MIB (1ULL << 20)

static Allocation *make(const char *cpus, PlacementMode mode, uint64_t reserved) {
        Allocation *a;

        cr_assert_eq(allocation_new(&a), 0);
        a->id = strdup("a");
        a->tenant_id = strdup("t");
        a->generation = 1;
        a->cpu_set = cpus ? strdup(cpus) : NULL;
        a->cpu_set_mode = mode;
        cr_assert_eq(resource_set_put(&a->resources, RESOURCE_CPU, "", (Amount){ reserved, UNLIMITED }), 0);
        return a;
}

static const struct {
        const char *name, *cpus;
        PlacementMode mode;
        uint64_t reserved;
        const char *words; /* NULL: it is a request */
} cases[] = {
        { "anywhere", NULL, PLACEMENT_SHARED, 500 },
        { "an empty list is none", "", PLACEMENT_SHARED, 500 },
        { "shared", "0-3,8", PLACEMENT_SHARED, 500 },
        { "all that they have", "0-1", PLACEMENT_SHARED, 2000 },
        { "more than they have", "0-1", PLACEMENT_SHARED, 2001,
                        "cpu reserved 2001 is over what CpuSet '0-1' has, 2000 millicores" },
        { "best effort", "0-1", PLACEMENT_SHARED, 0 },
        { "alone", "0-1", PLACEMENT_EXCLUSIVE, 2000 },
        { "alone with less", "0-1", PLACEMENT_EXCLUSIVE, 1000,
                        "CpuSetMode 'exclusive' needs cpu reserved 2000, 1000 millicores for each CPU of "
                        "CpuSet "
                        "'0-1', not 1000" },
        { "alone with more", "0-1", PLACEMENT_EXCLUSIVE, 3000, "not 3000" },
        { "chosen", NULL, PLACEMENT_EXCLUSIVE, 3000 },
        { "chosen, of an empty list", "", PLACEMENT_EXCLUSIVE, 1000 },
        { "half a CPU chosen", NULL, PLACEMENT_EXCLUSIVE, 1500,
                        "whole CPUs, 1000 millicores each, not 1500" },
        { "none chosen", NULL, PLACEMENT_EXCLUSIVE, 0, "whole CPUs" },
        { "more chosen than there can be", NULL, PLACEMENT_EXCLUSIVE, 8193000, "whole CPUs" },
        { "no list", "0-", PLACEMENT_SHARED, 0, "CpuSet must be numbers and ascending ranges" },
        { "a newline", "0\n", PLACEMENT_SHARED, 0, "CpuSet must be numbers" },
        { "a number too high", "0,8192", PLACEMENT_SHARED, 0, "CpuSet '0,8192' has a number over 8191" },
};

Test(allocation_placement, requests) {
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_allocation_ Allocation *a = make(cases[i].cpus, cases[i].mode, cases[i].reserved);
                _cleanup_failure_ Failure failure = FAILURE_NULL;

                cr_expect_eq(allocation_validate(a, &failure),
                                cases[i].words ? FAILURE_INVALID_ALLOCATION : FAILURE_NONE, "%s: %s",
                                cases[i].name, failure.message ?: "");
                if (cases[i].words)
                        cr_expect(failure.message && strstr(failure.message, cases[i].words), "%s: '%s'",
                                        cases[i].name, failure.message);
        }
}

Test(allocation_placement, a_list_has_a_length) {
        _cleanup_allocation_ Allocation *a = make("0", PLACEMENT_SHARED, 0);
        _cleanup_failure_ Failure failure = FAILURE_NULL;

        free(a->cpu_set);
        a->cpu_set = calloc(1, 1025);
        for (int i = 0; i < 1024; i++)
                a->cpu_set[i] = i % 2 ? ',' : '1';
        cr_expect_eq(allocation_validate(a, &failure), FAILURE_INVALID_ALLOCATION);
        cr_expect(strstr(failure.message, "CpuSet must be at most 1023 bytes"), "%s", failure.message);
}

Test(allocation_placement, nodes) {
        _cleanup_allocation_ Allocation *a = make(NULL, PLACEMENT_SHARED, 0);
        _cleanup_failure_ Failure failure = FAILURE_NULL;

        a->numa_nodes = strdup("0-1");
        cr_expect_eq(allocation_validate(a, &failure), 0);
        a->numa_mode = PLACEMENT_EXCLUSIVE;
        cr_expect_eq(allocation_validate(a, &failure), 0);
        strcpy(a->numa_nodes, "1-0");
        cr_expect_eq(allocation_validate(a, &failure), FAILURE_INVALID_ALLOCATION);
        cr_expect(strstr(failure.message, "NumaNodes must be numbers"), "%s", failure.message);
        a->numa_nodes[0] = '\0';
        cr_expect_eq(allocation_validate(a, &failure), FAILURE_INVALID_ALLOCATION);
        cr_expect(strstr(failure.message, "NumaMode 'exclusive' needs NumaNodes"), "%s", failure.message);
}

static uint64_t claim_of(const Allocation *a, ResourceKind kind, const char *target) {
        _cleanup_resource_set_ ResourceSet claims = RESOURCE_SET_NULL;
        Calendar calendar = CALENDAR_NULL;
        const Amount *amount;

        cr_assert_eq(allocation_claims(&calendar, a, &claims), 0);
        amount = resource_set_get(&claims, kind, target);
        return amount ? amount->reserved : 0;
}

Test(allocation_placement, claims) {
        _cleanup_allocation_ Allocation *alone = make("2-3", PLACEMENT_EXCLUSIVE, 2000),
                                        *shared = make("2-3", PLACEMENT_SHARED, 500),
                                        *idle = make("2", PLACEMENT_SHARED, 0),
                                        *chosen = make(NULL, PLACEMENT_EXCLUSIVE, 2000),
                                        *anywhere = make(NULL, PLACEMENT_SHARED, 500);

        cr_expect_eq(claim_of(alone, RESOURCE_CPU, ""), 2000,
                        "what is had alone is the shared capacity's loss");
        cr_expect_eq(claim_of(alone, RESOURCE_CPUSET, "2"), CPU_CLAIM_ALL);
        cr_expect_eq(claim_of(alone, RESOURCE_CPUSET, "3"), CPU_CLAIM_ALL);
        cr_expect_eq(claim_of(alone, RESOURCE_CPUSET, ""), 2000);
        cr_expect_eq(claim_of(shared, RESOURCE_CPUSET, "2"), 250 * CPU_CLAIM_PARTS + 1);
        cr_expect_eq(claim_of(shared, RESOURCE_CPUSET, ""), 0);
        cr_expect_eq(claim_of(idle, RESOURCE_CPUSET, "2"), 1, "nobody can have it alone");
        cr_expect_eq(claim_of(chosen, RESOURCE_CPUSET, ""), 2000, "also before they are chosen");
        cr_expect_eq(claim_of(chosen, RESOURCE_CPUSET, "2"), 0);
        chosen->assigned_cpus = strdup("2,5");
        cr_expect_eq(claim_of(chosen, RESOURCE_CPUSET, "5"), CPU_CLAIM_ALL);
        cr_expect_eq(claim_of(anywhere, RESOURCE_CPUSET, "2"), 0);
}

Test(allocation_placement, a_node_alone_is_claimed_with_its_memory) {
        _cleanup_allocation_ Allocation *a = make(NULL, PLACEMENT_SHARED, 0);

        cr_assert_eq(resource_set_put(&a->resources, RESOURCE_MEMORY, "", (Amount){ 64 * MIB, 64 * MIB }), 0);
        a->numa_nodes = strdup("1");
        cr_expect_eq(claim_of(a, RESOURCE_NUMA, "1"), 1);
        cr_expect_eq(claim_of(a, RESOURCE_MEMORY, ""), 64 * MIB);
        a->numa_mode = PLACEMENT_EXCLUSIVE;
        a->node_memory_bytes = 1024 * MIB;
        cr_expect_eq(claim_of(a, RESOURCE_NUMA, "1"), NODE_CLAIM_ALL);
        cr_expect_eq(claim_of(a, RESOURCE_NUMA, ""), 1);
        cr_expect_eq(claim_of(a, RESOURCE_MEMORY, ""), 1024 * MIB, "nobody else has the rest of it");
        a->node_memory_bytes = 32 * MIB;
        cr_expect_eq(claim_of(a, RESOURCE_MEMORY, ""), 64 * MIB);
}

Test(allocation_placement, what_is_short_looks_short) {
        static const struct {
                ResourceKind kind;
                const char *target;
                uint64_t wanted, free, shown, left;
        } amounts[] = {
                { RESOURCE_CPUSET, "1", CPU_CLAIM_ALL, 0, 1000, 0 },
                { RESOURCE_CPUSET, "1", CPU_CLAIM_ALL, CPU_CLAIM_ALL - 1, 1000, 999 },
                { RESOURCE_CPUSET, "1", 500 * CPU_CLAIM_PARTS + 1, 250 * CPU_CLAIM_PARTS, 500, 250 },
                { RESOURCE_CPUSET, "1", 1, 0, 1, 0 },
                { RESOURCE_CPUSET, "", 2000, 1000, 2000, 1000 },
                { RESOURCE_NUMA, "0", NODE_CLAIM_ALL, NODE_CLAIM_ALL - 2, 1, 0 },
                { RESOURCE_CPU, "", 700, 300, 700, 300 },
        };

        for (size_t i = 0; i < ELEMENTSOF(amounts); i++) {
                Resource claim = { .kind = amounts[i].kind };
                Amount shown;

                strcpy(claim.target, amounts[i].target);
                shown = claim_amount_shown(&claim, amounts[i].wanted, amounts[i].free);
                cr_expect_eq(shown.reserved, amounts[i].shown, "case %zu", i);
                cr_expect_eq(shown.limit, amounts[i].left, "case %zu: %zu", i, (size_t) shown.limit);
        }
}
