/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/timeline.h"

#include <criterion/criterion.h>

#define SPAN 60
#define WINDOWS 24

typedef struct Held {
        uint64_t start, end, amount;
} Held;

static uint64_t brute_level(const Held *windows, size_t n, uint64_t at) {
        uint64_t level = 0;

        for (size_t i = 0; i < n; i++)
                if (windows[i].start <= at && at < windows[i].end)
                        level += windows[i].amount;
        return level;
}

static uint64_t brute_peak(const Held *windows, size_t n, uint64_t start, uint64_t end) {
        uint64_t peak = 0;

        for (uint64_t at = start; at < end; at++) {
                uint64_t level = brute_level(windows, n, at);

                peak = level > peak ? level : peak;
        }
        return peak;
}

static void expect_same(const Timeline *timeline, const Held *windows, size_t n, unsigned *seed) {
        for (uint64_t at = 0; at < SPAN + 20; at++)
                cr_assert_eq(timeline_level(timeline, at), brute_level(windows, n, at), "at %lu", at);
        for (int i = 0; i < 20; i++) {
                uint64_t start = (uint64_t) rand_r(seed) % SPAN, duration = 1 + (uint64_t) rand_r(seed) % 15;
                uint64_t room = (uint64_t) rand_r(seed) % 40, from = start;

                cr_assert_eq(timeline_peak(timeline, start, start + duration),
                                brute_peak(windows, n, start, start + duration));
                while (brute_peak(windows, n, from, from + duration) > room)
                        from++;
                cr_assert_eq(timeline_earliest(timeline, start, duration, room), from,
                                "from %lu for %lu within %lu", start, duration, room);
        }
        for (size_t i = 1; i < timeline->n; i++) {
                cr_assert_lt(timeline->steps[i - 1].at_usec, timeline->steps[i].at_usec);
                cr_assert_neq(timeline->steps[i - 1].level, timeline->steps[i].level,
                                "a step that changes nothing");
        }
}

Test(timeline, agrees_with_brute_force_as_windows_come_and_go) {
        unsigned seed = 7;

        for (int round = 0; round < 100; round++) {
                Timeline timeline = TIMELINE_NULL;
                Held windows[WINDOWS];
                size_t n = 0;

                for (int step = 0; step < 3 * WINDOWS; step++) {
                        if (n < WINDOWS && (n == 0 || rand_r(&seed) % 3)) {
                                Held *w = &windows[n++];

                                /* Few lengths and amounts, so that many windows meet and equal levels join.
                                 */
                                w->start = (uint64_t) rand_r(&seed) % 12 * 5;
                                w->end = w->start + 5 * (1 + (uint64_t) rand_r(&seed) % 3);
                                w->amount = (uint64_t) rand_r(&seed) % 3 * 5;
                                cr_assert_eq(timeline_reserve(&timeline, 1), 0);
                                timeline_add(&timeline, w->start, w->end, w->amount);
                        } else {
                                size_t i = (size_t) rand_r(&seed) % n;

                                timeline_subtract(&timeline, windows[i].start, windows[i].end,
                                                windows[i].amount);
                                windows[i] = windows[--n];
                        }
                        if (step % 8 == 0)
                                expect_same(&timeline, windows, n, &seed);
                }
                while (n-- > 0)
                        timeline_subtract(&timeline, windows[n].start, windows[n].end, windows[n].amount);
                cr_assert_eq(timeline.n, 0, "nothing is left of nothing");
                timeline_deinit(&timeline);
        }
}

Test(timeline, what_has_no_end) {
        Timeline timeline = TIMELINE_NULL;

        cr_assert_eq(timeline_reserve(&timeline, 1), 0);
        timeline_add(&timeline, 10, UINT64_MAX, 5);
        cr_expect_eq(timeline_peak(&timeline, 0, 10), 0);
        cr_expect_eq(timeline_peak(&timeline, 0, UINT64_MAX), 5);
        cr_expect_eq(timeline_earliest(&timeline, 0, 10, 0), 0, "just before it");
        cr_expect_eq(timeline_earliest(&timeline, 0, 11, 0), UINT64_MAX);
        cr_expect_eq(timeline_earliest(&timeline, 0, UINT64_MAX, 4), UINT64_MAX);
        cr_expect_eq(timeline_earliest(&timeline, 3, UINT64_MAX, 5), 3);
        timeline_deinit(&timeline);
}
