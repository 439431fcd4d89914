/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Which CPUs an exclusive allocation is given that names none: whole cores first, of one NUMA node, those
 * that leave the least broken behind; the lowest CPUs last, where interrupts and the system's own work go.
 */

#include "model/calendar.h"
#include "model/topology.h"

/* `n` of `free`: those of `preferred` where they are so many and free; false, and nothing, where `free` has
 * fewer. */
bool placement_pick(const Topology *topology, const CpuSet *free, unsigned n, const CpuSet *preferred,
                CpuSet *ret);

/* CPUs that nobody claims at any instant of the request's windows from now on; the request is not counted. */
void placement_find_free(const Calendar *calendar, const Topology *topology, const Allocation *request,
                uint64_t now_usec, CpuSet *ret);

/*
 * Chooses for a request that names none and is exclusive, before it is counted: `preferred`, a list or NULL,
 * is what it had. 0 also where there are too few: it then has none.
 */
int placement_choose(const Calendar *calendar, const Topology *topology, uint64_t now_usec,
                const char *preferred, Allocation *request);

/* The first instant, not before `from`, from which `n` CPUs are free for `duration`; UINT64_MAX: there is
 * none. */
uint64_t placement_earliest(const Calendar *calendar, const Topology *topology, unsigned n,
                uint64_t from_usec, uint64_t duration_usec);
