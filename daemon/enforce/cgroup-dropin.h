/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Drop-ins by which a unit belongs to a tenant's slice. Slice= is no property that PID 1 would write for us
 * (SetUnitProperties knows it for transient units alone), so the file is ours.
 */

#include "util/cleanup.h"

#include <stdbool.h>

/* The unit file section that Slice= stands in for this kind of unit; NULL where it cannot be tied: scopes,
 * slices. */
const char *dropin_section(const char *unit);
/* What is written; NULL without memory. */
char *dropin_format(const char *unit, const char *slice);

/*
 * Both take effect at the next daemon-reload. Written to /etc/systemd/system, so that a unit started at boot
 * is in its tenant before we are; to /run/systemd/system where that cannot be written. -EINVAL: no name of
 * such a unit.
 */
int dropin_write(const char *unit, const char *slice);
int dropin_remove(const char *unit);
/* Removes those of every unit that is tied to this slice; *ret_removed: there was one. */
int dropin_remove_all(const char *slice, bool *ret_removed);
