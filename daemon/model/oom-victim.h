/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A process that the kernel killed for want of memory. */

#include <stddef.h>
#include <stdint.h>

#define OOM_COMM_MAX 16

typedef struct OomVictim {
        char comm[OOM_COMM_MAX]; /* its name; what is not printable ASCII is a '?' */
        uint32_t pid;
        uint64_t time_usec;  /* UTC */
        uint64_t peak_bytes; /* the most that it held resident */
} OomVictim;

/* The last ones of a tenant, the newest first. */
#define OOM_VICTIMS_MAX 8
typedef struct OomVictims {
        OomVictim entries[OOM_VICTIMS_MAX];
        size_t n;
} OomVictims;
