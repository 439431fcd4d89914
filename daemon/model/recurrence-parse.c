/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Reads calendar event expressions:
 *
 *     [WEEKDAYS] [[YEARS-]MONTHS-DAYS] [HOURS:MINUTES[:SECONDS]] [ZONE]
 *
 * with "~" in place of the last "-" where days count from the month's end, "@SECONDS" in place of date and
 * time, or a word such as "daily" in place of all but the zone. What is none of this is refused, with the
 * place where it ceases to be; and so is what systemd refuses, but for weekdays over the week's end.
 */

#include "recurrence-internal.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

typedef struct Parser {
        const char *expression; /* as it was given */
        const char *p;          /* what is still to be read */
        Recurrence *recurrence; /* with room for RECURRENCE_VALUES_MAX */
        Failure *failure;
} Parser;

/* "anually" is systemd's own, and kept by it. */
static const struct {
        const char *word, *expression;
} shorthands[] = {
        { "minutely", "*-*-* *:*:00" },
        { "hourly", "*-*-* *:00:00" },
        { "daily", "*-*-* 00:00:00" },
        { "weekly", "Mon *-*-* 00:00:00" },
        { "monthly", "*-*-01 00:00:00" },
        { "quarterly", "*-01,04,07,10-01 00:00:00" },
        { "semiannually", "*-01,07-01 00:00:00" },
        { "semi-annually", "*-01,07-01 00:00:00" },
        { "biannually", "*-01,07-01 00:00:00" },
        { "bi-annually", "*-01,07-01 00:00:00" },
        { "yearly", "*-01-01 00:00:00" },
        { "annually", "*-01-01 00:00:00" },
        { "anually", "*-01-01 00:00:00" },
};

static int _printf_(2, 3) refuse(const Parser *parser, const char *format, ...) {
        _cleanup_free_ char *words = NULL;
        va_list args;
        int r;

        va_start(args, format);
        r = vasprintf(&words, format, args);
        va_end(args);
        if (r < 0) {
                words = NULL;
                return -ENOMEM;
        }
        return failure_set(parser->failure, FAILURE_INVALID_ALLOCATION, "Calendar '%.100s': %s",
                        parser->expression, words);
}

/* The text went on, or ended, in another way than it may. */
static int refuse_rest(const Parser *parser, const char *wanted) {
        if (*parser->p == '\0')
                return refuse(parser, "it ends where %s should follow", wanted);
        return refuse(parser, "'%.32s' stands where %s should", parser->p, wanted);
}

static bool at_end_of_part(const Parser *parser) {
        return *parser->p == '\0' || *parser->p == ' ';
}

static void skip_spaces(Parser *parser) {
        parser->p += strspn(parser->p, " ");
}

/* Which weekday a text begins with, 0 being Monday, or -1; *ret is the length of its name. */
static int weekday_at(const char *text, size_t *ret) {
        static const char *const names[] = { "monday", "tuesday", "wednesday", "thursday", "friday",
                "saturday", "sunday" };

        for (size_t day = 0; day < ELEMENTSOF(names); day++) {
                size_t lengths[] = { strlen(names[day]), 3 };

                for (size_t i = 0; i < ELEMENTSOF(lengths); i++)
                        if (strncasecmp(text, names[day], lengths[i]) == 0 &&
                                        strchr(" ,.-", text[lengths[i]])) {
                                *ret = lengths[i];
                                return (int) day;
                        }
        }
        return -1;
}

static int parse_weekdays(Parser *parser) {
        unsigned *days = &parser->recurrence->weekdays;
        bool in_range = false;
        size_t length;
        int from = 0, day = weekday_at(parser->p, &length);

        if (day < 0) {
                *days = RECURRENCE_EVERY_DAY;
                return 0;
        }
        for (;;) {
                if (!in_range)
                        from = day;
                for (int d = from; d != day; d = (d + 1) % 7)
                        *days |= 1U << d;
                *days |= 1U << day;
                parser->p += length;
                if (at_end_of_part(parser))
                        break;

                if (*parser->p == ',') {
                        in_range = false;
                        parser->p++;
                        if (at_end_of_part(parser))
                                break;
                } else {
                        /* One dash is what systemd once had, and still takes. */
                        size_t dots = strncmp(parser->p, "..", 2) == 0 ? 2 : *parser->p == '-' ? 1 : 0;

                        if (dots == 0 || in_range)
                                return refuse_rest(parser, "',' or the end of the weekdays");
                        in_range = true;
                        parser->p += dots;
                }
                from = day;
                day = weekday_at(parser->p, &length);
                if (day < 0)
                        return refuse_rest(parser, "a weekday");
        }
        skip_spaces(parser);
        return 0;
}

