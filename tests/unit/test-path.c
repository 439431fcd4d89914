/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "util/cleanup.h"
#include "util/path.h"

#include <criterion/criterion.h>

static const struct {
        const char *name, *path, *parent;
        bool below, within;
} cases[] = {
        { "below", "/a/b", "/a", true, true },
        { "far below", "/a/b/c", "/a", true, true },
        { "itself", "/a", "/a", false, true },
        { "a longer name", "/ab", "/a", false, false },
        { "above", "/a", "/a/b", false, false },
        { "of no parent", "/a", NULL, false, false },
        { "of an empty one", "/a", "", false, false },
};

Test(path, below_and_within) {
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                cr_expect_eq(path_is_below(cases[i].path, cases[i].parent), cases[i].below, "%s",
                                cases[i].name);
                cr_expect_eq(path_is_within(cases[i].path, cases[i].parent), cases[i].within, "%s",
                                cases[i].name);
        }
}

Test(path, canonical) {
        static const char *const pairs[][2] = { { "/a/b", "/a/b" }, { "a/b", "/a/b" },
                { "//a///b//", "/a/b" }, { "a", "/a" }, { "/", "" }, { "", "" } };

        for (size_t i = 0; i < ELEMENTSOF(pairs); i++) {
                _cleanup_free_ char *path = path_canonical(pairs[i][0]);

                cr_expect_str_eq(path, pairs[i][1], "of '%s'", pairs[i][0]);
        }
}
