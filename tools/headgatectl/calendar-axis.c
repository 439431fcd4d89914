/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which instants are named, and where. The way: every quarter of an hour is looked at in local time (the
 * clocks of no zone of today differ from UTC by a part of one); an hour, four of them, a day … begin where
 * that part of the local time is not what it was a quarter before. So what a change of the clocks takes away,
 * doubles or moves is named as it is.
 */

#include "calendar-axis.h"

#include "util/cleanup.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#define MINUTE 60000000ULL
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define QUARTER (15 * MINUTE)

typedef enum Level {
        LEVEL_QUARTER,
        LEVEL_HOUR,
        LEVEL_FOUR_HOURS,
        LEVEL_HALF_DAY,
        LEVEL_DAY,
        LEVEL_WEEK,
        LEVEL_MONTH,
        LEVEL_YEAR,
        LEVEL_MAX,
} Level;

static const struct {
        uint64_t usec; /* the shortest distance between two, but for changes of the clocks */
        size_t room;   /* the columns that a name takes in the lower line, with what must be free behind it */
        Level above;   /* what the upper line names */
} levels[LEVEL_MAX] = {
        [LEVEL_QUARTER] = { QUARTER, 6, LEVEL_DAY },
        [LEVEL_HOUR] = { HOUR, 6, LEVEL_DAY },
        [LEVEL_FOUR_HOURS] = { 4 * HOUR, 6, LEVEL_DAY },
        [LEVEL_HALF_DAY] = { 12 * HOUR, 6, LEVEL_DAY },
        [LEVEL_DAY] = { DAY, 3, LEVEL_MONTH },
        [LEVEL_WEEK] = { 7 * DAY, 3, LEVEL_MONTH },
        [LEVEL_MONTH] = { 28 * DAY, 4, LEVEL_YEAR },
};

static struct tm local(uint64_t usec) {
        time_t seconds = (time_t) (usec / 1000000);
        struct tm tm = {};

        (void) localtime_r(&seconds, &tm);
        return tm;
}

void calendar_axis_init(uint64_t from_usec, uint64_t until_usec, size_t n_max, CalendarAxis *ret) {
        static const uint64_t lengths[] = { MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, QUARTER, 20 * MINUTE,
                30 * MINUTE, 40 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR, 6 * HOUR, 8 * HOUR, 12 * HOUR,
                DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY };
        int64_t offset = (int64_t) local(from_usec).tm_gmtoff * 1000000;
        CalendarAxis axis = {};

        for (size_t i = 0; i == 0 || axis.n_cells > n_max; i++) {
                uint64_t cell = i < ELEMENTSOF(lengths) ? lengths[i] : axis.cell_usec * 2;
                /* Three days on, so that weeks begin on a Monday: the epoch was a Thursday. */
                uint64_t before = (from_usec + 3 * DAY + (uint64_t) offset) % cell;

                axis = (CalendarAxis){
                        .start_usec = before < from_usec ? from_usec - before : 0,
                        .cell_usec = cell,
                };
                axis.n_cells = (size_t) ((until_usec - axis.start_usec + cell - 1) / cell);
        }

        *ret = axis;
}

uint64_t calendar_axis_start(const CalendarAxis *axis, size_t cell) {
        return axis->start_usec + cell * axis->cell_usec;
}

size_t calendar_axis_find(const CalendarAxis *axis, uint64_t usec) {
        if (usec < axis->start_usec || usec >= calendar_axis_start(axis, axis->n_cells))
                return axis->n_cells;

        return (size_t) ((usec - axis->start_usec) / axis->cell_usec);
}

static bool begins(Level level, const struct tm *before, const struct tm *at) {
        bool day = at->tm_mday != before->tm_mday || at->tm_mon != before->tm_mon;

        switch (level) {
        case LEVEL_QUARTER:
                return true;
        case LEVEL_HOUR:
                return at->tm_hour != before->tm_hour || at->tm_gmtoff != before->tm_gmtoff;
        case LEVEL_FOUR_HOURS:
                return day || at->tm_hour / 4 != before->tm_hour / 4;
        case LEVEL_HALF_DAY:
                return day || at->tm_hour / 12 != before->tm_hour / 12;
        case LEVEL_DAY:
                return day;
        case LEVEL_WEEK:
                return day && at->tm_wday == 1;
        case LEVEL_MONTH:
                return at->tm_mon != before->tm_mon;
        default:
                return at->tm_year != before->tm_year;
        }
}

static size_t cells_between(const CalendarAxis *axis, Level level) {
        return (size_t) (levels[level].usec / axis->cell_usec);
}

