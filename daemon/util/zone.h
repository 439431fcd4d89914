/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the clocks of named zones (the tz database's: "Europe/Berlin") show, and when. A NULL zone is UTC, and
 * never the host's own zone: a node's bills are in UTC, and an expression must mean the same on every node.
 */

#include "civil.h"

#include <stdbool.h>
#include <stdint.h>

#define ZONE_NAME_MAX 63
/* A clock's changes are known until here, which is past the end of 2199 on every clock; its last offset
 * stays. */
#define ZONE_END_USEC (7258291200ULL * 1000000)

typedef struct Zone Zone;

/*
 * [A-Z] and then [A-Za-z0-9_+-/], as every name of the tz database; no "/" at its end and no two together. So
 * it has no "..", and is none of the files beside the zones: "localtime" (the host's), "posixrules", "right/"
 * (whose clocks show leap seconds).
 */
bool zone_name_valid(const char *name);

/*
 * The zone of that name. It is read when it is first asked for (tens of ms) and kept for the life of the
 * process, so that what was admitted stays as it was admitted; an upgrade of tzdata counts from the next
 * start. The environment's TZ has another value meanwhile: where there are threads it must be set. Returns 0,
 * -EINVAL (no zone's name), -ENOENT (no such zone on this node: tzdata) or -ENOMEM. *ret belongs to this
 * module; for "UTC" it is a zone of that name.
 */
int zone_find(const char *name, const Zone **ret);
const char *zone_name(const Zone *zone);

/* What the clock shows at an instant (µs UTC). */
CivilTime zone_to_civil(const Zone *zone, uint64_t usec);
/* The first time that the clock shows for the first time at this instant or later: what it shows, unless it
 * was set back and shows again what it has shown before; then the time at which that is over. */
CivilTime zone_to_new_civil(const Zone *zone, uint64_t usec);

typedef enum ZoneFit {
        ZONE_FIT_ONCE, /* the clock shows this time once */
        ZONE_FIT_GAP,  /* never: it is put forward over it */
        ZONE_FIT_FOLD, /* twice: it is set back over it */
} ZoneFit;

/* The instant (µs UTC) at which the clock shows this time; of a fold the first one; of a gap the one at which
 * the clock is put forward. Instants before 1970-01-01 00:00 UTC come out as that. */
ZoneFit zone_from_civil(const Zone *zone, const CivilTime *civil, uint64_t *ret_usec);
