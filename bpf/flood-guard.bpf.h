/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/*
 * Whether a packet is of a flood, to be dropped before it comes to the lock that all classes of the uplink
 * share. For that its class must have let pass a whole queue more than it can have sent by its ceiling, so
 * that its queue has no place, however much of the link it has. And its flow must have had more than its
 * share: a class's queue spares a light flow beside a flood of the same tenant, and so does this, by
 * Core-Stateless Fair Queueing (Stoica 1998). As there, a share is not reckoned from all flows, but found: it
 * is what lets flows have together what the class can send, and is corrected by what they had, once a window.
 *
 * What a flow is, the hash of its packets says; 256 are told apart, as some more than the queue does. Where
 * two CPUs count at once, one packet may not be counted, which lets more pass and never less.
 *
 * Include after vmlinux.h, bpf_helpers.h and net-group.bpf.h.
 */

#include "flood-guard.h"

const volatile __u32 slot_default = 0;
const volatile bool guards = false;

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct flood_row);
} floods SEC(".maps");

/* Number of the window in the upper half, bytes of the flow in it in the lower one. */
struct flood_flows {
        __u64 had[FLOOD_BUCKETS];
};

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct flood_flows);
} flood_flows SEC(".maps");

/* A class that is not there is the default one, for the tree, too. */
static __always_inline struct flood_row *find_flood_row(const struct __sk_buff *skb, __u32 *slot) {
        __u32 minor = skb->priority & 0xffff;
        struct flood_row *row;

        *slot = minor - minor_base;
        if (skb->priority >> 16 == major && minor >= minor_base) {
                row = bpf_map_lookup_elem(&floods, slot);
                if (row && row->psec_per_byte)
                        return row;
        }
        *slot = slot_default;
        return bpf_map_lookup_elem(&floods, slot);
}

/* Who sees a window first says what a flow may have in it. After one in which all had less than their share,
 * and where nothing is known of the last, that is as much as the class. */
static __always_inline void begin_window(struct flood_row *row, __u64 number) {
        __u64 seen = *(volatile __u64 *) &row->window, most = row->window_bytes, allowance = most, within;

        /* A CPU that read the clock before another may still be in the last one. */
        if (seen == number || seen == number + 1 ||
                        __sync_val_compare_and_swap(&row->window, seen, number) != seen)
                return;
        within = __sync_lock_test_and_set(&row->within, 0);
        if (seen + 1 == number && within)
                allowance = row->allowance * most / within;
        if (allowance > most)
                allowance = most;
        if (allowance < most / FLOOD_BUCKETS)
                allowance = most / FLOOD_BUCKETS;
        *(volatile __u64 *) &row->allowance = allowance;
}

/* Whether its flow had its share in this window; the packet is counted. */
static __always_inline bool flow_had_share(
                struct __sk_buff *skb, struct flood_row *row, __u32 slot, __u64 number, __u64 bytes) {
        struct flood_flows *flows = bpf_map_lookup_elem(&flood_flows, &slot);
        __u64 *flow, seen, had;

        if (!flows)
                return false;
        flow = &flows->had[bpf_get_hash_recalc(skb) % FLOOD_BUCKETS];
        seen = *(volatile __u64 *) flow;
        had = seen >> 32 == (__u32) number ? (__u32) seen : 0;
        if (had > *(volatile __u64 *) &row->allowance)
                return true;
        __sync_val_compare_and_swap(flow, seen, number << 32 | (had + bytes));
        __sync_fetch_and_add(&row->within, bytes);
        return false;
}

static __always_inline bool is_flood(struct __sk_buff *skb) {
        __u64 now, sent_at, waits, number, window_nsec, bytes = skb->wire_len, cost;
        struct flood_row *row;
        __u32 slot;

        if (!guards)
                return false;
        row = find_flood_row(skb, &slot);
        if (!row || !row->psec_per_byte)
                return false;
        now = bpf_ktime_get_ns();
        cost = bytes * row->psec_per_byte / 1000;
        sent_at = *(volatile __u64 *) &row->sent_at;
        if (sent_at <= now) {
                *(volatile __u64 *) &row->sent_at = now + cost;
                return false;
        }
        waits = sent_at - now;
        window_nsec = row->queue_nsec / FLOOD_WINDOWS_A_QUEUE;
        /* With a queue that is not half full nobody counts flows. */
        if (waits > row->queue_nsec / 2 && window_nsec) {
                number = now / window_nsec;
                begin_window(row, number);
                if (flow_had_share(skb, row, slot, number, bytes) && waits > row->queue_nsec) {
                        __sync_fetch_and_add(&row->drops, 1);
                        return true;
                }
        }
        __sync_fetch_and_add(&row->sent_at, cost);
        return false;
}
