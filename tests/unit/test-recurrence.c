/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/recurrence.h"
#include "support/instant.h"

#include <criterion/criterion.h>
#include <string.h>

static Recurrence *parse(const char *expression) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        Recurrence *recurrence = NULL;

        cr_assert_eq(recurrence_parse(expression, &recurrence, &failure), 0, "'%s': %s", expression,
                        failure.message ?: "");
        return recurrence;
}

/* Those of systemd.time(7), and what it does not say; tests/unit/check-recurrence asks systemd of many more.
 */
static const struct {
        const char *expression, *normal;
} normal_forms[] = {
        { "Mon..Fri 09:00 Asia/Shanghai", "Mon..Fri *-*-* 09:00:00 Asia/Shanghai" },
        { "Sat,Thu,Mon..Wed,Sat..Sun", "Mon..Thu,Sat,Sun *-*-* 00:00:00" },
        { "Mon,Sun 12-*-* 2,1:23", "Mon,Sun 2012-*-* 01,02:23:00" },
        { "Wed *-1", "Wed *-*-01 00:00:00" },
        { "Wed..Wed,Wed *-1", "Wed *-*-01 00:00:00" },
        { "Wed, 17:48", "Wed *-*-* 17:48:00" },
        { "Wed..Sat,Tue 12-10-15 1:2:3", "Tue..Sat 2012-10-15 01:02:03" },
        { "*-*-7 0:0:0", "*-*-07 00:00:00" },
        { "10-15", "*-10-15 00:00:00" },
        { "monday *-12-* 17:00", "Mon *-12-* 17:00:00" },
        { "Mon,Fri *-*-3,1,2 *:30:45", "Mon,Fri *-*-01,02,03 *:30:45" },
        { "12,14,13,12:20,10,30", "*-*-* 12,13,14:10,20,30:00" },
        { "12..14:10,20,30", "*-*-* 12..14:10,20,30:00" },
        { "mon,fri *-1/2-1,3 *:30:45", "Mon,Fri *-01/2-01,03 *:30:45" },
        { "03-05 08:05:40", "*-03-05 08:05:40" },
        { "05:40", "*-*-* 05:40:00" },
        { "05:40:23.4200004/3.1700005", "*-*-* 05:40:23.420000/3.170001" },
        { "2003-02..04-05", "2003-02..04-05 00:00:00" },
        { "2003-03-05 05:40 UTC", "2003-03-05 05:40:00 UTC" },
        { "Mon *-05~07/1", "Mon *-05~07/1 00:00:00" },
        { "*-*~3..10/2", "*-*~03..09/2 00:00:00" },
        { "*-*~*", "*-*-* 00:00:00" },
        { "*:2/3", "*-*-* *:02/3:00" },
        { "5..6/2:5..5", "*-*-* 05:05:00" },
        { "*:*:5,0/1,0..4/2", "*-*-* *:*:*" },
        { "*:*:0.5,5,0/1", "*-*-* *:*:00/1,00.500000" }, /* systemd prints "*", and means this */
        { "*:*:56..59/17", "*-*-* *:*:56" },
        { "69-1-1", "2069-01-01 00:00:00" },
        { "70..80-1-1", "1970..1980-01-01 00:00:00" },
        { "Mon-Fri", "Mon..Fri *-*-* 00:00:00" },
        { "Mon..Sun", "*-*-* 00:00:00" },
        { "Sat..Mon", "Mon,Sat,Sun *-*-* 00:00:00" },
        { "Fri..Tue,Thu", "Mon,Tue,Thu..Sun *-*-* 00:00:00" },
        { "Tue..Mon", "*-*-* 00:00:00" },
        { "minutely", "*-*-* *:*:00" },
        { "hourly", "*-*-* *:00:00" },
        { "daily UTC", "*-*-* 00:00:00 UTC" },
        { "Weekly Pacific/Auckland", "Mon *-*-* 00:00:00 Pacific/Auckland" },
        { "monthly", "*-*-01 00:00:00" },
        { "quarterly", "*-01,04,07,10-01 00:00:00" },
        { "semiannually", "*-01,07-01 00:00:00" },
        { "yearly utc", "*-01-01 00:00:00 UTC" },
        { "annually", "*-01-01 00:00:00" },
        { "@1767225600 Asia/Shanghai", "2026-01-01 00:00:00 UTC" },
};

