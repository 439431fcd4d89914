/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A zone is a table of spans in which its clock is the same distance from UTC. libc reads the zone's file,
 * and is asked once for all that we want to know: so TZ is switched for a moment only, every question
 * afterwards is a search in a table, and none of mktime(3)'s guesses at gaps and folds (they depend on what
 * it was asked before) is ours. It parses no zone file itself.
 */

#include "zone.h"
#include "cleanup.h"

#include <string.h>
#include <time.h>

#define ZONE_DIRECTORY "/usr/share/zoneinfo/"
/* A clock that changes and changes back within this much is not seen to. Since 1970 the shortest is just
 * under 7 days (Asia/Gaza in many Ramadans; tzdata 2025b). */
#define STEP_SEC (5 * 24 * 3600)
#define USEC_PER_SEC 1000000LL

typedef struct ZoneSpan {
        int64_t from_usec;   /* µs UTC; until the next one's. The first one's is INT64_MIN */
        int64_t offset_usec; /* what the clock shows is that much after UTC; under 24 h either way */
        int64_t shown_usec;  /* before this one the clock has shown what comes before this */
} ZoneSpan;

struct Zone {
        Zone *next;
        char name[ZONE_NAME_MAX + 1];
        ZoneSpan *spans; /* owned, ascending */
        size_t n;        /* 0: UTC */
};

static const Zone zone_utc = { .name = "UTC" };
/* Facts that do not change, read once; there are some 600 at most. */
static Zone *zones_known;

static Zone *zone_free(Zone *zone) {
        if (zone)
                free(zone->spans);
        free(zone);
        return NULL;
}
DEFINE_CLEANUP(Zone *, zone_free);
#define _cleanup_zone_ _cleanup_(zone_free_p)

bool zone_name_valid(const char *name) {
        static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";
        size_t length = strlen(name);

        return name[0] >= 'A' && name[0] <= 'Z' && length <= ZONE_NAME_MAX &&
               strspn(name, letters) == length && name[length - 1] != '/' && !strstr(name, "//");
}

/* libc takes a zone that it cannot read for UTC, and does not say so. */
static bool zone_file_exists(const char *path) {
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        char magic[4];

        return file && fread(magic, sizeof magic, 1, file) == 1 && memcmp(magic, "TZif", sizeof magic) == 0;
}

static int zone_add_span(Zone *zone, int64_t from_usec, int64_t offset_usec) {
        ZoneSpan *spans = reallocarray(zone->spans, zone->n + 1, sizeof(ZoneSpan));
        int64_t shown = INT64_MIN;

        if (!spans)
                return -ENOMEM;
        if (zone->n > 0) {
                const ZoneSpan *last = &spans[zone->n - 1];

                shown = from_usec + last->offset_usec;
                if (shown < last->shown_usec)
                        shown = last->shown_usec;
        }
        spans[zone->n++] = (ZoneSpan){ from_usec, offset_usec, shown };
        zone->spans = spans;
        return 0;
}

/* By libc's present TZ. */
static long offset_at(time_t at) {
        struct tm tm;

        return localtime_r(&at, &tm) ? tm.tm_gmtoff : 0;
}

/* The first second after `low`, and not after `high`, at which the offset is another than at `low`. */
static time_t find_change(time_t low, time_t high) {
        long offset = offset_at(low);

        while (high - low > 1) {
                time_t middle = low + (high - low) / 2;

                if (offset_at(middle) == offset)
                        low = middle;
                else
                        high = middle;
        }
        return high;
}

static int zone_add_spans(Zone *zone) {
        long offset = offset_at(0), found;
        int r = zone_add_span(zone, INT64_MIN, offset * USEC_PER_SEC);

        for (time_t at = 0; r == 0 && at < (time_t) (ZONE_END_USEC / USEC_PER_SEC); at += STEP_SEC) {
                time_t low = at;

                while (r == 0 && (found = offset_at(at + STEP_SEC)) != offset) {
                        low = find_change(low, at + STEP_SEC);
                        offset = offset_at(low);
                        r = zone_add_span(zone, low * USEC_PER_SEC, offset * USEC_PER_SEC);
                }
        }
        return r;
}

