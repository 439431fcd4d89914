/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Drop-ins by which a unit belongs to a tenant's slice. Slice= is no property that PID 1 would write for us
 * (SetUnitProperties knows it for transient units alone), so the file is ours.
 */

#include "util/cleanup.h"

#include <stdbool.h>

#define DROPIN_TEXT_SIZE 1024 /* two names of units, at most 255 characters each, and what is around them */

/* The unit file section that Slice= stands in for this kind of unit; NULL where it cannot be tied: scopes,
 * slices. */
const char *dropin_section(const char *unit);
/*
 * What is written; NULL without memory. `ordered`: at a boot the unit is started after us, in whose slice no
 * limit is in force before. It does not wait for us where we are not started, or fail.
 */
char *dropin_format(const char *unit, const char *slice, bool ordered);

/* What a unit's drop-in was before it was written. */
typedef struct DropinFormer {
        const char *directory;
        char text[DROPIN_TEXT_SIZE]; /* "": there was none */
} DropinFormer;

/*
 * Both take effect at the next daemon-reload. Written to /etc/systemd/system, so that a unit is in its tenant
 * from the next boot on, too; to /run/systemd/system where that cannot be written. -EINVAL: no name of
 * such a unit.
 */
int dropin_write(const char *unit, const char *slice, bool ordered, DropinFormer *ret_former);
int dropin_put_back(const char *unit, const DropinFormer *former);
/* Services that are tied and not ordered; the caller frees. */
int dropin_list_unordered(char ***ret_units);
/* Writes the unit's anew, ordered, where it is. */
int dropin_order(const char *unit);
/* Removes those of every unit that is tied to this slice; *ret_removed: there was one. */
int dropin_remove_all(const char *slice, bool *ret_removed);
