/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "decide/admission.h"
#include "decide/shortage.h"
#include "model/allocation-placement.h"
#include "support/topology-make.h"

#include <criterion/criterion.h>
#include <string.h>

#define GIB (1ULL << 30)

typedef struct Want {
        const char *cpus; /* NULL: none */
        PlacementMode mode;
        const char *nodes;
        PlacementMode node_mode;
        uint64_t cpu, memory;
} Want;

static Allocation *make(const char *id, uint64_t start, uint64_t end, Want want) {
        Allocation *a;

        cr_assert_eq(allocation_new(&a), 0);
        a->id = strdup(id);
        a->tenant_id = strdup(id);
        a->start_usec = start;
        a->end_usec = end;
        a->cpu_set = want.cpus ? strdup(want.cpus) : NULL;
        a->cpu_set_mode = want.mode;
        a->numa_nodes = want.nodes ? strdup(want.nodes) : NULL;
        a->numa_mode = want.node_mode;
        (void) allocation_reckon_windows(a, 0, 0);
        cr_assert_eq(resource_set_put(&a->resources, RESOURCE_CPU, "", (Amount){ want.cpu, want.cpu }), 0);
        cr_assert_eq(resource_set_put(&a->resources, RESOURCE_MEMORY, "",
                                     (Amount){ want.memory, want.memory }),
                        0);
        return a;
}

static Capacity capacity_make(void) {
        Capacity capacity = { .topology = made_topology(2, 2, 1) };

        cr_assert_eq(resource_set_put(&capacity.total, RESOURCE_CPU, "", (Amount){ 0, 3900 }), 0);
        cr_assert_eq(resource_set_put(&capacity.total, RESOURCE_MEMORY, "", (Amount){ 0, 2 * GIB }), 0);
        return capacity;
}

static void capacity_done(Capacity *capacity) {
        resource_set_deinit(&capacity->total);
        topology_deinit(&capacity->topology);
}

static const Want alone_2 = { "2", PLACEMENT_EXCLUSIVE, .cpu = 1000 }, shared_1 = { "1", .cpu = 600 },
                  node_1 = { .nodes = "1", .node_mode = PLACEMENT_EXCLUSIVE, .memory = GIB / 4 };

static void hold(Calendar *calendar, const Capacity *capacity, Allocation *a) {
        Allocation *replaced;
        Verdict verdict;

        cr_assert_eq(admission_check(calendar, capacity, 0, &a, 1, NULL, &verdict), 0);
        cr_assert(verdict.fits, "%s", verdict.failure.message);
        verdict_deinit(&verdict);
        cr_assert_eq(calendar_put(calendar, a, &replaced), 0);
        allocation_free(replaced);
}

/* Of CPUs 0-3 the node holds 2 alone in [100, 200), 1 shared by 600 in [100, 300); node 1 alone in [400,
 * 500). */
