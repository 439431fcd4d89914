/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "histogram.h"

#define FIRST_BOUND_NSEC 1024ULL

uint64_t histogram_bound_nsec(size_t bucket) {
        return bucket + 1 < HISTOGRAM_BUCKETS ? FIRST_BOUND_NSEC << bucket : UINT64_MAX;
}

uint64_t histogram_count(const Histogram *histogram) {
        uint64_t count = 0;

        for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
                count += histogram->bucket[i];
        return count;
}

Histogram histogram_since(const Histogram *histogram, const Histogram *earlier) {
        Histogram since = { .sum_nsec = histogram->sum_nsec - earlier->sum_nsec };

        for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
                if (histogram->bucket[i] < earlier->bucket[i])
                        return *histogram;
                since.bucket[i] = histogram->bucket[i] - earlier->bucket[i];
        }
        return since;
}

uint64_t histogram_quantile_nsec(const Histogram *histogram, unsigned permille) {
        const uint64_t count = histogram_count(histogram);
        uint64_t wanted = (uint64_t) ((unsigned __int128) count * permille / 1000), below = 0;

        for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
                const uint64_t low = i > 0 ? histogram_bound_nsec(i - 1) : 0, in = histogram->bucket[i];

                if (in > 0 && below + in >= wanted) {
                        const uint64_t width = i + 1 < HISTOGRAM_BUCKETS ? histogram_bound_nsec(i) - low : 0;

                        return low + (uint64_t) ((unsigned __int128) width * (wanted - below) / in);
                }
                below += in;
        }
        return 0;
}
