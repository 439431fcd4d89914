/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "util/civil.h"
#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <time.h>

Test(civil, agrees_with_libc) {
        /* Each day from 1900 to 2200, at an odd time of day. */
        for (int64_t day = -25567; day < 84100; day++) {
                CivilTime civil = civil_from_usec(day * CIVIL_DAY_USEC + 49652123456LL);
                time_t seconds = day * 24 * 3600 + 49652;
                struct tm tm;

                cr_assert_not_null(gmtime_r(&seconds, &tm));
                cr_assert(civil.year == tm.tm_year + 1900 && civil.month == tm.tm_mon + 1 &&
                                                civil.day == tm.tm_mday && civil.hour == tm.tm_hour &&
                                                civil.minute == tm.tm_min &&
                                                civil.usec == tm.tm_sec * 1000000 + 123456,
                                "day %lld: %d-%d-%d", (long long) day, civil.year, civil.month, civil.day);
                cr_assert_eq(civil_weekday(civil.year, civil.month, civil.day), (tm.tm_wday + 6) % 7);
                cr_assert_eq(civil_to_usec(&civil), day * CIVIL_DAY_USEC + 49652123456LL);
        }
}

Test(civil, days_begin_at_midnight) {
        static const struct {
                int64_t usec;
                CivilTime civil;
        } cases[] = {
                { 0, { 1970, 1, 1, 0, 0, 0 } },
                { -1, { 1969, 12, 31, 23, 59, 59999999 } },
                { CIVIL_DAY_USEC - 1, { 1970, 1, 1, 23, 59, 59999999 } },
                { CIVIL_DAY_USEC, { 1970, 1, 2, 0, 0, 0 } },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CivilTime civil = civil_from_usec(cases[i].usec);

                cr_expect_eq(civil_to_usec(&civil), cases[i].usec);
                cr_expect_eq(civil.year, cases[i].civil.year, "%lld", (long long) cases[i].usec);
                cr_expect_eq(civil.day, cases[i].civil.day, "%lld", (long long) cases[i].usec);
                cr_expect_eq(civil.hour, cases[i].civil.hour, "%lld", (long long) cases[i].usec);
                cr_expect_eq(civil.usec, cases[i].civil.usec, "%lld", (long long) cases[i].usec);
        }
}

Test(civil, lengths_of_february) {
        static const struct {
                int year, length;
        } cases[] = { { 2023, 28 }, { 2024, 29 }, { 2000, 29 }, { 2100, 28 } };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                cr_expect_eq(civil_month_length(cases[i].year, 2), cases[i].length, "%d", cases[i].year);
}

Test(civil, is_printed_as_people_in_utc_read_it) {
        char text[CIVIL_TEXT_SIZE];

        cr_expect_str_eq(civil_format_utc(0, text), "1970-01-01T00:00:00Z");
        cr_expect_str_eq(civil_format_utc(1795532399999999, text), "2026-11-24T14:59:59Z");
}
