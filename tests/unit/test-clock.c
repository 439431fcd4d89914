/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "decide/clock.h"

#include <criterion/criterion.h>
#include <string.h>

#define SECOND 1000000LL
#define REACHED (2000000000LL * SECOND) /* in 2033 */
#define YEAR (365LL * 24 * 3600 * SECOND)

/* What happens, letter by letter: 0, 1, 2: the boot begins in 1970, two minutes before what was reached, a
 * second before it; s, u: the kernel says synchronised, or not; a: accepted; +, -: a second on, back; m: a
 * minute and a second on; Y, y: a year on, back. */
static const struct {
        const char *name;
        bool sync_required;
        const char *events;
        bool trusted;
} cases[] = {
        { "at first, not synchronised", true, "", false },
        { "at first, and nobody asks", false, "", true },
        { "synchronised", true, "s", true },
        { "lost again", true, "su", false },
        { "accepted", true, "ua", true },
        { "a second is no step", true, "s+-", true },
        { "a year on", true, "sY", false },
        { "a year back", true, "sy", false },
        { "a minute and a second", true, "sm", false },
        { "a year on, synchronised since", true, "sYs", true },
        { "a year on, not synchronised, then it is", true, "sYus", true },
        { "a year on, where nobody asks for synchronisation", false, "Y", false },
        { "the same, accepted", false, "Ya", true },
        { "the same, synchronised", false, "Ys", true },
        { "accepted, and then another step", true, "uaY", false },
        { "accepted before, accepted after", true, "uaYa", true },
        { "there and back again is two steps", true, "sYuyu", false },
        { "from 1970, where nobody asks for synchronisation", false, "0", false },
        { "the same, synchronised", false, "0s", true },
        { "the same, accepted", false, "0a", true },
        { "the same, set to what it is", false, "0Y", false },
        { "behind what it had shown, where nobody asks", false, "1", false },
        { "a second behind that", false, "2", true },
        { "a second behind that, where somebody asks", true, "2", false },
};

Test(clock, is_trusted_once_it_is_synchronised_or_accepted) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                ClockTrust trust = { .sync_required = cases[i].sync_required };

                for (const char *event = cases[i].events; *event; event++)
                        switch (*event) {
                        case 's':
                        case 'u':
                                clock_trust_observe(&trust, *event == 's');
                                break;
                        case 'a':
                                clock_trust_accept(&trust);
                                break;
                        case '+':
                        case '-':
                                cr_expect_not(clock_trust_step(&trust, *event == '+' ? SECOND : -SECOND));
                                break;
                        case '0':
                                cr_expect(clock_trust_begin(&trust, 7 * SECOND, 0));
                                break;
                        case '1':
                        case '2':
                                cr_expect_eq(clock_trust_begin(&trust,
                                                             REACHED - (*event == '1' ? 120 : 1) * SECOND,
                                                             REACHED),
                                                *event == '1');
                                break;
                        case 'm':
                                cr_expect(clock_trust_step(&trust, 61 * SECOND));
                                break;
                        default:
                                cr_expect(clock_trust_step(&trust, *event == 'Y' ? YEAR : -YEAR));
                        }
                cr_expect_eq(clock_is_trusted(&trust), cases[i].trusted, "%s", cases[i].name);
                cr_expect_eq(strstr(clock_trust_words(&trust), "wait") != NULL, !cases[i].trusted, "%s: %s",
                                cases[i].name, clock_trust_words(&trust));
        }
}
