/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the pacer of an uplink shares with the daemon: what each class is promised, which the daemon writes;
 * where its clocks are and what it counted, which the program writes; and the link that they share. Rates are
 * bytes a second, clocks nanoseconds of the kernel's monotonic clock. A class is known by its slot, and there
 * as long as it has an entry in both maps.
 *
 * Include after vmlinux.h or <linux/bpf.h>.
 */

/* Our mark on the filter: libbpf puts it, with the program's id, into TCA_BPF_NAME. */
#define EDT_PACER_PROGRAM headgate_pace
#define EDT_PACER_PROGRAM_NAME "headgate_pace"

#define EDT_PACER_LAYOUT 2
#define EDT_CLASSES_MAX 65520

enum edt_level {
        EDT_LEVEL_CONTROL,     /* goes at once, as far as its ceiling lets it */
        EDT_LEVEL_TENANT,      /* shares what is left in proportion to weights */
        EDT_LEVEL_BEST_EFFORT, /* the same of what the others leave */
        EDT_LEVEL_MAX,
};

struct edt_class {
        __u64 floor_bytes; /* 0: none */
        __u64 ceil_bytes;  /* never 0 */
        __u64 weight_bytes;
        __u32 level;
        __u32 pad;
};
_Static_assert(sizeof(struct edt_class) == 32, "no holes");

/* Time is divided into such parts, as many as the longest wait takes and the present one, and some more. */
#define EDT_PART_SHIFT 23 /* nanoseconds: 8.4 ms */
#define EDT_PARTS 32

/* What departs in a part of time. */
struct edt_part {
        __u32 number; /* of the part, modulo 2^32 */
        __u32 packets;
        __u64 bytes;
};
_Static_assert(sizeof(struct edt_part) == 16, "no holes");

struct edt_state {
        struct bpf_spin_lock lock; /* of all below */
        __u32 pad;
        __u64 floor_clock; /* when the floor lets the next packet go */
        __u64 ceil_clock;  /* and the ceiling */
        __u64 share_clock; /* and its share of the link, if it is share_rate still */
        __u64 share_rate;
        __u64 last;           /* departure of the last packet: no later one goes before it */
        __u64 bytes, packets; /* that were given a departure; on the wire, every segment with its headers */
        __u64 drops;          /* packets */
        __u64 overlimits;     /* packets that had to wait */
        __u64 borrowed;       /* packets that the floor alone would not have let go */
        __u64 marks;          /* packets that carry a mark of congestion instead of being dropped */
        struct edt_part parts[EDT_PARTS]; /* of bytes and packets: when they depart */
};
_Static_assert(sizeof(struct edt_state) == 12 * 8 + EDT_PARTS * sizeof(struct edt_part), "no holes");

struct edt_link {
        __u64 capacity_bytes;            /* 0: nothing is paced */
        __u64 overhead_bytes;            /* that the link adds to each packet */
        __u64 clock;                     /* when the link has sent all that departs up to now */
        __u64 epoch;                     /* when the last one began */
        __u64 multiplier[EDT_LEVEL_MAX]; /* of weights, in EDT_MULTIPLIER_ONE */
        __u64 bytes[EDT_LEVEL_MAX];      /* in this epoch */
        __u64 wants[EDT_LEVEL_MAX];      /* not 0: who would take more, had it a greater share */
};
