/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/remains.h"

#include "util/cleanup.h"

#include <criterion/criterion.h>

#define MIB (1ULL << 20)

static const struct {
        unsigned sockets;
        uint64_t memory_bytes;
        const char *words; /* NULL: nothing to tell */
} cases[] = {
        { 0, 0, NULL },
        { 0, 16 * MIB - 1, NULL },
        { 0, 16 * MIB, "process 42 (nc) left with /user.slice: up to 16 MiB of memory, until it is freed" },
        { 1, 0, "process 42 (nc) left with /user.slice: 1 socket, until it is closed" },
        { 3, 5 * MIB, "process 42 (nc) left with /user.slice: 3 sockets, until they are closed" },
        { 2, 300 * MIB,
                        "process 42 (nc) left with /user.slice: 2 sockets, until they are closed; up to 300 "
                        "MiB "
                        "of memory, until it is freed" },
};

Test(remains, in_words) {
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Remains remains = { 42, "nc", (char *) "/user.slice", cases[i].sockets,
                        cases[i].memory_bytes };
                _cleanup_free_ char *words = NULL;

                cr_expect_eq(remains_format(&remains, &words), cases[i].words ? 1 : 0, "case %zu", i);
                if (cases[i].words)
                        cr_expect_str_eq(words, cases[i].words);
                else
                        cr_expect_null(words);
        }
}

/* Every byte but a newline may stand in a group's name. */
Test(remains, a_name_that_is_no_text) {
        const Remains remains = { 42, "nc", (char *) "/user.slice/\xff\033[2J\xc3\xa4", 1, 0 };
        _cleanup_free_ char *words = NULL;

        cr_assert_eq(remains_format(&remains, &words), 1);
        cr_expect_str_eq(words,
                        "process 42 (nc) left with /user.slice/??[2J\xc3\xa4: 1 socket, until it is closed");
}
