/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Lengths of time and amounts as people write them, to the integers of D-Bus: the reverse of units.h. */

#include <stdbool.h>
#include <stdint.h>

#define QUANTITY_DURATION_MAX_USEC (36500ULL * 86400 * 1000000)
/* What the sentence about a wrong one says after "expected". */
#define QUANTITY_DURATION_EXPECTED \
        "a time such as 90s, 30min, 2h, 1d or 1h30min, more than 0 and at most 36500d"

/*
 * "90s", "1.5h", "1d 12h", "90" (seconds). Parts of a µs are dropped. False, and *ret untouched, for what is
 * no time, for 0, and for more than QUANTITY_DURATION_MAX_USEC.
 */
bool quantity_parse_duration(const char *text, uint64_t *ret_usec);

/*
 * An amount of the named resource, in its unit; "max" is UINT64_MAX. cpu: "3.5", "3500m"; bytes: "8G",
 * "512MiB", by 1024; bit/s: "500M", "1.5Gbit", by 1000; all else, a resource of a later version too, is a
 * whole number. Parts of the unit are dropped. Where false, *ret is untouched and *ret_expected says what is
 * expected.
 */
bool quantity_parse_resource(const char *name, const char *text, uint64_t *ret, const char **ret_expected);
