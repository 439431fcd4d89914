/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the network meter shares with the daemon: one row a CPU and slot, so that no CPU waits for another's
 * line.
 *
 * Include after vmlinux.h or <linux/types.h>.
 */

#define NET_METER_LAYOUT 1

struct net_count {
        __u64 bytes; /* IP bytes: every segment with its headers as on the wire, a datagram before it is cut
                        into fragments or when it is whole again; no link layer */
        __u64 packets;
};

/* Row [cpu * slots + slot]. */
struct net_row {
        struct net_count egress, ingress;
        struct net_count local_egress, local_ingress; /* what stayed on the node: in none of the other two */
};
_Static_assert(sizeof(struct net_row) == 64, "a row is one line of cache");
