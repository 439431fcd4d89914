/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/* The bucket of a duration in the daemon's histograms (model/histogram.h): 0 is below 1024 ns, i from 2^(9+i)
 * ns to below twice that, the last takes the rest. Include after vmlinux.h and bpf_helpers.h. */
static __always_inline __u32 histogram_bucket(__u64 nsec, __u32 buckets) {
        __u32 bucket = 0;

        nsec >>= 9;
        for (int step = 16; step > 0; step >>= 1)
                if (nsec >> step) {
                        nsec >>= step;
                        bucket += step;
                }
        return bucket < buckets ? bucket : buckets - 1;
}