/* With TZ set to the zone's file, and put back as it was. */
static int zone_read(Zone *zone, const char *path) {
        _cleanup_free_ char *before = NULL;
        const char *tz = getenv("TZ");
        int r;

        if (tz) {
                before = strdup(tz);
                if (!before)
                        return -ENOMEM;
        }
        if (setenv("TZ", path, /* overwrite= */ 1) < 0)
                return -ENOMEM;
        tzset();
        r = zone_add_spans(zone);
        if (!before)
                unsetenv("TZ");
        else if (setenv("TZ", before, /* overwrite= */ 1) < 0)
                r = -ENOMEM;
        tzset();
        return r;
}

int zone_find(const char *name, const Zone **ret) {
        char path[sizeof ZONE_DIRECTORY + ZONE_NAME_MAX];
        _cleanup_zone_ Zone *zone = NULL;
        int r;

        if (strcmp(name, zone_utc.name) == 0) {
                *ret = &zone_utc;
                return 0;
        }
        if (!zone_name_valid(name))
                return -EINVAL;
        for (const Zone *known = zones_known; known; known = known->next)
                if (strcmp(known->name, name) == 0) {
                        *ret = known;
                        return 0;
                }

        snprintf(path, sizeof path, ZONE_DIRECTORY "%s", name);
        if (!zone_file_exists(path))
                return -ENOENT;
        zone = calloc(1, sizeof(Zone));
        if (!zone)
                return -ENOMEM;
        snprintf(zone->name, sizeof zone->name, "%s", name);
        r = zone_read(zone, path);
        if (r < 0)
                return r;
        zone->next = zones_known;
        *ret = zones_known = TAKE_PTR(zone);
        return 0;
}

const char *zone_name(const Zone *zone) {
        return zone ? zone->name : zone_utc.name;
}

/* Index of the span that holds at an instant. */
static size_t zone_span(const Zone *zone, int64_t at_usec) {
        size_t low = 0, high = zone->n;

        while (high - low > 1) {
                size_t middle = low + (high - low) / 2;

                if (zone->spans[middle].from_usec <= at_usec)
                        low = middle;
                else
                        high = middle;
        }
        return low;
}

static bool zone_is_utc(const Zone *zone) {
        return !zone || zone->n == 0;
}

CivilTime zone_to_civil(const Zone *zone, uint64_t usec) {
        int64_t offset = zone_is_utc(zone) ? 0 : zone->spans[zone_span(zone, (int64_t) usec)].offset_usec;

        return civil_from_usec((int64_t) usec + offset);
}

CivilTime zone_to_new_civil(const Zone *zone, uint64_t usec) {
        const ZoneSpan *span;
        int64_t shows;

        if (zone_is_utc(zone))
                return civil_from_usec((int64_t) usec);
        span = &zone->spans[zone_span(zone, (int64_t) usec)];
        shows = (int64_t) usec + span->offset_usec;
        return civil_from_usec(shows > span->shown_usec ? shows : span->shown_usec);
}

ZoneFit zone_from_civil(const Zone *zone, const CivilTime *civil, uint64_t *ret_usec) {
        int64_t shown = civil_to_usec(civil), at = shown;
        ZoneFit fit = ZONE_FIT_ONCE;

        if (!zone_is_utc(zone)) {
                /* A span that holds a day before is none too late, however the clock is set. */
                size_t i = zone_span(zone, shown - CIVIL_DAY_USEC);
                const ZoneSpan *span = &zone->spans[i], *last = &zone->spans[zone->n - 1];

                while (span < last && shown - span->offset_usec >= span[1].from_usec)
                        span++;
                at = shown - span->offset_usec;
                if (at < span->from_usec) {
                        at = span->from_usec;
                        fit = ZONE_FIT_GAP;
                } else if (span < last && shown - span[1].offset_usec >= span[1].from_usec)
                        fit = ZONE_FIT_FOLD;
        }
        *ret_usec = at > 0 ? (uint64_t) at : 0;
        return fit;
}