static Level choose_level(const CalendarAxis *axis) {
        Level level = LEVEL_QUARTER;

        while (level < LEVEL_MONTH && cells_between(axis, level) < levels[level].room)
                level++;

        return level;
}

#define NAME_SIZE 32
#define DAY_ROOM 7 /* for "Tue 24" with a blank, where "24" alone would do */

/* A line of names, and up to where it is taken. */
typedef struct Names {
        char *text;
        size_t width, taken;
} Names;

/* In English, whatever the locale: so are all words here. */
static void format_name(Level above, bool upper, bool roomy, const struct tm *tm, char ret[NAME_SIZE]) {
        static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
        static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep",
                "Oct", "Nov", "Dec" };
        const char *month = months[tm->tm_mon];

        if (above == LEVEL_DAY && upper)
                snprintf(ret, NAME_SIZE, "%s %d %s", days[tm->tm_wday], tm->tm_mday, month);
        else if (above == LEVEL_DAY)
                snprintf(ret, NAME_SIZE, "%02d:%02d", tm->tm_hour, tm->tm_min);
        else if (above == LEVEL_MONTH && upper)
                snprintf(ret, NAME_SIZE, "%s %d", month, tm->tm_year + 1900);
        else if (above == LEVEL_MONTH && roomy)
                snprintf(ret, NAME_SIZE, "%s %d", days[tm->tm_wday], tm->tm_mday);
        else if (above == LEVEL_MONTH)
                snprintf(ret, NAME_SIZE, "%d", tm->tm_mday);
        else if (upper)
                snprintf(ret, NAME_SIZE, "%d", tm->tm_year + 1900);
        else
                snprintf(ret, NAME_SIZE, "%s", month);
}

/* Leaves out what has no room. */
static bool put_name(Names *names, size_t at, const char *name) {
        size_t n = strlen(name);

        if (at < names->taken || at + n > names->width)
                return false;

        memcpy(names->text + at, name, n);
        names->taken = at + n + 1;
        return true;
}

static void trim(char *text) {
        size_t n = strlen(text);

        while (n > 0 && text[n - 1] == ' ')
                text[--n] = '\0';
}

static void fill(const CalendarAxis *axis, Names *upper, Names *lower, char *ruler) {
        Level level = choose_level(axis), minor = level > 0 ? level - 1 : level, above = levels[level].above;
        uint64_t t = axis->start_usec + (QUARTER - axis->start_usec % QUARTER) % QUARTER;
        struct tm first = local(axis->start_usec), before = local(t - QUARTER), at;
        size_t cell, first_above = SIZE_MAX;
        bool roomy = cells_between(axis, level) >= DAY_ROOM, with_minor = cells_between(axis, minor) >= 2,
             major;
        char name[NAME_SIZE];

        for (; (cell = calendar_axis_find(axis, t)) < axis->n_cells; t += QUARTER, before = at) {
                at = local(t);
                if (begins(above, &before, &at)) {
                        if (first_above == SIZE_MAX)
                                first_above = cell;
                        format_name(above, /* upper= */ true, roomy, &at, name);
                        (void) put_name(upper, cell, name);
                }
                major = begins(level, &before, &at);
                format_name(above, /* upper= */ false, roomy, &at, name);
                if (major && put_name(lower, cell, name))
                        ruler[cell] = '|';
                else if (ruler[cell] == '-' && (major || (with_minor && begins(minor, &before, &at))))
                        ruler[cell] = '+';
        }

        /* What the first cell lies in, but not where the next begins too soon. */
        format_name(above, /* upper= */ true, roomy, &first, name);
        if (first_above > strlen(name)) {
                upper->taken = 0;
                (void) put_name(upper, 0, name);
        }
}

int calendar_scale_new(const CalendarAxis *axis, size_t width, CalendarScale *ret) {
        CalendarScale scale = { malloc(width + 1), malloc(width + 1), malloc(axis->n_cells + 1) };
        Names upper = { scale.upper, width, 0 }, lower = { scale.lower, width, 0 };

        if (!scale.upper || !scale.lower || !scale.ruler) {
                calendar_scale_deinit(&scale);
                return -ENOMEM;
        }

        memset(scale.upper, ' ', width);
        memset(scale.lower, ' ', width);
        memset(scale.ruler, '-', axis->n_cells);
        scale.upper[width] = scale.lower[width] = scale.ruler[axis->n_cells] = '\0';

        fill(axis, &upper, &lower, scale.ruler);
        trim(scale.upper);
        trim(scale.lower);
        *ret = scale;
        return 0;
}

void calendar_scale_deinit(CalendarScale *scale) {
        free(scale->upper);
        free(scale->lower);
        free(scale->ruler);
        *scale = (CalendarScale){};
}
