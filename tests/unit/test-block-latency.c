/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/block-latency.h"

#include "util/cleanup.h"

#include <criterion/criterion.h>

Test(block_latency, names) {
        static const struct {
                const char *device;
                bool write;
                const char *name;
        } cases[] = {
                { "8:0", false, "io.read.latency@8:0" },
                { "8:0", true, "io.write.latency@8:0" },
                { "4095:1048575", true, "io.write.latency@4095:1048575" },
                { BLOCK_LATENCY_MORE, false, "io.read.latency@more" },
        };
        BlockLatencies latencies = BLOCK_LATENCIES_NULL;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                cr_assert(block_latencies_push(&latencies, cases[i].device, cases[i].write));
        cr_assert_eq(latencies.n, ELEMENTSOF(cases));
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char name[BLOCK_LATENCY_NAME_SIZE];

                cr_expect_str_eq(block_latency_name(&latencies.entries[i], name), cases[i].name);
                cr_expect_eq(histogram_count(&latencies.entries[i].histogram), 0, "%s is not empty", name);
        }
        block_latencies_deinit(&latencies);
        cr_expect_eq(latencies.n, 0);
        cr_expect_null(latencies.entries);
}