Test(recurrence, normal_forms) {
        for (size_t i = 0; i < ELEMENTSOF(normal_forms); i++) {
                _cleanup_recurrence_ Recurrence *recurrence = parse(normal_forms[i].expression),
                                                *again = NULL;
                _cleanup_free_ char *normal = NULL, *same = NULL;

                cr_assert_eq(recurrence_format(recurrence, &normal), 0);
                cr_expect_str_eq(normal, normal_forms[i].normal, "'%s'", normal_forms[i].expression);
                again = parse(normal);
                cr_assert_eq(recurrence_format(again, &same), 0);
                cr_expect_str_eq(same, normal);
        }
}

static const struct {
        const char *expression, *words;
} refusals[] = {
        { "", "it says nothing of when" },
        { " UTC", "it says nothing of when" },
        { "UTC", "'UTC' stands where a number should" },
        { "fortnightly", "'fortnightly' stands where a number should" },
        { "10", "it ends where ':' and minutes, or '-' and days, should follow" },
        { "Mon 10 Asia/Shanghai", "it ends where ':' and minutes, or '-' and days, should follow" },
        { "10:00:00:00", "':00' stands where the end of the time should" },
        { "10:00 ", "' ' stands where ':' and the seconds, or the end of the time, should" },
        { "24:00", "hour 24 is not within 0..23" },
        { "*:60", "minute 60 is not within 0..59" },
        { "*:*:59.9999999", "second 60 is not within 0..59.999999" },
        { "*-*-32", "day 32 is not within 1..31" },
        { "*-*-0", "day 0 is not within 1..31" },
        { "*-0..5-1", "month 0 is not within 1..12" },
        { "2200-1-1", "year 2200 is not within 1970..2199" },
        { "2020..2200-1-1", "year 2200 is not within 1970..2199" },
        { "*-*~29", "day 29 from the month's end is not within 1..28" },
        { "5..3:0", "its hours run backwards, from 5 to 3" },
        { "*:*:5.5..3", "a range of seconds without a repetition is at least 1 long" },
        { "*:*:5..5", "a range of seconds without a repetition is at least 1 long" },
        { "*:50/10", "minute 50 has room for a repetition of at most 9, not 10" },
        { "*-*~7/7", "day 7 from the month's end has room for a repetition of at most 6, not 7" },
        { "*:*:59.5/0.6", "second 59.5 has room for a repetition of at most 0.499999, not 0.6" },
        { "*:0/0", "'/0': a repetition must be more than 0" },
        { "*:*:0/0.0000001", "'/0.0000001': a repetition must be more than 0" },
        { "99999:0", "'99999:0' is too large a number" },
        { "*:1,,2", "',2' stands where a number should" },
        { "*:5/", "it ends where a number should follow" },
        { "*:*:1.", "it ends where a fraction of a second should follow" },
        { "*-2~1-3", "'-3' stands where the end of the days should" },
        { "2026-1-1T10:00", "'T10:00' stands where the end of the days should" },
        { "10 10:00", "' 10:00' stands where ':' and minutes, or '-' and days, should" },
        { "Mon..", "it ends where a weekday should follow" },
        { "Mon,10:00", "'10:00' stands where a weekday should" },
        { "Mon..Wed..Fri", "'..Fri' stands where ',' or the end of the weekdays should" },
        { "Mon.Tue", "'.Tue' stands where ',' or the end of the weekdays should" },
        { "Mondays", "'Mondays' stands where a number should" },
        { "@", "it ends where seconds since 1970 should follow" },
        { "@7258291200", "'@7258291200' is after the year 2199" },
        { "@5 10:00", "' 10:00' stands where the end of the expression should" },
        { "10:00 Europe/Berlim", "this node knows no zone 'Europe/Berlim'" },
        { "10:00 CEST", "this node knows no zone 'CEST'" },
        { "10:00 ../UTC", "'../UTC' is no zone's name, such as UTC or Asia/Shanghai" },
        { "10:00 localtime", "'localtime' is no zone's name, such as UTC or Asia/Shanghai" },
};

