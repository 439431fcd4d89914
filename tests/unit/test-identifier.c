/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/identifier.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct {
        const char *id;
        bool valid;
} cases[] = {
        { "a", true }, { "tenant-1", true }, { "a-b-c", true }, { "0", true }, { "", false }, { "-a", false },
        { "a-", false }, { "a--b", false }, { "A", false }, { "a_b", false }, { "a.b", false },
        { "../a", false }, { "a/b", false }, { "a\nb", false }, { "a%2e", false }, { "cgroup.procs", false },
        { "a1234567890123456789012345678901234567890123456789012345678901", true },    /* 62 */
        { "a12345678901234567890123456789012345678901234567890123456789012", true },   /* 63 */
        { "a123456789012345678901234567890123456789012345678901234567890123", false }, /* 64 */
        { "a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a", true },                                 /* 16 dashes */
        { "a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a", false },                              /* 17 */
};

Test(identifier, valid) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
                cr_expect_eq(identifier_valid(cases[i].id), cases[i].valid, "'%s'", cases[i].id);
}

Test(identifier, escape_is_systemds_and_comes_back) {
        char escaped[IDENTIFIER_ESCAPED_SIZE], id[IDENTIFIER_LENGTH_MAX + 1];

        identifier_escape("a-b-c", escaped);
        cr_expect_str_eq(escaped, "a\\x2db\\x2dc");
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                if (!cases[i].valid)
                        continue;
                identifier_escape(cases[i].id, escaped);
                cr_expect(strlen(escaped) < IDENTIFIER_ESCAPED_SIZE);
                cr_expect_null(strchr(escaped, '-'), "a dash would nest slices: %s", escaped);
                cr_assert(identifier_unescape(escaped, id));
                cr_expect_str_eq(id, cases[i].id);
        }
}

Test(identifier, what_is_not_ours_is_not_unescaped) {
        static const char *const foreign[] = { "", "a-b", "a\\x2d", "\\x2da", "a\\x2e", "A", "a\\",
                "system"
                "."
                "x" };
        char id[IDENTIFIER_LENGTH_MAX + 1];

        for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
                cr_expect_not(identifier_unescape(foreign[i], id), "'%s'", foreign[i]);
}