static const struct {
        const char *name;
        uint64_t start, end;
        Want want;
        FailureCode code;
        const char *missing; /* what is short, where it does not fit */
        uint64_t wanted, left, earliest;
} cases[] = {
        { "another CPU alone", 100, 200, { "3", PLACEMENT_EXCLUSIVE, .cpu = 1000 }, FAILURE_NONE },
        { "the same alone", 100, 200, { "2", PLACEMENT_EXCLUSIVE, .cpu = 1000 },
                        FAILURE_INSUFFICIENT_RESOURCES, "cpuset@2", 1000, 0, 200 },
        { "the same alone, when it is free again", 200, 300, { "2", PLACEMENT_EXCLUSIVE, .cpu = 1000 },
                        FAILURE_NONE },
        { "the same shared", 150, 160, { "0,2", .cpu = 500 }, FAILURE_INSUFFICIENT_RESOURCES, "cpuset@2", 250,
                        0, 200 },
        { "even by best effort", 150, 160, { "2" }, FAILURE_INSUFFICIENT_RESOURCES, "cpuset@2", 1, 0, 200 },
        { "one that is shared, alone", 100, 200, { "1", PLACEMENT_EXCLUSIVE, .cpu = 1000 },
                        FAILURE_INSUFFICIENT_RESOURCES, "cpuset@1", 1000, 400, 300 },
        { "one that is shared, shared", 100, 200, { "1", .cpu = 400 }, FAILURE_NONE },
        { "one that is shared, by more than it has", 100, 200, { "1", .cpu = 401 },
                        FAILURE_INSUFFICIENT_RESOURCES, "cpuset@1", 401, 400, 300 },
        { "half of it on each of two", 100, 200, { "0-1", .cpu = 800 }, FAILURE_NONE },
        { "best effort beside it", 100, 200, { "1" }, FAILURE_NONE },
        { "all but one alone", 0, 100, { "1-3", PLACEMENT_EXCLUSIVE, .cpu = 3000 }, FAILURE_NONE },
        { "all alone", 0, 100, { "0-3", PLACEMENT_EXCLUSIVE, .cpu = 4000 }, FAILURE_INSUFFICIENT_RESOURCES,
                        "cpu", 4000, 3900, UINT64_MAX },
        { "one chosen", 100, 200, { NULL, PLACEMENT_EXCLUSIVE, .cpu = 1000 }, FAILURE_NONE },
        { "two chosen", 100, 200, { NULL, PLACEMENT_EXCLUSIVE, .cpu = 2000 }, FAILURE_NONE },
        { "three chosen of two", 120, 130, { NULL, PLACEMENT_EXCLUSIVE, .cpu = 3000 },
                        FAILURE_INSUFFICIENT_RESOURCES, "cpuset", 3000, 2000, 200 },
        { "shared capacity is less by what is had alone", 100, 200, { .cpu = 2301 },
                        FAILURE_INSUFFICIENT_RESOURCES, "cpu", 2301, 2300, 200 },
        { "a CPU that is not there", 0, 100, { "9", .cpu = 0 }, FAILURE_INVALID_ALLOCATION },
        { "a node that is not there", 0, 100, { .nodes = "2" }, FAILURE_INVALID_ALLOCATION },
        { "a node alone, shared", 400, 500, { .nodes = "0-1" }, FAILURE_INSUFFICIENT_RESOURCES, "numa@1", 1,
                        0, 500 },
        { "the other node alone", 400, 500, { .nodes = "0", .node_mode = PLACEMENT_EXCLUSIVE },
                        FAILURE_INSUFFICIENT_RESOURCES, "numa", 1, 0, 500 },
        { "the other node", 400, 500, { .nodes = "0", .memory = GIB }, FAILURE_NONE },
        { "memory of a node alone is nobody else's", 400, 500, { .memory = GIB + 1 },
                        FAILURE_INSUFFICIENT_RESOURCES, "memory", GIB + 1, GIB, 500 },
};

Test(admission_placement, judged_by_its_window) {
        Capacity capacity = capacity_make();
        Calendar calendar = CALENDAR_NULL;

        hold(&calendar, &capacity, make("alone", 100, 200, alone_2));
        hold(&calendar, &capacity, make("shared", 100, 300, shared_1));
        hold(&calendar, &capacity, make("node", 400, 500, node_1));
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_allocation_ Allocation *a =
                                make("request", cases[i].start, cases[i].end, cases[i].want);
                char target[RESOURCE_TARGET_SIZE];
                const Amount *missing;
                ResourceKind kind;
                Verdict verdict;

                cr_assert_eq(admission_check(&calendar, &capacity, 0, &a, 1, NULL, &verdict), 0);
                cr_expect_eq(verdict.failure.code, cases[i].code, "%s: %s", cases[i].name,
                                verdict.failure.message ?: "it fits");
                cr_expect_eq(verdict.fits, cases[i].code == FAILURE_NONE, "%s", cases[i].name);
                if (cases[i].missing) {
                        cr_assert_eq(resource_parse_name(cases[i].missing, &kind, target), 0);
                        missing = resource_set_get(&verdict.missing, kind, target);
                        cr_assert_not_null(missing, "%s: %s", cases[i].name, verdict.failure.message);
                        cr_expect_eq(missing->reserved, cases[i].wanted, "%s: %zu", cases[i].name,
                                        (size_t) missing->reserved);
                        cr_expect_eq(missing->limit, cases[i].left, "%s: %zu", cases[i].name,
                                        (size_t) missing->limit);
                        cr_expect_eq(verdict.earliest_usec, cases[i].earliest, "%s: %zu", cases[i].name,
                                        (size_t) verdict.earliest_usec);
                }
                verdict_deinit(&verdict);
        }
        calendar_deinit(&calendar);
        capacity_done(&capacity);
}

