/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Arithmetic of the Gregorian calendar, by counting days. timegm(3) would do, but also normalises what is out
 * of range, and needs <time.h>, which the model's side of the house does without. */

#include "civil.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>

#define MINUTE_USEC (60LL * 1000000)

static bool is_leap(int year) {
        return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int civil_month_length(int year, int month) {
        static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

        assert(month >= 1 && month <= 12);
        return lengths[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 1970-01-01 to the first of the year. */
static int64_t days_to_year(int year) {
        int before = year - 1, leaps = before / 4 - before / 100 + before / 400;
        int leaps_1970 = 1969 / 4 - 1969 / 100 + 1969 / 400;

        return 365LL * (year - 1970) + leaps - leaps_1970;
}

static int64_t days_to_date(int year, int month, int day) {
        int64_t days = days_to_year(year);

        for (int m = 1; m < month; m++)
                days += civil_month_length(year, m);
        return days + day - 1;
}

static int64_t divide_down(int64_t a, int64_t b) {
        return a / b - (a % b < 0);
}

int civil_weekday(int year, int month, int day) {
        int64_t days = days_to_date(year, month, day) + 3; /* 1970-01-01 was a Thursday */

        return (int) (days - 7 * divide_down(days, 7));
}

int64_t civil_to_usec(const CivilTime *civil) {
        return days_to_date(civil->year, civil->month, civil->day) * CIVIL_DAY_USEC +
               (60LL * civil->hour + civil->minute) * MINUTE_USEC + civil->usec;
}

CivilTime civil_from_usec(int64_t usec) {
        int64_t days = divide_down(usec, CIVIL_DAY_USEC), of_day = usec - days * CIVIL_DAY_USEC;
        CivilTime civil = {
                .year = 1970 + (int) divide_down(days, 365),
                .month = 1,
                .hour = (int) (of_day / (60 * MINUTE_USEC)),
                .minute = (int) (of_day / MINUTE_USEC % 60),
                .usec = (int) (of_day % MINUTE_USEC),
        };

        /* Leap days make the guess a year too late after 1970, a year too early before. */
        while (days_to_year(civil.year) > days)
                civil.year--;
        while (days_to_year(civil.year + 1) <= days)
                civil.year++;
        days -= days_to_year(civil.year);
        while (days >= civil_month_length(civil.year, civil.month))
                days -= civil_month_length(civil.year, civil.month++);
        civil.day = (int) days + 1;
        return civil;
}

char *civil_format_utc(uint64_t utc_usec, char *ret) {
        CivilTime civil = civil_from_usec((int64_t) utc_usec);

        snprintf(ret, CIVIL_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02dZ", civil.year, civil.month, civil.day,
                        civil.hour, civil.minute, civil.usec / 1000000);
        return ret;
}
