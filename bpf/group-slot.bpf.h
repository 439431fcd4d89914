/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/*
 * Whose a group is: the walk up from it to its tenant's, for programs that are asked seldom or remember the
 * answer. Include after vmlinux.h, bpf_core_read.h and bpf_helpers.h.
 */

#include "groups.bpf.h"

/* Groups deeper than this below their tenant's group are not found. */
#define GROUP_SLOT_DEPTH 64

/* As the kernel's cgroup_parent(): a parent is told by the state that lies within it. */
static __always_inline struct cgroup *parent_group(struct cgroup *group) {
        char *state = (char *) BPF_CORE_READ(group, self.parent);

        return state ? (struct cgroup *) (state - bpf_core_field_offset(struct cgroup, self)) : NULL;
}

/* The slot of the nearest group, from this one upwards, that is a tenant's; 0: nobody's. */
static __noinline __u32 find_slot_above(struct cgroup *group) {
        for (int i = 0; i < GROUP_SLOT_DEPTH && group; i++) {
                __u64 id = BPF_CORE_READ(group, kn, id);
                __u32 *slot = bpf_map_lookup_elem(&groups, &id);

                if (slot)
                        return *slot;
                group = parent_group(group);
        }

        return 0;
}
