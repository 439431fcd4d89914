/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/sorted.h"

#include <criterion/criterion.h>

static int compare(const void *entry, const void *key) {
        const int a = *(const int *) entry, b = *(const int *) key;

        return (a > b) - (a < b);
}

/* 0, 2, 4 … of every length up to some, and each key in, between, before and behind them. */
Test(sorted, finds_each_and_the_place_of_what_is_not_there) {
        int entries[9];

        for (int n = 0; n <= 9; n++) {
                for (int i = 0; i < n; i++)
                        entries[i] = 2 * i;
                for (int key = -1; key <= 2 * n; key++) {
                        bool found = key >= 0 && key % 2 != 0,
                             is_there = key >= 0 && key % 2 == 0 && key < 2 * n;
                        size_t at = sorted_search(entries, (size_t) n, sizeof(int), &key, compare, &found);

                        cr_assert_eq(found, is_there, "%d among %d", key, n);
                        cr_assert_eq(at, (size_t) (key + 1) / 2, "%d among %d is at %zu", key, n, at);
                }
        }
}

Test(sorted, an_array_of_none) {
        bool found = true;
        int key = 1;

        cr_assert_eq(sorted_search(NULL, 0, sizeof(int), &key, compare, &found), 0);
        cr_assert_not(found);
}
