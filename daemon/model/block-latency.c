/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "block-latency.h"

#include <stdio.h>
#include <stdlib.h>

BlockLatency *block_latencies_push(BlockLatencies *latencies, const char *device, bool write) {
        BlockLatency *entries = reallocarray(latencies->entries, latencies->n + 1, sizeof(BlockLatency));
        BlockLatency *entry;

        if (!entries)
                return NULL;
        latencies->entries = entries;
        entry = &entries[latencies->n++];
        *entry = (BlockLatency){ .write = write };
        snprintf(entry->device, sizeof(entry->device), "%s", device);
        return entry;
}

void block_latencies_deinit(BlockLatencies *latencies) {
        free(latencies->entries);
        *latencies = (BlockLatencies) BLOCK_LATENCIES_NULL;
}

const char *block_latency_name(const BlockLatency *latency, char ret[static BLOCK_LATENCY_NAME_SIZE]) {
        snprintf(ret, BLOCK_LATENCY_NAME_SIZE, "io.%s.latency@%s", latency->write ? "write" : "read",
                        latency->device);
        return ret;
}
