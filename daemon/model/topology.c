/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The node's CPUs as a value: made, compared. It reads nothing. */

#include "topology.h"

#include <errno.h>
#include <string.h>

int topology_make(const CpuSet *present, const CpuSet *online, Topology *ret) {
        Topology topology = { .present = *present, .online = *online };

        cpu_set_unite(&topology.present, online);
        CPU_SET_FOREACH (cpu, &topology.present)
                topology.n_cpus = cpu + 1;
        topology.cpus = calloc(topology.n_cpus + 1, sizeof(TopologyCpu));
        if (!topology.cpus)
                return -ENOMEM;
        for (unsigned cpu = 0; cpu < topology.n_cpus; cpu++)
                topology.cpus[cpu].core = cpu;
        cpu_set_add(&topology.nodes, 0);
        *ret = topology;
        return 0;
}

TopologyCpu topology_cpu(const Topology *topology, unsigned cpu) {
        return cpu < topology->n_cpus ? topology->cpus[cpu] : (TopologyCpu){ cpu, 0 };
}

bool topology_equal(const Topology *a, const Topology *b) {
        if (!cpu_set_equal(&a->present, &b->present) || !cpu_set_equal(&a->online, &b->online) ||
                        !cpu_set_equal(&a->nodes, &b->nodes) || a->n_cpus != b->n_cpus)
                return false;
        for (unsigned cpu = 0; cpu < a->n_cpus; cpu++)
                if (a->cpus[cpu].core != b->cpus[cpu].core || a->cpus[cpu].node != b->cpus[cpu].node)
                        return false;
        return true;
}

void topology_deinit(Topology *topology) {
        free(topology->cpus);
        *topology = (Topology) TOPOLOGY_NULL;
}
