/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/*
 * The slot of a packet's sender, for tc programs, which have a map `groups`, cgroup id to slot. Include after
 * it and net-class.h.
 */

/* NULL: no tenant's. The root group, level 0, is nobody's. Beyond the sender's own level, and with no sender,
 * the id is 0. */
static __always_inline const __u32 *net_sender_slot(struct __sk_buff *skb) {
        for (int level = 1; level < NET_CLASS_DEPTH; level++) {
                __u64 id = bpf_skb_ancestor_cgroup_id(skb, level);
                const __u32 *slot;

                if (id == 0)
                        break;
                slot = bpf_map_lookup_elem(&groups, &id);
                if (slot)
                        return slot;
        }
        return NULL;
}
