/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/segment.h"
#include "support/calendar-make.h"

#include <criterion/criterion.h>
#include <string.h>

static char *print(const Segment *segments, size_t n) {
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        for (size_t i = 0; i < n; i++) {
                char name[RESOURCE_NAME_SIZE];

                resource_format_name(segments[i].kind, segments[i].target, name);
                fprintf(f, "%s %s [%lu,%lu) %lu;", segments[i].tenant_id, name, segments[i].window.start_usec,
                                segments[i].window.end_usec, segments[i].amount.reserved);
        }
        fclose(f);
        return text;
}

static const struct {
        const char *name;
        Made held[3];
        uint64_t from, until;
        const char *segments;
} cases[] = {
        { "nothing is promised", { { .id = NULL } }, 0, 100, "" },
        { "one window", { { "a", "t", 10, 20, .cpu = 5 } }, 0, 100, "t cpu [10,20) 5;" },
        { "as far as it is asked for", { { "a", "t", 10, 20, .cpu = 5 } }, 12, 15, "t cpu [12,15) 5;" },
        { "outside", { { "a", "t", 10, 20, .cpu = 5 } }, 20, 30, "" },
        { "two that overlap", { { "a", "t", 10, 20, .cpu = 5 }, { "b", "t", 15, 30, .cpu = 7 } }, 0, 100,
                        "t cpu [10,15) 5;t cpu [15,20) 12;t cpu [20,30) 7;" },
        { "two that meet with the same", { { "a", "t", 10, 20, .cpu = 5 }, { "b", "t", 20, 30, .cpu = 5 } },
                        0, 100, "t cpu [10,30) 5;" },
        { "a gap between", { { "a", "t", 10, 20, .cpu = 5 }, { "b", "t", 25, 30, .cpu = 5 } }, 0, 100,
                        "t cpu [10,20) 5;t cpu [25,30) 5;" },
        { "by tenant and resource",
                        { { "a", "u", 10, 20, .cpu = 5, .memory = 3 }, { "b", "t", 10, 20, .cpu = 1 } }, 0,
                        100, "t cpu [10,20) 1;u cpu [10,20) 5;u memory [10,20) 3;" },
        { "without an end", { { "a", "t", 10, UINT64_MAX, .cpu = 5 } }, 0, 100, "t cpu [10,100) 5;" },
};

Test(segment, tells_who_has_how_much_when) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                Calendar calendar = { .default_uplink = "eth0" };
                _cleanup_free_ Segment *segments = NULL;
                _cleanup_free_ char *text = NULL;
                size_t n;

                for (size_t k = 0; k < 3 && cases[i].held[k].id; k++)
                        made_hold(&calendar, &cases[i].held[k]);
                cr_assert_eq(calendar_segments(&calendar, cases[i].from, cases[i].until, SIZE_MAX, &segments,
                                             &n),
                                0);
                text = print(segments, n);
                cr_expect_str_eq(text, cases[i].segments, "%s: %s", cases[i].name, text);
                for (size_t k = 0; k < n; k++) /* each allocation's limit is what it reserves */
                        cr_expect_eq(segments[k].amount.limit, segments[k].amount.reserved, "%s",
                                        cases[i].name);
                calendar_deinit(&calendar);
        }
}

Test(segment, no_more_than_asked_for) {
        Calendar calendar = { .default_uplink = "eth0" };
        _cleanup_free_ Segment *segments = NULL;
        size_t n = 0;

        made_hold(&calendar, &(Made){ "a", "t", 0, 100, .cpu = 800 });
        made_hold(&calendar, &(Made){ "b", "u", 0, 100, .cpu = 100, .memory = 5 });
        cr_expect_eq(calendar_segments(&calendar, 0, 200, 2, &segments, &n), -E2BIG);
        cr_expect_null(segments);
        cr_expect_eq(calendar_segments(&calendar, 0, 200, 3, &segments, &n), 0);
        cr_expect_eq(n, 3);
        calendar_deinit(&calendar);
}

Test(segment, what_is_lent_is_less) {
        Calendar calendar = { .default_uplink = "eth0" };
        Capacity capacity = made_capacity(1000, 1000, 100);
        _cleanup_free_ Segment *segments = NULL;
        _cleanup_free_ char *text = NULL;
        size_t n;

        made_hold(&calendar, &(Made){ "v", "t", 0, 100, .cpu = 800, .mode = PREEMPT_MODE_SUSPEND });
        cr_assert_not_null(made_apply(&calendar, &capacity, 0,
                        made_allocation(&(Made){ "p", "u", 20, 30, .cpu = 700, .priority = 1 })));
        cr_assert_eq(calendar_segments(&calendar, 0, 200, SIZE_MAX, &segments, &n), 0);
        text = print(segments, n);
        cr_expect_str_eq(text, "t cpu [0,20) 800;t cpu [20,30) 300;t cpu [30,100) 800;u cpu [20,30) 700;",
                        "%s", text);
        calendar_deinit(&calendar);
        made_capacity_deinit(&capacity);
}
