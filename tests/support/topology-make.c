/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "support/topology-make.h"

#include <criterion/criterion.h>

CpuSet made_set(const char *text) {
        CpuSet set = {};

        cr_assert_eq(cpu_set_parse(text, &set), 0, "'%s'", text);
        return set;
}

Topology made_topology(unsigned nodes, unsigned cores, unsigned threads) {
        Topology topology;
        CpuSet all = {};

        for (unsigned cpu = 0; cpu < nodes * cores * threads; cpu++)
                cpu_set_add(&all, cpu);
        cr_assert_eq(topology_make(&all, &all, &topology), 0);
        CPU_SET_FOREACH (cpu, &all) {
                topology.cpus[cpu].core = cpu % (nodes * cores);
                topology.cpus[cpu].node = cpu % (nodes * cores) / cores;
        }
        for (unsigned node = 0; node < nodes; node++) {
                cpu_set_add(&topology.nodes, node);
                cr_assert_eq(topology_put_node_memory(&topology, node, 1ULL << 30), 0);
        }
        return topology;
}

void made_expect_set(const char *what, const CpuSet *set, const char *text) {
        _cleanup_free_ char *have = cpu_set_format(set);

        cr_expect_str_eq(have, text, "%s: '%s' and should be '%s'", what, have, text);
}
