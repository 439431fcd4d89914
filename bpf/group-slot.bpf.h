/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/*
 * Whose a group is: the map of groups, which the daemon fills, and the walk up from a group to its tenant's,
 * for programs that are asked seldom or remember the answer. Include after vmlinux.h and bpf_core_read.h.
 */

/* Groups deeper than this below their tenant's group are not found. */
#define GROUP_SLOT_DEPTH 64

/* cgroup id to slot: the tenants' groups themselves, not what lies below them. */
struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 1);
        __type(key, __u64);
        __type(value, __u32);
} groups SEC(".maps");

/* The slot of the nearest group, from this one upwards, that is a tenant's; 0: nobody's. */
static __noinline __u32 find_slot_above(struct cgroup *group) {
        for (int i = 0; i < GROUP_SLOT_DEPTH && group; i++) {
                __u64 id = BPF_CORE_READ(group, kn, id);
                __u32 *slot = bpf_map_lookup_elem(&groups, &id);

                if (slot)
                        return *slot;
                group = BPF_CORE_READ(group, self.parent, cgroup);
        }

        return 0;
}
