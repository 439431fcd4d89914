/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where the processes of a control group run, and where their memory is. The same type for what is planned
 * and for what was read back. */

#include "cpu-set.h"

#include <stddef.h>
#include <string.h>

typedef struct Placement {
        CpuSet cpus;  /* empty: wherever its parent does */
        CpuSet nodes; /* NUMA nodes; empty: the same */
        bool alone;   /* nobody else is to run on these CPUs */
} Placement;

/* NULL is anywhere. */
static inline bool placement_equal(const Placement *a, const Placement *b) {
        if (!a || !b)
                return a == b;
        return cpu_set_equal(&a->cpus, &b->cpus) && cpu_set_equal(&a->nodes, &b->nodes) &&
               a->alone == b->alone;
}
