/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/cpu-set.h"

#include <criterion/criterion.h>

static const struct {
        const char *name, *text;
        int r;
        const char *normal; /* as it is printed */
        unsigned count;
} cases[] = {
        { "nothing", "", 0, "", 0 },
        { "one", "0", 0, "0", 1 },
        { "a range", "0-3", 0, "0-3", 4 },
        { "a range of one", "7-7", 0, "7", 1 },
        { "the kernel's own example", "0-4,9", 0, "0-4,9", 6 },
        { "in any order", "8,0-3", 0, "0-3,8", 5 },
        { "what touches becomes one", "0,1,2-3", 0, "0-3", 4 },
        { "what overlaps counts once", "0-3,2-5", 0, "0-5", 6 },
        { "leading zeros", "007", 0, "7", 1 },
        { "across words", "62-65,127-128", 0, "62-65,127-128", 6 },
        { "the last", "8191", 0, "8191", 1 },
        { "all", "0-8191", 0, "0-8191", CPU_SET_SIZE },
        { "one too high", "8192", -ERANGE },
        { "a range that ends too high", "0-8192", -ERANGE },
        { "past every integer", "99999999999999999999999", -ERANGE },
        { "too high, and then not a list", "99999x", -ERANGE },
        { "a word", "all", -EINVAL },
        { "a sign", "-1", -EINVAL },
        { "another sign", "+1", -EINVAL },
        { "a comma alone", ",", -EINVAL },
        { "a comma before", ",1", -EINVAL },
        { "a comma behind", "1,", -EINVAL },
        { "two commas", "1,,2", -EINVAL },
        { "a range without an end", "1-", -EINVAL },
        { "a range of three", "1-2-3", -EINVAL },
        { "a range backwards", "3-1", -EINVAL },
        { "spaces", "0, 1", -EINVAL },
        { "a space behind", "1 ", -EINVAL },
        { "a newline", "1\n", -EINVAL },
        { "a stride", "0-7:1/2", -EINVAL },
        { "a mask", "0x3", -EINVAL },
        { "a fraction", "1.5", -EINVAL },
};

Test(cpu_set, texts) {
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = NULL;
                CpuSet set = {}, again;

                cpu_set_add(&set, 5);
                cr_assert_eq(cpu_set_parse(cases[i].text, &set), cases[i].r, "%s", cases[i].name);
                if (cases[i].r < 0) {
                        cr_expect(cpu_set_count(&set) == 1 && cpu_set_has(&set, 5),
                                        "%s: it must be left as it was", cases[i].name);
                        continue;
                }
                cr_expect_eq(cpu_set_count(&set), cases[i].count, "%s", cases[i].name);
                cr_expect_eq(cpu_set_is_empty(&set), cases[i].count == 0, "%s", cases[i].name);
                text = cpu_set_format(&set);
                cr_expect_str_eq(text, cases[i].normal, "%s", cases[i].name);
                cr_assert_eq(cpu_set_parse(text, &again), 0);
                cr_expect(cpu_set_equal(&set, &again), "%s", cases[i].name);
        }
}

static CpuSet parsed(const char *text) {
        CpuSet set = {};

        cr_assert_eq(cpu_set_parse(text, &set), 0);
        return set;
}

static void expect_text(const CpuSet *set, const char *text) {
        _cleanup_free_ char *have = cpu_set_format(set);

        cr_expect_str_eq(have, text);
}

Test(cpu_set, union_intersection_difference) {
        static const struct {
                const char *a, *b, *united, *common, *less;
        } sets[] = {
                { "0-3", "2-5", "0-5", "2-3", "0-1" },
                { "0-1", "64-65", "0-1,64-65", "", "0-1" },
                { "", "7", "7", "", "" },
                { "7", "", "7", "", "7" },
                { "1,3,5", "1,3,5", "1,3,5", "1,3,5", "" },
        };

        for (size_t i = 0; i < ELEMENTSOF(sets); i++) {
                CpuSet united = parsed(sets[i].a), common = united, less = united, other = parsed(sets[i].b);

                cpu_set_unite(&united, &other);
                cpu_set_intersect(&common, &other);
                cpu_set_subtract(&less, &other);
                expect_text(&united, sets[i].united);
                expect_text(&common, sets[i].common);
                expect_text(&less, sets[i].less);
        }
}

Test(cpu_set, members_in_order) {
        CpuSet set = parsed("0,63-64,8191"), seen = {};
        unsigned last = 0;

        CPU_SET_FOREACH (cpu, &set) {
                cr_expect(cpu == 0 || cpu > last);
                last = cpu;
                cpu_set_add(&seen, cpu);
        }
        cr_expect(cpu_set_equal(&set, &seen));
        cr_expect_eq(cpu_set_next(&set, 8192), CPU_SET_SIZE, "nothing is past the end");
        cr_expect_not(cpu_set_has(&set, 8192));
        cr_expect_not(cpu_set_has(&set, UINT32_MAX));
}
