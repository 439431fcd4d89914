/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/histogram.h"

#include <criterion/criterion.h>

Test(histogram, bounds) {
        cr_expect_eq(histogram_bound_nsec(0), 1024);
        cr_expect_eq(histogram_bound_nsec(1), 2048);
        cr_expect_eq(histogram_bound_nsec(HISTOGRAM_BUCKETS - 2), 1024ULL << (HISTOGRAM_BUCKETS - 2));
        cr_expect_eq(histogram_bound_nsec(HISTOGRAM_BUCKETS - 1), UINT64_MAX);
}

Test(histogram, quantiles) {
        static const struct {
                const char *name;
                Histogram histogram;
                unsigned permille;
                uint64_t nsec;
        } cases[] = {
                { "nothing counted", { { 0 } }, 500, 0 },
                { "even within the bucket", { { 100 } }, 500, 512 },
                { "all of a bucket", { { 100 } }, 1000, 1024 },
                { "the median between two buckets", { { 50, 50 } }, 500, 1024 },
                { "in the second", { { 50, 50 } }, 750, 1536 },
                { "behind empty ones", { { 0, 0, 4 } }, 250, 2560 },
                { "in the last, of which no upper bound is known", { { [HISTOGRAM_BUCKETS - 1] = 9 } }, 990,
                                1024ULL << (HISTOGRAM_BUCKETS - 2) },
                { "counts that would overflow", { { UINT64_MAX / 2 } }, 500, 511 },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                cr_expect_eq(histogram_quantile_nsec(&cases[i].histogram, cases[i].permille), cases[i].nsec,
                                "%s: %lu", cases[i].name,
                                histogram_quantile_nsec(&cases[i].histogram, cases[i].permille));
}

Test(histogram, since) {
        const Histogram earlier = { { 1, 2 }, 40 }, later = { { 1, 5 }, 100 }, anew = { { 0, 9 }, 90 };

        cr_expect_eq(histogram_since(&later, &earlier).bucket[1], 3);
        cr_expect_eq(histogram_since(&later, &earlier).bucket[0], 0);
        cr_expect_eq(histogram_since(&later, &earlier).sum_nsec, 60);
        cr_expect_eq(histogram_since(&anew, &earlier).bucket[1], 9, "one that was begun anew is all new");
}
