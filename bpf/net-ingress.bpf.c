// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gives a class to the packets that come in at an uplink, before they queue in its IFB: that of the tenant
 * whose socket will get them, found as the kernel will find it; where they go on into a network namespace,
 * of the tenant who sends from their address; and of a datagram's later fragments that of the first. What no
 * tenant waits for has none, and goes to the default class. It returns to the classifier that holds it:
 * queued, or, what is not IP, passed by.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "group-slot.bpf.h"
#include "net-class.h"
#include "net-group.bpf.h"
#include "net-ingress.h"
#include "net-local.h"

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define IP_OFFSET 0x1fff
#define IP_MF 0x2000
#define IP6_OFFSET 0xfff8
#define IP6_MF 0x0001
#define NEXTHDR_HOP 0
#define NEXTHDR_ROUTING 43
#define NEXTHDR_FRAGMENT 44
#define NEXTHDR_DEST 60
#define EXTENSIONS_MAX 4
#define AF_INET 2
#define AF_INET6 10

/* Of a classifier without direct action (net/sched/cls_bpf.c). */
#define PASSED_BY 0
#define QUEUED (-1)

struct {
        __uint(type, BPF_MAP_TYPE_LRU_HASH);
        __uint(max_entries, NET_ADDRESSES);
        __type(key, struct in6_addr);
        __type(value, struct net_address);
} addresses SEC(".maps");

struct datagram {
        struct in6_addr source, destination; /* IPv4's mapped */
        __u32 id;
        __u32 protocol;
};

struct {
        __uint(type, BPF_MAP_TYPE_LRU_HASH);
        __uint(max_entries, NET_INGRESS_FRAGMENTS);
        __type(key, struct datagram);
        __type(value, __u32);
} fragments SEC(".maps");

/* Where a socket's pointer becomes a number, of which the verifier lets us read fields that are not its
 * own to show: only a TCP socket has a type for that on all kernels. */
struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, __u64);
} laundry SEC(".maps");

struct packet {
        struct bpf_sock_tuple tuple;
        __u32 offset; /* of the transport header, from the network header */
        __u8 protocol;
        bool ipv6, fragment, has_ports;
        struct datagram datagram;
};

static __always_inline int load(struct __sk_buff *skb, __u32 offset, void *to, __u32 size) {
        return bpf_skb_load_bytes_relative(skb, offset, to, size, BPF_HDR_START_NET);
}

static __always_inline bool read_ipv4(struct __sk_buff *skb, struct packet *packet) {
        struct iphdr ip;
        __u16 fragment;

        if (load(skb, 0, &ip, sizeof(ip)) < 0)
                return false;
        fragment = bpf_ntohs(ip.frag_off);
        packet->protocol = ip.protocol;
        packet->offset = ip.ihl * 4;
        packet->fragment = fragment & (IP_OFFSET | IP_MF);
        packet->has_ports = !(fragment & IP_OFFSET);
        packet->datagram.source.in6_u.u6_addr32[3] = packet->tuple.ipv4.saddr = ip.saddr;
        packet->datagram.source.in6_u.u6_addr16[5] = 0xffff;
        packet->datagram.destination.in6_u.u6_addr32[3] = packet->tuple.ipv4.daddr = ip.daddr;
        packet->datagram.destination.in6_u.u6_addr16[5] = 0xffff;
        packet->datagram.id = ip.id;
        return true;
}

static __always_inline bool read_ipv6(struct __sk_buff *skb, struct packet *packet) {
        struct ipv6hdr ip;

        if (load(skb, 0, &ip, sizeof(ip)) < 0)
                return false;
        packet->protocol = ip.nexthdr;
        packet->offset = sizeof(ip);
        packet->has_ports = true;
        packet->datagram.source = ip.saddr;
        packet->datagram.destination = ip.daddr;
        __builtin_memcpy(packet->tuple.ipv6.saddr, &ip.saddr, sizeof(ip.saddr));
        __builtin_memcpy(packet->tuple.ipv6.daddr, &ip.daddr, sizeof(ip.daddr));
        packet->ipv6 = true;

        for (int i = 0; i < EXTENSIONS_MAX; i++) {
                struct frag_hdr header; /* begins as they all do: what follows, and how long it is */

                if (packet->protocol != NEXTHDR_HOP && packet->protocol != NEXTHDR_ROUTING &&
                                packet->protocol != NEXTHDR_DEST && packet->protocol != NEXTHDR_FRAGMENT)
                        break;
                if (load(skb, packet->offset, &header, sizeof(header)) < 0)
                        return false;
                if (packet->protocol == NEXTHDR_FRAGMENT) {
                        packet->fragment = bpf_ntohs(header.frag_off) & (IP6_OFFSET | IP6_MF);
                        packet->has_ports = !(bpf_ntohs(header.frag_off) & IP6_OFFSET);
                        packet->datagram.id = header.identification;
                        packet->offset += sizeof(header);
                } else
                        packet->offset += (header.reserved + 1) * 8;
                packet->protocol = header.nexthdr;
                if (!packet->has_ports)
                        break;
        }
        return true;
}

