/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What people write: lengths of time, amounts, points in time. */

#include "headgatectl/instant.h"
#include "headgatectl/quantity.h"

#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

#define UNTOUCHED 0xdeadU

Test(ctl_quantity, durations) {
        static const struct {
                const char *text;
                uint64_t usec; /* UNTOUCHED: refused */
        } cases[] = {
                { "90", 90000000 },
                { "90s", 90000000 },
                { "0.5", 500000 },
                { "1.5h", 5400000000 },
                { "30min", 1800000000 },
                { "30m", 1800000000 },
                { "2h", 7200000000 },
                { "1d", 86400000000 },
                { "2w", 1209600000000 },
                { "1h30min", 5400000000 },
                { "1d 12h", 129600000000 },
                { "1 day 2 hours ", 93600000000 },
                { "250ms", 250000 },
                { "7us", 7 },
                { "7µs", 7 },
                { "0.0000019s", 1 }, /* parts of a µs are dropped */
                { "36500d", 36500ULL * 86400000000 },
                { "36500d1us", UNTOUCHED },
                { "0", UNTOUCHED },
                { "0.0000001s", UNTOUCHED },
                { "", UNTOUCHED },
                { " ", UNTOUCHED },
                { "s", UNTOUCHED },
                { "-5s", UNTOUCHED },
                { "+5s", UNTOUCHED },
                { "5 parsecs", UNTOUCHED },
                { "1h30", UNTOUCHED }, /* 30 of what? */
                { "1M", UNTOUCHED },   /* a month to some */
                { "1.", UNTOUCHED },
                { ".5h", UNTOUCHED },
                { "1,5h", UNTOUCHED },
                { "1e3", UNTOUCHED },
                { "max", UNTOUCHED },
                { "99999999999999999999", UNTOUCHED },
                { "18446744073709551615w", UNTOUCHED },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t usec = UNTOUCHED;

                cr_expect_eq(quantity_parse_duration(cases[i].text, &usec), cases[i].usec != UNTOUCHED,
                                "'%s'", cases[i].text);
                cr_expect_eq(usec, cases[i].usec, "'%s': %llu", cases[i].text, (unsigned long long) usec);
        }
}

Test(ctl_quantity, resources) {
        static const char cpu[] = "CPUs such as 3.5 or 3500m, or max",
                          bytes[] = "bytes such as 512M, 8G or 8GiB, or max",
                          rate[] = "bits a second such as 500M or 1.5Gbit, or max",
                          plain[] = "a whole number, or max";
        static const struct {
                const char *name, *text;
                uint64_t value; /* UNTOUCHED: refused */
                const char *expected;
        } cases[] = {
                { "cpu", "3.5", 3500, cpu },
                { "cpu", "3500m", 3500, cpu },
                { "cpu", "4", 4000, cpu },
                { "cpu", "0", 0, cpu },
                { "cpu", "max", UINT64_MAX, cpu },
                { "cpu", "0.5m", UNTOUCHED, cpu },
                { "cpu", "3500M", UNTOUCHED, cpu },
                { "cpu", "-1", UNTOUCHED, cpu },
                { "cpu", "", UNTOUCHED, cpu },
                { "memory", "8G", 8ULL << 30, bytes },
                { "memory", "8g", 8ULL << 30, bytes },
                { "memory", "1.5GiB", 3ULL << 29, bytes },
                { "memory", "512M", 512 << 20, bytes },
                { "memory", "4096", 4096, bytes },
                { "memory", "4096B", 4096, bytes },
                { "memory", "1.5", UNTOUCHED, bytes },
                { "memory", "8GB", UNTOUCHED, bytes }, /* by 1000 or by 1024? */
                { "memory", "8 G", UNTOUCHED, bytes },
                { "memory", "16384P", UNTOUCHED, bytes },
                { "memory", "18446744073709551615", UNTOUCHED, bytes }, /* unlimited is "max" */
                { "swap", "1G", 1ULL << 30, bytes },
                { "net.egress@eth1", "500M", 500000000, rate },
                { "net.egress", "1.5Gbit", 1500000000, rate },
                { "net.ingress@eth1", "2M", 2000000, rate },
                { "net.egress", "8000", 8000, rate },
                { "net.egress", "1GiB", UNTOUCHED, rate },
                { "io.write@8:0", "1M", 1 << 20, bytes },
                { "iops.write", "1k", UNTOUCHED, plain },
                { "tasks", "512", 512, plain },
                { "tasks", "1k", UNTOUCHED, plain },
                { "from.a.later.version", "512", 512, plain },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const char *expected = NULL;
                uint64_t value = UNTOUCHED;

                cr_expect_eq(quantity_parse_resource(cases[i].name, cases[i].text, &value, &expected),
                                cases[i].value != UNTOUCHED, "%s=%s", cases[i].name, cases[i].text);
                cr_expect_eq(value, cases[i].value, "%s=%s: %llu", cases[i].name, cases[i].text,
                                (unsigned long long) value);
                cr_expect_str_eq(expected, cases[i].expected, "%s=%s", cases[i].name, cases[i].text);
        }
}

