/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * When a recurrence elapses, and how it is written. Asked for what comes after an instant:
 *
 *  1. What the zone's clock shows just after it.
 *  2. The first date that matches; a field that moves on sets those below it back.
 *  3. The first time of that day that matches, in the same way; if there is none, 2 again from the next day.
 *  4. The instant at which the clock shows that. If it never does, 2 again from where the clock goes on.
 *
 * So a search goes from match to match, never from second to second. What an expression may be is
 * recurrence-parse.c's.
 */

#include "recurrence-internal.h"

#include <assert.h>

const RecurrenceFieldInfo recurrence_fields[RECURRENCE_FIELD_MAX] = {
        [RECURRENCE_YEAR] = { "year", 1970, 2199, 1, 4 },
        [RECURRENCE_MONTH] = { "month", 1, 12, 1, 2 },
        [RECURRENCE_DAY] = { "day", 1, 31, 1, 2 },
        [RECURRENCE_HOUR] = { "hour", 0, 23, 1, 2 },
        [RECURRENCE_MINUTE] = { "minute", 0, 59, 1, 2 },
        [RECURRENCE_SECOND] = { "second", 0, 59999999, 1000000, 2 },
};

bool recurrence_every_second(const RecurrenceFieldInfo *info, const RecurrenceValues *values) {
        return info->unit > 1 && values->start == 0 && values->stop < 0 && values->repeat == info->unit;
}

/* The least of the values that is in [from, max], or -1. */
static int values_next(const RecurrenceValues *values, int from, int max) {
        int value = values->start, stop = values->stop >= 0 ? values->stop : values->repeat > 0 ? max : value;

        if (stop > max)
                stop = max;
        if (value < from && values->repeat > 0)
                value += (from - value + values->repeat - 1) / values->repeat * values->repeat;
        return value >= from && value <= stop ? value : -1;
}

/* Days that count from the end of a month, as days of a month of that length. */
static RecurrenceValues values_mirror(const RecurrenceValues *values, int length) {
        if (values->stop < 0)
                return (RecurrenceValues){ length + 1 - values->start, -1, values->repeat };
        return (RecurrenceValues){ length + 1 - values->stop, length + 1 - values->start, values->repeat };
}

/* Moves *value on to the first one, from there to `max`, that the field allows; false where there is none. */
static bool field_next(const Recurrence *recurrence, RecurrenceField field, int max, int *value) {
        const RecurrenceList *list = &recurrence->fields[field];
        bool mirror = field == RECURRENCE_DAY && recurrence->from_month_end;
        int least = list->n == 0 && *value <= max ? *value : -1;

        for (size_t i = 0; i < list->n; i++) {
                RecurrenceValues values = recurrence->values[list->first + i];
                int next;

                if (mirror)
                        values = values_mirror(&values, max);
                next = values_next(&values, *value, max);
                if (next >= 0 && (least < 0 || next < least))
                        least = next;
        }
        if (least >= 0)
                *value = least;
        return least >= 0;
}

static bool weekday_matches(const Recurrence *recurrence, int year, int month, int day) {
        return recurrence->weekdays == RECURRENCE_EVERY_DAY ||
               (recurrence->weekdays >> civil_weekday(year, month, day) & 1);
}

/* Moves on to the first date that matches, and to its midnight unless it is the one that stood there. */
static bool date_next(const Recurrence *recurrence, CivilTime *civil) {
        int year_max = recurrence_fields[RECURRENCE_YEAR].max;
        int month_max = recurrence_fields[RECURRENCE_MONTH].max;

        for (int year = civil->year; field_next(recurrence, RECURRENCE_YEAR, year_max, &year); year++) {
                int month = year == civil->year ? civil->month : 1;

                for (; field_next(recurrence, RECURRENCE_MONTH, month_max, &month); month++) {
                        bool same = year == civil->year && month == civil->month;
                        int day = same ? civil->day : 1, length = civil_month_length(year, month);

                        for (; field_next(recurrence, RECURRENCE_DAY, length, &day); day++) {
                                if (!weekday_matches(recurrence, year, month, day))
                                        continue;
                                if (!same || day != civil->day)
                                        *civil = (CivilTime){ year, month, day, 0, 0, 0 };
                                return true;
                        }
                }
        }
        return false;
}

