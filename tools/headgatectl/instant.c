/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Points in time, by the C library's zone. The present is its caller's to know. */

#include "instant.h"

#include "quantity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* `n` digits at *p, which then stands behind them. */
static bool read_digits(const char **p, size_t n, int min, int max, int *ret) {
        int value = 0;

        for (size_t i = 0; i < n; i++, (*p)++) {
                if (**p < '0' || **p > '9')
                        return false;
                value = value * 10 + (**p - '0');
        }

        *ret = value;
        return value >= min && value <= max;
}

static bool skip(const char **p, char c) {
        if (**p != c)
                return false;

        (*p)++;
        return true;
}

static int days_in_month(int year, int month) {
        static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
        bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

        return days[month - 1] + (month == 2 && leap);
}

static bool read_date(const char **p, struct tm *tm) {
        int year, month;

        if (!read_digits(p, 4, 1970, 9999, &year) || !skip(p, '-') || !read_digits(p, 2, 1, 12, &month) ||
                        !skip(p, '-') || !read_digits(p, 2, 1, days_in_month(year, month), &tm->tm_mday))
                return false;

        tm->tm_year = year - 1900;
        tm->tm_mon = month - 1;
        return true;
}

/* HH:MM[:SS[.FRACTION]]; a leap second is the one that follows. */
static bool read_clock(const char **p, struct tm *tm, uint64_t *ret_usec, bool *ret_seconds) {
        uint64_t place = 1000000, usec = 0;

        if (!read_digits(p, 2, 0, 23, &tm->tm_hour) || !skip(p, ':') ||
                        !read_digits(p, 2, 0, 59, &tm->tm_min))
                return false;

        *ret_seconds = skip(p, ':');
        if (*ret_seconds) {
                if (!read_digits(p, 2, 0, 60, &tm->tm_sec))
                        return false;
                if (skip(p, '.')) {
                        if (**p < '0' || **p > '9')
                                return false;
                        for (; **p >= '0' && **p <= '9'; (*p)++) {
                                place /= 10;
                                usec += (uint64_t) (**p - '0') * place;
                        }
                }
        }

        *ret_usec = usec;
        return true;
}

/* "Z", "+08:00". */
static bool read_offset(const char **p, int *ret_seconds) {
        int sign = **p == '-' ? -1 : 1, hours, minutes;

        if (skip(p, 'Z') || skip(p, 'z')) {
                *ret_seconds = 0;
                return true;
        }

        if ((!skip(p, '+') && !skip(p, '-')) || !read_digits(p, 2, 0, 23, &hours) || !skip(p, ':') ||
                        !read_digits(p, 2, 0, 59, &minutes))
                return false;

        *ret_seconds = sign * (hours * 3600 + minutes * 60);
        return true;
}

static bool parse_date(const char *text, uint64_t *ret_usec) {
        struct tm tm = { .tm_isdst = -1 };
        bool seconds = false, zoned = false;
        uint64_t usec = 0;
        int offset = 0;
        time_t t;

        if (!read_date(&text, &tm))
                return false;

        if (*text) {
                if (!skip(&text, ' ') && !skip(&text, 'T') && !skip(&text, 't'))
                        return false;
                if (!read_clock(&text, &tm, &usec, &seconds))
                        return false;
                /* RFC 3339 has seconds wherever it has an offset. */
                if (*text) {
                        zoned = true;
                        if (!seconds || !read_offset(&text, &offset) || *text)
                                return false;
                }
        }

        t = zoned ? timegm(&tm) - offset : mktime(&tm);
        if (t < 0)
                return false;

        *ret_usec = (uint64_t) t * 1000000 + usec;
        return true;
}

bool instant_parse(const char *text, uint64_t now_usec, uint64_t *ret_usec) {
        uint64_t usec;
        char *end;

        if (strcmp(text, "now") == 0) {
                *ret_usec = now_usec;
                return true;
        }

        if (text[0] == '+' || text[0] == '-') {
                if (!quantity_parse_duration(text + 1, &usec) || (text[0] == '-' && usec > now_usec))
                        return false;
                *ret_usec = text[0] == '-' ? now_usec - usec : now_usec + usec;
                return true;
        }

        if (text[0] != '\0' && strspn(text, "0123456789") == strlen(text)) {
                errno = 0;
                usec = strtoull(text, &end, 10);
                if (errno != 0 || usec >= INT64_MAX)
                        return false;
                *ret_usec = usec;
                return true;
        }

        return parse_date(text, ret_usec);
}
