// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts the TCP and UDP sockets that tenants have open, in whichever network namespace: a socket made in a
 * tenant's group is marked, one that a marked listener accepts inherits the mark, and now and then a pass
 * goes over what is marked. Nothing is added or taken away as sockets come and go, so no count can run off,
 * and no packet passes by here. It changes nothing.
 *
 * A socket belongs to the group in which it was made, an accepted one to its listener's, whoever holds it.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "group-slot.bpf.h"
#include "socket-meter.h"

#define AF_INET 2
#define AF_INET6 10

const volatile __u32 slots = 1;

struct socket_pass pass = {};

/* Goes with its socket. */
struct {
        __uint(type, BPF_MAP_TYPE_SK_STORAGE);
        __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
        __type(key, int);
        __type(value, __u8);
} socket_marks SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct socket_row);
} socket_rows SEC(".maps");

/* A raw socket has a protocol, too. */
static __always_inline bool is_kind(__u32 type, __u32 protocol) {
        return (type == SOCK_STREAM && protocol == IPPROTO_TCP) ||
               (type == SOCK_DGRAM && protocol == IPPROTO_UDP);
}

SEC("cgroup/sock_create")
int socket_meter_mark(struct bpf_sock *sk) {
        struct task_struct *task = bpf_get_current_task_btf();

        if (is_kind(sk->type, sk->protocol) && find_slot_above(task->cgroups->dfl_cgrp))
                bpf_sk_storage_get(&socket_marks, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
        return 1;
}

/* Marks what was there before. */
SEC("iter/task_file")
int socket_meter_find(struct bpf_iter__task_file *ctx) {
        struct file *file = ctx->file;
        struct socket *socket;
        struct sock *sk;
        __u16 family;

        if (!file) /* the end of the pass */
                return 0;
        pass.visited++;
        socket = bpf_sock_from_file(file);
        sk = socket ? socket->sk : NULL;
        if (!sk)
                return 0;
        family = sk->__sk_common.skc_family;
        if ((family == AF_INET || family == AF_INET6) && is_kind(sk->sk_type, sk->sk_protocol) &&
                        find_slot_above(sk->sk_cgrp_data.cgroup))
                bpf_sk_storage_get(&socket_marks, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
        return 0;
}

/* A socket that was closed is there for a moment longer; a connection, until both ends are done with it. */
static __always_inline bool is_closed(const struct sock *sk, bool is_tcp) {
        return !sk->sk_socket && (!is_tcp || sk->__sk_common.skc_state == TCP_CLOSE);
}

SEC("iter/bpf_sk_storage_map")
int socket_meter_count(struct bpf_iter__bpf_sk_storage_map *ctx) {
        struct sock *sk = ctx->sk;
        struct socket_row *row;
        bool is_tcp;
        __u32 slot;

        if (!sk) /* the end of the pass */
                return 0;
        pass.visited++;
        is_tcp = sk->sk_protocol == IPPROTO_TCP;
        if (is_closed(sk, is_tcp))
                return 0;
        slot = find_slot_above(sk->sk_cgrp_data.cgroup);
        row = slot && slot < slots ? bpf_map_lookup_elem(&socket_rows, &slot) : NULL;
        if (!row)
                return 0;
        if (!is_tcp) {
                row->udp++;
                return 0;
        }
        row->tcp++;
        if (sk->__sk_common.skc_state == TCP_ESTABLISHED)
                row->established++;
        return 0;
}

char LICENSE[] SEC("license") = "GPL";
