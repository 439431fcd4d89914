/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the meter of TCP shares with the daemon: whose a group is, a value that the kernel keeps with the
 * program's attachment there, and one row a CPU and slot, so that no CPU waits for another's line.
 *
 * Include after vmlinux.h or <linux/types.h>.
 */

#define TCP_METER_LAYOUT 1

struct tcp_group {
        __u32 slot; /* 0: nobody's, as it is between the attachment and the first write */
};

/* As the daemon's histograms: bucket 0 is below 1024 ns, bucket i from 2^(9+i) ns to below twice that, the
 * last all that is longer. */
#define TCP_RTT_BUCKETS 24

/* Row [cpu * slots + slot]. */
struct tcp_row {
        __u64 connects;    /* connections that it began and that were established */
        __u64 accepts;     /* that others began, before its process took them up */
        __u64 failed;      /* that it began and that were not established, refused ones included */
        __u64 refused;     /* by a reset or by ICMP: ECONNREFUSED */
        __u64 resets;      /* that the other end reset once they were established */
        __u64 retransmits; /* segments */
        __u64 rtt_nsec;    /* the sum of all in the buckets */
        __u64 pad;
        __u64 rtt[TCP_RTT_BUCKETS]; /* smoothed, once a round trip */
};
_Static_assert(sizeof(struct tcp_row) == 4 * 64, "whole lines of cache");
