/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A table is mapped as far as its rows are used, and what it counts is the same however far that is. */

#include "host.h"

#include "bpf/pin.h"
#include "meter/group-carried.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

TestSuite(table, .init = host_init, .fini = host_deinit, .timeout = 60);

#define ROWS 100000U
#define SLOTS 3U
#define SLOT 2U

static const TableShape shape = { "reached_1", BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(uint64_t), ROWS,
        /* unmapped= */ true };

Test(table, reaches_as_far_as_asked) {
        static const size_t rows[] = { 1, 1000, 20000, ROWS };
        Table table;

        cr_assert_eq(table_open(NULL, &shape, &table), 0);
        cr_expect_null(table.rows);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const size_t before_bytes = table.size_bytes, bytes = rows[i] * sizeof(uint64_t);

                cr_assert_eq(table_reach(&table, bytes), 0, "%zu rows", rows[i]);
                cr_expect(table.size_bytes >= bytes && table.size_bytes >= before_bytes);
                cr_expect_lt(table.size_bytes, bytes + (1 << 17), "%zu rows are %zu bytes", rows[i],
                                table.size_bytes);
                ((uint64_t *) table.rows)[rows[i] - 1] = rows[i];
                for (size_t k = 0; k <= i; k++)
                        cr_expect_eq(((uint64_t *) table.rows)[rows[k] - 1], rows[k], "of %zu rows: %zu",
                                        rows[i], rows[k]);
        }
        table_deinit(&table);
}

static uint64_t sum_of(const GroupCarried *carried) {
        Sample sample = {};

        group_carried_sum(carried, SLOT, 1ULL << METRIC_CPU_TIME, &sample);
        return sample.value[METRIC_CPU_TIME];
}

static GroupCarried *open_carried(const char *pin_dir, uint32_t places) {
        static const Metric counters[] = { METRIC_CPU_TIME };
        GroupCarried *carried;

        cr_assert_eq(group_carried_new(&(GroupCarriedOptions){ pin_dir, "many_1", "many_gone_1", counters, 1,
                                                       SLOTS, places, false },
                                     &carried),
                        0);
        return carried;
}

/* More rows than are mapped at first, in one run and the next. */
Test(table, many_groups_are_found_again) {
        const uint32_t places = 5000, groups = 4000;
        _cleanup_free_ char *pin_dir = NULL;
        GroupCarried *carried;

        cr_assert_eq(pin_dir_make(host_bpffs(), "many", &pin_dir), 0);
        for (unsigned run = 1; run <= 2; run++) {
                carried = open_carried(pin_dir, places);
                cr_expect_eq(sum_of(carried), (run - 1) * groups);
                for (uint32_t i = 0; i < groups; i++) {
                        Sample now = {};
                        uint32_t place;

                        sample_put(&now, METRIC_CPU_TIME, run);
                        cr_assert_eq(group_carried_place(carried, SLOT, i + 1, false, &place), 0);
                        cr_assert_eq(place, i, "group %u is at %u", i, place);
                        group_carried_note(carried, place, &now);
                }
                cr_expect_eq(sum_of(carried), run * groups);
                group_carried_free(carried);
        }
}
