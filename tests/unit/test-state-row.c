/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "state-row.h"

#include "util/strv.h"

#include <criterion/criterion.h>

Test(state_row, capacity_that_another_version_wrote_is_left_out_and_named) {
        static const char *const unread[] = { "warp", "memory", "swap", "tasks", "tasks" };
        _cleanup_resource_set_ ResourceSet set = RESOURCE_SET_NULL;
        _cleanup_strv_ char **lost = NULL;
        _cleanup_free_ char *text = NULL;

        cr_assert_eq(state_row_parse_capacity("cpu=3500 warp=9 net.egress@eth1=18446744073709551615 memory "
                                              "swap=many tasks=-1 tasks=18446744073709551616",
                                     &set, &lost),
                        0);
        text = state_row_print_capacity(&set);
        cr_expect_str_eq(text, "cpu=3500 net.egress@eth1=18446744073709551615");
        cr_assert_eq(strv_length(lost), ELEMENTSOF(unread));
        for (size_t i = 0; i < ELEMENTSOF(unread); i++) {
                char words[96];

                snprintf(words, sizeof(words), "the operator's capacity of '%s': it cannot be read",
                                unread[i]);
                cr_expect_str_eq(lost[i], words);
        }
}
