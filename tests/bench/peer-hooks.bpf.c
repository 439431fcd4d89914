// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the meters are measured beside: a hook at sched_switch that does nothing, and packets and bytes of a
 * group counted as systemd's IPAccounting= does, two look-ups and two atomic adds a packet
 * (systemd/src/core/bpf-firewall.c). And the system calls of one process are counted, for those who say how
 * many they need. The benches alone load it.
 */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

enum { COUNT_PACKETS, COUNT_BYTES, COUNT_MAX };

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(max_entries, COUNT_MAX);
        __type(key, __u32);
        __type(value, __u64);
} counts SEC(".maps");

SEC("tp_btf/sched_switch")
int empty_switch(void *ctx) {
        return 0;
}

static __always_inline void count(__u32 which, __u64 n) {
        __u64 *sum = bpf_map_lookup_elem(&counts, &which);

        if (sum)
                __sync_fetch_and_add(sum, n);
}

SEC("cgroup_skb/egress")
int account_packet(struct __sk_buff *skb) {
        count(COUNT_PACKETS, 1);
        count(COUNT_BYTES, skb->len);
        return 1;
}

const volatile __u32 counted_pid = 0;
__u64 system_calls = 0; /* of a process with one thread */

SEC("tp_btf/sys_enter")
int count_system_call(void *ctx) {
        if (bpf_get_current_pid_tgid() >> 32 == counted_pid)
                system_calls++;
        return 0;
}

char LICENSE[] SEC("license") = "GPL";
