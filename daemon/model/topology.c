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

int topology_put_node_memory(Topology *topology, unsigned node, uint64_t bytes) {
        if (node >= topology->n_nodes) {
                uint64_t *grown = reallocarray(topology->node_memory_bytes, node + 1, sizeof(uint64_t));

                if (!grown)
                        return -ENOMEM;
                memset(grown + topology->n_nodes, 0, (node + 1 - topology->n_nodes) * sizeof(uint64_t));
                topology->node_memory_bytes = grown;
                topology->n_nodes = node + 1;
        }
        topology->node_memory_bytes[node] = bytes;
        return 0;
}

uint64_t topology_memory(const Topology *topology, const CpuSet *nodes) {
        uint64_t sum = 0;

        for (unsigned node = 0; node < topology->n_nodes; node++)
                if (cpu_set_has(nodes, node))
                        sum += topology->node_memory_bytes[node];
        return sum;
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
        return a->n_nodes == b->n_nodes &&
               (a->n_nodes == 0 || memcmp(a->node_memory_bytes, b->node_memory_bytes,
                                                   a->n_nodes * sizeof(uint64_t)) == 0);
}

void topology_deinit(Topology *topology) {
        free(topology->cpus);
        free(topology->node_memory_bytes);
        *topology = (Topology) TOPOLOGY_NULL;
}
