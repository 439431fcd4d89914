/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Says when one of some directories may have come, by inotify on all above them that are there. It looks at
 * nothing in them, and says nothing of those that go: one that is made anew has come.
 */

#include "util/cleanup.h"

typedef struct ArrivalWatch ArrivalWatch;

/* `paths` below `root`, which is there; both as long as the watch. */
int arrival_watch_new(const char *root, char *const *paths, ArrivalWatch **ret);
ArrivalWatch *arrival_watch_free(ArrivalWatch *watch);
DEFINE_CLEANUP(ArrivalWatch *, arrival_watch_free);

/* Readable when there is something to read. */
int arrival_watch_fd(const ArrivalWatch *watch);
/* All that there is: 1 where one of them may have come, else 0. */
int arrival_watch_read(ArrivalWatch *watch);
