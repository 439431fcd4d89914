// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long packets of the control class are in the queues of an uplink of ours: from when its qdisc has taken
 * one up to when it gives it to the driver, by the kernel's monotonic clock. A packet that is to be segmented
 * is one; one that the queue drops is none. Packets of other classes, and other qdiscs, cost a comparison. It
 * changes no packet.
 */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "control-delay.h"
#include "histogram.bpf.h"

/* A driver is given so many at once at most, as far as one looks. */
#define BULK_MAX 64

const volatile __u32 classid = 0; /* skb->priority of the control class; its upper half is our qdiscs' */

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct control_delay_row);
} control_delay_rows SEC(".maps");

/* A packet by its address: when it was taken up. What was dropped is pushed out, or written over. */
struct {
        __uint(type, BPF_MAP_TYPE_LRU_HASH);
        __uint(max_entries, CONTROL_DELAY_PACKETS);
        __type(key, __u64);
        __type(value, __u64);
} control_packets SEC(".maps");

/* See sched-meter.bpf.c: what is attached is a stub that goes on to the program of this place. */
struct {
        __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, __u32);
} enqueue_calls SEC(".maps"), dequeue_calls SEC(".maps");

/* The root itself, or below it where each of a device's queues has one. */
static __always_inline bool is_ours(const struct Qdisc *qdisc) {
        return qdisc->handle >> 16 == classid >> 16 || qdisc->parent >> 16 == classid >> 16;
}

/* What comes in at an uplink is queued in an IFB, by the same classes. */
static __always_inline bool goes_out(const struct net_device *dev) {
        const char *kind = dev->rtnl_link_ops->kind; /* of a physical one there is none, and it reads as 0 */
        char word[4] = "";

        (void) bpf_probe_read_kernel(word, sizeof(word), kind);
        return word[0] != 'i' || word[1] != 'f' || word[2] != 'b';
}

static __always_inline void count(__u64 nsec) {
        __u32 cpu = bpf_get_smp_processor_id();
        struct control_delay_row *row = bpf_map_lookup_elem(&control_delay_rows, &cpu);

        if (!row)
                return;
        __sync_fetch_and_add(&row->delay[histogram_bucket(nsec, CONTROL_DELAY_BUCKETS)], 1);
        __sync_fetch_and_add(&row->delay_nsec, nsec);
}

SEC("tp_btf/qdisc_enqueue")
int BPF_PROG(control_delay_enqueue, struct Qdisc *qdisc, const struct netdev_queue *txq,
                struct sk_buff *skb) {
        __u64 key = (__u64) skb, now;

        if (!is_ours(qdisc) || skb->priority != classid || !goes_out(txq->dev))
                return 0;
        now = bpf_ktime_get_ns();
        bpf_map_update_elem(&control_packets, &key, &now, BPF_ANY);
        return 0;
}

SEC("tp_btf/qdisc_dequeue")
int BPF_PROG(control_delay_dequeue, struct Qdisc *qdisc, const struct netdev_queue *txq, int packets,
                struct sk_buff *skb) {
        if (!is_ours(qdisc))
                return 0;

        /* Some kernels hold it for certain that there is one, and look at no other answer: of none all reads
         * as 0, which is no class. */
        for (int i = 0; i < BULK_MAX && i < packets && skb; i++, skb = skb->next) {
                __u64 key = (__u64) skb, *since;

                if (skb->priority != classid)
                        continue;
                since = bpf_map_lookup_elem(&control_packets, &key);
                if (!since)
                        continue;
                count(bpf_ktime_get_ns() - *since);
                bpf_map_delete_elem(&control_packets, &key);
        }
        return 0;
}

SEC("tp_btf/qdisc_enqueue")
int control_enqueue_stub(void *ctx) {
        bpf_tail_call(ctx, &enqueue_calls, 0);
        return 0;
}

SEC("tp_btf/qdisc_dequeue")
int control_dequeue_stub(void *ctx) {
        bpf_tail_call(ctx, &dequeue_calls, 0);
        return 0;
}

char LICENSE[] SEC("license") = "GPL";