/* The digits after a decimal point, as µs; the seventh rounds. */
static int parse_fraction(Parser *parser, int *ret) {
        int usec = 0, digits = 0;

        if (!isdigit((unsigned char) *parser->p))
                return refuse_rest(parser, "a fraction of a second");
        for (; digits < 6; digits++)
                usec = 10 * usec + (isdigit((unsigned char) *parser->p) ? *parser->p++ - '0' : 0);
        if (isdigit((unsigned char) *parser->p))
                usec += *parser->p >= '5';
        while (isdigit((unsigned char) *parser->p))
                parser->p++;
        *ret = usec;
        return 0;
}

/* One number; of the seconds (their unit tells) in µs. */
static int parse_number(Parser *parser, int unit, int *ret) {
        const char *start = parser->p;
        int value = 0, fraction = 0, r;

        if (!isdigit((unsigned char) *start))
                return refuse_rest(parser, "a number");
        while (isdigit((unsigned char) *parser->p)) {
                value = 10 * value + *parser->p++ - '0';
                if (value > 9999 || (unit > 1 && value > 999))
                        return refuse(parser, "'%.32s' is too large a number", start);
        }
        if (unit > 1 && parser->p[0] == '.' && parser->p[1] != '.') {
                parser->p++;
                r = parse_fraction(parser, &fraction);
                if (r != 0)
                        return r;
        }
        *ret = value * unit + fraction;
        return 0;
}

/* A value, a range or a repetition. */
static int parse_values(Parser *parser, int unit, RecurrenceValues *ret) {
        RecurrenceValues values = { 0, -1, 0 };
        int r;

        r = parse_number(parser, unit, &values.start);
        if (r == 0 && strncmp(parser->p, "..", 2) == 0) {
                parser->p += 2;
                values.repeat = unit;
                r = parse_number(parser, unit, &values.stop);
        }
        if (r == 0 && *parser->p == '/') {
                const char *repetition = parser->p++;

                r = parse_number(parser, unit, &values.repeat);
                if (r == 0 && values.repeat == 0)
                        r = refuse(parser, "'%.32s': a repetition must be more than 0", repetition);
        } else if (r == 0 && unit > 1 && values.stop >= 0 && values.stop < values.start + unit)
                /* systemd has it so; and what else would "5..5.5" be? */
                r = refuse(parser, "a range of seconds without a repetition is at least 1 long");
        if (r == 0)
                *ret = values;
        return r;
}

static int add_values(Parser *parser, RecurrenceList *list, RecurrenceValues values) {
        Recurrence *recurrence = parser->recurrence;

        if (recurrence->n_values == RECURRENCE_VALUES_MAX)
                return refuse(parser, "it has more than %d values", RECURRENCE_VALUES_MAX);
        if (list->n++ == 0)
                list->first = recurrence->n_values;
        recurrence->values[recurrence->n_values++] = values;
        return 0;
}

/* "*" or a list. What it is a list of is often seen only from what follows it. */
static int parse_list(Parser *parser, int unit, RecurrenceList *ret) {
        RecurrenceList list = { 0, 0 };
        RecurrenceValues values = { 0, -1, unit };
        int r = 0;

        if (*parser->p == '*') {
                parser->p++;
                if (unit > 1)
                        r = add_values(parser, &list, values);
        } else
                do {
                        r = parse_values(parser, unit, &values);
                        if (r == 0)
                                r = add_values(parser, &list, values);
                } while (r == 0 && *parser->p == ',' && parser->p++);
        if (r == 0)
                *ret = list;
        return r;
}

/* What follows the hours. */
static int parse_time(Parser *parser, RecurrenceList hours) {
        RecurrenceList *fields = parser->recurrence->fields;
        int r;

        fields[RECURRENCE_HOUR] = hours;
        if (*parser->p != ':')
                return refuse_rest(parser, "':' and the minutes");
        parser->p++;
        r = parse_list(parser, 1, &fields[RECURRENCE_MINUTE]);
        if (r != 0)
                return r;
        if (*parser->p == '\0')
                return add_values(parser, &fields[RECURRENCE_SECOND], (RecurrenceValues){ 0, -1, 0 });
        if (*parser->p != ':')
                return refuse_rest(parser, "':' and the seconds, or the end of the time,");
        parser->p++;
        r = parse_list(parser, recurrence_fields[RECURRENCE_SECOND].unit, &fields[RECURRENCE_SECOND]);
        if (r == 0 && *parser->p != '\0')
                r = refuse_rest(parser, "the end of the time");
        return r;
}

