/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The calendar as it is drawn: the axis, also where clocks change, and whole drawings against golden text. */

#include "headgatectl/calendar-axis.h"
#include "headgatectl/calendar-view.h"
#include "headgatectl/variant.h"

#include "support/golden.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

#define MINUTE 60000000ULL
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define TEN 1795341600000000ULL /* 2026-11-22T10:00:00Z, a Sunday */

static void set_zone(const char *zone) {
        setenv("TZ", zone, /* overwrite= */ 1);
        tzset();
}

Test(ctl_calendar, cells_are_round) {
        static const struct {
                const char *zone;
                uint64_t from, until;
                size_t n_max;
                CalendarAxis axis;
        } cases[] = {
                { "UTC0", TEN, TEN + DAY, 48, { TEN, 30 * MINUTE, 48 } },
                { "UTC0", TEN, TEN + DAY, 47, { TEN, 40 * MINUTE, 36 } },
                { "UTC0", TEN + 22 * MINUTE, TEN + 22 * MINUTE + DAY, 60, { TEN, 30 * MINUTE, 49 } },
                { "UTC0", TEN + 1, TEN + MINUTE, 60, { TEN, MINUTE, 1 } },
                /* Two hours are so in local time, also where that is 45 minutes off. */
                { "NPT-5:45", TEN, TEN + 2 * DAY, 30, { TEN - 105 * MINUTE, 2 * HOUR, 25 } },
                /* Days begin at midnight, weeks on a Monday. */
                { "CST-8", TEN, TEN + 30 * DAY, 40, { TEN - 18 * HOUR, DAY, 31 } },
                { "UTC0", TEN, TEN + 366 * DAY, 60, { TEN - 6 * DAY - 10 * HOUR, 7 * DAY, 54 } },
                /* Nothing is before the epoch. */
                { "UTC0", 5 * MINUTE, 5 * MINUTE + DAY, 30, { 0, HOUR, 25 } },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const CalendarAxis *expected = &cases[i].axis;
                CalendarAxis axis;

                set_zone(cases[i].zone);
                calendar_axis_init(cases[i].from, cases[i].until, cases[i].n_max, &axis);
                cr_expect_eq(axis.cell_usec, expected->cell_usec, "case %zu: %llu min", i,
                                (unsigned long long) (axis.cell_usec / MINUTE));
                cr_expect_eq(axis.start_usec, expected->start_usec, "case %zu: %lld min off", i,
                                (long long) (axis.start_usec - expected->start_usec) / (long long) MINUTE);
                cr_expect_eq(axis.n_cells, expected->n_cells, "case %zu: %zu", i, axis.n_cells);
        }
}

Test(ctl_calendar, an_instant_lies_in_one_cell) {
        const CalendarAxis axis = { TEN, HOUR, 3 };

        cr_expect_eq(calendar_axis_find(&axis, TEN - 1), 3);
        cr_expect_eq(calendar_axis_find(&axis, TEN), 0);
        cr_expect_eq(calendar_axis_find(&axis, TEN + HOUR - 1), 0);
        cr_expect_eq(calendar_axis_find(&axis, TEN + HOUR), 1);
        cr_expect_eq(calendar_axis_find(&axis, TEN + 3 * HOUR - 1), 2);
        cr_expect_eq(calendar_axis_find(&axis, TEN + 3 * HOUR), 3);
}

