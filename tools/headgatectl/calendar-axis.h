/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Time across a terminal: cells of one length, and what stands above them. Cells are uniform in real time, so
 * an hour that the clocks repeat or leave out is neither wider nor narrower than any other; the names above
 * are local time (localtime(3)), each at the cell in which its instant lies.
 */

#include <stddef.h>
#include <stdint.h>

typedef struct CalendarAxis {
        uint64_t start_usec; /* µs UTC; of the first cell */
        uint64_t cell_usec;  /* a round length, in local time at a multiple of it */
        size_t n_cells;
} CalendarAxis;

/*
 * The smallest round cell, a minute at least, with which [from, until) takes `n_max` cells or fewer. The
 * first cell may begin before `from` and the last may end after `until`.
 */
void calendar_axis_init(uint64_t from_usec, uint64_t until_usec, size_t n_max, CalendarAxis *ret);

/* Of the first cell is 0, of one behind the last the end. */
uint64_t calendar_axis_start(const CalendarAxis *axis, size_t cell);
/* The cell in which the instant lies; n_cells where it is in none. */
size_t calendar_axis_find(const CalendarAxis *axis, uint64_t usec);

/* The three lines above the cells, ASCII, to be freed. */
typedef struct CalendarScale {
        char *upper; /* "Tue 24 Nov", where a day begins; above days the month, above months the year */
        char *lower; /* "16:00", or the day ("Tue 24" where it has room), or the month */
        char *ruler; /* n_cells long: '|' below a name, '+' at a smaller division, else '-' */
} CalendarScale;

/* Ticks are at 15 minutes, 1, 4 or 12 hours, days, weeks or months, the closest that leave room for their
 * names. No line of names is longer than `width`. */
int calendar_scale_new(const CalendarAxis *axis, size_t width, CalendarScale *ret);
void calendar_scale_deinit(CalendarScale *scale);
