/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Says that something went from a directory of pins, by us or by another. It looks at no pin. */

#include "util/cleanup.h"

#include <stdbool.h>

typedef struct PinWatch PinWatch;

int pin_watch_new(PinWatch **ret);
PinWatch *pin_watch_free(PinWatch *watch);
DEFINE_CLEANUP(PinWatch *, pin_watch_free);

int pin_watch_fd(const PinWatch *watch); /* readable with news; the watch's own */
/* The directory that has this name now is watched; cheap where it is. */
int pin_watch_follow(PinWatch *watch, const char *dir);
/* Reads all of the news. */
int pin_watch_read(PinWatch *watch);