/* What is not here leaves no timeline behind. */
Test(admission_placement, what_is_not_here_is_not_claimed) {
        static const Want wants[] = { { "0-8191" }, { .nodes = "0-2" } };

        for (size_t i = 0; i < ELEMENTSOF(wants); i++) {
                Capacity capacity = capacity_make();
                Calendar calendar = CALENDAR_NULL;
                Allocation *a = make("a", 0, 100, wants[i]);
                Verdict verdict;

                cr_assert_eq(admission_check(&calendar, &capacity, 0, &a, 1, NULL, &verdict), 0);
                cr_expect_eq(verdict.failure.code, FAILURE_INVALID_ALLOCATION);
                cr_expect_null(calendar_reserved(&calendar, RESOURCE_CPUSET, "0"), "%zu", i);
                cr_expect_null(calendar_reserved(&calendar, RESOURCE_NUMA, "0"), "%zu", i);
                verdict_deinit(&verdict);
                allocation_free(a);
                calendar_deinit(&calendar);
                capacity_done(&capacity);
        }
}

Test(admission_placement, chosen_jointly_and_apart) {
        Capacity capacity = capacity_make();
        Calendar calendar = CALENDAR_NULL;
        const Want two = { .mode = PLACEMENT_EXCLUSIVE, .cpu = 2000 },
                   one = { .mode = PLACEMENT_EXCLUSIVE, .cpu = 1000 };
        Allocation *requests[] = { make("a", 0, 100, two), make("b", 0, 100, one), make("c", 0, 100, one) };
        Verdict verdicts[3];

        cr_assert_eq(admission_check(&calendar, &capacity, 0, requests, 3, NULL, verdicts), 0);
        cr_expect_str_eq(requests[0]->assigned_cpus, "2-3");
        cr_expect_str_eq(requests[1]->assigned_cpus, "1");
        cr_expect(verdicts[0].fits == verdicts[1].fits, "one of the four stays for all others");
        for (size_t i = 0; i < 3; i++) {
                verdict_deinit(&verdicts[i]);
                allocation_free(requests[i]);
        }
        calendar_deinit(&calendar);
        capacity_done(&capacity);
}

Test(admission_placement, an_update_keeps_what_was_chosen) {
        Capacity capacity = capacity_make();
        Calendar calendar = CALENDAR_NULL;
        const Want one = { .mode = PLACEMENT_EXCLUSIVE, .cpu = 1000 },
                   two = { .mode = PLACEMENT_EXCLUSIVE, .cpu = 2000 };
        Allocation *update = make("a", 0, 500, one), *more = make("a", 0, 100, two);
        Verdict verdict;

        hold(&calendar, &capacity, make("first", 0, 100, one));
        hold(&calendar, &capacity, make("a", 0, 100, one));
        cr_expect_str_eq(calendar_find(&calendar, "a")->assigned_cpus, "2");
        cr_assert_eq(admission_check(&calendar, &capacity, 0, &update, 1, NULL, &verdict), 0);
        cr_expect(verdict.fits);
        cr_expect_str_eq(update->assigned_cpus, "2", "3 is taken, 1 would be as good");
        verdict_deinit(&verdict);
        cr_assert_eq(admission_check(&calendar, &capacity, 0, &more, 1, NULL, &verdict), 0);
        cr_expect(verdict.fits, "%s", verdict.failure.message);
        verdict_deinit(&verdict);
        allocation_free(update);
        allocation_free(more);
        calendar_deinit(&calendar);
        capacity_done(&capacity);
}

