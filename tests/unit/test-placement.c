/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "decide/placement.h"
#include "support/topology-make.h"

#include <criterion/criterion.h>
#include <string.h>

/* Two nodes of four cores of two threads: node 0 has 0-3 and 8-11, node 1 has 4-7 and 12-15; 0 and 8 are one
 * core. */
static const struct {
        const char *name, *free;
        unsigned n;
        const char *preferred;
        const char *picked; /* NULL: too few */
} cases[] = {
        { "one core's threads, of the node without CPU 0", "0-15", 2, NULL, "7,15" },
        { "whole cores from the top", "0-15", 4, NULL, "6-7,14-15" },
        { "one thread of a whole core, where none is broken", "0-15", 1, NULL, "15" },
        { "one thread of a broken core first", "0-3,8-11,4-7,12-14", 1, NULL, "7" },
        { "three: a core and a thread", "0-15", 3, NULL, "7,14-15" },
        { "the node with the fewest that suffice", "0-3,8-11,6-7,14-15", 4, NULL, "6-7,14-15" },
        { "the other where that has too few", "0-3,8-11,6-7,14-15", 5, NULL, "2-3,9-11" },
        { "all of one, and the rest of the other", "0-15", 10, NULL, "3-7,11-15" },
        { "all", "0-15", 16, NULL, "0-15" },
        { "what it had", "0-15", 2, "1,4", "1,4" },
        { "not what it had, where one is taken", "0-3,5-15", 2, "1,4", "7,15" },
        { "not what it had, where it wants more", "0-15", 2, "1", "7,15" },
        { "too few", "0-3", 5, NULL, NULL },
        { "none are none", "0-15", 0, NULL, NULL },
        { "threads alone", "1,9,2,6", 2, NULL, "1,9" },
};

Test(placement, pick) {
        _cleanup_topology_ Topology topology = made_topology(2, 4, 2);

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CpuSet free = made_set(cases[i].free), had = made_set(cases[i].preferred ?: ""), picked;
                bool found = placement_pick(
                                &topology, &free, cases[i].n, cases[i].preferred ? &had : NULL, &picked);

                cr_expect_eq(found, cases[i].picked != NULL, "%s", cases[i].name);
                if (found && cases[i].picked)
                        made_expect_set(cases[i].name, &picked, cases[i].picked);
        }
}

/* Of any free CPUs: as many as were wanted, and all of them free. */
Test(placement, pick_at_random) {
        _cleanup_topology_ Topology topology = made_topology(2, 4, 2);

        srand(1);
        for (int round = 0; round < 20000; round++) {
                CpuSet free = {}, picked, over;
                unsigned n;

                for (unsigned cpu = 0; cpu < 16; cpu++)
                        if (rand() % 2)
                                cpu_set_add(&free, cpu);
                n = 1 + (unsigned) rand() % 16;
                cr_assert_eq(placement_pick(&topology, &free, n, NULL, &picked), n <= cpu_set_count(&free));
                if (n > cpu_set_count(&free))
                        continue;
                over = picked;
                cpu_set_subtract(&over, &free);
                cr_assert(cpu_set_is_empty(&over));
                cr_assert_eq(cpu_set_count(&picked), n);
        }
}

static Allocation *make(const char *id, uint64_t start, uint64_t end, uint64_t cpu) {
        Allocation *a;

        cr_assert_eq(allocation_new(&a), 0);
        a->id = strdup(id);
        a->tenant_id = strdup(id);
        a->start_usec = start;
        a->end_usec = end;
        (void) allocation_reckon_windows(a, 0, 0);
        cr_assert_eq(resource_set_put(&a->resources, RESOURCE_CPU, "", (Amount){ cpu, cpu }), 0);
        return a;
}