Test(ctl_calendar, scales) {
        static const char berlin[] = "CET-1CEST,M3.5.0,M10.5.0/3",
                          santiago[] = "<-04>4<-03>,M9.1.6/24,M4.1.6/24";
        static const struct {
                const char *name, *zone;
                CalendarAxis axis;
                const char *upper, *lower, *ruler;
        } cases[] = {
                { "quarters of an hour", "UTC0", { TEN, 2 * MINUTE, 30 }, "Sun 22 Nov",
                                "10:00  10:15   10:30  10:45", "|------|-------|------|-------" },
                { "hours", "UTC0", { TEN, 10 * MINUTE, 24 }, "Sun 22 Nov", "10:00 11:00 12:00 13:00",
                                "|-----|-----|-----|-----" },
                { "four hours, hours below, and a day", "UTC0", { TEN + 10 * HOUR, 30 * MINUTE, 28 },
                                "        Mon 23 Nov", "20:00   00:00   04:00   08:00",
                                "|-+-+-+-|-+-+-+-|-+-+-+-|-+-" },
                { "a day's name where there is room for it", "UTC0", { TEN, 30 * MINUTE, 32 },
                                "Sun 22 Nov                  Mon 23 Nov", "    12:00   16:00   20:00   00:00",
                                "+-+-|-+-+-+-|-+-+-+-|-+-+-+-|-+-" },
                { "days with their names", "UTC0", { TEN - 10 * HOUR, 3 * HOUR, 24 }, "Nov 2026",
                                "Sun 22  Mon 23  Tue 24", "|---+---|---+---|---+---" },
                { "days, and a month", "UTC0", { TEN + 6 * DAY - 10 * HOUR, 6 * HOUR, 24 },
                                "Nov 2026    Dec 2026", "28  29  30  1   2   3", "|-+-|-+-|-+-|-+-|-+-|-+-" },
                { "weeks", "UTC0", { TEN - 10 * HOUR, DAY, 24 }, "Nov 2026 Dec 2026",
                                " Mon 23 Mon 30 Mon 7  Mon 14", "-|------|------|------|-" },
                { "months, and a year", "UTC0", { TEN - 10 * HOUR, 7 * DAY, 24 }, "2026 2027",
                                " Dec Jan  Feb Mar Apr May", "-|---|----|---|---|---|-" },
                { "the clocks go back: five hours between two ticks", berlin,
                                { 1792872000000000, 30 * MINUTE, 22 }, "    Sun 25 Oct",
                                "    00:00     04:00", "+-+-|-+-+-+-+-|-+-+-+-" },
                { "the same, each hour: one comes twice", berlin, { 1792872000000000, 10 * MINUTE, 48 },
                                "Sat 24 Oct  Sun 25 Oct", "22:00 23:00 00:00 01:00 02:00 02:00 03:00 04:00",
                                "|-----|-----|-----|-----|-----|-----|-----|-----" },
                { "the clocks go forward: three hours", berlin, { 1806181200000000, 30 * MINUTE, 22 },
                                "    Sun 28 Mar", "    00:00 04:00   08:00", "+-+-|-+-+-|-+-+-+-|-+-" },
                { "a day that begins at one o'clock", santiago, { 1788645600000000, 30 * MINUTE, 20 },
                                "Sat 5 Sep   Sun 6 Sep", "    20:00   01:00 04:00", "+-+-|-+-+-+-|-+-+-|-" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CalendarScale scale = {};

                set_zone(cases[i].zone);
                cr_assert_eq(calendar_scale_new(&cases[i].axis, cases[i].axis.n_cells + 6, &scale), 0);
                cr_expect_str_eq(scale.upper, cases[i].upper, "%s: '%s'", cases[i].name, scale.upper);
                cr_expect_str_eq(scale.lower, cases[i].lower, "%s: '%s'", cases[i].name, scale.lower);
                cr_expect_str_eq(scale.ruler, cases[i].ruler, "%s: '%s'", cases[i].name, scale.ruler);
                calendar_scale_deinit(&scale);
        }
}

static json_t *segment_new(const char *tenant, const char *resource, uint64_t start, uint64_t end,
                uint64_t reserved, uint64_t limit) {
        json_t *segment = json_pack("{ss ss so so so so}", "TenantId", tenant, "Resource", resource, "Start",
                        variant_u64_new(start), "End", variant_u64_new(end), "Reserved",
                        variant_u64_new(reserved), "Limit", variant_u64_new(limit));

        cr_assert(segment);
        return segment;
}

/* From three hours before TEN to a day after it: windows at hand, one that goes beyond, one that has begun
 * before, best effort, a limit that is no longer there, more than there is, of an uplink that is gone, of
 * block devices of which nothing is known. */
static json_t *sample_segments(void) {
        json_t *list = json_array();
        const struct {
                const char *tenant, *resource;
                uint64_t start, end, reserved, limit;
        } segments[] = {
                { "acme", "cpu", TEN - 30 * DAY, TEN + 2 * HOUR, 3000, 4000 },
                { "acme", "cpu", TEN + 2 * HOUR, TEN + 8 * HOUR, 1000, 2000 },
                { "acme", "memory", TEN - 30 * DAY, TEN + 8 * HOUR, 1ULL << 30, 2ULL << 30 },
                { "batch", "cpu", TEN + 4 * HOUR, TEN + 12 * HOUR, 0, UINT64_MAX },
                { "batch", "cpu", TEN + 12 * HOUR, UINT64_MAX, 10, UINT64_MAX },
                { "batch", "tasks", TEN + 4 * HOUR, UINT64_MAX, 0, 512 },
                { "web-frontend", "cpu", TEN - HOUR, TEN + HOUR, 1000, 1000 },
                { "web-frontend", "cpu", TEN + 3 * HOUR, TEN + 5 * HOUR, 3500, 4000 },
                { "web-frontend", "memory", TEN + 6 * HOUR, TEN + 7 * HOUR, 15ULL << 30, 16ULL << 30 },
                { "web-frontend", "net.egress@eth1", TEN, TEN + 23 * HOUR, 1200000000, 1200000000 },
                { "web-frontend", "net.egress@eth2", TEN, TEN + 2 * HOUR, 100000000, 100000000 },
                { "acme", "io.read", TEN, TEN + 6 * HOUR, 40000000, 80000000 },
                { "web-frontend", "io.read", TEN + 3 * HOUR, TEN + 9 * HOUR, 20000000, UINT64_MAX },
        };

        for (size_t i = 0; i < ELEMENTSOF(segments); i++)
                json_array_append_new(list,
                                segment_new(segments[i].tenant, segments[i].resource, segments[i].start,
                                                segments[i].end, segments[i].reserved, segments[i].limit));

        return list;
}

static json_t *sample_capacity(void) {
        return json_pack("{si sI sI}", "cpu", 4000, "memory", (json_int_t) 16 << 30, "net.egress@eth1",
                        (json_int_t) 1000000000);
}

static void expect_drawing(const CalendarView *view, const char *golden) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);

        cr_assert_eq(calendar_view_print(view, f), 0);
        fclose(f);
        cr_expect(golden_equal(golden, text, size), "%s:\n%s", golden, text);
}

