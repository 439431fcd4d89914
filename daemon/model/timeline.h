/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How much of one resource is reserved, over time: a step function, kept as its steps. Adding or removing a
 * window costs what lies within it; the most that is reserved within a window, and the first instant from
 * which a window would fit, are read off without looking at anything outside.
 */

#include "util/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct TimelineStep {
        uint64_t at_usec; /* µs UTC; the level holds from here to the next step */
        uint64_t level;
} TimelineStep;

typedef struct Timeline {
        TimelineStep *steps; /* owned, ascending; before the first the level is 0, and the last one's is 0 */
        size_t n, n_allocated;
        size_t n_windows; /* a step stands where a window, or a loan's, begins or ends: never more than twice
                             as many */
} Timeline;

#define TIMELINE_NULL \
        { NULL, 0, 0, 0 }

/* Makes room for so many more windows, so that adding them cannot fail. */
int timeline_reserve(Timeline *timeline, size_t n_more);
/* [start, end) at `amount` more. An end of UINT64_MAX is never reached. */
void timeline_add(Timeline *timeline, uint64_t start_usec, uint64_t end_usec, uint64_t amount);
/* Takes away what timeline_add() added with the same arguments; needs no room. */
void timeline_subtract(Timeline *timeline, uint64_t start_usec, uint64_t end_usec, uint64_t amount);

/*
 * A loan takes `amount` off the level, which is at least as much there, within [start, end), and is given
 * back with the same arguments. Lending needs room as adding does; giving back needs none.
 */
void timeline_lend(Timeline *timeline, uint64_t start_usec, uint64_t end_usec, uint64_t amount);
void timeline_give_back(Timeline *timeline, uint64_t start_usec, uint64_t end_usec, uint64_t amount);

uint64_t timeline_level(const Timeline *timeline, uint64_t at_usec);
/* The first step after `at`: until there the level is that at `at`. UINT64_MAX: for ever. */
uint64_t timeline_next_step(const Timeline *timeline, uint64_t at_usec);
/* The highest level within [start, end). */
uint64_t timeline_peak(const Timeline *timeline, uint64_t start_usec, uint64_t end_usec);
/*
 * The first stretch within [start, end) in which the level is over `room`: its instant, and the first after
 * it, not past `end`, at which it is not any more. False where there is none.
 */
bool timeline_find_over(const Timeline *timeline, uint64_t start_usec, uint64_t end_usec, uint64_t room,
                uint64_t *ret_start_usec, uint64_t *ret_end_usec);
/*
 * The first instant, not before `from`, from which the level stays at `room` or below for `duration`
 * (UINT64_MAX: for ever); UINT64_MAX where there is none.
 */
uint64_t timeline_earliest(
                const Timeline *timeline, uint64_t from_usec, uint64_t duration_usec, uint64_t room);

void timeline_deinit(Timeline *timeline);
