/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How long one tenant's reads and writes of block devices took: a histogram for each device and direction
 * that it used, under names like "io.read.latency@8:0".
 */

#include "histogram.h"
#include "resource.h"

#include <stdbool.h>

/* The device of those that came when the meter had room for no more. */
#define BLOCK_LATENCY_MORE "more"

typedef struct BlockLatency {
        char device[RESOURCE_TARGET_SIZE]; /* "8:0" */
        bool write;
        Histogram histogram;
} BlockLatency;

typedef struct BlockLatencies {
        BlockLatency *entries; /* owned; by device, as the meter met them, reads before writes */
        size_t n;
} BlockLatencies;

#define BLOCK_LATENCIES_NULL \
        { NULL, 0 }

/* An empty one, at the end. NULL: out of memory. It stands until the next. */
BlockLatency *block_latencies_push(BlockLatencies *latencies, const char *device, bool write);
void block_latencies_deinit(BlockLatencies *latencies);

/* Longest name, and its NUL. */
#define BLOCK_LATENCY_NAME_SIZE (sizeof("io.write.latency@") + RESOURCE_TARGET_SIZE)
/* "io.read.latency@8:0" */
const char *block_latency_name(const BlockLatency *latency, char ret[static BLOCK_LATENCY_NAME_SIZE]);
