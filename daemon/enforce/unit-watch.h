/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Says when systemd reloads its units, or was executed anew: what it then believes of our slices may be
 * others' settings. On the system bus, which sends us these few signals alone; that bus, and PID 1, may go
 * and come back. It looks at no unit.
 */

#include "util/cleanup.h"

#include <stdbool.h>

typedef struct UnitWatch UnitWatch;
typedef struct sd_event sd_event;

/* Called when a reload is over, or may have been missed. */
typedef void (*UnitWatchTell)(void *userdata);

/* `event` must live as long. Connects when it is first asked to go on. */
int unit_watch_new(sd_event *event, UnitWatchTell tell, void *userdata, UnitWatch **ret);
UnitWatch *unit_watch_free(UnitWatch *watch);
DEFINE_CLEANUP(UnitWatch *, unit_watch_free);

/* Connects again where the bus went. Cheap where it did not; negative while there is none. */
int unit_watch_keep(UnitWatch *watch);
/* Whether systemd reloads now: what is asked of it waits until it is through. */
bool unit_watch_reloading(const UnitWatch *watch);
