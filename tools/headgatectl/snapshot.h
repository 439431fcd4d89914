/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a Snapshot in JSON says that 'top' shows: each tenant's counters, and what of CPU its allocations
 * wanted and were denied.
 */

#include "model/sample.h"
#include "util/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct SnapshotUsage {
        char *id; /* owned; the tenant's */
        Sample sample;
} SnapshotUsage;

typedef struct SnapshotDelivered {
        char *id;        /* owned; the allocation's */
        bool has_wanted; /* else nothing is told of CPU */
        uint64_t wanted_nsec, denied_nsec;
} SnapshotDelivered;

typedef struct Snapshot {
        uint64_t time_usec;   /* UTC: when the counters were read, not when we asked */
        SnapshotUsage *usage; /* owned, ordered by id */
        size_t n_usage;
        SnapshotDelivered *delivered; /* owned, in no order */
        size_t n_delivered;
} Snapshot;

#define SNAPSHOT_NULL \
        { 0, NULL, 0, NULL, 0 }

/* -EBADMSG: it is no such text, or not all of one. What is in it besides is not looked at. */
int snapshot_parse(const char *text, size_t size, Snapshot *ret);
void snapshot_deinit(Snapshot *snapshot);
#define _cleanup_snapshot_ _cleanup_(snapshot_deinit)

/* NULL: nothing is told of that tenant. */
const Sample *snapshot_find(const Snapshot *snapshot, const char *tenant_id);