Test(recurrence, refusals) {
        for (size_t i = 0; i < ELEMENTSOF(refusals); i++) {
                _cleanup_recurrence_ Recurrence *recurrence = NULL;
                _cleanup_failure_ Failure failure = FAILURE_NULL;
                char sentence[256];

                snprintf(sentence, sizeof sentence, "Calendar '%s': %s", refusals[i].expression,
                                refusals[i].words);
                cr_expect_eq(recurrence_parse(refusals[i].expression, &recurrence, &failure),
                                FAILURE_INVALID_ALLOCATION, "'%s'", refusals[i].expression);
                cr_expect_null(recurrence);
                cr_expect_str_eq(failure.message ?: "", sentence);
        }
}

Test(recurrence, what_is_too_long) {
        char expression[RECURRENCE_LENGTH_MAX + 2] = "*:0";
        _cleanup_recurrence_ Recurrence *recurrence = NULL;
        _cleanup_failure_ Failure failure = FAILURE_NULL;

        /* The hours are any; the seconds are one value. */
        for (int i = 1; i < RECURRENCE_VALUES_MAX - 1; i++)
                strcat(expression, ",0");
        recurrence = parse(expression);
        strcat(expression, ",0");
        recurrence = recurrence_free(recurrence);
        cr_expect_eq(recurrence_parse(expression, &recurrence, &failure), FAILURE_INVALID_ALLOCATION);
        cr_expect_not_null(strstr(failure.message, ": it has more than 240 values"), "%s", failure.message);
        memset(expression, '0', sizeof expression - 1);
        cr_expect_eq(recurrence_parse(expression, &recurrence, &failure), FAILURE_INVALID_ALLOCATION);
        cr_expect_not_null(strstr(failure.message, ": it is longer than 1024 characters"));
}

