/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The choice, in steps:
 *   1. what it had before, where that is still free and as many;
 *   2. the NUMA node that has enough free CPUs and the fewest of them; where none has enough, the one with
 * the most, and the rest of another;
 *   3. on the node, whole cores, the highest first, while they are not more than what is wanted;
 *   4. then threads of cores that are in part taken already, and at last of a whole one.
 * It counts nothing, and knows of no state: what is claimed, it reads off the timelines.
 */

#include "placement.h"

#include "model/allocation-placement.h"

#include <string.h>

static CpuSet those_on_node(const Topology *topology, const CpuSet *cpus, unsigned node) {
        CpuSet set = {};

        CPU_SET_FOREACH (cpu, cpus)
                if (topology_cpu(topology, cpu).node == node)
                        cpu_set_add(&set, cpu);
        return set;
}

/* 2. False: no CPU is free. */
static bool pick_node(const Topology *topology, const CpuSet *free, unsigned n, CpuSet *ret) {
        CpuSet left = *free;
        unsigned best = 0;

        while (!cpu_set_is_empty(&left)) {
                CpuSet on_node = those_on_node(
                                topology, free, topology_cpu(topology, cpu_set_next(&left, 0)).node);
                unsigned count;

                cpu_set_subtract(&left, &on_node);
                count = cpu_set_count(&on_node);
                /* Of equals the last: the first has CPU 0. */
                if (best == 0 || (count >= n ? best < n || count <= best : best < n && count >= best)) {
                        best = count;
                        *ret = on_node;
                }
        }
        return best > 0;
}

/* The online CPUs that share the core. */
static CpuSet core_of(const Topology *topology, unsigned cpu) {
        const unsigned core = topology_cpu(topology, cpu).core;
        CpuSet set = {};

        CPU_SET_FOREACH (other, &topology->online)
                if (topology_cpu(topology, other).core == core)
                        cpu_set_add(&set, other);
        return set;
}

static bool is_whole(const CpuSet *core, const CpuSet *free) {
        CpuSet taken = *core;

        cpu_set_subtract(&taken, free);
        return cpu_set_is_empty(&taken);
}

/* 3. `whole_cores`: a core that fits whole, or not at all; 4. else one thread. */
static bool pick_one(const Topology *topology, const CpuSet *free, unsigned n, bool whole_cores,
                bool break_cores, CpuSet *ret) {
        bool found = false;

        CPU_SET_FOREACH (cpu, free) {
                CpuSet core = core_of(topology, cpu);
                bool whole = is_whole(&core, free);

                if (whole_cores ? !whole || cpu_set_count(&core) > n : whole && !break_cores)
                        continue;
                *ret = core;
                if (!whole_cores) {
                        *ret = (CpuSet){};
                        cpu_set_add(ret, cpu);
                }
                found = true; /* and on: the highest */
        }
        return found;
}

static unsigned pick_on_node(const Topology *topology, CpuSet *free, unsigned n, CpuSet *picked) {
        unsigned got = 0;
        CpuSet some;

        while (got < n && (pick_one(topology, free, n - got, true, false, &some) ||
                                          pick_one(topology, free, n - got, false, false, &some) ||
                                          pick_one(topology, free, n - got, false, true, &some))) {
                cpu_set_unite(picked, &some);
                cpu_set_subtract(free, &some);
                got += cpu_set_count(&some);
        }
        return got;
}

bool placement_pick(const Topology *topology, const CpuSet *free, unsigned n, const CpuSet *preferred,
                CpuSet *ret) {
        CpuSet left = *free, picked = {}, had = preferred ? *preferred : (CpuSet){};

        if (n == 0 || cpu_set_count(free) < n)
                return false;
        if (cpu_set_count(&had) == n && is_whole(&had, free)) { /* 1. */
                *ret = had;
                return true;
        }
        while (n > 0) {
                CpuSet on_node, rest;

                if (!pick_node(topology, &left, n, &on_node))
                        return false;
                rest = on_node;
                n -= pick_on_node(topology, &rest, n, &picked);
                cpu_set_subtract(&left, &on_node);
        }
        *ret = picked;
        return true;
}

static const Timeline *timeline_of(const Calendar *calendar, unsigned cpu) {
        char target[RESOURCE_TARGET_SIZE];

        (void) snprintf(target, sizeof target, "%u", cpu);
        return calendar_reserved(calendar, RESOURCE_CPUSET, target);
}

static bool is_free(const Timeline *timeline, const Allocation *request, uint64_t now_usec) {
        for (size_t i = 0; timeline && i <= request->n_later; i++) {
                const Window *window = allocation_window(request, i);
                uint64_t start = window->start_usec > now_usec ? window->start_usec : now_usec;

                if (start < window->end_usec && timeline_peak(timeline, start, window->end_usec) > 0)
                        return false;
        }
        return true;
}

void placement_find_free(const Calendar *calendar, const Topology *topology, const Allocation *request,
                uint64_t now_usec, CpuSet *ret) {
        CpuSet free = {};

        CPU_SET_FOREACH (cpu, &topology->online)
                if (is_free(timeline_of(calendar, cpu), request, now_usec))
                        cpu_set_add(&free, cpu);
        *ret = free;
}

/* Those beside the memory that it named, where they are enough. */
static void prefer_nodes(const Topology *topology, const Allocation *request, unsigned n, CpuSet *free) {
        CpuSet nodes, near = {};

        if (!allocation_nodes(request, &nodes))
                return;
        CPU_SET_FOREACH (cpu, free)
                if (cpu_set_has(&nodes, topology_cpu(topology, cpu).node))
                        cpu_set_add(&near, cpu);
        if (cpu_set_count(&near) >= n)
                *free = near;
}

int placement_choose(const Calendar *calendar, const Topology *topology, uint64_t now_usec,
                const char *preferred, Allocation *request) {
        const unsigned n = allocation_cpus_to_choose(request);
        CpuSet unclaimed, had = {}, picked;
        char *text;

        if (n == 0)
                return 0;
        placement_find_free(calendar, topology, request, now_usec, &unclaimed);
        prefer_nodes(topology, request, n, &unclaimed);
        if (preferred)
                (void) cpu_set_parse(preferred, &had);
        if (!placement_pick(topology, &unclaimed, n, &had, &picked))
                return 0;
        text = cpu_set_format(&picked);
        if (!text)
                return -ENOMEM;
        free(request->assigned_cpus);
        request->assigned_cpus = text;
        return 0;
}

/* From one instant at which a CPU becomes free for so long to the next, until enough of them are at once. */
uint64_t placement_earliest(const Calendar *calendar, const Topology *topology, unsigned n,
                uint64_t from_usec, uint64_t duration_usec) {
        if (n == 0)
                return from_usec;
        if (cpu_set_count(&topology->online) < n)
                return UINT64_MAX;
        for (uint64_t start = from_usec, next;; start = next) {
                unsigned free = 0;

                next = UINT64_MAX;
                CPU_SET_FOREACH (cpu, &topology->online) {
                        const Timeline *timeline = timeline_of(calendar, cpu);
                        uint64_t at = timeline ? timeline_earliest(timeline, start, duration_usec,
                                                                 /* room= */ 0)
                                               : start;

                        free += at == start;
                        if (at > start && at < next)
                                next = at;
                }
                if (free >= n || next == UINT64_MAX)
                        return free >= n ? start : UINT64_MAX;
        }
}
