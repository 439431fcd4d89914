/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the meter of sockets shares with the daemon: the mark that a tenant's socket carries for as long as it
 * is there, and what a pass over all that carry one found, one row a slot.
 *
 * Include after vmlinux.h or <linux/types.h>.
 */

/* Of the marks. Rows are made anew with each start and each pass. */
#define SOCKET_METER_LAYOUT 1

struct socket_row {
        __u64 tcp;         /* TCP sockets, whatever their state */
        __u64 established; /* those of them whose connection is established */
        __u64 udp;
};
_Static_assert(sizeof(struct socket_row) == 24, "no hidden padding");

/* The daemon zeroes it before a pass. */
struct socket_pass {
        __u64 visited; /* sockets, or files */
};
