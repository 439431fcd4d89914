/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the meter of block devices shares with the daemon: one row a device and slot, and which device is
 * which. Devices take a place as they are met; those for which there is none left share one.
 *
 * Include after vmlinux.h or <linux/types.h>.
 */

/* In 1, loop devices took places, too. */
#define BLOCK_METER_LAYOUT 2

/* As the daemon's histograms: bucket 0 is below 1024 ns, bucket i from 2^(9+i) ns to below twice that, the
 * last all that is longer. */
#define BLOCK_LATENCY_BUCKETS 24

enum block_direction { BLOCK_READ, BLOCK_WRITE, BLOCK_DIRECTIONS };

struct block_latency {
        __u64 bucket[BLOCK_LATENCY_BUCKETS];
        __u64 sum_nsec;
};

/* Row [device * slots + slot]. CPUs share it: a device completes on whichever it likes. */
struct block_row {
        struct block_latency direction[BLOCK_DIRECTIONS];
        __u64 pad[6];
};
_Static_assert(sizeof(struct block_row) == 7 * 64, "whole lines of cache");

#define BLOCK_DEVICES 16
/* The place of those that came when all others were taken. */
#define BLOCK_DEVICE_MORE 0

struct block_devices {
        __u32 number[BLOCK_DEVICES]; /* the kernel's dev_t, major << 20 | minor; 0: free */
};
#define BLOCK_MINOR_BITS 20
