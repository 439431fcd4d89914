/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Durations counted by powers of two: bucket 0 is below 1024 ns, bucket i from 2^(9+i) ns to below twice
 * that, the last all that is longer. As the kernel's side counts them (bpf/sched-meter.h), so that a
 * histogram is a sum of rows.
 */

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BUCKETS 24

typedef struct Histogram {
        uint64_t bucket[HISTOGRAM_BUCKETS];
        uint64_t sum_nsec; /* of all durations */
} Histogram;

/* The first duration, in ns, that is over the bucket; UINT64_MAX for the last. */
uint64_t histogram_bound_nsec(size_t bucket);
uint64_t histogram_count(const Histogram *histogram);
/* What was counted since `earlier`; as it is where that has more of any (it was begun anew). */
Histogram histogram_since(const Histogram *histogram, const Histogram *earlier);
/*
 * A duration that `permille` of all are below (500: the median), in ns: even within a bucket, so right to a
 * factor of two and mostly much better. In the last bucket its lower bound. 0 where nothing was counted.
 */
uint64_t histogram_quantile_nsec(const Histogram *histogram, unsigned permille);
