// SPDX-License-Identifier: GPL-2.0-only
/*
 * At the host's ends of the veths of network namespaces: of what comes from a namespace it notes whose it is,
 * by the sender's group, which nothing after this shows; what goes into one and was sent on this node never
 * was on the wire, and is counted so. Other filters run before and after these, whatever they find.
 */
#include "vmlinux.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "net-class.h"
#include "net-group.bpf.h"
#include "net-local.h"
#include "net-meter.h"

#define TC_ACT_UNSPEC (-1)
#define ETH_ALEN 6
#define ETH_HLEN 14
#define AF_PACKET 17
#define NEXTHDR_FRAGMENT 44

const volatile __u32 slots = 1;

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct net_row);
} net_rows SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_LRU_HASH);
        __uint(max_entries, NET_ADDRESSES);
        __type(key, struct in6_addr);
        __type(value, struct net_address);
} addresses SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_LRU_HASH);
        __uint(max_entries, NET_STATIONS);
        __type(key, struct net_station);
        __type(value, __u32);
} stations SEC(".maps");

#include "net-count.bpf.h"

/* What comes in for it from outside is then known by it (net-ingress.bpf.c). */
static __always_inline void learn_address(struct __sk_buff *skb, __u32 slot) {
        struct net_address *known, new = { slot, skb->ifindex };
        struct in6_addr address = {};

        if (skb->protocol == bpf_htons(ETH_P_IP)) {
                address.in6_u.u6_addr16[5] = 0xffff;
                if (net_load(skb, offsetof(struct iphdr, saddr), &address.in6_u.u6_addr32[3], 4) < 0)
                        return;
        } else if (skb->protocol != bpf_htons(ETH_P_IPV6) ||
                        net_load(skb, offsetof(struct ipv6hdr, saddr), &address, sizeof(address)) < 0)
                return;

        known = bpf_map_lookup_elem(&addresses, &address);
        if (!known)
                bpf_map_update_elem(&addresses, &address, &new, BPF_NOEXIST);
        else if (known->ifindex == new.ifindex && known->slot != slot)
                known->slot = slot;
}

/* As a bridge does: the last from whom a frame came has it. */
static __always_inline void learn_station(struct __sk_buff *skb) {
        struct net_station station = {};
        __u32 *known, new = skb->ifindex;

        if (bpf_skb_load_bytes(skb, offsetof(struct ethhdr, h_source), station.address, ETH_ALEN) < 0)
                return;
        known = bpf_map_lookup_elem(&stations, &station);
        if (!known)
                bpf_map_update_elem(&stations, &station, &new, BPF_ANY);
        else if (*known != new)
                *known = new;
}

SEC("tc")
int NET_LOCAL_FROM_PROGRAM(struct __sk_buff *skb) {
        const __u32 *slot = net_sender_slot(skb);
        struct bpf_sock *socket = skb->sk;

        skb->tc_index = minor_base + (slot ? *slot : 0);
        if (socket && socket->family == AF_PACKET) /* was never counted as sent */
                skb->tc_index |= NET_LOCAL_COUNTED;
        learn_station(skb);
        if (slot)
                learn_address(skb, *slot);
        return TC_ACT_UNSPEC;
}

/*
 * One copy of many is not the packet that was sent: of a broadcast, and of what a bridge floods to all ports,
 * as it does not know where its station is, or who has it speaks no more. At one veth at most it is for who
 * is there, and none is left to guess: behind one that nothing came from yet there is no station.
 */
static __always_inline bool is_for_here(struct __sk_buff *skb) {
        struct net_station station = {};
        const __u32 *known;

        if (bpf_skb_load_bytes(skb, offsetof(struct ethhdr, h_dest), station.address, ETH_ALEN) < 0)
                return false;
        known = bpf_map_lookup_elem(&stations, &station);
        return known && *known == skb->ifindex;
}

/* The sender's packet was counted before it was cut: a fragment is what it carries of that, and the first of
 * them the packet. */
static __always_inline void count_as_uncut(struct __sk_buff *skb, struct net_count *count) {
        if (skb->protocol == bpf_htons(ETH_P_IP)) {
                struct iphdr ip;

                if (net_load(skb, 0, &ip, sizeof(ip)) < 0 || !(ip.frag_off & bpf_htons(0x1fff)))
                        return;
                count->packets = 0;
                count->bytes -= ip.ihl * 4;
        } else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
                struct ipv6hdr ip;
                struct frag_hdr fragment;

                if (net_load(skb, 0, &ip, sizeof(ip)) < 0 || ip.nexthdr != NEXTHDR_FRAGMENT ||
                                net_load(skb, sizeof(ip), &fragment, sizeof(fragment)) < 0)
                        return;
                count->bytes -= sizeof(fragment);
                if (!(fragment.frag_off & bpf_htons(0xfff8)))
                        return;
                count->packets = 0;
                count->bytes -= sizeof(ip);
        }
}

static __always_inline void count_local(struct __sk_buff *skb, __u32 minor) {
        __u32 key = bpf_get_smp_processor_id() * slots + minor - minor_base;
        struct net_row *row;

        if (minor <= minor_base || minor >= minor_base + slots)
                return;
        row = bpf_map_lookup_elem(&net_rows, &key);
        if (row) {
                struct net_count count = net_count_of(skb, skb->len - ETH_HLEN);

                count_as_uncut(skb, &count);
                net_move_to_local(row, &count);
        }
}

SEC("tc")
int NET_LOCAL_TO_PROGRAM(struct __sk_buff *skb) {
        __u32 origin = skb->tc_index;

        if (!origin && skb->ingress_ifindex == 0) /* sent by the host itself */
                origin = skb->priority >> 16 == major ? skb->priority & 0xffff : minor_base;
        if (!origin || origin & NET_LOCAL_COUNTED)
                return TC_ACT_UNSPEC;
        if (is_for_here(skb))
                count_local(skb, origin);
        skb->tc_index = origin | NET_LOCAL_COUNTED;
        return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "GPL";
