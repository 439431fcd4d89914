// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts a tenant's TCP connections, what they sent again and how long their round trips are: where TCP calls
 * out on its own (sock_ops), not at packets. It is attached to the tenant's group, for it and all below, and
 * changes nothing of how TCP goes.
 *
 * A connection belongs to the group in which its socket was opened; an accepted one, to its listener's. One
 * that was there before the attachment is not asked about. The kernel answers a SYN before there is a socket
 * of anyone's: that such an answer was sent again is not told here.
 */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "histogram.bpf.h"
#include "tcp-meter.h"

#define EPIPE 32
#define ECONNRESET 104
#define ECONNREFUSED 111

#define CALLBACKS (BPF_SOCK_OPS_RETRANS_CB_FLAG | BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RTT_CB_FLAG)

const volatile __u32 slots = 1;

/* Found by the attachment, so one program serves every group. */
struct {
        __uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
        __type(key, __u64); /* the group's id */
        __type(value, struct tcp_group);
} tcp_groups SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct tcp_row);
} tcp_rows SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct tcp_rtts);
} tcp_rtts SEC(".maps");

/* Atomic: what a process has TCP do can be interrupted by what the same CPU does in a soft interrupt. */
static __always_inline void add(__u64 *counter, __u64 n) {
        __sync_fetch_and_add(counter, n);
}

/* What another program has asked for stays asked for. */
static __always_inline void ask_for_callbacks(struct bpf_sock_ops *ops) {
        bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | CALLBACKS);
}

/* Why a socket ends: TCP writes it down before it closes. */
static __always_inline int error_of(struct bpf_sock_ops *ops) {
        struct bpf_sock *sk = ops->sk;
        struct tcp_sock *tcp;

        if (!sk)
                return 0;
        tcp = bpf_skc_to_tcp_sock(sk);
        return tcp ? tcp->inet_conn.icsk_inet.sk.sk_err : 0;
}

static __always_inline void count_end(struct bpf_sock_ops *ops, struct tcp_row *row) {
        int error = error_of(ops);

        if (ops->args[0] == BPF_TCP_SYN_SENT) {
                add(&row->failed, 1);
                if (error == ECONNREFUSED)
                        add(&row->refused, 1);
        } else if (error == ECONNRESET || error == EPIPE)
                add(&row->resets, 1);
}

/* In eighths of microseconds. Up to Linux 6.9 the call comes without the measurement that it is called for: a
 * first one is not there yet, and left out. */
static __always_inline void count_rtt(struct bpf_sock_ops *ops, __u32 key, struct tcp_row *row) {
        struct tcp_rtts *rtts = bpf_map_lookup_elem(&tcp_rtts, &key);
        __u32 srtt = ops->args[1] ?: ops->srtt_us;
        __u64 nsec = (__u64) srtt * 125;

        if (!rtts || srtt == 0)
                return;
        add(&rtts->bucket[histogram_bucket(nsec, TCP_RTT_BUCKETS)], 1);
        add(&row->rtt_nsec, nsec);
}

SEC("sockops")
int tcp_meter(struct bpf_sock_ops *ops) {
        const struct tcp_group *group = bpf_get_local_storage(&tcp_groups, 0);
        __u32 key = bpf_get_smp_processor_id() * slots + group->slot;
        struct tcp_row *row;

        if (group->slot == 0 || group->slot >= slots)
                return 1;
        row = bpf_map_lookup_elem(&tcp_rows, &key);
        if (!row)
                return 1;

        switch (ops->op) {
        case BPF_SOCK_OPS_TCP_CONNECT_CB:
                ask_for_callbacks(ops);
                break;
        case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
                ask_for_callbacks(ops);
                add(&row->connects, 1);
                break;
        case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
                ask_for_callbacks(ops);
                add(&row->accepts, 1);
                break;
        case BPF_SOCK_OPS_STATE_CB:
                if (ops->args[1] == BPF_TCP_CLOSE)
                        count_end(ops, row);
                break;
        case BPF_SOCK_OPS_RETRANS_CB:
                add(&row->retransmits, ops->args[1]);
                break;
        case BPF_SOCK_OPS_RTT_CB:
                count_rtt(ops, key, row);
                break;
        }

        return 1;
}

char LICENSE[] SEC("license") = "GPL";
