/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Points in time as people write them. */

#include <stdbool.h>
#include <stdint.h>

/* What the sentence about a wrong one says after "expected". */
#define INSTANT_EXPECTED \
        "a time such as 2026-11-22T10:00:00Z, '2026-11-22 10:00', now, +2h or -30min, or µs UTC"

/*
 * RFC 3339 (with its offset); "YYYY-MM-DD", "YYYY-MM-DD HH:MM" and "YYYY-MM-DD HH:MM:SS" in local time, also
 * with a T between; "now"; "+" or "-" and a length of time, from `now`; a whole number, µs UTC. Years are
 * from 1970 to 9999. A local time that the clocks leave out is the one that they show instead.
 */
bool instant_parse(const char *text, uint64_t now_usec, uint64_t *ret_usec);
