/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Numbers as people read them: in tables only. What --json prints are the integers of D-Bus, never these.
 */

#include "units.h"

#include "model/resource.h"
#include "model/sample.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

static char *format_max(char *ret) {
        strcpy(ret, "max");
        return ret;
}

static char *format_plain(uint64_t value, char *ret) {
        if (value == UNLIMITED)
                return format_max(ret);

        snprintf(ret, UNITS_SIZE, "%" PRIu64, value);
        return ret;
}

static char *format_scaled(uint64_t value, uint64_t base, const char *const *names, char *ret) {
        uint64_t unit = 1;
        size_t i = 0;

        if (value == UNLIMITED)
                return format_max(ret);

        for (; names[i + 1] && value / unit >= base; i++)
                unit *= base;

        /* value % unit stays below 2^60, so ten times it still fits. */
        if (value % unit * 10 / unit == 0)
                snprintf(ret, UNITS_SIZE, "%" PRIu64 "%s", value / unit, names[i]);
        else
                snprintf(ret, UNITS_SIZE, "%" PRIu64 ".%" PRIu64 "%s", value / unit, value % unit * 10 / unit,
                                names[i]);

        return ret;
}

char *units_format_millicores(uint64_t millicores, char *ret) {
        if (millicores == UNLIMITED)
                return format_max(ret);

        if (millicores % 1000 == 0)
                snprintf(ret, UNITS_SIZE, "%" PRIu64, millicores / 1000);
        else
                snprintf(ret, UNITS_SIZE, "%" PRIu64 "m", millicores);

        return ret;
}

char *units_format_bytes(uint64_t bytes, char *ret) {
        static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", NULL };

        return format_scaled(bytes, 1024, names, ret);
}

char *units_format_bps(uint64_t bps, char *ret) {
        static const char *const names[] = { "bit", "kbit", "Mbit", "Gbit", "Tbit", NULL };

        return format_scaled(bps, 1000, names, ret);
}

char *units_format_usec(uint64_t usec, char *ret) {
        static const struct {
                const char *name;
                uint64_t usec;
        } units[] = {
                { "d", 86400000000 },
                { "h", 3600000000 },
                { "m", 60000000 },
                { "s", 1000000 },
        };

        if (usec == UNLIMITED)
                return format_max(ret);

        for (size_t i = 0; i + 1 < ELEMENTSOF(units); i++) {
                uint64_t minor = usec % units[i].usec / units[i + 1].usec;

                if (usec < units[i].usec)
                        continue;

                if (minor > 0)
                        snprintf(ret, UNITS_SIZE, "%" PRIu64 "%s%" PRIu64 "%s", usec / units[i].usec,
                                        units[i].name, minor, units[i + 1].name);
                else
                        snprintf(ret, UNITS_SIZE, "%" PRIu64 "%s", usec / units[i].usec, units[i].name);
                return ret;
        }

        if (usec == 0)
                strcpy(ret, "0s");
        else if (usec < 1000)
                snprintf(ret, UNITS_SIZE, "%" PRIu64 "us", usec);
        else if (usec < 1000000)
                snprintf(ret, UNITS_SIZE, "%" PRIu64 "ms", usec / 1000);
        else if (usec % 1000000 < 100000)
                snprintf(ret, UNITS_SIZE, "%" PRIu64 "s", usec / 1000000);
        else
                snprintf(ret, UNITS_SIZE, "%" PRIu64 ".%" PRIu64 "s", usec / 1000000,
                                usec % 1000000 / 100000);

        return ret;
}

