/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "decide/overrun.h"

#include <criterion/criterion.h>

#define CAPACITY 100000000ULL
#define MBIT (1000000ULL / 8)

Test(overrun, it_takes_two_looks_to_say_another) {
        static const struct {
                const char *name;
                unsigned msec, mbps; /* so long at this rate */
                bool news, over;
        } steps[] = {
                { "the first look", 1000, 0, false, false },
                { "full", 1000, 100, false, false },
                { "full, and a little more", 1000, 102, false, false },
                { "more, for one look", 1000, 103, false, false },
                { "full", 1000, 100, false, false },
                { "more", 1000, 103, false, false },
                { "more again", 1000, 300, true, true },
                { "still", 1000, 103, false, true },
                { "a little less", 1000, 102, false, true },
                { "and again: what would not have said it does not take it back", 1000, 102, false, true },
                { "full, for one look", 1000, 101, false, true },
                { "more", 1000, 200, false, true },
                { "too early", 499, 0, false, true },
                { "half of it too little", 501, 90, false, true },
                { "a late timer", 1300, 0, true, false },
                { "and the one after it", 700, 103, false, false },
                { "in time again, and still more", 1000, 103, true, true },
                { "nothing", 1000, 0, false, true },
                { "nothing", 1000, 0, true, false },
                { "what does not take it back does not say it", 1000, 102, false, false },
                { "nor again", 1000, 102, false, false },
                { "a long look", 60000, 103, false, false },
                { "and one more", 60000, 103, true, true },
        };
        uint64_t now = 5000000, bytes = 0;
        Overrun overrun = {};

        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
                now += steps[i].msec * 1000;
                bytes += steps[i].mbps * MBIT * steps[i].msec / 1000;
                cr_expect_eq(overrun_note(&overrun, now, bytes, CAPACITY), steps[i].news, "%s",
                                steps[i].name);
                cr_expect_eq(overrun.over, steps[i].over, "%s", steps[i].name);
        }
        bytes = 0;
        cr_expect_not(overrun_note(&overrun, now + 1000000, bytes, CAPACITY), "another interface");
        cr_expect_not(overrun_note(&overrun, now + 2000000, bytes, CAPACITY));
        cr_expect(overrun_note(&overrun, now + 3000000, bytes, CAPACITY), "on which nothing comes");
}
