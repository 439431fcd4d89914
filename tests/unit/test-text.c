/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "export/text.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *number(uint64_t value) {
        static char digits[TEXT_NUMBER_SIZE];

        *text_put_number(digits, value) = '\0';
        return digits;
}

Test(text, numbers) {
        static const struct {
                uint64_t value;
                const char *digits;
        } cases[] = {
                { 0, "0" },
                { 9, "9" },
                { 10, "10" },
                { 99, "99" },
                { 100, "100" },
                { 907, "907" },
                { 1000, "1000" },
                { 10203040506070809, "10203040506070809" },
                { UINT64_MAX, "18446744073709551615" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                cr_expect_str_eq(number(cases[i].value), cases[i].digits);
        for (uint64_t value = 0; value < 12345; value++) {
                char digits[16];

                (void) snprintf(digits, sizeof(digits), "%d", (int) value);
                cr_assert_str_eq(number(value), digits);
        }
}

Test(text, decimals) {
        static const struct {
                uint64_t whole, fraction;
                unsigned places;
                const char *digits;
        } cases[] = {
                { 0, 0, 9, "0" },
                { 1, 0, 3, "1" },
                { 0, 1, 9, "0.000000001" },
                { 0, 100, 3, "0.1" },
                { 12, 50, 3, "12.05" },
                { 12, 999, 3, "12.999" },
                { UINT64_MAX, 999999999, 9, "18446744073709551615.999999999" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char digits[TEXT_NUMBER_SIZE];

                *text_put_decimal(digits, cases[i].whole, cases[i].fraction, cases[i].places) = '\0';
                cr_expect_str_eq(digits, cases[i].digits);
        }
}

Test(text, grows_and_stays_a_string) {
        _cleanup_text_ Text text = TEXT_NULL;
        char *p;

        for (size_t i = 0; i < 1000; i++) {
                text_append(&text, "seven..");
                cr_assert_eq(text.n, 7 * (i + 1));
                cr_assert_eq(text.data[text.n], '\0');
        }
        p = text_reserve(&text, 10000);
        cr_assert(p);
        memset(p, 'x', 10000);
        text_end(&text, p + 10000);
        cr_expect_eq(strlen(text.data), 17000);
        text_append_bytes(&text, "", 0);
        cr_expect_eq(text.n, 17000);
}

Test(text, escapes) {
        static const struct {
                const char *s, *escaped;
        } cases[] = {
                { "", "" },
                { "plain", "plain" },
                { "a\"b", "a\\\"b" },
                { "\\", "\\\\" },
                { "two\nlines\n", "two\\nlines\\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_text_ Text text = TEXT_NULL;

                text_append(&text, "");
                text_append_escaped(&text, cases[i].s);
                cr_expect_str_eq(text.data, cases[i].escaped);
        }
}

Test(text, an_error_stays) {
        _cleanup_text_ Text text = { .error = -ENOMEM };

        text_append(&text, "nothing");
        cr_expect_null(text_reserve(&text, 1));
        cr_expect_null(text.data);
        cr_expect_eq(text.error, -ENOMEM);
}

/* Each byte is the next of an alphabet. */
typedef struct Taker {
        size_t n, pieces;
        size_t fails_at; /* the piece that it does not take, counted from 1 */
} Taker;

static int take(void *userdata, const char *bytes, size_t n) {
        Taker *taker = userdata;

        if (++taker->pieces == taker->fails_at)
                return -EFBIG;
        for (size_t i = 0; i < n; i++)
                cr_assert_eq(bytes[i], 'a' + (taker->n + i) % 26);
        taker->n += n;
        return 0;
}

static void append_alphabets(Text *text, size_t n) {
        for (size_t i = 0; i < n; i++)
                text_append(text, "abcdefghijklmnopqrstuvwxyz");
}

Test(text, is_handed_on_in_pieces) {
        Taker taker = {};
        _cleanup_text_ Text text = { .take = take, .userdata = &taker };

        append_alphabets(&text, 100000);
        cr_expect_lt(text.allocated, 1000000, "it held what it could hand on");
        cr_assert_eq(text_flush(&text), 0);
        cr_expect_eq(taker.n, 2600000);
        cr_expect(taker.pieces > 10 && taker.pieces < 100);
        cr_assert_eq(text_flush(&text), 0);
        cr_expect_eq(taker.n, 2600000, "what was taken was handed on again");
}

Test(text, the_error_of_who_takes_it_stays) {
        Taker taker = { .fails_at = 3 };
        _cleanup_text_ Text text = { .take = take, .userdata = &taker };

        append_alphabets(&text, 100000);
        cr_expect_eq(text.error, -EFBIG);
        cr_expect_eq(text_flush(&text), -EFBIG);
        cr_expect_eq(taker.pieces, 3, "more was handed on after it");
}