/* "@SECONDS": an instant, so in UTC whatever zone was named. */
static int parse_epoch(Parser *parser) {
        const char *start = parser->p++;
        uint64_t seconds = 0;
        CivilTime civil;
        int r = 0;

        if (!isdigit((unsigned char) *parser->p))
                return refuse_rest(parser, "seconds since 1970");
        while (isdigit((unsigned char) *parser->p)) {
                seconds = 10 * seconds + (uint64_t) (*parser->p++ - '0');
                if (seconds >= ZONE_END_USEC / 1000000)
                        return refuse(parser, "'%.32s' is after the year %d", start,
                                        recurrence_fields[RECURRENCE_YEAR].max);
        }
        if (*parser->p != '\0')
                return refuse_rest(parser, "the end of the expression");
        civil = civil_from_usec((int64_t) seconds * 1000000);
        for (RecurrenceField field = 0; r == 0 && field < RECURRENCE_FIELD_MAX; field++) {
                int starts[] = { civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.usec };

                r = add_values(parser, &parser->recurrence->fields[field],
                                (RecurrenceValues){ starts[field], -1, 0 });
        }
        return r != 0 ? r : zone_find("UTC", &parser->recurrence->zone);
}

/* "-", or "~" before days that count from the month's end, and a list. */
static int parse_date_part(Parser *parser, RecurrenceList *ret) {
        if (*parser->p != '-' && *parser->p != '~')
                return refuse_rest(parser, "'-'");
        parser->recurrence->from_month_end = *parser->p++ == '~';
        return parse_list(parser, 1, ret);
}

/* What follows the first list, where that is none of hours: days, or months and days. */
static int parse_date(Parser *parser, RecurrenceList first) {
        RecurrenceList *fields = parser->recurrence->fields, second, third;
        int r;

        r = parse_date_part(parser, &second);
        if (r != 0)
                return r;
        if (at_end_of_part(parser)) {
                fields[RECURRENCE_MONTH] = first;
                fields[RECURRENCE_DAY] = second;
        } else {
                if (parser->recurrence->from_month_end)
                        return refuse_rest(parser, "the end of the days");
                r = parse_date_part(parser, &third);
                if (r != 0)
                        return r;
                if (!at_end_of_part(parser))
                        return refuse_rest(parser, "the end of the days");
                fields[RECURRENCE_YEAR] = first;
                fields[RECURRENCE_MONTH] = second;
                fields[RECURRENCE_DAY] = third;
        }
        if (fields[RECURRENCE_DAY].n == 0)
                parser->recurrence->from_month_end = false;
        skip_spaces(parser);
        return 0;
}

static int parse_date_and_time(Parser *parser) {
        RecurrenceList list;
        int r;

        if (*parser->p == '@')
                return parse_epoch(parser);
        if (*parser->p != '\0') {
                r = parse_list(parser, 1, &list);
                if (r != 0)
                        return r;
                if (*parser->p == ':')
                        return parse_time(parser, list);
                if (at_end_of_part(parser))
                        return refuse_rest(parser, "':' and minutes, or '-' and days,");
                r = parse_date(parser, list);
                if (r != 0)
                        return r;
        }
        if (*parser->p != '\0') {
                r = parse_list(parser, 1, &list);
                return r != 0 ? r : parse_time(parser, list);
        }
        r = 0;
        for (RecurrenceField field = RECURRENCE_HOUR; r == 0 && field <= RECURRENCE_SECOND; field++)
                r = add_values(parser, &parser->recurrence->fields[field], (RecurrenceValues){ 0, -1, 0 });
        return r;
}

/* Years of two digits. */
static int full_year(int year) {
        return year < 0 ? year : year < 70 ? 2000 + year : year < 100 ? 1900 + year : year;
}

/* Whether all of it lies in the field. */
static int check_values(const Parser *parser, RecurrenceField field, const RecurrenceValues *values) {
        const RecurrenceFieldInfo *info = &recurrence_fields[field];
        bool from_end = field == RECURRENCE_DAY && parser->recurrence->from_month_end;
        const char *counted = from_end ? " from the month's end" : "";
        int max = from_end ? RECURRENCE_MONTH_END_MAX : info->max;
        int room = from_end ? values->start - info->min : max - values->start;
        const int ends[] = { values->start, values->stop };
        double unit = info->unit;

        for (size_t i = 0; i < ELEMENTSOF(ends); i++)
                if ((i == 0 || ends[i] >= 0) && (ends[i] < info->min || ends[i] > max))
                        return refuse(parser, "%s %.8g%s is not within %d..%.8g", info->name, ends[i] / unit,
                                        counted, info->min, max / unit);
        if (values->stop >= 0 && values->stop < values->start)
                return refuse(parser, "its %ss run backwards, from %.8g to %.8g", info->name,
                                values->start / unit, values->stop / unit);
        if (values->stop < 0 && values->repeat > room)
                return refuse(parser, "%s %.8g%s has room for a repetition of at most %.8g, not %.8g",
                                info->name, values->start / unit, counted, room / unit,
                                values->repeat / unit);
        return 0;
}

