/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Dates and times of day on a clock of the Gregorian calendar. Which clock that is, zone.h knows: nothing
 * here knows a zone, and no clock shows a leap second.
 */

#include <stdint.h>

#define CIVIL_DAY_USEC (24LL * 3600 * 1000000)

typedef struct CivilTime {
        int year;
        int month; /* 1..12 */
        int day;   /* 1..31 */
        int hour;
        int minute;
        int usec; /* of the minute, so seconds and their fraction: 0..59,999,999 */
} CivilTime;

/* µs from 1970-01-01 00:00 on the same clock, negative before; every field must be in its range. */
int64_t civil_to_usec(const CivilTime *civil);
/* The reverse, for the years 1 to 9999. */
CivilTime civil_from_usec(int64_t usec);

int civil_month_length(int year, int month);
/* 0 is Monday. */
int civil_weekday(int year, int month, int day);

#define CIVIL_TEXT_SIZE 32
/* "2026-11-24T15:00:00Z" of µs UTC before the year 10000; fractions are dropped. Returns `ret`, of
 * CIVIL_TEXT_SIZE. */
char *civil_format_utc(uint64_t utc_usec, char *ret);