#define NEVER ""
static const struct {
        const char *name, *expression, *after;
        const char *elapses[5]; /* all that come where NEVER stands last, else the first ones */
} elapses[] = {
        { "the instant itself is not after it", "daily", "2026-01-01 00:00", { "2026-01-02 00:00:00" } },
        { "but a µs before it is", "daily", "2025-12-31 23:59:59.999999", { "2026-01-01 00:00:00" } },
        { "no zone is UTC", "09:00", "2026-07-01 00:00", { "2026-07-01 09:00:00" } },
        { "a zone", "Mon..Fri 09:00 Asia/Shanghai", "2026-07-02 02:00",
                        { "2026-07-03 01:00:00", "2026-07-06 01:00:00" } },
        { "a date that weekdays forbid", "Thu 2027-01-01", "2026-01-01 00:00", { NEVER } },
        { "over the week's end", "Sat..Mon", "2026-07-01 00:00",
                        { "2026-07-04 00:00:00", "2026-07-05 00:00:00", "2026-07-06 00:00:00",
                                        "2026-07-11 00:00:00" } },
        { "leap days", "*-02-29 12:00", "2026-01-01 00:00",
                        { "2028-02-29 12:00:00", "2032-02-29 12:00:00" } },
        { "no leap day in 2100", "*-02-29", "2096-02-29 00:00", { "2104-02-29 00:00:00" } },
        { "leap days on a Sunday", "Sun *-2-29", "2026-01-01 00:00",
                        { "2032-02-29 00:00:00", "2060-02-29 00:00:00" } },
        { "short months have no 31st", "*-*-31", "2026-01-31 00:00",
                        { "2026-03-31 00:00:00", "2026-05-31 00:00:00" } },
        { "last days", "*-*~1", "2026-01-31 00:00",
                        { "2026-02-28 00:00:00", "2026-03-31 00:00:00", "2026-04-30 00:00:00" } },
        { "third last of February", "*-02~03", "2026-01-01 00:00",
                        { "2026-02-26 00:00:00", "2027-02-26 00:00:00", "2028-02-27 00:00:00" } },
        { "last Monday in May", "Mon *-05~07/1", "2026-01-01 00:00",
                        { "2026-05-25 00:00:00", "2027-05-31 00:00:00" } },
        { "every other of the last days", "*-2~1..5/2", "2026-01-01 00:00",
                        { "2026-02-24 00:00:00", "2026-02-26 00:00:00", "2026-02-28 00:00:00",
                                        "2027-02-24 00:00:00" } },
        { "a day that never is", "*-02-30", "2026-01-01 00:00", { NEVER } },
        { "what is past", "2025-*-* 12:00", "2026-01-01 00:00", { NEVER } },
        { "the end of a year", "*:59:59", "2026-12-31 23:00",
                        { "2026-12-31 23:59:59", "2027-01-01 00:59:59" } },
        { "the end of all years", "*-12-31 23:00/30", "2199-12-30 23:30",
                        { "2199-12-31 23:00:00", "2199-12-31 23:30:00", NEVER } },
        { "an uneven repetition begins anew", "*:0/17", "2026-01-31 23:30",
                        { "2026-01-31 23:34:00", "2026-01-31 23:51:00", "2026-02-01 00:00:00" } },
        { "ranges and lists", "9..11/2,8:0", "2026-01-01 00:00",
                        { "2026-01-01 08:00:00", "2026-01-01 09:00:00", "2026-01-01 11:00:00",
                                        "2026-01-02 08:00:00" } },
        { "each full second", "*:*:*", "2026-01-01 00:00:59.5",
                        { "2026-01-01 00:01:00", "2026-01-01 00:01:01" } },
        { "fractions of a second", "*:*:59.5/0.25", "2026-01-01 00:00",
                        { "2026-01-01 00:00:59.500000", "2026-01-01 00:00:59.750000",
                                        "2026-01-01 00:01:59.500000" } },
        { "a range of seconds keeps their fraction", "0:0:57.5..59", "2026-01-01 00:00",
                        { "2026-01-01 00:00:57.500000", "2026-01-01 00:00:58.500000",
                                        "2026-01-02 00:00:57.500000" } },
        { "each full second and one more", "0:0:0/1,0.5", "2025-12-31 23:59:59",
                        { "2026-01-01 00:00:00", "2026-01-01 00:00:00.500000", "2026-01-01 00:00:01" } },
        { "an instant", "@1767225600", "2025-01-01 00:00", { "2026-01-01 00:00:00", NEVER } },

        { "Berlin: a gap is passed over", "02:30 Europe/Berlin", "2026-03-28 00:00",
                        { "2026-03-28 01:30:00", "2026-03-30 00:30:00" } },
        { "Berlin: up to a gap and on after it", "*:0/30 Europe/Berlin", "2026-03-29 00:00",
                        { "2026-03-29 00:30:00", "2026-03-29 01:00:00", "2026-03-29 01:30:00" } },
        { "Berlin: nothing but gaps", "2026-03-29 2:*:0/0.000001 Europe/Berlin", "2026-01-01 00:00",
                        { NEVER } },
        { "Berlin: once in a fold", "02:30 Europe/Berlin", "2026-10-24 00:00",
                        { "2026-10-24 00:30:00", "2026-10-25 00:30:00", "2026-10-26 01:30:00" } },
        { "Berlin: a fold's second pass has none", "*:0/30 Europe/Berlin", "2026-10-25 00:00",
                        { "2026-10-25 00:30:00", "2026-10-25 02:00:00", "2026-10-25 02:30:00" } },
        { "Berlin: asked within the second pass", "*:*:0/0.000001 Europe/Berlin", "2026-10-25 01:15",
                        { "2026-10-25 02:00:00", "2026-10-25 02:00:00.000001" } },
        { "Berlin: last Sunday of October", "Sun *-10~7/1 02:30 Europe/Berlin", "2026-01-01 00:00",
                        { "2026-10-25 00:30:00", "2027-10-31 00:30:00" } },
        { "Berlin: years ahead", "*-10-01 12:00 Europe/Berlin", "2149-12-01 00:00",
                        { "2150-10-01 10:00:00" } },
        { "New York: gap", "02:00 America/New_York", "2026-03-07 00:00",
                        { "2026-03-07 07:00:00", "2026-03-09 06:00:00" } },
        { "New York: fold", "*:0/20 America/New_York", "2026-11-01 05:10",
                        { "2026-11-01 05:20:00", "2026-11-01 05:40:00", "2026-11-01 07:00:00" } },
        { "Lord Howe: gap of half an hour", "*:0/10 Australia/Lord_Howe", "2026-10-03 15:15",
                        { "2026-10-03 15:20:00", "2026-10-03 15:30:00", "2026-10-03 15:40:00" } },
        { "Lord Howe: 02:15 is in it", "02:15 Australia/Lord_Howe", "2026-10-02 15:00",
                        { "2026-10-02 15:45:00", "2026-10-04 15:15:00" } },
        { "Lord Howe: fold of half an hour", "*:0/10 Australia/Lord_Howe", "2026-04-04 14:35",
                        { "2026-04-04 14:40:00", "2026-04-04 14:50:00", "2026-04-04 15:30:00" } },
        { "Shanghai does not change", "02:30 Asia/Shanghai", "2026-03-28 00:00",
                        { "2026-03-28 18:30:00", "2026-03-29 18:30:00", "2026-03-30 18:30:00" } },
        { "Havana: no midnight", "daily America/Havana", "2026-03-07 00:00",
                        { "2026-03-07 05:00:00", "2026-03-09 04:00:00" } },
        { "Casablanca: a gap takes only itself", "2,3,4:0 Africa/Casablanca", "2026-03-22 00:00",
                        { "2026-03-22 02:00:00", "2026-03-22 03:00:00", "2026-03-23 01:00:00" } },
        { "Apia: a day that was not", "2011-12-29..31 Pacific/Apia", "2011-01-01 00:00",
                        { "2011-12-29 10:00:00", "2011-12-30 10:00:00", NEVER } },
};

