/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "util/words.h"

#include <criterion/criterion.h>
#include <string.h>

Test(words, grow_and_are_taken) {
        _cleanup_free_ char *empty = NULL, *text = NULL;
        Words words = WORDS_NULL;

        cr_assert_eq(words_take(&words, &empty), 0);
        cr_expect_str_eq(empty, "");
        for (int i = 0; i < 1000; i++)
                words_add(&words, "%d,", i % 10);
        cr_assert_eq(words_take(&words, &text), 0);
        cr_expect_eq(strlen(text), 2000);
        cr_expect_arr_eq(text, "0,1,2,", 6);
        cr_expect_null(words.text, "they begin anew");
}

Test(words, a_failure_is_kept) {
        Words words = { .failed = true };
        char *text = (char *) "as it was";

        words_add(&words, "more");
        cr_expect_eq(words_take(&words, &text), -ENOMEM);
        cr_expect_str_eq(text, "as it was");
}
