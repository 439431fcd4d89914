/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "support/instant.h"
#include "util/cleanup.h"
#include "util/zone.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

static const Zone *find(const char *name) {
        const Zone *zone = NULL;

        if (!name)
                return NULL;
        cr_assert_eq(zone_find(name, &zone), 0, "%s (tzdata)", name);
        return zone;
}

Test(zone, names) {
        static const struct {
                const char *name;
                int r;
        } cases[] = {
                { "UTC", 0 },
                { "Etc/UTC", 0 },
                { "Etc/GMT+3", 0 },
                { "Asia/Shanghai", 0 },
                { "America/Argentina/Buenos_Aires", 0 },
                { "America/Port-au-Prince", 0 },
                { "GMT", 0 },
                { "Europe", -ENOENT }, /* a directory */
                { "Europe/Berlim", -ENOENT },
                { "EUROPE/BERLIN", -ENOENT },
                { "CEST", -ENOENT },
                { "CET-1CEST", -ENOENT }, /* libc would take it: it says itself what it is */
                { "", -EINVAL },
                { "utc", -EINVAL },
                { "europe/berlin", -EINVAL },
                { "localtime", -EINVAL },
                { "posixrules", -EINVAL },
                { "right/Europe/Berlin", -EINVAL },
                { "posix/Europe/Berlin", -EINVAL },
                { "tzdata.zi", -EINVAL },
                { "/etc/localtime", -EINVAL },
                { "../zoneinfo/UTC", -EINVAL },
                { "Europe/../UTC", -EINVAL },
                { "Europe//Berlin", -EINVAL },
                { "Europe/", -EINVAL },
                { ":UTC", -EINVAL },
                { "Europe/Berlin ", -EINVAL },
                { "Europe/Ber\nlin", -EINVAL },
                { "A234567890123456789012345678901234567890123456789012345678901234", -EINVAL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Zone *zone = NULL;

                cr_expect_eq(zone_find(cases[i].name, &zone), cases[i].r, "'%s'", cases[i].name);
                cr_expect_eq(zone != NULL, cases[i].r == 0, "'%s'", cases[i].name);
                if (zone)
                        cr_expect_str_eq(zone_name(zone), cases[i].name);
        }
}

/* Both ways: an instant, and what the clock shows then for the first time. */
Test(zone, what_a_clock_shows) {
        static const struct {
                const char *zone, *instant, *shows;
        } cases[] = {
                { NULL, "2026-07-01 12:00", "2026-07-01 12:00:00" },
                { "UTC", "2026-07-01 12:00:01.5", "2026-07-01 12:00:01.500000" },
                { "Asia/Shanghai", "2026-07-01 12:00", "2026-07-01 20:00:00" },
                { "Asia/Shanghai", "1988-07-01 12:00", "1988-07-01 21:00:00" },
                { "Asia/Kathmandu", "2026-07-01 12:00", "2026-07-01 17:45:00" },
                { "Europe/Berlin", "2026-01-31 23:00", "2026-02-01 00:00:00" },
                { "Europe/Berlin", "2026-07-31 22:00", "2026-08-01 00:00:00" },
                { "Europe/Berlin", "2099-07-31 22:00", "2099-08-01 00:00:00" },
                { "Europe/Berlin", "2199-12-31 22:59:59", "2199-12-31 23:59:59" },
                { "America/New_York", "2026-01-01 04:59", "2025-12-31 23:59:00" },
                { "America/New_York", "1970-01-01 00:00", "1969-12-31 19:00:00" },
                { "Pacific/Kiritimati", "2026-01-01 00:00", "2026-01-01 14:00:00" },
                { "Australia/Lord_Howe", "2026-01-01 00:00", "2026-01-01 11:00:00" },
                { "Australia/Lord_Howe", "2026-07-01 00:00", "2026-07-01 10:30:00" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Zone *zone = find(cases[i].zone);
                uint64_t instant = instant_parse(cases[i].instant), back = 0;
                CivilTime civil = zone_to_civil(zone, instant), fresh = zone_to_new_civil(zone, instant);
                char text[INSTANT_SIZE];

                cr_expect_str_eq(civil_format(&civil, text), cases[i].shows, "%s %s: %s", cases[i].zone,
                                cases[i].instant, text);
                cr_expect_str_eq(civil_format(&fresh, text), cases[i].shows, "%s %s: %s", cases[i].zone,
                                cases[i].instant, text);
                cr_expect_eq(zone_from_civil(zone, &civil, &back), ZONE_FIT_ONCE, "%s %s", cases[i].zone,
                                cases[i].shows);
                cr_expect_eq(back, instant, "%s %s", cases[i].zone, cases[i].shows);
        }
}

Test(zone, gaps_and_folds) {
        static const struct {
                const char *zone, *shows;
                ZoneFit fit;
                const char *instant;
        } cases[] = {
                { "Europe/Berlin", "2026-03-29 01:59:59.999999", ZONE_FIT_ONCE,
                                "2026-03-29 00:59:59.999999" },
                { "Europe/Berlin", "2026-03-29 02:00", ZONE_FIT_GAP, "2026-03-29 01:00:00" },
                { "Europe/Berlin", "2026-03-29 02:59:59.999999", ZONE_FIT_GAP, "2026-03-29 01:00:00" },
                { "Europe/Berlin", "2026-03-29 03:00", ZONE_FIT_ONCE, "2026-03-29 01:00:00" },
                { "Europe/Berlin", "2026-10-25 01:59", ZONE_FIT_ONCE, "2026-10-24 23:59:00" },
                { "Europe/Berlin", "2026-10-25 02:00", ZONE_FIT_FOLD, "2026-10-25 00:00:00" },
                { "Europe/Berlin", "2026-10-25 02:59:59.999999", ZONE_FIT_FOLD,
                                "2026-10-25 00:59:59.999999" },
                { "Europe/Berlin", "2026-10-25 03:00", ZONE_FIT_ONCE, "2026-10-25 02:00:00" },
                { "America/New_York", "2026-03-08 02:30", ZONE_FIT_GAP, "2026-03-08 07:00:00" },
                { "America/New_York", "2026-11-01 01:30", ZONE_FIT_FOLD, "2026-11-01 05:30:00" },
                { "America/New_York", "2150-11-01 01:30", ZONE_FIT_FOLD, "2150-11-01 05:30:00" },
                { "Australia/Lord_Howe", "2026-10-04 02:15", ZONE_FIT_GAP, "2026-10-03 15:30:00" },
                { "Australia/Lord_Howe", "2026-10-04 02:30", ZONE_FIT_ONCE, "2026-10-03 15:30:00" },
                { "Australia/Lord_Howe", "2026-04-05 01:29:59", ZONE_FIT_ONCE, "2026-04-04 14:29:59" },
                { "Australia/Lord_Howe", "2026-04-05 01:45", ZONE_FIT_FOLD, "2026-04-04 14:45:00" },
                { "Australia/Lord_Howe", "2026-04-05 02:00", ZONE_FIT_ONCE, "2026-04-04 15:30:00" },
                { "America/Havana", "2026-03-08 00:00", ZONE_FIT_GAP, "2026-03-08 05:00:00" },
                { "Pacific/Apia", "2011-12-30 12:00", ZONE_FIT_GAP, "2011-12-30 10:00:00" }, /* all day */
                { "Asia/Shanghai", "2026-03-29 02:30", ZONE_FIT_ONCE, "2026-03-28 18:30:00" },
                { "Asia/Shanghai", "1970-01-01 07:00", ZONE_FIT_ONCE, "1970-01-01 00:00:00" }, /* before it */
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CivilTime civil = civil_parse(cases[i].shows);
                uint64_t instant = 0;
                char text[INSTANT_SIZE];

                cr_expect_eq(zone_from_civil(find(cases[i].zone), &civil, &instant), cases[i].fit, "%s %s",
                                cases[i].zone, cases[i].shows);
                cr_expect_str_eq(instant_format(instant, text), cases[i].instant, "%s %s: %s", cases[i].zone,
                                cases[i].shows, text);
        }
}

Test(zone, what_is_shown_again_is_passed_over) {
        static const struct {
                const char *instant, *shows, *new;
        } cases[] = {
                { "2026-10-25 00:59:59", "2026-10-25 02:59:59", "2026-10-25 02:59:59" },
                { "2026-10-25 01:00:00", "2026-10-25 02:00:00", "2026-10-25 03:00:00" },
                { "2026-10-25 01:59:59", "2026-10-25 02:59:59", "2026-10-25 03:00:00" },
                { "2026-10-25 02:00:00", "2026-10-25 03:00:00", "2026-10-25 03:00:00" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Zone *zone = find("Europe/Berlin");
                CivilTime civil = zone_to_civil(zone, instant_parse(cases[i].instant));
                CivilTime new = zone_to_new_civil(zone, instant_parse(cases[i].instant));
                char text[INSTANT_SIZE];

                cr_expect_str_eq(
                                civil_format(&civil, text), cases[i].shows, "%s: %s", cases[i].instant, text);
                cr_expect_str_eq(civil_format(&new, text), cases[i].new, "%s: %s", cases[i].instant, text);
        }
}

/* What libc says, at some 65,000 instants that fall on every hour of the day. */
Test(zone, agrees_with_libc) {
        static const char *const names[] = { "Europe/Berlin", "America/New_York", "Australia/Lord_Howe",
                "Asia/Shanghai", "Asia/Gaza", "Africa/Casablanca", "Pacific/Apia", "America/Havana" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                const Zone *zone = find(names[i]);

                cr_assert_eq(setenv("TZ", names[i], 1), 0);
                tzset();
                for (time_t at = 0; at < (time_t) (ZONE_END_USEC / 1000000); at += 31 * 3600 + 1) {
                        CivilTime civil = zone_to_civil(zone, (uint64_t) at * 1000000);
                        struct tm tm;

                        localtime_r(&at, &tm);
                        cr_assert(civil.day == tm.tm_mday && civil.hour == tm.tm_hour &&
                                                        civil.minute == tm.tm_min &&
                                                        civil.usec == tm.tm_sec * 1000000,
                                        "%s at %lld", names[i], (long long) at);
                }
        }
}

/* The process's own zone: neither changed by reading another, nor taken for one that is not named. */
Test(zone, the_hosts_zone_is_left_alone) {
        static const char *const host[] = { NULL, "Asia/Tokyo", "UTC" };
        static const char *const read[] = { "Europe/Berlin", "Europe/Paris", "Europe/Rome" };
        time_t at = 0;
        struct tm tm;

        for (size_t i = 0; i < ELEMENTSOF(host); i++) {
                const char *tz;
                char text[INSTANT_SIZE];
                CivilTime civil;
                long offset;

                if (host[i])
                        setenv("TZ", host[i], 1);
                else
                        unsetenv("TZ");
                tzset();
                offset = localtime_r(&at, &tm)->tm_gmtoff;
                civil = zone_to_civil(find(read[i]), instant_parse("2026-07-01 12:00"));
                cr_expect_str_eq(civil_format(&civil, text), "2026-07-01 14:00:00");
                tz = getenv("TZ");
                cr_expect(tz == host[i] || (tz && host[i] && strcmp(tz, host[i]) == 0));
                cr_expect_eq(localtime_r(&at, &tm)->tm_gmtoff, offset);
                civil = zone_to_civil(NULL, instant_parse("2026-07-01 12:00"));
                cr_expect_str_eq(civil_format(&civil, text), "2026-07-01 12:00:00");
        }
        cr_expect_eq(find("Europe/Berlin"), find("Europe/Berlin"), "it is read once");
}
