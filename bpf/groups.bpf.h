/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/* The tenants' groups, as the daemon tells them. Include after vmlinux.h and bpf_helpers.h. */

/* cgroup id to slot: the tenants' groups themselves, not what lies below them. */
struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 1);
        __type(key, __u64);
        __type(value, __u32);
} groups SEC(".maps");
