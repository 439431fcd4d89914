/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * rtnetlink messages of one uplink's tree, to bytes and back. Built with libnl's attribute core rather than
 * with libnl-route's objects: those add two rate tables of 1 KiB to each class, which kernels since 3.8 do
 * not read, and cost ten times as much a change. Opens no socket; sequence numbers and flags of a dump are
 * netlink.c's.
 */

#include "htb-tree.h"

#include <linux/netlink.h>
#include <net/if.h>

struct nl_msg;

typedef struct TcLink {
        int ifindex;
        HtbPackets packets;       /* that it is given to send */
        uint32_t taken_max_bytes; /* the largest that it makes of those that it takes */
        uint32_t queues;          /* that it can send by */
        char name[IFNAMSIZ];
        bool is_bridge;
} TcLink;

typedef struct TcQdisc {
        int ifindex;
        uint32_t parent; /* TC_H_ROOT, or a class */
        uint32_t handle; /* 0: the kernel's default, which nobody asked for */
        char kind[16];
        uint32_t default_minor; /* of htb: the class of what has none */
        HtbLeaf leaf;           /* what it is, or would be, in a class; HTB_LEAF_NONE: we make none such */
} TcQdisc;

/* All makers: -ENOMEM is the one error; the caller frees with nlmsg_free(). */
/* A message of tc's, of a kind or of none (NULL). */
int tc_message_new(uint16_t type, uint16_t flags, int ifindex, uint32_t parent, uint32_t handle,
                const char *kind, struct nl_msg **ret);
int tc_message_link_get(const char *ifname, struct nl_msg **ret);
int tc_message_qdisc_dump(struct nl_msg **ret);
int tc_message_class_dump(int ifindex, struct nl_msg **ret);
int tc_message_filter_dump(int ifindex, uint32_t parent, struct nl_msg **ret);

/* Our root, with SLOT_DEFAULT's class as the default. The kernel answers -EEXIST where a root of anyone's is.
 */
int tc_message_root_add(int ifindex, struct nl_msg **ret);
/* Takes away the root, if it has this handle; else the kernel answers -EINVAL. */
int tc_message_root_delete(int ifindex, uint32_t handle, struct nl_msg **ret);
int tc_message_change(int ifindex, const HtbChange *change, struct nl_msg **ret);

/*
 * Asks the kernel for a qdisc that no kernel makes, on the loopback interface: -ENOENT says that it does not
 * know the kind, -EINVAL that it does. `kind` is "htb", "fq_codel" or "fq".
 */
int tc_message_probe(const char *kind, struct nl_msg **ret);

/*
 * All parsers: 1 where the message is one, 0 where it is about something else (another kind of message, a
 * class of another's tree), -EBADMSG where it is broken. Outputs are set for 1 alone.
 */
int tc_message_parse_link(const struct nlmsghdr *header, TcLink *ret);
int tc_message_parse_qdisc(const struct nlmsghdr *header, TcQdisc *ret);
int tc_message_parse_class(const struct nlmsghdr *header, int ifindex, HtbClass *ret);
/* The class of a slot, that is: the root class has none, and gives 0. */
int tc_message_parse_stats(const struct nlmsghdr *header, int ifindex, NetClassStats *ret);
/* What the qdisc in a slot's class dropped; the kernel's own FIFO is not told of. */
int tc_message_parse_leaf_drops(
                const struct nlmsghdr *header, int ifindex, uint32_t *ret_slot, uint64_t *ret_drops);
