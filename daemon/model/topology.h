/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The node's CPUs: which are online, which share a core, and to which NUMA node each belongs; and the nodes
 * that have memory. A plain value: enforce/topology-read.h reads it from the kernel.
 */

#include "cpu-set.h"

#include <stddef.h>

typedef struct TopologyCpu {
        unsigned core; /* the lowest number of those that share its core, itself where none does */
        unsigned node; /* NUMA node, 0 where the kernel knows of none */
} TopologyCpu;

typedef struct Topology {
        CpuSet present; /* CPUs that are plugged in */
        CpuSet online;
        CpuSet nodes;      /* NUMA nodes that have memory; node 0 alone where the kernel knows of none */
        TopologyCpu *cpus; /* owned, by number; what is not online is its own core, on node 0 */
        size_t n_cpus;
        uint64_t *node_memory_bytes; /* owned, by number; 0 where it is not known */
        size_t n_nodes;
} Topology;

#define TOPOLOGY_NULL \
        {}

/* One CPU a core, all on node 0, with every core's and node's CPUs to be set by the caller. -ENOMEM. */
int topology_make(const CpuSet *present, const CpuSet *online, Topology *ret);
/* Notes a NUMA node's memory. -ENOMEM. */
int topology_put_node_memory(Topology *topology, unsigned node, uint64_t bytes);
/* The sum over the nodes. */
uint64_t topology_memory(const Topology *topology, const CpuSet *nodes);
TopologyCpu topology_cpu(const Topology *topology, unsigned cpu);
bool topology_equal(const Topology *a, const Topology *b);
void topology_deinit(Topology *topology);
#define _cleanup_topology_ _cleanup_(topology_deinit)
