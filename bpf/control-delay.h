/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the meter of the control class's delay shares with the daemon: one row a CPU, so that no CPU waits for
 * another's line.
 *
 * Include after vmlinux.h or <linux/types.h>.
 */

#define CONTROL_DELAY_LAYOUT 1

/* As the daemon's histograms: bucket 0 is below 1024 ns, bucket i from 2^(9+i) ns to below twice that, the
 * last all that is longer. */
#define CONTROL_DELAY_BUCKETS 24

struct control_delay_row {
        __u64 delay[CONTROL_DELAY_BUCKETS]; /* packets, by how long each was in the uplink's queue */
        __u64 delay_nsec;                   /* the sum of all in the buckets */
        __u64 pad[7];
};
_Static_assert(sizeof(struct control_delay_row) == 4 * 64, "whole lines of cache");

/* Packets that can be told at once; of more, those that came first are told no longer. */
#define CONTROL_DELAY_PACKETS 8192