static void ignore(Allocation *allocation, void *userdata) {
        ++*(unsigned *) userdata;
}

Test(admission_placement, a_cpu_that_goes_is_missed_and_comes_back) {
        Capacity capacity = capacity_make();
        Calendar calendar = CALENDAR_NULL;
        Allocation *alone = make("alone", 100, 200, alone_2);
        const Amount *missing;
        unsigned changes = 0;

        hold(&calendar, &capacity, alone);
        cr_assert_eq(shortage_mark(&calendar, &capacity, 0, ignore, &changes), 0);
        cr_expect_eq(changes, 0);
        capacity.topology.online = made_set("0-1,3");
        cr_assert_eq(shortage_mark(&calendar, &capacity, 0, ignore, &changes), 0);
        missing = resource_set_get(&alone->missing, RESOURCE_CPUSET, "2");
        cr_assert_not_null(missing);
        cr_expect(missing->reserved == 1000 && missing->limit == 0);
        capacity.topology.online = made_set("0-3");
        cr_assert_eq(shortage_mark(&calendar, &capacity, 0, ignore, &changes), 0);
        cr_expect_eq(alone->missing.n, 0);
        cr_expect_eq(changes, 2);
        calendar_deinit(&calendar);
        capacity_done(&capacity);
}

Test(admission_placement, an_offline_cpu_is_named) {
        Capacity capacity = capacity_make();
        Calendar calendar = CALENDAR_NULL;
        Allocation *a = make("a", 0, 100, alone_2);
        Verdict verdict;

        capacity.topology.online = made_set("0-1");
        cr_assert_eq(admission_check(&calendar, &capacity, 0, &a, 1, NULL, &verdict), 0);
        cr_expect_not(verdict.fits);
        cr_expect_eq(verdict.failure.code, FAILURE_INSUFFICIENT_RESOURCES);
        cr_expect(strstr(verdict.failure.message, "CPU 2 is offline"), "%s", verdict.failure.message);
        verdict_deinit(&verdict);
        allocation_free(a);
        calendar_deinit(&calendar);
        capacity_done(&capacity);
}

Test(admission_placement, who_can_be_cancelled_gives_its_cpus) {
        Capacity capacity = capacity_make();
        Calendar calendar = CALENDAR_NULL;
        Allocation *holder = make("low", 100, 200, alone_2), *a = make("high", 100, 200, alone_2);
        Verdict verdict;

        holder->preempt_mode = PREEMPT_MODE_CANCEL;
        a->priority = 1;
        hold(&calendar, &capacity, holder);
        cr_assert_eq(admission_check(&calendar, &capacity, 0, &a, 1, NULL, &verdict), 0);
        cr_expect(verdict.fits, "%s", verdict.failure.message);
        cr_expect_gt(verdict.n_loans, 0);
        verdict_deinit(&verdict);
        holder->preempt_mode = PREEMPT_MODE_SUSPEND;
        cr_assert_eq(admission_check(&calendar, &capacity, 0, &a, 1, NULL, &verdict), 0);
        cr_expect_not(verdict.fits, "who is frozen keeps its CPUs by name");
        verdict_deinit(&verdict);
        allocation_free(a);
        calendar_deinit(&calendar);
        capacity_done(&capacity);
}

/* --- at random --- */

#define LAST 120 /* instants that are looked at, one by one */

static Allocation *at_random(const char *id, uint64_t start, uint64_t duration, unsigned seed) {
        static const char *const lists[] = { "0", "1", "2", "3", "0-1", "2-3", "1-2", "1,3", "0-3", "1-3" };
        CpuSet set = made_set(lists[seed / 7 % ELEMENTSOF(lists)]);
        Want want = { .cpu = seed / 100 % 4 * 250 };

        switch (seed % 4) {
        case 0:
                want.cpus = lists[seed / 7 % ELEMENTSOF(lists)];
                want.cpu = want.cpu > cpu_set_count(&set) * 1000 ? 0 : want.cpu;
                break;
        case 1:
                want.mode = PLACEMENT_EXCLUSIVE;
                want.cpus = lists[seed / 7 % ELEMENTSOF(lists)];
                want.cpu = cpu_set_count(&set) * 1000;
                break;
        case 2:
                want.mode = PLACEMENT_EXCLUSIVE;
                want.cpu = (1 + seed / 7 % 3) * 1000;
                break;
        }
        return make(id, start, start + duration, want);
}

