/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the meter of TCP shares with the daemon: whose a group is, a value that the kernel keeps with the
 * program's attachment there, and one row a CPU and slot, so that no CPU waits for another's line.
 *
 * Include after vmlinux.h or <linux/types.h>.
 */

#define TCP_METER_LAYOUT 2

struct tcp_group {
        __u32 slot; /* 0: nobody's, as it is between the attachment and the first write */
};

/* Row [cpu * slots + slot]. */
struct tcp_row {
        __u64 connects;    /* connections that it began and that were established */
        __u64 accepts;     /* that others began, before its process took them up */
        __u64 failed;      /* that it began and that were not established, refused ones included */
        __u64 refused;     /* by a reset or by ICMP: ECONNREFUSED */
        __u64 resets;      /* that the other end reset once they were established */
        __u64 retransmits; /* segments */
        __u64 rtt_nsec;    /* the sum of all round trips in struct tcp_rtts */
        __u64 pad;
};
_Static_assert(sizeof(struct tcp_row) == 64, "a row is one line of cache");

/*
 * Smoothed, once a round trip. As the daemon's histograms: bucket 0 is below 1024 ns, bucket i from 2^(9+i)
 * ns to below twice that, the last all that is longer. Row [cpu * slots + slot], of a table that is seldom
 * read.
 */
#define TCP_RTT_BUCKETS 24
struct tcp_rtts {
        __u64 bucket[TCP_RTT_BUCKETS];
};
_Static_assert(sizeof(struct tcp_rtts) == 3 * 64, "whole lines of cache");
