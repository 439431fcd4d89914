/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * skb->tc_index says of a packet that it was sent on this node, and by whom: it is 0 in what comes in at an
 * interface, goes with the packet through veths, bridges, routing and NAT, where priority, mark and socket
 * are lost, and no queueing discipline that there still is reads it. It is the minor of the sender's class,
 * the base being nobody's. Include after vmlinux.h or <linux/types.h>.
 */

/* Also set once the packet was counted as one that stays on the node. */
#define NET_LOCAL_COUNTED 0x8000
#define NET_LOCAL_MINOR(tc_index) ((tc_index) & ~NET_LOCAL_COUNTED)

/* Whose an address in a network namespace is, by what was sent from it: in6_addr (IPv4's mapped) to this. */
struct net_address {
        __u32 slot;
        __u32 ifindex; /* of the veth that leads there: it keeps the address from others as long as it is */
};
_Static_assert(sizeof(struct net_address) == 8, "a value of the table");

#define NET_ADDRESS_LAYOUT 1
#define NET_ADDRESSES 16384

/* At the end of which veth a station is, by what came from it: an address of Ethernet to the ifindex. */
struct net_station {
        __u8 address[6];
        __u8 pad[2];
};
_Static_assert(sizeof(struct net_station) == 8, "a key of the table");

#define NET_STATION_LAYOUT 1
#define NET_STATIONS 16384

#define NET_LOCAL_FROM_PROGRAM headgate_from
#define NET_LOCAL_FROM_PROGRAM_NAME "headgate_from"
#define NET_LOCAL_TO_PROGRAM headgate_to
#define NET_LOCAL_TO_PROGRAM_NAME "headgate_to"
