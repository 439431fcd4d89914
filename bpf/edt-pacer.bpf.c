// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gives each packet that leaves an uplink the time of its departure, by its class, for the fq qdisc below it
 * to keep: floors, ceilings and shares of a link without one lock for all of it. When that is, edt-clock.h
 * says. Drops what would wait too long, and marks what can carry a mark before; lets all else go on to other
 * filters. Which class a packet is of was decided before (net-meter.bpf.c, net-class.bpf.c): what has none,
 * or one that is not there, is of the default one.
 */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "edt-pacer.h"

#include "edt-clock.h"

#define TC_ACT_UNSPEC (-1)
#define TC_ACT_SHOT 2

/* No slot's, and with the lower bits of a priority of 0: an HTB below has no such class, and takes its
 * default. */
#define MINOR_PLAIN 0xfff0

/* A class is major << 16 | minor_base + slot. */
const volatile __u32 major = 0;
const volatile __u32 minor_base = 0;
const volatile __u32 slot_default = 0;
const volatile __u32 slot_control = 0;

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(map_flags, BPF_F_NO_PREALLOC);
        __uint(max_entries, EDT_CLASSES_MAX);
        __type(key, __u32);
        __type(value, struct edt_class);
} edt_classes SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(map_flags, BPF_F_NO_PREALLOC);
        __uint(max_entries, EDT_CLASSES_MAX);
        __type(key, __u32);
        __type(value, struct edt_state);
} edt_states SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct edt_link);
} edt_links SEC(".maps");

/*
 * fq goes by the lower bits of the priority: it has a place before all others, without regard to time, for
 * one value of them, and bands. So those of tenants become plain ones; the control class's are told to fq
 * as those of its first band. What the upper half says stays: whose class it is has been decided.
 */
static __always_inline __u32 fq_priority(__u32 slot) {
        return major << 16 | (slot == slot_control ? minor_base + slot : MINOR_PLAIN);
}

SEC("tc")
int EDT_PACER_PROGRAM(struct __sk_buff *skb) {
        __u64 now = bpf_ktime_get_ns(), asked = skb->tstamp, bytes = skb->wire_len, rate, gate;
        __u64 packets = skb->gso_segs ?: 1, overhead;
        __u32 zero = 0, slot = slot_default;
        struct edt_link *link = bpf_map_lookup_elem(&edt_links, &zero);
        struct edt_verdict verdict;
        struct edt_class *class;
        struct edt_state *state;

        if (!link || link->capacity_bytes == 0)
                return TC_ACT_UNSPEC;
        if (skb->priority >> 16 == major && (skb->priority & 0xffff) >= minor_base)
                slot = (skb->priority & 0xffff) - minor_base;
        class = bpf_map_lookup_elem(&edt_classes, &slot);
        if (!class) {
                slot = slot_default;
                class = bpf_map_lookup_elem(&edt_classes, &slot);
        }
        state = bpf_map_lookup_elem(&edt_states, &slot);
        if (!class || !state || class->level >= EDT_LEVEL_MAX)
                return TC_ACT_UNSPEC;

        rate = edt_rate(class, link->multiplier[class->level]);
        gate = link->clock;
        overhead = link->overhead_bytes * packets;
        bpf_spin_lock(&state->lock);
        verdict = edt_pass(class, state, rate, gate, now, bytes, packets, overhead, asked);
        bpf_spin_unlock(&state->lock);
        edt_charge(link, class->level, now, bytes + overhead, &verdict);
        if (!verdict.departure)
                return TC_ACT_SHOT;

        if (verdict.congested && bpf_skb_ecn_set_ce(skb) == 1)
                __sync_fetch_and_add(&state->marks, packets);
        skb->tstamp = verdict.departure;
        skb->priority = fq_priority(slot);
        return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "GPL";
