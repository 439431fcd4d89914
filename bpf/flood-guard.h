/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What an uplink's classifier shares with the daemon of floods: packets that a class's queue could not take,
 * which are dropped before they come to the one lock of the tree. By slot; the daemon writes what the class
 * may have, the classifier the rest. Bytes are those on the wire.
 *
 * Include after vmlinux.h or <linux/bpf.h>.
 */

#define FLOOD_GUARD_LAYOUT 1

/* Of the time that a class's longest queue lasts, a window takes one of so many parts: what comes in a burst
 * at its beginning has room in a queue, be it of small packets, of which it holds few bytes. */
#define FLOOD_WINDOWS_A_QUEUE 8
/* A flow is a bucket, by its hash. */
#define FLOOD_BUCKETS 256

struct flood_row {
        __u64 psec_per_byte; /* that the class lets pass at the most; 0: nothing is dropped */
        __u64 queue_nsec;    /* that its longest queue lasts at this rate */
        __u64 window_bytes;  /* that it lets pass in a window */
        __u64 sent_at;       /* when all that was let pass has left, at this rate; monotonic, nanoseconds */
        __u64 drops;         /* packets */
        __u64 window;        /* number of the last one in which it was busy */
        __u64 within;        /* bytes in it, of flows that had no more than their allowance */
        __u64 allowance;     /* bytes that a flow may have in it, whatever waits */
};
_Static_assert(sizeof(struct flood_row) == 64, "a line of a cache");
