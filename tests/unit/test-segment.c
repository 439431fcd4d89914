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

typedef struct Named {
        const char *name;
        uint64_t reserved;
} Named;

/* What one tenant's allocations ask for in [10, 20), and how it is told where the default uplink is eth0. */
static const struct {
        const char *name;
        Named asked[2][2];
        const char *segments;
} names[] = {
        { "the default uplink", { { { "net.egress", 5 } } }, "t net.egress@eth0 [10,20) 5;" },
        { "another uplink", { { { "net.egress@eth1", 5 } } }, "t net.egress@eth1 [10,20) 5;" },
        { "the default uplink by both names", { { { "net.egress", 5 }, { "net.egress@eth0", 2 } } },
                        "t net.egress@eth0 [10,20) 7;" },
        { "the same of two allocations", { { { "net.egress", 5 } }, { { "net.egress@eth0", 2 } } },
                        "t net.egress@eth0 [10,20) 7;" },
        { "every block device that is known", { { { "io.read", 5 } } },
                        "t io.read@8:0 [10,20) 5;t io.read@8:16 [10,20) 5;" },
        { "one of them, and all", { { { "io.read", 5 }, { "io.read@8:16", 2 } } },
                        "t io.read@8:0 [10,20) 5;t io.read@8:16 [10,20) 7;" },
        { "one that is not known, and all", { { { "io.read", 5 }, { "io.read@8:32", 2 } } },
                        "t io.read@8:0 [10,20) 5;t io.read@8:16 [10,20) 5;t io.read@8:32 [10,20) 2;" },
        { "none is known", { { { "io.write", 5 } } }, "t io.write [10,20) 5;" },
};

static void put(ResourceSet *set, ResourceKind kind, const char *target, uint64_t amount) {
        cr_assert_eq(resource_set_put(set, kind, target, (Amount){ amount, amount }), 0);
}

static void ask(Calendar *calendar, const char *id, const Named asked[2]) {
        Allocation *a = made_allocation(&(Made){ id, "t", 10, 20 }), *replaced;

        for (size_t i = 0; i < 2 && asked[i].name; i++) {
                char target[RESOURCE_TARGET_SIZE];
                ResourceKind kind;

                cr_assert_eq(resource_parse_name(asked[i].name, &kind, target), 0);
                put(&a->resources, kind, target, asked[i].reserved);
        }
        cr_assert_eq(calendar_put(calendar, a, &replaced), 0);
}

Test(segment, names_it_as_the_capacity_is_named) {
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
                Calendar calendar = { .default_uplink = "eth0" };
                _cleanup_free_ Segment *segments = NULL;
                _cleanup_free_ char *text = NULL;
                size_t n;

                put(&calendar.devices, RESOURCE_IO_READ, "8:0", 100);
                put(&calendar.devices, RESOURCE_IO_READ, "8:16", 100);
                put(&calendar.devices, RESOURCE_IO_READ, "8:32", 0);
                for (size_t k = 0; k < 2 && names[i].asked[k][0].name; k++)
                        ask(&calendar, k == 0 ? "a" : "b", names[i].asked[k]);
                cr_assert_eq(calendar_segments(&calendar, 0, 100, SIZE_MAX, &segments, &n), 0);
                text = print(segments, n);
                cr_expect_str_eq(text, names[i].segments, "%s: %s", names[i].name, text);
                calendar_deinit(&calendar);
        }
}

/* Each device's part is lent by itself, and comes off that one alone. */
Test(segment, what_is_lent_of_each_device_is_less) {
        Calendar calendar = { .default_uplink = "eth0" };
        Capacity capacity = made_capacity(1000, 1000, 100);
        Allocation *lender = made_allocation(&(Made){ "v", "t", 0, 100, .mode = PREEMPT_MODE_SUSPEND }),
                   *borrower = made_allocation(&(Made){ "p", "u", 20, 30, .priority = 1 }), *replaced;
        _cleanup_free_ Segment *segments = NULL;
        _cleanup_free_ char *text = NULL;
        size_t n;

        put(&capacity.total, RESOURCE_IO_READ, "8:0", 100);
        put(&capacity.total, RESOURCE_IO_READ, "8:16", 100);
        put(&calendar.devices, RESOURCE_IO_READ, "8:0", 100);
        put(&calendar.devices, RESOURCE_IO_READ, "8:16", 100);
        put(&lender->resources, RESOURCE_IO_READ, "", 80);
        put(&borrower->resources, RESOURCE_IO_READ, "", 70);
        cr_assert_eq(calendar_put(&calendar, lender, &replaced), 0);
        cr_assert_not_null(made_apply(&calendar, &capacity, 0, borrower));
        cr_assert_eq(calendar_segments(&calendar, 0, 200, SIZE_MAX, &segments, &n), 0);
        text = print(segments, n);
        cr_expect_str_eq(text,
                        "t io.read@8:0 [0,20) 80;t io.read@8:0 [20,30) 30;t io.read@8:0 [30,100) 80;"
                        "t io.read@8:16 [0,20) 80;t io.read@8:16 [20,30) 30;t io.read@8:16 [30,100) 80;"
                        "u io.read@8:0 [20,30) 70;u io.read@8:16 [20,30) 70;",
                        "%s", text);
        calendar_deinit(&calendar);
        made_capacity_deinit(&capacity);
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
