// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gives a class to the packets that reach an uplink without one of ours: those of packet sockets, and of
 * sockets opened before their process came to its tenant, and what comes from network namespaces. The
 * sender's group tells the tenant, or what was noted at the namespace's veth. Whatever has no group of a
 * tenant is left alone, for the default class; other filters run before and after this one, whatever it
 * finds. And the last to see a packet before the tree's lock drops what is of a flood (flood-guard.bpf.h).
 */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "net-class.h"
#include "net-group.bpf.h"
#include "net-local.h"

#include "flood-guard.bpf.h"

#define TC_ACT_UNSPEC (-1)
#define TC_ACT_SHOT 2

static __always_inline void give_class(struct __sk_buff *skb) {
        const __u32 *slot;

        if (skb->priority >> 16 == major)
                return;

        slot = net_sender_slot(skb);
        if (slot)
                skb->priority = major << 16 | (minor_base + *slot);
        else if (skb->tc_index > minor_base) /* from a network namespace, routed: net-local.bpf.c */
                skb->priority = major << 16 | NET_LOCAL_MINOR(skb->tc_index);
}

SEC("tc")
int NET_CLASS_PROGRAM(struct __sk_buff *skb) {
        give_class(skb);
        return is_flood(skb) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "GPL";
