/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A sorted array of steps. Two allocations' windows share a step where they meet; a step that changes nothing
 * goes. */

#include "timeline.h"

#include <assert.h>
#include <string.h>

/* Index of the first step after `at`; the level at `at` is that of the one before. */
static size_t timeline_after(const Timeline *timeline, uint64_t at) {
        size_t low = 0, high = timeline->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (timeline->steps[middle].at_usec <= at)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

int timeline_reserve(Timeline *timeline, size_t n_more) {
        size_t wanted = 2 * (timeline->n_windows + n_more),
               grown = wanted > 2 * timeline->n_allocated ? wanted : 2 * timeline->n_allocated;
        TimelineStep *steps;

        if (wanted <= timeline->n_allocated)
                return 0;
        steps = reallocarray(timeline->steps, grown, sizeof(TimelineStep));
        if (!steps)
                return -ENOMEM;
        timeline->steps = steps;
        timeline->n_allocated = grown;
        return 0;
}

/* A step at exactly `at`, made with the level that holds there if there is none; its index. */
static size_t timeline_split(Timeline *timeline, uint64_t at) {
        size_t i = timeline_after(timeline, at);

        if (i > 0 && timeline->steps[i - 1].at_usec == at)
                return i - 1;
        assert(timeline->n < timeline->n_allocated);
        memmove(timeline->steps + i + 1, timeline->steps + i, (timeline->n - i) * sizeof(TimelineStep));
        timeline->steps[i] = (TimelineStep){ at, i > 0 ? timeline->steps[i - 1].level : 0 };
        timeline->n++;
        return i;
}

/* Takes the step away where it changes nothing. */
static void timeline_join(Timeline *timeline, uint64_t at) {
        size_t i = timeline_after(timeline, at);

        if (i == 0 || timeline->steps[i - 1].at_usec != at)
                return;
        i--;
        if (timeline->steps[i].level != (i > 0 ? timeline->steps[i - 1].level : 0))
                return;
        timeline->n--;
        memmove(timeline->steps + i, timeline->steps + i + 1, (timeline->n - i) * sizeof(TimelineStep));
}

/* By `delta`, in two's complement: a level never falls below 0. */
static void timeline_shift(Timeline *timeline, uint64_t start_usec, uint64_t end_usec, uint64_t delta) {
        size_t first = timeline_split(timeline, start_usec), end = timeline_split(timeline, end_usec);

        for (size_t i = first; i < end; i++) {
                timeline->steps[i].level += delta;
                assert((int64_t) timeline->steps[i].level >= 0);
        }
        timeline_join(timeline, start_usec);
        timeline_join(timeline, end_usec);
}

void timeline_add(Timeline *timeline, uint64_t start_usec, uint64_t end_usec, uint64_t amount) {
        if (amount == 0 || start_usec >= end_usec)
                return;
        timeline->n_windows++;
        timeline_shift(timeline, start_usec, end_usec, amount);
}

void timeline_subtract(Timeline *timeline, uint64_t start_usec, uint64_t end_usec, uint64_t amount) {
        if (amount == 0 || start_usec >= end_usec)
                return;
        timeline_shift(timeline, start_usec, end_usec, -amount);
        timeline->n_windows--;
}

void timeline_lend(Timeline *timeline, uint64_t start_usec, uint64_t end_usec, uint64_t amount) {
        if (amount == 0 || start_usec >= end_usec)
                return;
        timeline->n_windows++;
        timeline_shift(timeline, start_usec, end_usec, -amount);
}

void timeline_give_back(Timeline *timeline, uint64_t start_usec, uint64_t end_usec, uint64_t amount) {
        if (amount == 0 || start_usec >= end_usec)
                return;
        timeline_shift(timeline, start_usec, end_usec, amount);
        timeline->n_windows--;
}

uint64_t timeline_level(const Timeline *timeline, uint64_t at_usec) {
        size_t i = timeline_after(timeline, at_usec);

        return i > 0 ? timeline->steps[i - 1].level : 0;
}

uint64_t timeline_next_step(const Timeline *timeline, uint64_t at_usec) {
        size_t i = timeline_after(timeline, at_usec);

        return i < timeline->n ? timeline->steps[i].at_usec : UINT64_MAX;
}

uint64_t timeline_peak(const Timeline *timeline, uint64_t start_usec, uint64_t end_usec) {
        size_t i = timeline_after(timeline, start_usec);
        uint64_t peak = i > 0 ? timeline->steps[i - 1].level : 0;

        for (; i < timeline->n && timeline->steps[i].at_usec < end_usec; i++)
                if (timeline->steps[i].level > peak)
                        peak = timeline->steps[i].level;
        return peak;
}

bool timeline_find_over(const Timeline *timeline, uint64_t start_usec, uint64_t end_usec, uint64_t room,
                uint64_t *ret_start_usec, uint64_t *ret_end_usec) {
        size_t i = timeline_after(timeline, start_usec);
        uint64_t from = start_usec;

        if (start_usec >= end_usec)
                return false;
        if ((i > 0 ? timeline->steps[i - 1].level : 0) <= room) {
                while (i < timeline->n && timeline->steps[i].at_usec < end_usec &&
                                timeline->steps[i].level <= room)
                        i++;
                if (i == timeline->n || timeline->steps[i].at_usec >= end_usec)
                        return false;
                from = timeline->steps[i++].at_usec;
        }
        while (i < timeline->n && timeline->steps[i].at_usec < end_usec && timeline->steps[i].level > room)
                i++;
        *ret_start_usec = from;
        *ret_end_usec = i < timeline->n && timeline->steps[i].at_usec < end_usec ? timeline->steps[i].at_usec
                                                                                 : end_usec;
        return true;
}

uint64_t timeline_earliest(
                const Timeline *timeline, uint64_t from_usec, uint64_t duration_usec, uint64_t room) {
        size_t i = timeline_after(timeline, from_usec);
        uint64_t start = from_usec;
        bool free_now = (i > 0 ? timeline->steps[i - 1].level : 0) <= room;

        for (; i < timeline->n; i++) {
                const TimelineStep *step = &timeline->steps[i];

                if (free_now && duration_usec != UINT64_MAX && step->at_usec - start >= duration_usec)
                        return start;
                if (step->level > room)
                        free_now = false;
                else if (!free_now) {
                        free_now = true;
                        start = step->at_usec;
                }
        }
        return free_now && start != UINT64_MAX ? start : UINT64_MAX;
}

void timeline_deinit(Timeline *timeline) {
        free(timeline->steps);
        *timeline = (Timeline) TIMELINE_NULL;
}