Test(ctl_calendar, drawings) {
        _cleanup_json_ json_t *segments = sample_segments(), *capacity = sample_capacity();
        const CalendarView base = {
                .node_id = "node-7",
                .segments = segments,
                .capacity = capacity,
                .from_usec = TEN - 3 * HOUR,
                .until_usec = TEN + 21 * HOUR,
                .now_usec = TEN + 7 * MINUTE,
                .width = 80,
                .utf8 = true,
                .legend = true,
        };
        const struct {
                const char *golden;
                size_t width;
                bool ascii, color, bare;
        } cases[] = {
                { "calendar-80.txt", 80 },
                { "calendar-140.txt", 140 },
                { "calendar-ascii.txt", 80, .ascii = true },
                { "calendar-color.txt", 80, .color = true },
                { "calendar-bare.txt", 80, .bare = true },
                { "calendar-narrow.txt", 10 },
        };

        set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CalendarView view = base;

                view.width = cases[i].width;
                view.utf8 = !cases[i].ascii;
                view.color = cases[i].color;
                view.legend = !cases[i].bare;
                expect_drawing(&view, cases[i].golden);
        }
}

Test(ctl_calendar, nobody_has_anything_and_the_horizon_is_near) {
        _cleanup_json_ json_t *segments = json_array(), *capacity = sample_capacity();
        const CalendarView view = {
                .node_id = "node-7",
                .segments = segments,
                .capacity = capacity,
                .from_usec = TEN,
                .until_usec = TEN + 30 * DAY,
                .now_usec = TEN,
                .horizon_usec = 14 * DAY,
                .width = 80,
                .utf8 = true,
                .legend = true,
        };

        set_zone("UTC0");
        expect_drawing(&view, "calendar-empty.txt");
}

/* Thirty tenants whose parts fill the node exactly: the sum is all. The scale stands above each block. */
Test(ctl_calendar, many_tenants) {
        _cleanup_json_ json_t *segments = json_array(),
                              *capacity = json_pack("{sisi}", "cpu", 10000, "memory", 1 << 30);
        const CalendarView view = {
                .node_id = "node-7",
                .segments = segments,
                .capacity = capacity,
                .from_usec = TEN,
                .until_usec = TEN + DAY,
                .now_usec = TEN - 1,
                .width = 80,
                .utf8 = true,
                .legend = true,
        };

        for (unsigned i = 0; i < 30; i++) {
                uint64_t start = TEN + i % 6 * 4 * HOUR;
                char name[32];

                snprintf(name, sizeof(name), "tenant-%02u%s", i, i == 7 ? "-with-a-name-that-is-long" : "");
                json_array_append_new(
                                segments, segment_new(name, "cpu", start, start + 4 * HOUR, 2000, 4000));
        }

        set_zone("UTC0");
        expect_drawing(&view, "calendar-many.txt");
}

/* What the sum is within a cell, not the sum of what each has at most within it. */
Test(ctl_calendar, the_peak_of_a_sum_is_no_sum_of_peaks) {
        _cleanup_json_ json_t *segments = json_array(), *capacity = json_pack("{si}", "cpu", 1000);
        const CalendarView view = {
                .node_id = "n",
                .segments = segments,
                .capacity = capacity,
                .from_usec = TEN,
                .until_usec = TEN + HOUR,
                .now_usec = 0,
                .width = 48,
        };

        json_array_append_new(segments, segment_new("a", "cpu", TEN, TEN + 30000000, 1000, 1000));
        json_array_append_new(segments, segment_new("b", "cpu", TEN + 30000000, TEN + MINUTE, 500, 1000));
        json_array_append_new(segments, segment_new("c", "cpu", TEN + MINUTE, TEN + 2 * MINUTE, 1, 1000));
        set_zone("UTC0");
        expect_drawing(&view, "calendar-peak.txt");
}
