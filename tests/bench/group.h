/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Control groups of a bench's own on this machine, below one that is named after the process and that goes,
 * with what runs in it, at its exit; and a meter of them that pins nothing. Mistakes of the host end the
 * bench.
 */

#include "meter/meter.h"

#include <limits.h>
#include <sys/types.h>

typedef struct BenchGroup {
        char path[PATH_MAX];
        int fd;
        uint64_t id;
} BenchGroup;

/* The parent's path. It is made at the first call. */
const char *bench_group_parent(void);
BenchGroup bench_group_make(const char *name);
void bench_group_enter(const BenchGroup *group, pid_t pid);
/* usage_usec of cpu.stat */
uint64_t bench_group_cpu_nsec(const BenchGroup *group);

/* All meters that there are at the level, of `n` groups, the first in slot 1. */
Meter *bench_meter_new(bool basic, const BenchGroup *groups, size_t n);