/* A range ends where it is reached, or is a value alone. */
static void normalize_values(RecurrenceValues *values) {
        if (values->stop > values->start)
                values->stop -= (values->stop - values->start) % values->repeat;
        if (values->stop == values->start)
                *values = (RecurrenceValues){ values->start, -1, 0 };
}

static int compare_values(const void *a, const void *b) {
        const RecurrenceValues *x = a, *y = b;

        return x->start != y->start ? x->start - y->start
               : x->stop != y->stop ? x->stop - y->stop
                                    : x->repeat - y->repeat;
}

/* Sorts a list, and takes out what is in it twice. */
static void sort_values(const RecurrenceFieldInfo *info, RecurrenceValues *values, size_t *n) {
        bool every_second = false;
        size_t kept = 0;

        for (size_t i = 0; i < *n; i++)
                every_second = every_second || recurrence_every_second(info, &values[i]);
        qsort(values, *n, sizeof values[0], compare_values);
        for (size_t i = 0; i < *n; i++) {
                const RecurrenceValues *v = &values[i];
                bool full_seconds = v->start % info->unit == 0 && v->repeat % info->unit == 0;

                if (every_second && full_seconds && !recurrence_every_second(info, v))
                        continue;
                if (kept == 0 || compare_values(&values[kept - 1], v) != 0)
                        values[kept++] = *v;
        }
        *n = kept;
}

static int finish_field(Parser *parser, RecurrenceField field) {
        RecurrenceList *list = &parser->recurrence->fields[field];
        RecurrenceValues *values = parser->recurrence->values + list->first;
        int r;

        for (size_t i = 0; i < list->n; i++) {
                if (field == RECURRENCE_YEAR) {
                        values[i].start = full_year(values[i].start);
                        values[i].stop = full_year(values[i].stop);
                }
                r = check_values(parser, field, &values[i]);
                if (r != 0)
                        return r;
                normalize_values(&values[i]);
        }
        sort_values(&recurrence_fields[field], values, &list->n);
        return 0;
}

/* Takes a zone off the end of the text. Only a zone's name begins there as neither a date nor a time does. */
static int parse_zone(Parser *parser, char *text) {
        char *space = strrchr(text, ' ');
        const char *word = space ? space + 1 : "";
        size_t length;
        int r;

        if (*word == '\0' || strchr("0123456789*@~", *word) || weekday_at(word, &length) >= 0)
                return 0;
        r = zone_find(strcasecmp(word, "UTC") == 0 ? "UTC" : word, &parser->recurrence->zone);
        if (r == -EINVAL)
                return refuse(parser, "'%.64s' is no zone's name, such as UTC or Asia/Shanghai", word);
        if (r == -ENOENT)
                return refuse(parser, "this node knows no zone '%.64s'", word);
        *space = '\0';
        return r;
}

static int parse(Parser *parser, char *text) {
        int r;

        if (strlen(text) > RECURRENCE_LENGTH_MAX)
                return refuse(parser, "it is longer than %d characters", RECURRENCE_LENGTH_MAX);
        r = parse_zone(parser, text);
        if (r != 0)
                return r;
        if (*text == '\0')
                return refuse(parser, "it says nothing of when");
        parser->p = text;
        for (size_t i = 0; i < ELEMENTSOF(shorthands); i++)
                if (strcasecmp(text, shorthands[i].word) == 0)
                        parser->p = shorthands[i].expression;
        r = parse_weekdays(parser);
        if (r == 0)
                r = parse_date_and_time(parser);
        for (RecurrenceField field = 0; r == 0 && field < RECURRENCE_FIELD_MAX; field++)
                r = finish_field(parser, field);
        return r;
}

int recurrence_parse(const char *expression, Recurrence **ret, Failure *ret_failure) {
        _cleanup_recurrence_ Recurrence *recurrence =
                        calloc(1, sizeof(Recurrence) + RECURRENCE_VALUES_MAX * sizeof(RecurrenceValues));
        _cleanup_free_ char *text = strdup(expression);
        Parser parser = { .expression = expression, .recurrence = recurrence, .failure = ret_failure };
        Recurrence *fitted;
        int r;

        if (!recurrence || !text)
                return -ENOMEM;
        r = parse(&parser, text);
        if (r != 0)
                return r;
        fitted = realloc(recurrence, sizeof(Recurrence) + recurrence->n_values * sizeof(RecurrenceValues));
        if (!fitted)
                return -ENOMEM;
        recurrence = NULL;
        *ret = fitted;
        return 0;
}