char *units_format_time(uint64_t usec, char *ret) {
        time_t seconds = (time_t) (usec / 1000000);
        struct tm tm;
        size_t n;

        if (usec == 0) {
                strcpy(ret, "-");
                return ret;
        }

        if (usec == UNLIMITED) {
                strcpy(ret, "never");
                return ret;
        }

        /* A year past what struct tm holds, or one that the buffer does not: the number is still true. */
        if (!localtime_r(&seconds, &tm))
                return format_plain(usec, ret);

        n = strftime(ret, UNITS_SIZE - 1, "%Y-%m-%dT%H:%M:%S%z", &tm);
        if (n < 5)
                return format_plain(usec, ret);

        /* RFC 3339 has a colon within the offset, strftime(3) has none. */
        memmove(ret + n - 1, ret + n - 2, 3);
        ret[n - 2] = ':';
        return ret;
}

static char *format_local(uint64_t usec, uint64_t now_usec, bool seconds, char *ret) {
        time_t t = (time_t) (usec / 1000000), now = (time_t) (now_usec / 1000000);
        struct tm tm, today;
        size_t n = 0;

        if (!localtime_r(&t, &tm) || !localtime_r(&now, &today))
                return format_plain(usec, ret);

        if (tm.tm_year != today.tm_year || tm.tm_yday != today.tm_yday)
                n = strftime(ret, UNITS_SIZE, "%Y-%m-%d ", &tm);
        if (strftime(ret + n, UNITS_SIZE - n, seconds ? "%H:%M:%S" : "%H:%M", &tm) == 0)
                return format_plain(usec, ret);

        return ret;
}

char *units_format_near(uint64_t usec, uint64_t now_usec, char *ret) {
        return format_local(usec, now_usec, usec / 1000000 % 60 != 0, ret);
}

char *units_format_second(uint64_t usec, uint64_t now_usec, char *ret) {
        return format_local(usec, now_usec, /* seconds= */ true, ret);
}

Measure units_measure(const char *name) {
        char target[RESOURCE_TARGET_SIZE];
        ResourceKind kind;

        if (resource_parse_name(name, &kind, target) < 0)
                return MEASURE_PLAIN;

        switch (kind) {
        case RESOURCE_CPU:
        case RESOURCE_CPUSET:
                return MEASURE_CPU;
        case RESOURCE_MEMORY:
        case RESOURCE_SWAP:
        case RESOURCE_IO_READ:
        case RESOURCE_IO_WRITE:
        case RESOURCE_HUGETLB_2M:
        case RESOURCE_HUGETLB_1G:
                return MEASURE_BYTES;
        case RESOURCE_NET_EGRESS:
        case RESOURCE_NET_INGRESS:
                return MEASURE_BITS;
        default:
                return MEASURE_PLAIN;
        }
}

char *units_format_resource(const char *name, uint64_t value, char *ret) {
        switch (units_measure(name)) {
        case MEASURE_CPU:
                return units_format_millicores(value, ret);
        case MEASURE_BYTES:
                return units_format_bytes(value, ret);
        case MEASURE_BITS:
                return units_format_bps(value, ret);
        default:
                return format_plain(value, ret);
        }
}

char *units_format_metric(const char *name, uint64_t value, char *ret) {
        const size_t length = strcspn(name, "@"); /* what follows says of what */

        for (Metric metric = 0; metric < METRIC_MAX; metric++) {
                const MetricInfo *info = metric_info(metric);

                if (strlen(info->name) != length || strncmp(info->name, name, length) != 0)
                        continue;

                if (info->unit == METRIC_UNIT_BYTES)
                        return units_format_bytes(value, ret);
                if (info->unit == METRIC_UNIT_NSEC)
                        return units_format_usec(value / 1000, ret);
                break;
        }

        return format_plain(value, ret);
}

char *units_format_bar(uint64_t part, uint64_t whole, char *ret) {
        size_t full = UNITS_BAR_WIDTH;

        if (part < whole)
                full = (size_t) ((double) part / (double) whole * UNITS_BAR_WIDTH);
        else if (part == 0)
                full = 0;

        ret[0] = '[';
        memset(ret + 1, '#', full);
        memset(ret + 1 + full, '-', UNITS_BAR_WIDTH - full);
        strcpy(ret + 1 + UNITS_BAR_WIDTH, "]");
        return ret;
}