Test(ctl_quantity, instants) {
        static const uint64_t now = 1795341600000000; /* 2026-11-22T10:00:00Z */
        static const struct {
                const char *zone, *text;
                uint64_t usec; /* UNTOUCHED: refused */
        } cases[] = {
                { "UTC0", "now", now },
                { "UTC0", "+2h", now + 7200000000 },
                { "UTC0", "-30min", now - 1800000000 },
                { "UTC0", "0", 0 },
                { "UTC0", "1795341600000001", now + 1 },
                { "CST-8", "2026-11-22T10:00:00Z", now },
                { "CST-8", "2026-11-22t10:00:00z", now },
                { "CST-8", "2026-11-22T18:00:00+08:00", now },
                { "CST-8", "2026-11-22 06:30:00-03:30", now },
                { "CST-8", "2026-11-22T10:00:00.000001Z", now + 1 },
                { "CST-8", "2026-11-22T09:59:60Z", now }, /* a leap second */
                { "CST-8", "2026-11-22 18:00", now },
                { "CST-8", "2026-11-22T18:00", now },
                { "CST-8", "2026-11-22 18:00:00", now },
                { "CST-8", "2026-11-22", now - 18 * 3600000000ULL },
                { "UTC0", "2028-02-29", 1835395200000000 },
                { "CET-1CEST,M3.5.0,M10.5.0/3", "2026-07-01 12:00", 1782900000000000 },
                { "CET-1CEST,M3.5.0,M10.5.0/3", "2026-12-01 12:00", 1796122800000000 },
                { "UTC0", "", UNTOUCHED },
                { "UTC0", "Now", UNTOUCHED },
                { "UTC0", "+", UNTOUCHED },
                { "UTC0", "+2 parsecs", UNTOUCHED },
                { "UTC0", "-36500d", UNTOUCHED }, /* before 1970 */
                { "UTC0", "2h", UNTOUCHED },
                { "UTC0", "10:00", UNTOUCHED },
                { "UTC0", "2026-11-22T10:00Z", UNTOUCHED }, /* RFC 3339 has seconds */
                { "UTC0", "2026-11-22T10:00:00+0800", UNTOUCHED },
                { "UTC0", "2026-11-22T10:00:00.Z", UNTOUCHED },
                { "UTC0", "2026-11-22 24:00", UNTOUCHED },
                { "UTC0", "2026-11-22 10:60", UNTOUCHED },
                { "UTC0", "2026-11-31", UNTOUCHED },
                { "UTC0", "2026-02-29", UNTOUCHED },
                { "UTC0", "2100-02-29", UNTOUCHED },
                { "UTC0", "2026-13-01", UNTOUCHED },
                { "UTC0", "2026-1-1", UNTOUCHED },
                { "UTC0", "1969-12-31", UNTOUCHED },
                { "UTC0", "2026-11-22 10:00 tomorrow", UNTOUCHED },
                { "UTC0", "2026-11-22  10:00", UNTOUCHED },
                { "UTC0", "9223372036854775807", UNTOUCHED },
                { "UTC0", "99999999999999999999", UNTOUCHED },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t usec = UNTOUCHED;

                setenv("TZ", cases[i].zone, /* overwrite= */ 1);
                tzset();
                cr_expect_eq(instant_parse(cases[i].text, now, &usec), cases[i].usec != UNTOUCHED, "'%s'",
                                cases[i].text);
                cr_expect_eq(usec, cases[i].usec, "'%s': %llu", cases[i].text, (unsigned long long) usec);
        }
}