static __always_inline bool read_ports(struct __sk_buff *skb, struct packet *packet) {
        __be16 ports[2];

        if ((packet->protocol != IPPROTO_TCP && packet->protocol != IPPROTO_UDP) ||
                        load(skb, packet->offset, ports, sizeof(ports)) < 0)
                return false;
        if (packet->ipv6) {
                packet->tuple.ipv6.sport = ports[0];
                packet->tuple.ipv6.dport = ports[1];
        } else {
                packet->tuple.ipv4.sport = ports[0];
                packet->tuple.ipv4.dport = ports[1];
        }
        return true;
}

/* Of the group that it was opened in. */
static __always_inline __u32 slot_of_socket(struct bpf_sock *socket) {
        __u32 key = 0;
        volatile __u64 *number = bpf_map_lookup_elem(&laundry, &key);
        const struct sock *sk;

        if (!number)
                return 0;
        *number = (__u64) socket;
        sk = (const struct sock *) *number;
        return find_slot_above(BPF_CORE_READ(sk, sk_cgrp_data.cgroup));
}

static __always_inline __u32 find_slot(struct __sk_buff *skb, struct packet *packet) {
        __u32 size = packet->ipv6 ? sizeof(packet->tuple.ipv6) : sizeof(packet->tuple.ipv4), slot;
        struct bpf_sock_tuple *tuple = &packet->tuple;
        struct bpf_sock *socket;

        if (!read_ports(skb, packet))
                return 0;
        socket = packet->protocol == IPPROTO_TCP
                                 ? bpf_sk_lookup_tcp(skb, tuple, size, BPF_F_CURRENT_NETNS, 0)
                                 : bpf_sk_lookup_udp(skb, tuple, size, BPF_F_CURRENT_NETNS, 0);
        if (!socket)
                return 0;
        slot = slot_of_socket(socket);
        bpf_sk_release(socket);
        return slot;
}

/* Not this node's own address, whoever claims to send from it. */
static __always_inline bool goes_on(struct __sk_buff *skb, const struct packet *packet) {
        struct bpf_fib_lookup fib = { .ifindex = skb->ifindex, .l4_protocol = packet->protocol };

        if (packet->ipv6) {
                fib.family = AF_INET6;
                __builtin_memcpy(fib.ipv6_src, &packet->datagram.source, sizeof(fib.ipv6_src));
                __builtin_memcpy(fib.ipv6_dst, &packet->datagram.destination, sizeof(fib.ipv6_dst));
        } else {
                fib.family = AF_INET;
                fib.ipv4_src = packet->datagram.source.in6_u.u6_addr32[3];
                fib.ipv4_dst = packet->datagram.destination.in6_u.u6_addr32[3];
        }
        return bpf_fib_lookup(skb, &fib, sizeof(fib), 0) != BPF_FIB_LKUP_RET_NOT_FWDED;
}

static __always_inline __u32 find_address(struct __sk_buff *skb, const struct packet *packet) {
        const struct net_address *known = bpf_map_lookup_elem(&addresses, &packet->datagram.destination);

        return known && goes_on(skb, packet) ? known->slot : 0;
}

SEC("tc")
int NET_INGRESS_PROGRAM(struct __sk_buff *skb) {
        struct packet packet = {};
        __u32 slot = 0;

        if (skb->protocol == bpf_htons(ETH_P_IP)) {
                if (!read_ipv4(skb, &packet))
                        return QUEUED;
        } else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
                if (!read_ipv6(skb, &packet))
                        return QUEUED;
        } else
                return PASSED_BY;

        packet.datagram.protocol = packet.protocol;
        slot = find_address(skb, &packet);
        if (!slot && packet.has_ports) {
                slot = find_slot(skb, &packet);
                if (packet.fragment && slot)
                        bpf_map_update_elem(&fragments, &packet.datagram, &slot, BPF_ANY);
        } else if (!slot) {
                const __u32 *first = bpf_map_lookup_elem(&fragments, &packet.datagram);

                slot = first ? *first : 0;
        }
        if (slot)
                skb->priority = major << 16 | (minor_base + slot);
        return QUEUED;
}

char LICENSE[] SEC("license") = "GPL";