Test(recurrence, elapses) {
        for (size_t i = 0; i < ELEMENTSOF(elapses); i++) {
                _cleanup_recurrence_ Recurrence *recurrence = parse(elapses[i].expression);
                uint64_t at = instant_parse(elapses[i].after);

                for (size_t k = 0; k < ELEMENTSOF(elapses[i].elapses) && elapses[i].elapses[k]; k++) {
                        const char *expected = elapses[i].elapses[k];
                        bool never = strcmp(expected, NEVER) == 0;
                        uint64_t before = at;
                        char text[INSTANT_SIZE];

                        cr_expect_eq(recurrence_next(recurrence, at, &at), never ? -ENOENT : 0, "%s: %zu",
                                        elapses[i].name, k);
                        cr_expect_str_eq(instant_format(at, text),
                                        never ? instant_format(before, text) : expected, "%s: %zu: %s",
                                        elapses[i].name, k, text);
                }
        }
}

/* A window is in the calendar, or is not: whoever asks, and from when. */
Test(recurrence, is_one_set_of_instants) {
        static const char *const expressions[] = { "*:0/7 Europe/Berlin", "Sun 2,3:30 Europe/Berlin",
                "*:5/20 Australia/Lord_Howe", "0/2:15 America/Havana", "*-*~1..20 1:30 America/New_York" };

        for (size_t i = 0; i < ELEMENTSOF(expressions); i++) {
                _cleanup_recurrence_ Recurrence *recurrence = parse(expressions[i]);
                uint64_t next = 0, end = instant_parse("2026-12-01 00:00");

                for (uint64_t at = instant_parse("2026-03-01 00:00"); at < end; at += 397 * 1000000) {
                        uint64_t from_here;

                        cr_assert_eq(recurrence_next(recurrence, at, &from_here), 0);
                        cr_assert(from_here > at && (at >= next || from_here == next), "%s after %lu",
                                        expressions[i], at);
                        next = from_here;
                }
        }
}

Test(recurrence, instants_past_all_years) {
        _cleanup_recurrence_ Recurrence *recurrence = parse("*:*:* America/New_York");
        uint64_t usec = 5;

        cr_expect_eq(recurrence_next(recurrence, UINT64_MAX, &usec), -ENOENT);
        cr_expect_eq(recurrence_next(recurrence, UINT64_MAX - 1, &usec), -ENOENT);
        cr_expect_eq(usec, 5);
        cr_expect_eq(recurrence_next(recurrence, 0, &usec), 0);
        cr_expect_eq(usec, 1000000);
}
