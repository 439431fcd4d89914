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

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "net-meter.h"

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define NEXTHDR_HOP 0
#define NEXTHDR_ROUTING 43
#define NEXTHDR_DEST 60
/* The loopback device's index in every network namespace (include/net/flow.h). */
#define LOOPBACK_IFINDEX 1
/* IPv6 extension headers looked through before a packet's segments are given up on. */
#define EXTENSIONS_MAX 4

const volatile __u32 slots = 1;
const volatile __u32 slot = 0;
const volatile __u32 classid = 0; /* skb->priority on egress; 0: left as it is */

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct net_row);
} net_rows SEC(".maps");

/* Bytes of IP and transport headers, which every segment repeats; 0 where they can't be told. */
static __noinline __u32 headers_length(struct __sk_buff *skb) {
        __u32 offset;
        __u8 protocol;

        if (skb->protocol == bpf_htons(ETH_P_IP)) {
                struct iphdr ip;

                if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)) < 0)
                        return 0;
                offset = ip.ihl * 4;
                protocol = ip.protocol;
        } else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
                struct ipv6hdr ip;

                if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)) < 0)
                        return 0;
                offset = sizeof(ip);
                protocol = ip.nexthdr;
                for (int i = 0; i < EXTENSIONS_MAX; i++) {
                        struct ipv6_opt_hdr extension;

                        if (protocol != NEXTHDR_HOP && protocol != NEXTHDR_ROUTING &&
                                        protocol != NEXTHDR_DEST)
                                break;
                        if (bpf_skb_load_bytes(skb, offset, &extension, sizeof(extension)) < 0)
                                return 0;
                        offset += (extension.hdrlen + 1) * 8;
                        protocol = extension.nexthdr;
                }
        } else
                return 0;

        if (protocol == IPPROTO_TCP) {
                __u8 data_offset;

                if (bpf_skb_load_bytes(skb, offset + 12, &data_offset, sizeof(data_offset)) < 0)
                        return 0;
                return offset + (data_offset >> 4) * 4;
        }
        if (protocol == IPPROTO_UDP)
                return offset + sizeof(struct udphdr);
        return 0;
}

/* Atomic: what a process sends can be interrupted by what the same CPU sends for it in a soft interrupt. */
static __always_inline void count_packet(struct __sk_buff *skb, struct net_count *count) {
        __u64 bytes = skb->len, packets = 1;
        __u32 segment = skb->gso_size;

        /* gso_segs is not to be relied on: a guest's or a tunnel's packets come with 0. */
        if (segment) {
                __u32 headers = headers_length(skb);

                if (headers && headers < bytes) {
                        packets = (bytes - headers + segment - 1) / segment;
                        bytes += (packets - 1) * headers;
                } else if (skb->gso_segs)
                        packets = skb->gso_segs;
        }

        __sync_fetch_and_add(&count->bytes, bytes);
        __sync_fetch_and_add(&count->packets, packets);
}

static __always_inline struct net_row *find_row(void) {
        __u32 key = bpf_get_smp_processor_id() * slots + slot;

        return bpf_map_lookup_elem(&net_rows, &key);
}

SEC("cgroup_skb/egress")
int net_meter_egress(struct __sk_buff *skb) {
        struct net_row *row = find_row();

        if (classid)
                skb->priority = classid;
        if (row)
                count_packet(skb, skb->ifindex == LOOPBACK_IFINDEX ? &row->local_egress : &row->egress);

        return 1;
}

SEC("cgroup_skb/ingress")
int net_meter_ingress(struct __sk_buff *skb) {
        struct net_row *row = find_row();

        if (row)
                count_packet(skb, skb->ifindex == LOOPBACK_IFINDEX ? &row->local_ingress : &row->ingress);

        return 1;
}

char LICENSE[] SEC("license") = "GPL";
