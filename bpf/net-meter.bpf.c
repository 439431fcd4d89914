// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts a tenant's packets, and gives those that leave their class. Loaded once a tenant, whose slot and
 * class are constants of the program; attached to the tenant's group, for it and all below. It never drops a
 * packet.
 *
 * Egress is counted before any queue: what the shaper drops later is in it. Sockets belong to the group in
 * which they were opened. Packet sockets and the kernel's own replies (a reset, an acknowledgement in
 * TIME_WAIT) pass by.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "net-local.h"
#include "net-meter.h"

/* The loopback device's index in every network namespace (include/net/flow.h). */
#define LOOPBACK_IFINDEX 1

#define SOCK_RAW 3
#define SKB_DST_NOREF 1UL
#define RTCF_BROADCAST 0x10000000
#define RTCF_MULTICAST 0x20000000

const volatile __u32 slots = 1;
const volatile __u32 slot = 0;
const volatile __u32 classid = 0; /* skb->priority on egress; 0: left as it is */
/* Not where the kernel is locked down to confidentiality. */
const volatile bool reads_kernel = true;

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct net_row);
} net_rows SEC(".maps");

#include "net-count.bpf.h"

static __always_inline struct net_row *find_row(__u32 of_slot) {
        __u32 key = bpf_get_smp_processor_id() * slots + of_slot;

        return bpf_map_lookup_elem(&net_rows, &key);
}

SEC("cgroup_skb/egress")
int net_meter_egress(struct __sk_buff *skb) {
        struct net_row *row = find_row(slot);

        if (classid)
                skb->priority = classid;
        if (row) {
                struct net_count count = net_count_of(skb, skb->len);

                net_add(skb->ifindex == LOOPBACK_IFINDEX ? &row->local_egress : &row->egress, &count);
        }

        return 1;
}

/*
 * Else each socket that wants it gets a copy, and may have as many as its owner likes. What has an address of
 * many is known as UDP knows it (__udp4_lib_rcv(), __udp6_lib_rcv()): by the route, since the broadcast
 * address of another link is an address like any other where it was sent, and its frame for one. Raw sockets
 * get theirs beside whoever it is for.
 */
static __always_inline bool is_for_one(struct __sk_buff *skb) {
        struct bpf_sock *socket = skb->sk;

        if (socket)
                socket = bpf_sk_fullsock(socket);
        if (!socket || socket->type == SOCK_RAW)
                return false;
        if (skb->protocol == bpf_htons(ETH_P_IP)) {
                unsigned long to;

                if (!reads_kernel)
                        return false;
                to = BPF_CORE_READ((struct sk_buff *) skb, _skb_refdst) & ~SKB_DST_NOREF;
                return to &&
                       !(BPF_CORE_READ((struct rtable *) to, rt_flags) & (RTCF_BROADCAST | RTCF_MULTICAST));
        }
        if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
                __u8 first;

                return net_load(skb, offsetof(struct ipv6hdr, daddr), &first, sizeof(first)) == 0 &&
                       first != 0xff;
        }
        return false;
}

/* From a network namespace to the host itself: the one way that does not lead through a second veth. */
static __always_inline void count_sender(struct __sk_buff *skb, __u32 origin, const struct net_count *count) {
        __u32 sender = origin + slot - (classid & 0xffff); /* of the class, its slot */
        struct net_row *row;

        if (!classid || origin & NET_LOCAL_COUNTED || sender == 0 || sender >= slots || !is_for_one(skb))
                return;
        row = find_row(sender);
        if (row)
                net_move_to_local(row, count);
}

SEC("cgroup_skb/ingress")
int net_meter_ingress(struct __sk_buff *skb) {
        struct net_row *row = find_row(slot);
        __u32 origin = skb->tc_index;

        if (row) {
                struct net_count count = net_count_of(skb, skb->len);

                if (origin || skb->ifindex == LOOPBACK_IFINDEX)
                        net_add(&row->local_ingress, &count);
                else
                        net_add(&row->ingress, &count);
                if (origin)
                        count_sender(skb, origin, &count);
        }

        return 1;
}

char LICENSE[] SEC("license") = "GPL";
