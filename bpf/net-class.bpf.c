// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gives a class to the packets that reach an uplink without one of ours: those of packet sockets, and of
 * sockets opened before their process came to its tenant. The sender's group tells the tenant. Whatever has
 * no group of a tenant is left alone, for the default class; other filters run before and after this one,
 * whatever it finds.
 */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "net-class.h"

#define TC_ACT_UNSPEC (-1)

/* A class is major << 16 | minor_base + slot. */
const volatile __u32 major = 0;
const volatile __u32 minor_base = 0;

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 1);
        __type(key, __u64);
        __type(value, __u32);
} groups SEC(".maps");

SEC("tc")
int NET_CLASS_PROGRAM(struct __sk_buff *skb) {
        if (skb->priority >> 16 == major)
                return TC_ACT_UNSPEC;

        /* The root group, level 0, is nobody's. Beyond the sender's own level, and with no sender, the id is
         * 0. */
        for (int level = 1; level < NET_CLASS_DEPTH; level++) {
                __u64 id = bpf_skb_ancestor_cgroup_id(skb, level);
                __u32 *slot;

                if (id == 0)
                        break;
                slot = bpf_map_lookup_elem(&groups, &id);
                if (slot) {
                        skb->priority = major << 16 | (minor_base + *slot);
                        break;
                }
        }

        return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "GPL";
