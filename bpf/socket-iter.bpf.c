// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts the sockets of one process that belong to a group of somebody else: those that it opened before it
 * came to its tenant. Whoever holds a socket, it is counted and classed with the group in which it was made.
 * Those that never leave the node as packets (of AF_UNIX and such) are passed over. It changes nothing.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "group-slot.bpf.h"
#include "socket-iter.h"

#define AF_INET 2
#define AF_INET6 10
#define AF_PACKET 17

struct socket_iter_pass pass = {};

SEC("iter/task_file")
int socket_iter_visit(struct bpf_iter__task_file *ctx) {
        struct file *file = ctx->file;
        struct socket *socket;
        struct sock *sk;
        __u16 family;

        /* NULL: the end of the pass. */
        if (!file)
                return 0;
        socket = bpf_sock_from_file(file);
        if (!socket)
                return 0;
        sk = BPF_CORE_READ(socket, sk);
        if (!sk)
                return 0;
        family = BPF_CORE_READ(sk, __sk_common.skc_family);
        if (family != AF_INET && family != AF_INET6 && family != AF_PACKET)
                return 0;
        if (find_slot_above(BPF_CORE_READ(sk, sk_cgrp_data.cgroup)) != pass.slot)
                pass.elsewhere++;

        return 0;
}

char LICENSE[] SEC("license") = "GPL";
