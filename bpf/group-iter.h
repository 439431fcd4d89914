/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the group iterator leaves for the daemon: one row a group. The daemon clears `seen` before a pass, and
 * all of it before the group is given the row.
 *
 * Include after vmlinux.h or <linux/types.h>.
 */

/* Bits of group_row.present. A group without the controller has none of its figures: absent is not 0. */
#define GROUP_ROW_MEMORY 1U
#define GROUP_ROW_THROTTLED 2U
#define GROUP_ROW_REMOVED 4U /* it is gone: this is what it had counted by then */

/* Row [place]: which is whose, the daemon says. */
struct group_row {
        __u32 present; /* the programs' alone, as a removal waits for nobody */
        __u32 seen;    /* 1: the pass met it */
        __u64 memory_current_bytes;
        __u64 memory_peak_bytes;
        __u64 oom_kills;
        __u64 limit_hits; /* of memory.max and memory.high: memory.events' max and high */
        __u64 throttled_nsec;
        __u64 reserved[2];
};
_Static_assert(sizeof(struct group_row) == 64, "a row is one line of cache");
