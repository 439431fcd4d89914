/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A set of numbers of CPUs, or of NUMA nodes, and its text in the kernel's list format, "0-3,8" (cpuset(7),
 * "List format"). It does not know which of them this node has.
 */

#include "util/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

/* One more than the highest number: no kernel of Linux is built for more CPUs. */
#define CPU_SET_SIZE 8192U

typedef struct CpuSet {
        uint64_t words[CPU_SET_SIZE / 64];
} CpuSet;

bool cpu_set_has(const CpuSet *set, unsigned number);
void cpu_set_add(CpuSet *set, unsigned number);
unsigned cpu_set_count(const CpuSet *set);
bool cpu_set_is_empty(const CpuSet *set);
bool cpu_set_equal(const CpuSet *a, const CpuSet *b);
/* The lowest number that is at least `from`; CPU_SET_SIZE where there is none. */
unsigned cpu_set_next(const CpuSet *set, unsigned from);
#define CPU_SET_FOREACH(number, set)                                        \
        for (unsigned number = cpu_set_next(set, 0); number < CPU_SET_SIZE; \
                        number = cpu_set_next(set, number + 1))

void cpu_set_unite(CpuSet *set, const CpuSet *other);
void cpu_set_intersect(CpuSet *set, const CpuSet *other);
void cpu_set_subtract(CpuSet *set, const CpuSet *other);

/*
 * Numbers and ascending ranges with commas between; "" is the empty set. -EINVAL: not of that form (the
 * kernel's strides, "0-7:1/2", are not taken); -ERANGE: a number is CPU_SET_SIZE or more.
 */
int cpu_set_parse(const char *text, CpuSet *ret);
/* As the kernel prints it; the caller frees, NULL where there is no memory. */
char *cpu_set_format(const CpuSet *set);
