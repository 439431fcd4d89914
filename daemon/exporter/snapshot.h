/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/cleanup.h"

#include <stdint.h>
#include <systemd/sd-event.h>

/* Where snapshots come from: headgated, over D-Bus. */
typedef struct SnapshotSource SnapshotSource;

/* `bus` is "system", "session" or an address. Nothing is connected before the first request. */
int snapshot_source_new(sd_event *event, const char *bus, uint64_t timeout_usec, SnapshotSource **ret);
SnapshotSource *snapshot_source_free(SnapshotSource *source);
DEFINE_CLEANUP(SnapshotSource *, snapshot_source_free);

/*
 * Called once for each request, from the event loop: `fd`, which the handler owns now, is a sealed memfd with
 * `size` bytes; or -EBADF, and `why_not` is a sentence.
 */
typedef void (*SnapshotHandler)(int fd, uint64_t size, const char *why_not, void *userdata);

typedef struct SnapshotRequest SnapshotRequest;

/*
 * Asks headgated for its samples as OpenMetrics text, with all others who ask now: two answers a second
 * at most. The handler is called within twice the source's timeout and a second, and not before this returns.
 * Where there is no bus to ask on: negative errno, no handler will be called, and *ret_why_not (the caller
 * frees) is a sentence, or NULL for want of memory.
 */
int snapshot_request_new(SnapshotSource *source, SnapshotHandler handler, void *userdata,
                SnapshotRequest **ret, char **ret_why_not);
/* Drops the request: its handler will not be called. May be called from the handler; not after its source's
 * end. */
SnapshotRequest *snapshot_request_free(SnapshotRequest *request);
DEFINE_CLEANUP(SnapshotRequest *, snapshot_request_free);