static bool fits(Calendar *calendar, const Capacity *capacity, Allocation *a, uint64_t *ret_earliest) {
        Verdict verdict;
        bool answer;

        cr_assert_eq(admission_check(calendar, capacity, 0, &a, 1, NULL, &verdict), 0);
        answer = verdict.fits;
        if (ret_earliest)
                *ret_earliest = verdict.earliest_usec;
        verdict_deinit(&verdict);
        return answer;
}

/* At one instant: nobody shares what somebody has alone, and no CPU is promised by more than it has. */
static void check_instant(const Calendar *calendar, uint64_t at) {
        uint64_t promised[4] = {}, sum = 0;
        unsigned holders[4] = {};
        bool alone[4] = {};

        for (size_t i = 0; i < calendar->n; i++) {
                const Allocation *a = calendar->allocations[i];
                CpuSet cpus;

                if (at < a->start_usec || at >= a->end_usec)
                        continue;
                sum += resource_set_get(&a->resources, RESOURCE_CPU, "")->reserved;
                if (!allocation_cpus(a, &cpus))
                        continue;
                CPU_SET_FOREACH (cpu, &cpus) {
                        holders[cpu]++;
                        alone[cpu] = alone[cpu] || a->cpu_set_mode == PLACEMENT_EXCLUSIVE;
                        promised[cpu] += resource_set_get(&a->resources, RESOURCE_CPU, "")->reserved /
                                         cpu_set_count(&cpus);
                }
        }
        cr_assert_leq(sum, 3900);
        for (unsigned cpu = 0; cpu < 4; cpu++) {
                cr_assert(!alone[cpu] || holders[cpu] == 1, "CPU %u at %zu", cpu, (size_t) at);
                cr_assert_leq(promised[cpu], 1000);
        }
        cr_assert_not(alone[0] && alone[1] && alone[2] && alone[3]);
}

/* The earliest start is right: it fits there, and at no instant before. */
static void check_earliest(Calendar *calendar, const Capacity *capacity, uint64_t start, uint64_t duration,
                unsigned seed, uint64_t earliest) {
        for (uint64_t at = start; at < 3 * LAST && at <= earliest; at++) {
                Allocation *moved = at_random("request", at, duration, seed);

                cr_assert_eq(fits(calendar, capacity, moved, NULL), at == earliest, "seed %u, %zu of %zu",
                                seed, (size_t) at, (size_t) earliest);
                allocation_free(moved);
        }
}

Test(admission_placement, at_random_nothing_is_promised_twice, .timeout = 60) {
        srand(1);
        for (int round = 0; round < 30; round++) {
                Capacity capacity = capacity_make();
                Calendar calendar = CALENDAR_NULL;

                for (int i = 0; i < 40; i++) {
                        uint64_t start = (uint64_t) rand() % LAST, duration = 1 + (uint64_t) rand() % 30,
                                 earliest;
                        unsigned seed = (unsigned) rand();
                        Allocation *a, *replaced;
                        char id[16];

                        snprintf(id, sizeof id, "a%d", i);
                        a = at_random(id, start, duration, seed);
                        if (fits(&calendar, &capacity, a, &earliest)) {
                                cr_assert_eq(calendar_put(&calendar, a, &replaced), 0);
                                continue;
                        }
                        allocation_free(a);
                        check_earliest(&calendar, &capacity, start, duration, seed, earliest);
                }
                for (uint64_t at = 0; at < LAST + 40; at++)
                        check_instant(&calendar, at);
                calendar_deinit(&calendar);
                capacity_done(&capacity);
        }
}