static void hold(Calendar *calendar, const char *id, uint64_t start, uint64_t end, const char *cpus,
                PlacementMode mode) {
        Allocation *a = make(id, start, end, mode == PLACEMENT_EXCLUSIVE ? 1000 : 0), *replaced;

        a->cpu_set = strdup(cpus);
        a->cpu_set_mode = mode;
        cr_assert_eq(calendar_put(calendar, a, &replaced), 0);
}

Test(placement, choose_and_earliest) {
        _cleanup_topology_ Topology topology = made_topology(1, 4, 1);
        Calendar calendar = CALENDAR_NULL;
        static const struct {
                const char *name;
                uint64_t start, end, cpu;
                const char *chosen;
                uint64_t earliest; /* for as long, from its start */
        } requests[] = {
                { "before all", 0, 100, 4000, "0-3", 0 },
                { "beside both, of whom one shares", 100, 200, 2000, "0-1", 100 },
                { "not beside both", 100, 200, 3000, NULL, 150 },
                { "where the second begins later", 140, 150, 3000, NULL, 150 },
                { "all", 100, 200, 4000, NULL, 300 },
                { "more than there are", 0, 10, 5000, NULL, UINT64_MAX },
                { "for ever", 100, UINT64_MAX, 4000, NULL, 300 },
                { "none", 100, 200, 0, NULL, 100 },
        };

        hold(&calendar, "alone", 100, 150, "3", PLACEMENT_EXCLUSIVE);
        hold(&calendar, "shared", 100, 300, "2", PLACEMENT_SHARED);
        for (size_t i = 0; i < ELEMENTSOF(requests); i++) {
                _cleanup_allocation_ Allocation *a =
                                make("r", requests[i].start, requests[i].end, requests[i].cpu);
                uint64_t duration = requests[i].end == UINT64_MAX ? UINT64_MAX
                                                                  : requests[i].end - requests[i].start;

                a->cpu_set_mode = PLACEMENT_EXCLUSIVE;
                cr_assert_eq(placement_choose(&calendar, &topology, 0, NULL, a), 0);
                cr_expect_str_eq(a->assigned_cpus ?: "none", requests[i].chosen ?: "none", "%s: %s",
                                requests[i].name, a->assigned_cpus);
                cr_expect_eq(placement_earliest(&calendar, &topology, (unsigned) (requests[i].cpu / 1000),
                                             requests[i].start, duration),
                                requests[i].earliest, "%s", requests[i].name);
        }
        calendar_deinit(&calendar);
}

Test(placement, choose_near_the_memory) {
        _cleanup_topology_ Topology topology = made_topology(2, 2, 1);
        _cleanup_allocation_ Allocation *a = make("a", 0, 100, 2000), *more = make("b", 0, 100, 3000);
        Calendar calendar = CALENDAR_NULL;

        a->cpu_set_mode = more->cpu_set_mode = PLACEMENT_EXCLUSIVE;
        a->numa_nodes = strdup("0");
        more->numa_nodes = strdup("0");
        cr_assert_eq(placement_choose(&calendar, &topology, 0, NULL, a), 0);
        cr_expect_str_eq(a->assigned_cpus, "0-1");
        cr_assert_eq(placement_choose(&calendar, &topology, 0, NULL, more), 0);
        cr_expect_str_eq(more->assigned_cpus ?: "", "1-3", "rather elsewhere than not at all");
        calendar_deinit(&calendar);
}

Test(placement, offline_cpus_are_not_chosen) {
        _cleanup_topology_ Topology topology = made_topology(1, 4, 1);
        _cleanup_allocation_ Allocation *a = make("a", 0, 100, 2000);
        Calendar calendar = CALENDAR_NULL;

        topology.online = made_set("0-2");
        a->cpu_set_mode = PLACEMENT_EXCLUSIVE;
        cr_assert_eq(placement_choose(&calendar, &topology, 0, "3", a), 0);
        cr_expect_str_eq(a->assigned_cpus, "1-2");
        calendar_deinit(&calendar);
}
