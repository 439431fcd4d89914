/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a process that was attached left with its old group: sockets that it had opened, memory that it had
 * been charged. The kernel moves neither with the process.
 */

#include <stdint.h>

/* Less than this is what any process has, and is not told. */
#define REMAINS_MEMORY_MIN_BYTES (16ULL << 20)

typedef struct Remains {
        int pid;
        char name[17]; /* of its program */
        char *group;   /* owned; where it was, below the mount */
        unsigned sockets;
        uint64_t memory_bytes; /* the most that can still be charged there */
} Remains;

/* One sentence, which the caller frees; whatever the names are, it can be told. 1: there is something to
 * tell; 0: *ret stays as it is. */
int remains_format(const Remains *remains, char **ret);
