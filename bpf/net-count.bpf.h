/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/*
 * A packet's bytes and packets as they are on the wire, for programs that count them. Include after
 * vmlinux.h, bpf_helpers.h, bpf_endian.h and net-meter.h.
 */

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define NEXTHDR_HOP 0
#define NEXTHDR_ROUTING 43
#define NEXTHDR_DEST 60
/* IPv6 extension headers looked through before a packet's segments are given up on. */
#define EXTENSIONS_MAX 4

static __always_inline int net_load(struct __sk_buff *skb, __u32 offset, void *to, __u32 size) {
        return bpf_skb_load_bytes_relative(skb, offset, to, size, BPF_HDR_START_NET);
}

/* Bytes of IP and transport headers, which every segment repeats; 0 where they can't be told. */
static __noinline __u32 net_headers_length(struct __sk_buff *skb) {
        __u32 offset;
        __u8 protocol;

        if (skb->protocol == bpf_htons(ETH_P_IP)) {
                struct iphdr ip;

                if (net_load(skb, 0, &ip, sizeof(ip)) < 0)
                        return 0;
                offset = ip.ihl * 4;
                protocol = ip.protocol;
        } else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
                struct ipv6hdr ip;

                if (net_load(skb, 0, &ip, sizeof(ip)) < 0)
                        return 0;
                offset = sizeof(ip);
                protocol = ip.nexthdr;
                for (int i = 0; i < EXTENSIONS_MAX; i++) {
                        struct ipv6_opt_hdr extension;

                        if (protocol != NEXTHDR_HOP && protocol != NEXTHDR_ROUTING &&
                                        protocol != NEXTHDR_DEST)
                                break;
                        if (net_load(skb, offset, &extension, sizeof(extension)) < 0)
                                return 0;
                        offset += (extension.hdrlen + 1) * 8;
                        protocol = extension.nexthdr;
                }
        } else
                return 0;

        if (protocol == IPPROTO_TCP) {
                __u8 data_offset;

                if (net_load(skb, offset + 12, &data_offset, sizeof(data_offset)) < 0)
                        return 0;
                return offset + (data_offset >> 4) * 4;
        }
        if (protocol == IPPROTO_UDP)
                return offset + sizeof(struct udphdr);
        return 0;
}

/* `bytes`: from the IP header on. */
static __always_inline struct net_count net_count_of(struct __sk_buff *skb, __u64 bytes) {
        struct net_count count = { bytes, 1 };
        __u32 segment = skb->gso_size;

        /* gso_segs is not to be relied on: a guest's or a tunnel's packets come with 0. */
        if (segment) {
                __u32 headers = net_headers_length(skb);

                if (headers && headers < bytes) {
                        count.packets = (bytes - headers + segment - 1) / segment;
                        count.bytes += (count.packets - 1) * headers;
                } else if (skb->gso_segs)
                        count.packets = skb->gso_segs;
        }
        return count;
}

/* Atomic: what a process sends can be interrupted by what the same CPU sends for it in a soft interrupt. */
static __always_inline void net_add(struct net_count *sum, const struct net_count *count) {
        __sync_fetch_and_add(&sum->bytes, count->bytes);
        __sync_fetch_and_add(&sum->packets, count->packets);
}

/* What was counted as sent, perhaps on another CPU, has stayed on the node: only the rows' sum has a meaning.
 */
static __always_inline void net_move_to_local(struct net_row *row, const struct net_count *count) {
        __sync_fetch_and_sub(&row->egress.bytes, count->bytes);
        __sync_fetch_and_sub(&row->egress.packets, count->packets);
        net_add(&row->local_egress, count);
}
