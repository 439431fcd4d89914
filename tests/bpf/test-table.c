/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A table is mapped as far as its rows are used, and what it counts is the same however far that is. */

#include "host.h"

#include "bpf/pin.h"
#include "meter/group-carried.h"

#include <bpf/bpf.h>
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

typedef struct Sizes {
        const char *name;
        uint32_t slots, rows, new_slots, new_rows;
        bool is_list, carried;
        uint32_t every; /* of a list: one row of so many is taken */
} Sizes;

static uint32_t every(const Sizes *sizes) {
        return sizes->every > 0 ? sizes->every : 1;
}

/* What each row says: its own number, but for those that nobody wrote. */
static void write_rows(const char *pin_dir, const Sizes *sizes) {
        const TableShape rows = { "sized_1", BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(uint64_t),
                sizes->rows, .is_list = sizes->is_list };
        Table table;

        pin_remove(pin_dir, "sized_1");
        pin_tables_begin(sizes->slots);
        cr_assert_eq(table_open(pin_dir, &rows, &table), 0);
        cr_expect(!table.adopted && !table.carried, "%s", sizes->name);
        for (uint32_t i = 0; i < sizes->rows; i += every(sizes))
                ((uint64_t *) table.rows)[i] = i + 1;
        table_deinit(&table);
}

static uint64_t wanted(const Sizes *sizes, uint32_t row) {
        const uint32_t block = row / sizes->new_slots, slot = row % sizes->new_slots;

        if (!sizes->carried)
                return 0;
        if (sizes->is_list)
                return row * every(sizes) < sizes->rows ? row * every(sizes) + 1 : 0;
        return slot < sizes->slots ? block * sizes->slots + slot + 1 : 0;
}

Test(table, has_the_rows_of_a_smaller_one) {
        static const Sizes cases[] = {
                { "a row a slot", 3, 3, 5, 5, false, true },
                { "four a slot", 3, 12, 5, 20, false, true },
                { "many", 1000, 8000, 3000, 24000, false, true },
                { "fewer slots", 5, 20, 3, 12, false, false },
                { "another number a slot", 3, 9, 4, 20, false, false },
                { "a list", 3, 6, 5, 10, true, true },
                { "a list of more a slot", 3, 12, 3, 15, true, true },
                { "a list with rows that are free", 3, 12, 5, 20, true, true, 3 },
                { "a shorter list, with room", 5, 20, 4, 16, true, true, 2 },
                { "a shorter list, just with room", 5, 20, 5, 10, true, true, 2 },
                { "a shorter list, without", 5, 20, 4, 16, true, false },
        };
        _cleanup_free_ char *pin_dir = NULL;

        cr_assert_eq(pin_dir_make(host_bpffs(), "sized", &pin_dir), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const TableShape rows = { "sized_1", BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(uint64_t),
                        cases[i].new_rows, .is_list = cases[i].is_list };
                Table table;

                write_rows(pin_dir, &cases[i]);
                pin_tables_begin(cases[i].new_slots);
                cr_assert_eq(table_open(pin_dir, &rows, &table), 0);
                cr_expect(!table.adopted && table.carried == cases[i].carried, "%s", cases[i].name);
                cr_expect_eq(pin_tables_carried(), cases[i].carried, "%s", cases[i].name);
                cr_expect_str_eq(pin_tables_gone(), cases[i].carried ? "" : "sized_1", "%s", cases[i].name);
                for (uint32_t k = 0; k < cases[i].new_rows; k++)
                        cr_expect_eq(((uint64_t *) table.rows)[k], wanted(&cases[i], k), "%s: row %u is %lu",
                                        cases[i].name, k, ((uint64_t *) table.rows)[k]);
                table_deinit(&table);

                cr_assert_eq(table_open(pin_dir, &rows, &table), 0);
                cr_expect(table.adopted && !table.carried, "%s", cases[i].name);
                table_deinit(&table);
        }
}

Test(table, an_index_of_another_size_has_all_that_was_in_it) {
        static const struct {
                const char *name;
                uint32_t rows, held;
        } cases[] = { { "larger", 200, 100 }, { "smaller", 40, 40 } };
        _cleanup_free_ char *pin_dir = NULL;

        cr_assert_eq(pin_dir_make(host_bpffs(), "index", &pin_dir), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                TableShape index = { "index_1", BPF_MAP_TYPE_HASH, sizeof(uint64_t), sizeof(uint32_t), 100,
                        .is_index = true };
                uint32_t value, held = 0;
                Table table;

                pin_remove(pin_dir, "index_1");
                pin_tables_begin(10);
                cr_assert_eq(table_open(pin_dir, &index, &table), 0);
                for (uint64_t key = 1; key <= 100; key++)
                        cr_assert_eq(bpf_map_update_elem(table.fd, &key, &(uint32_t){ 1000 + key }, BPF_ANY),
                                        0);
                table_deinit(&table);
                index.rows = cases[i].rows;
                cr_assert_eq(table_open(pin_dir, &index, &table), 0);
                for (uint64_t key = 1; key <= 100; key++)
                        held += bpf_map_lookup_elem(table.fd, &key, &value) == 0 && value == 1000 + key;
                cr_expect_eq(held, cases[i].held, "%s: %u", cases[i].name, held);
                cr_expect_str_eq(pin_tables_gone(), "", "%s", cases[i].name);
                table_deinit(&table);
        }
}