/* Moves on to the first time of the same day that matches. */
static bool time_next(const Recurrence *recurrence, CivilTime *civil) {
        int hour = civil->hour, minute = civil->minute, usec = civil->usec;

        for (; field_next(recurrence, RECURRENCE_HOUR, 23, &hour); hour++) {
                if (hour != civil->hour)
                        minute = usec = 0;
                for (; field_next(recurrence, RECURRENCE_MINUTE, 59, &minute); minute++) {
                        if (hour != civil->hour || minute != civil->minute)
                                usec = 0;
                        if (!field_next(recurrence, RECURRENCE_SECOND, 59999999, &usec))
                                continue;
                        civil->hour = hour;
                        civil->minute = minute;
                        civil->usec = usec;
                        return true;
                }
        }
        return false;
}

static CivilTime next_midnight(const CivilTime *civil) {
        CivilTime midnight = { civil->year, civil->month, civil->day, 0, 0, 0 };

        return civil_from_usec(civil_to_usec(&midnight) + CIVIL_DAY_USEC);
}

int recurrence_next(const Recurrence *recurrence, uint64_t after_usec, uint64_t *ret_usec) {
        CivilTime civil;
        uint64_t usec;

        if (after_usec >= ZONE_END_USEC)
                return -ENOENT;
        civil = zone_to_new_civil(recurrence->zone, after_usec + 1); /* 1. */
        while (date_next(recurrence, &civil)) {                      /* 2. */
                if (!time_next(recurrence, &civil))                  /* 3. */
                        civil = next_midnight(&civil);
                else if (zone_from_civil(recurrence->zone, &civil, &usec) == ZONE_FIT_GAP) /* 4. */
                        civil = zone_to_civil(recurrence->zone, usec);
                else {
                        assert(usec > after_usec);
                        *ret_usec = usec;
                        return 0;
                }
        }
        return -ENOENT;
}

static void format_weekdays(const Recurrence *recurrence, FILE *f) {
        static const char *const names[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };
        int days = ELEMENTSOF(names);
        const char *separator = "";

        for (int day = 0, last; day < days; day = last + 1) {
                last = day;
                if (!(recurrence->weekdays >> day & 1))
                        continue;
                while (last + 1 < days && recurrence->weekdays >> (last + 1) & 1)
                        last++;
                fprintf(f, "%s%s", separator, names[day]);
                if (last > day)
                        fprintf(f, "%s%s", last > day + 1 ? ".." : ",", names[last]);
                separator = ",";
        }
        fputc(' ', f);
}

static void format_value(const RecurrenceFieldInfo *info, int digits, int value, FILE *f) {
        fprintf(f, "%0*d", digits, value / info->unit);
        if (value % info->unit > 0)
                fprintf(f, ".%06d", value % info->unit);
}

static void format_values(const RecurrenceFieldInfo *info, const RecurrenceValues *values, FILE *f) {
        format_value(info, info->digits, values->start, f);
        if (values->stop >= 0) {
                fputs("..", f);
                format_value(info, info->digits, values->stop, f);
        }
        if (values->repeat > 0 && (values->stop < 0 || values->repeat != info->unit)) {
                fputc('/', f);
                format_value(info, 1, values->repeat, f);
        }
}

static void format_field(const Recurrence *recurrence, RecurrenceField field, FILE *f) {
        const RecurrenceFieldInfo *info = &recurrence_fields[field];
        const RecurrenceList *list = &recurrence->fields[field];

        if (list->n == 0 ||
                        (list->n == 1 && recurrence_every_second(info, &recurrence->values[list->first]))) {
                fputc('*', f);
                return;
        }
        for (size_t i = 0; i < list->n; i++) {
                if (i > 0)
                        fputc(',', f);
                format_values(info, &recurrence->values[list->first + i], f);
        }
}

int recurrence_format(const Recurrence *recurrence, char **ret) {
        static const char separators[RECURRENCE_FIELD_MAX] = "-- ::";
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);
        bool failed;

        if (!f)
                return -ENOMEM;
        if (recurrence->weekdays != RECURRENCE_EVERY_DAY)
                format_weekdays(recurrence, f);
        for (RecurrenceField field = 0; field < RECURRENCE_FIELD_MAX; field++) {
                format_field(recurrence, field, f);
                if (field == RECURRENCE_MONTH && recurrence->from_month_end)
                        fputc('~', f);
                else if (separators[field])
                        fputc(separators[field], f);
        }
        if (recurrence->zone)
                fprintf(f, " %s", zone_name(recurrence->zone));
        failed = ferror(f);
        if (fclose(f) != 0 || failed)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        return 0;
}

Recurrence *recurrence_free(Recurrence *recurrence) {
        free(recurrence);
        return NULL;
}
