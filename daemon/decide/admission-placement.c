/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What admission asks of CPUs and NUMA nodes beside their claims: whether those that a request names are
 * here, and the choice for one that names none. Only what nobody claims is chosen: a choice preempts no one.
 */

#include "admission-internal.h"

#include "model/allocation-placement.h"
#include "placement.h"

#include <string.h>

bool admission_lacks_choice(const Allocation *request) {
        return allocation_cpus_to_choose(request) > 0 && !request->assigned_cpus;
}

int admission_choose_cpus(const AdmissionInput *input, Allocation *request, const Allocation *held) {
        const Topology *topology = &input->capacity->topology;
        CpuSet nodes;

        if (request->numa_mode == PLACEMENT_EXCLUSIVE && allocation_nodes(request, &nodes))
                request->node_memory_bytes = topology_memory(topology, &nodes);
        return placement_choose(input->calendar, topology, input->now_usec, held ? held->assigned_cpus : NULL,
                        request);
}

/* The first of `wanted` that is not in `there`; CPU_SET_SIZE: they all are. */
static unsigned first_absent(const CpuSet *wanted, const CpuSet *there) {
        CpuSet absent = *wanted;

        cpu_set_subtract(&absent, there);
        return cpu_set_next(&absent, 0);
}

static int refuse_unknown(const Allocation *request, const char *key, const char *list, const char *what,
                unsigned number, const CpuSet *there, Failure *failure) {
        _cleanup_free_ char *text = cpu_set_format(there);

        if (!text)
                return -ENOMEM;
        return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                        "allocation %s: %s '%.64s': there is no %s %u here, only %s", request->id, key, list,
                        what, number, text);
}

/* It may come back: no other request would be better. */
static int refuse_offline(const Allocation *request, unsigned cpu, Verdict *verdict) {
        char target[RESOURCE_TARGET_SIZE];
        int r;

        (void) snprintf(target, sizeof target, "%u", cpu);
        r = resource_set_put(&verdict->missing, RESOURCE_CPUSET, target, (Amount){ 1000, 0 });
        if (r < 0)
                return r;
        verdict->shortage = request->window;
        return failure_set(&verdict->failure, FAILURE_INSUFFICIENT_RESOURCES,
                        "allocation %s: CpuSet '%.64s': CPU %u is offline", request->id, request->cpu_set,
                        cpu);
}

static unsigned absent_cpu(const Allocation *request, const CpuSet *there) {
        CpuSet wanted;

        return request->cpu_set && *request->cpu_set && allocation_cpus(request, &wanted)
                               ? first_absent(&wanted, there)
                               : CPU_SET_SIZE;
}

static unsigned absent_node(const Allocation *request, const CpuSet *there) {
        CpuSet wanted;

        return allocation_nodes(request, &wanted) ? first_absent(&wanted, there) : CPU_SET_SIZE;
}

bool admission_placement_exists(const AdmissionInput *input, const Allocation *request) {
        const Topology *topology = &input->capacity->topology;

        return absent_cpu(request, &topology->present) == CPU_SET_SIZE &&
               absent_node(request, &topology->nodes) == CPU_SET_SIZE;
}

int admission_judge_placement(const AdmissionInput *input, const Allocation *request, Verdict *verdict) {
        const Topology *topology = &input->capacity->topology;
        unsigned absent = absent_cpu(request, &topology->present);

        if (absent < CPU_SET_SIZE)
                return refuse_unknown(request, "CpuSet", request->cpu_set, "CPU", absent, &topology->present,
                                &verdict->failure);
        absent = absent_cpu(request, &topology->online);
        if (absent < CPU_SET_SIZE)
                return refuse_offline(request, absent, verdict);
        absent = absent_node(request, &topology->nodes);
        if (absent < CPU_SET_SIZE)
                return refuse_unknown(request, "NumaNodes", request->numa_nodes, "NUMA node with memory",
                                absent, &topology->nodes, &verdict->failure);
        return 0;
}

int admission_note_no_choice(const AdmissionInput *input, const Allocation *request, Verdict *verdict) {
        const Amount *noted = resource_set_get(&verdict->missing, RESOURCE_CPUSET, "");
        uint64_t wanted = allocation_cpus_to_choose(request) * 1000ULL, left;
        CpuSet unclaimed;

        if (!admission_lacks_choice(request))
                return 0;
        placement_find_free(
                        input->calendar, &input->capacity->topology, request, input->now_usec, &unclaimed);
        left = cpu_set_count(&unclaimed) * 1000ULL;
        if (noted && noted->limit < left)
                left = noted->limit;
        if (verdict->missing.n == 0)
                verdict->shortage = request->window;
        return resource_set_put(&verdict->missing, RESOURCE_CPUSET, "", (Amount){ wanted, left });
}
