/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Values that a control group holds by device: files of one line a key ("8:0 rbps=1048576 wbps=max").
 * The same type for what is planned, what was observed and what differs. Names and text of each file stand
 * in one table, enforce/limit-text.c.
 */

#include "resource.h"

typedef enum LimitFile {
        LIMIT_IO_MAX,
        LIMIT_IO_WEIGHT,     /* where io.cost divides a device by weight */
        LIMIT_IO_BFQ_WEIGHT, /* where its scheduler is BFQ */
        LIMIT_IO_LATENCY,
        LIMIT_RDMA_MAX,
        LIMIT_MISC_MAX,
        LIMIT_FILE_MAX,
        LIMIT_FILE_INVALID = -EINVAL,
} LimitFile;

/* Columns of a line; the files that have but one have it at 0. */
enum { IO_MAX_READ_BYTES, IO_MAX_WRITE_BYTES, IO_MAX_READ_OPERATIONS, IO_MAX_WRITE_OPERATIONS };
enum { RDMA_MAX_HANDLES, RDMA_MAX_OBJECTS };
#define LIMIT_COLUMNS_MAX 4

typedef struct LimitLine {
        LimitFile file;
        char target[RESOURCE_TARGET_SIZE];  /* "8:0", "mlx5_0", "sev" */
        uint64_t values[LIMIT_COLUMNS_MAX]; /* UNLIMITED: none, which is also a weight's default */
} LimitLine;

/* Ordered by file, then target; a line with nothing but UNLIMITED says nothing and is absent. */
typedef struct LimitSet {
        LimitLine *lines; /* owned */
        size_t n;
} LimitSet;

#define LIMIT_SET_NULL \
        { NULL, 0 }

/* UNLIMITED where there is no such line. */
uint64_t limit_set_get(const LimitSet *set, LimitFile file, const char *target, size_t column);
/* -ENOMEM leaves the set as it was. */
int limit_set_put(LimitSet *set, LimitFile file, const char *target, size_t column, uint64_t value);
int limit_set_copy(const LimitSet *set, LimitSet *ret);
bool limit_set_equal(const LimitSet *a, const LimitSet *b);
void limit_set_deinit(LimitSet *set);
#define _cleanup_limit_set_ _cleanup_(limit_set_deinit)

/*
 * The lines to write so that `observed` becomes `desired`: those that differ, whole, and with UNLIMITED alone
 * those that are there and should not be. Of the files in `files` (bits 1U << LimitFile). The caller frees.
 */
int limit_set_diff(const LimitSet *observed, const LimitSet *desired, uint32_t files, LimitLine **ret,
                size_t *ret_n);
