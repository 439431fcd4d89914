/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the meter of OOM kills shares with the daemon: for each slot, who was killed last. Of slot 0, which is
 * nobody's, only `count` is used: how many have been noted of all slots, raised after they were.
 *
 * Include after vmlinux.h or <linux/types.h>.
 */

#define OOM_METER_LAYOUT 1

#define OOM_COMM_SIZE 16 /* TASK_COMM_LEN */

struct oom_victim {
        __u64 boot_nsec;  /* of CLOCK_BOOTTIME, when it had exited */
        __u64 peak_bytes; /* the most that it held resident */
        __u32 pid;        /* of the process, in the first namespace */
        __u32 pad;
        char comm[OOM_COMM_SIZE];
};
_Static_assert(sizeof(struct oom_victim) == 40, "no hidden padding");

#define OOM_VICTIMS 8
struct oom_row {
        __u64 count; /* of all; the last one is at (count - 1) % OOM_VICTIMS */
        struct oom_victim last[OOM_VICTIMS];
};
_Static_assert(sizeof(struct oom_row) == 8 + 40 * OOM_VICTIMS, "no hidden padding");
