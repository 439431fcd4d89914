/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * CpuSet, CpuSetMode, NumaNodes and NumaMode of an allocation: what they mean, and what they claim. Which
 * CPUs an exclusive allocation that names none is given is decide/placement.h's.
 */

#include "allocation.h"
#include "cpu-set.h"

/*
 * What is claimed of one CPU, in parts of a millicore. Alone: all of it. Beside others: an even part of what
 * the allocation reserves, and one part at the least, so that nobody can have that CPU alone.
 */
#define CPU_CLAIM_PARTS (1ULL << 20)
#define CPU_CLAIM_ALL (1000 * CPU_CLAIM_PARTS + CPU_CLAIM_PARTS - 1)
/* What is claimed of one NUMA node: all of it, or one part. */
#define NODE_CLAIM_ALL (1ULL << 20)

/* The CPUs that it is for, given or chosen; false, and an empty set, where it names none. */
bool allocation_cpus(const Allocation *allocation, CpuSet *ret);
bool allocation_nodes(const Allocation *allocation, CpuSet *ret);
/* How many whole CPUs the node is to choose for it; 0 where it is not exclusive, or names them. */
unsigned allocation_cpus_to_choose(const Allocation *allocation);

/* As allocation_validate(), of these keys. */
int allocation_validate_placement(const Allocation *allocation, Failure *ret_failure);
/* As allocation_claims(): adds RESOURCE_CPUSET and RESOURCE_NUMA, with a target of each CPU's and each
 * node's, and without one of all that are had alone; and the memory of nodes that are. */
int allocation_claim_placement(const Allocation *allocation, ResourceSet *claims);
/* An amount of a claim, wanted and free, as people read it: millicores, and whole nodes. */
Amount claim_amount_shown(const Resource *claim, uint64_t wanted, uint64_t free);
