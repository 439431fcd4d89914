/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a recurrence is made of: between the file that parses one and the file that asks one. */

#include "recurrence.h"

#include "util/zone.h"

#include <stddef.h>

typedef enum RecurrenceField {
        RECURRENCE_YEAR,
        RECURRENCE_MONTH,
        RECURRENCE_DAY,
        RECURRENCE_HOUR,
        RECURRENCE_MINUTE,
        RECURRENCE_SECOND, /* in µs */
        RECURRENCE_FIELD_MAX,
} RecurrenceField;

typedef struct RecurrenceFieldInfo {
        const char *name;
        int min, max; /* a day's max is the longest month's */
        int unit;     /* what one of it is: 1, but of the seconds 1000000 */
        int digits;   /* as it is printed */
} RecurrenceFieldInfo;

extern const RecurrenceFieldInfo recurrence_fields[RECURRENCE_FIELD_MAX];

/* A day may be counted from the end of its month; no month lacks a day that is this many before its end. */
#define RECURRENCE_MONTH_END_MAX 28

/* start alone, or start, start + repeat … up to stop. */
typedef struct RecurrenceValues {
        int start;
        int stop;   /* -1: not given; where it is, it is one that is reached, and after start */
        int repeat; /* 0: start alone */
} RecurrenceValues;

typedef struct RecurrenceList {
        size_t first, n; /* in the recurrence's values, ascending by start; n = 0: any */
} RecurrenceList;

/* "*" as seconds is not any µs, but each full second; a list that has it has no other full seconds. */
bool recurrence_every_second(const RecurrenceFieldInfo *info, const RecurrenceValues *values);

#define RECURRENCE_EVERY_DAY 0x7fU

struct Recurrence {
        unsigned weekdays;   /* a bit a day, Monday's the lowest */
        bool from_month_end; /* days count back from the last, which is 1 */
        const Zone *zone;    /* NULL: none was named */
        RecurrenceList fields[RECURRENCE_FIELD_MAX];
        size_t n_values;
        RecurrenceValues values[];
};
