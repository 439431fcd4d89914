/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "enforce/limit-text.h"

#include <criterion/criterion.h>
#include <string.h>

Test(limit_text, table_is_complete) {
        for (LimitFile file = 0; file < LIMIT_FILE_MAX; file++) {
                const LimitFileInfo *info = limit_file_info(file);
                const char *controller = controller_to_string(info->controller);

                cr_assert_not_null(info->file, "file %d", (int) file);
                cr_expect_not_null(info->feature, "%s", info->file);
                cr_expect_not_null(info->effect, "%s", info->file);
                cr_expect_eq(strncmp(info->file, controller, strlen(controller)), 0, "%s", info->file);
        }
}

/* Lines as the kernel shows them, and what is written for the same. */
static const struct {
        const char *name;
        LimitLine line;
        const char *shown, *written;
} lines[] = {
        { "all of io.max", { LIMIT_IO_MAX, "8:0", { 1048576, 2, 3, 4 } },
                        "8:0 rbps=1048576 wbps=2 riops=3 wiops=4\n",
                        "8:0 rbps=1048576 wbps=2 riops=3 wiops=4" },
        { "one of it", { LIMIT_IO_MAX, "259:1", { UNLIMITED, 2, UNLIMITED, UNLIMITED } },
                        "259:1 rbps=max wbps=2 riops=max wiops=max\n",
                        "259:1 rbps=max wbps=2 riops=max wiops=max" },
        { "a weight", { LIMIT_IO_WEIGHT, "8:0", { 200, UNLIMITED, UNLIMITED, UNLIMITED } },
                        "default 100\n8:0 200\n", "8:0 200" },
        { "no weight of its own", { LIMIT_IO_WEIGHT, "8:0", { UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED } },
                        "default 100\n", "8:0 default" },
        { "a latency", { LIMIT_IO_LATENCY, "8:0", { 5000, UNLIMITED, UNLIMITED, UNLIMITED } },
                        "8:0 target=5000 use_delay=3\n", "8:0 target=5000" },
        { "rdma", { LIMIT_RDMA_MAX, "mlx5_0", { 3, UNLIMITED, UNLIMITED, UNLIMITED } },
                        "mlx4_0 hca_handle=max hca_object=max\nmlx5_0 hca_handle=3 hca_object=max\n",
                        "mlx5_0 hca_handle=3 hca_object=max" },
        { "misc, to nothing", { LIMIT_MISC_MAX, "sev", { 0, UNLIMITED, UNLIMITED, UNLIMITED } },
                        "sev 0\nsev_es max\n", "sev 0" },
};

Test(limit_text, what_is_shown_is_what_was_written) {
        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                _cleanup_limit_set_ LimitSet set = LIMIT_SET_NULL;
                char text[LIMIT_TEXT_SIZE];

                limit_format(&lines[i].line, text);
                cr_expect_str_eq(text, lines[i].written, "%s", lines[i].name);
                cr_assert_eq(limit_parse(lines[i].line.file, lines[i].shown, &set), 0, "%s", lines[i].name);
                for (size_t k = 0; k < LIMIT_COLUMNS_MAX; k++)
                        cr_expect_eq(limit_set_get(&set, lines[i].line.file, lines[i].line.target, k),
                                        lines[i].line.values[k], "%s: column %zu", lines[i].name, k);
                cr_expect_leq(set.n, 1, "%s: lines without limits are none", lines[i].name);
        }
}

Test(limit_text, what_is_no_such_file) {
        static const struct {
                LimitFile file;
                const char *text;
        } cases[] = { { LIMIT_IO_MAX, "8:0\n" }, { LIMIT_IO_MAX, "8:0 rbps\n" },
                { LIMIT_IO_MAX, "8:0 rbps=x\n" }, { LIMIT_IO_MAX, "8:0 rbps=-1\n" },
                { LIMIT_IO_MAX, "8:0 rbps=99999999999999999999999\n" }, { LIMIT_IO_MAX, "8:0 5\n" },
                { LIMIT_IO_WEIGHT, "8:0 weight=5\n" }, { LIMIT_IO_MAX, "\n" } };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_limit_set_ LimitSet set = LIMIT_SET_NULL;

                cr_expect_eq(limit_parse(cases[i].file, cases[i].text, &set), -EBADMSG, "'%s'",
                                cases[i].text);
        }
}

Test(limit_text, from_some_number_on_there_is_no_limit) {
        _cleanup_limit_set_ LimitSet set = LIMIT_SET_NULL;

        cr_assert_eq(limit_set_put(&set, LIMIT_IO_MAX, "8:0", IO_MAX_READ_OPERATIONS, 1ULL << 32), 0);
        cr_assert_eq(limit_set_put(&set, LIMIT_IO_MAX, "8:16", IO_MAX_READ_BYTES, 1ULL << 40), 0);
        cr_assert_eq(limit_set_put(&set, LIMIT_RDMA_MAX, "d", RDMA_MAX_OBJECTS, INT32_MAX), 0);
        limit_set_round(&set);
        cr_assert_eq(set.n, 1);
        cr_expect_str_eq(set.lines[0].target, "8:16");
}

Test(limit_text, the_longest_line_fits) {
        LimitLine line = { LIMIT_IO_MAX, "12345678901:12345678901",
                { UNLIMITED - 1, UNLIMITED - 1, UINT32_MAX - 1, UINT32_MAX - 1 } };
        char text[LIMIT_TEXT_SIZE];

        limit_format(&line, text);
        cr_expect(strstr(text, "wiops=4294967294"));
}
