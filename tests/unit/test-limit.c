/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/limit.h"

#include <criterion/criterion.h>

#define ALL ((1U << LIMIT_FILE_MAX) - 1)

typedef struct Put {
        LimitFile file;
        const char *target;
        size_t column;
        uint64_t value;
} Put;

static LimitSet made(const Put *puts) {
        LimitSet set = LIMIT_SET_NULL;

        for (; puts->target; puts++)
                cr_assert_eq(limit_set_put(&set, puts->file, puts->target, puts->column, puts->value), 0);
        return set;
}

Test(limit, a_line_holds_what_was_put) {
        _cleanup_limit_set_ LimitSet set = made((Put[]){ { LIMIT_RDMA_MAX, "mlx5_0", RDMA_MAX_OBJECTS, 7 },
                        { LIMIT_IO_MAX, "8:0", IO_MAX_WRITE_BYTES, 5 },
                        { LIMIT_IO_MAX, "259:0", IO_MAX_READ_BYTES, 6 },
                        { LIMIT_IO_MAX, "8:0", IO_MAX_READ_OPERATIONS, 0 }, {} });

        cr_assert_eq(set.n, 3);
        cr_expect_str_eq(set.lines[0].target, "259:0", "by file, then target");
        cr_expect_eq(limit_set_get(&set, LIMIT_IO_MAX, "8:0", IO_MAX_WRITE_BYTES), 5);
        cr_expect_eq(limit_set_get(&set, LIMIT_IO_MAX, "8:0", IO_MAX_READ_OPERATIONS), 0);
        cr_expect_eq(limit_set_get(&set, LIMIT_IO_MAX, "8:0", IO_MAX_READ_BYTES), UNLIMITED);
        cr_expect_eq(limit_set_get(&set, LIMIT_IO_MAX, "8:1", IO_MAX_READ_BYTES), UNLIMITED);
        cr_expect_eq(limit_set_get(&set, LIMIT_RDMA_MAX, "mlx5_0", RDMA_MAX_OBJECTS), 7);
}

Test(limit, a_line_without_limits_is_none) {
        _cleanup_limit_set_ LimitSet set = made((Put[]){ { LIMIT_IO_MAX, "8:0", 0, UNLIMITED },
                        { LIMIT_IO_MAX, "8:16", 0, 5 }, { LIMIT_IO_MAX, "8:16", 0, UNLIMITED }, {} });

        cr_expect_eq(set.n, 0);
        cr_expect_eq(limit_set_put(&set, LIMIT_IO_MAX, "a name that is far too long", 0, 1), -ENAMETOOLONG);
}

static const struct {
        const char *name;
        Put observed[4], desired[4], changes[4]; /* changes: the columns that are not UNLIMITED */
        uint32_t files;
        size_t n;
} diffs[] = {
        { "nothing", {}, {}, {}, ALL, 0 },
        { "the same", { { LIMIT_IO_MAX, "8:0", 0, 5 } }, { { LIMIT_IO_MAX, "8:0", 0, 5 } }, {}, ALL, 0 },
        { "one to write", {}, { { LIMIT_IO_MAX, "8:0", 0, 5 } }, { { LIMIT_IO_MAX, "8:0", 0, 5 } }, ALL, 1 },
        { "another value, the whole line", { { LIMIT_IO_MAX, "8:0", 0, 5 }, { LIMIT_IO_MAX, "8:0", 1, 6 } },
                        { { LIMIT_IO_MAX, "8:0", 0, 4 }, { LIMIT_IO_MAX, "8:0", 1, 6 } },
                        { { LIMIT_IO_MAX, "8:0", 0, 4 }, { LIMIT_IO_MAX, "8:0", 1, 6 } }, ALL, 1 },
        { "one that should not be there", { { LIMIT_IO_MAX, "8:0", 0, 5 }, { LIMIT_IO_MAX, "8:16", 0, 5 } },
                        { { LIMIT_IO_MAX, "8:16", 0, 5 } }, { { LIMIT_IO_MAX, "8:0", 0, UNLIMITED } }, ALL,
                        1 },
        { "a file that is not there", {}, { { LIMIT_RDMA_MAX, "d", 0, 5 } }, {},
                        ALL & ~(1U << LIMIT_RDMA_MAX), 0 },
        { "both ends", { { LIMIT_IO_MAX, "8:0", 0, 5 } }, { { LIMIT_MISC_MAX, "sev", 0, 1 } },
                        { { LIMIT_IO_MAX, "8:0", 0, UNLIMITED }, { LIMIT_MISC_MAX, "sev", 0, 1 } }, ALL, 2 },
};

Test(limit, only_lines_that_differ_are_written) {
        for (size_t i = 0; i < ELEMENTSOF(diffs); i++) {
                _cleanup_limit_set_ LimitSet observed = made(diffs[i].observed),
                                             desired = made(diffs[i].desired);
                _cleanup_free_ LimitLine *changes = NULL;
                size_t n = 0;

                cr_assert_eq(limit_set_diff(&observed, &desired, diffs[i].files, &changes, &n), 0);
                cr_assert_eq(n, diffs[i].n, "%s: %zu", diffs[i].name, n);
                for (const Put *put = diffs[i].changes; put->target; put++) {
                        bool found = false;

                        for (size_t k = 0; k < n; k++)
                                found = found ||
                                        (changes[k].file == put->file &&
                                                        strcmp(changes[k].target, put->target) == 0 &&
                                                        changes[k].values[put->column] == put->value);
                        cr_expect(found, "%s: %s", diffs[i].name, put->target);
                }
        }
}

Test(limit, a_copy_is_equal) {
        _cleanup_limit_set_ LimitSet set = made((Put[]){ { LIMIT_IO_MAX, "8:0", 0, 5 }, {} }),
                                     copy = LIMIT_SET_NULL;

        cr_assert_eq(limit_set_copy(&set, &copy), 0);
        cr_expect(limit_set_equal(&set, &copy));
        cr_assert_eq(limit_set_put(&copy, LIMIT_IO_MAX, "8:0", 1, 5), 0);
        cr_expect_not(limit_set_equal(&set, &copy));
}
