/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * When something recurs: a calendar event expression as systemd.time(7) has it, "Mon..Fri 09:00 UTC". It says
 * when a window opens, not how long it stays open, and knows no clock: it is asked what comes after an
 * instant.
 *
 * What is taken, what it means and how it is printed is as with systemd 252 and 257, which
 * tests/unit/check-recurrence asks, but for this:
 *
 *  - Without a zone it is UTC, not the host's local time. A zone is "UTC" or a name of the tz database, and
 *    no abbreviation such as "CEST" or file such as "localtime" or "right/UTC".
 *  - A range of weekdays may go over the end of the week: "Sat..Mon", printed as "Mon,Sat,Sun". systemd takes
 *    only the latter.
 *  - It is one set of instants, whoever asks and from when. What stands in a gap, where a clock is put
 *    forward, does not occur, as with systemd: "02:30 Europe/Berlin" has no elapse in that night. What stands
 *    in a fold, where it is set back, occurs once, when the clock shows it first. So with systemd, unless it
 *    is asked from within the fold, or mktime(3) guesses otherwise ("*-*~1 02:30"): then the second time.
 *  - Where systemd misses an elapse or gives up (check-recurrence says where), none is missed here.
 */

#include "failure.h"

#include <stdint.h>

/* Single values, ranges and repetitions in one expression, all its lists together. */
#define RECURRENCE_VALUES_MAX 240
#define RECURRENCE_LENGTH_MAX 1024

typedef struct Recurrence Recurrence;

/*
 * Returns 0, -ENOMEM, or FAILURE_INVALID_ALLOCATION with one sentence that begins with "Calendar '…'". Years
 * are 1970 to 2199, two digits are those of 1970 to 2069. That an expression is taken does not say that it
 * ever elapses ("*-02-30"). Its zone's clock is read from tzdata: see zone_find().
 */
int recurrence_parse(const char *expression, Recurrence **ret, Failure *ret_failure);
Recurrence *recurrence_free(Recurrence *recurrence);
DEFINE_CLEANUP(Recurrence *, recurrence_free);
#define _cleanup_recurrence_ _cleanup_(recurrence_free_p)

/* In the form that `systemd-analyze calendar` calls normalized: recurrence_parse() makes the same of it. 0 or
 * -ENOMEM. */
int recurrence_format(const Recurrence *recurrence, char **ret);

/* The first elapse (µs UTC) after an instant, never the instant itself. -ENOENT: none comes before 2200. */
int recurrence_next(const Recurrence *recurrence, uint64_t after_usec, uint64_t *ret_usec);
