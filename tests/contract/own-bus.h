/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A bus daemon of a test's own, on which everybody may own every name and call everybody. One a process. */

#include <sys/types.h>
#include <systemd/sd-bus.h>

/* Starts it, to listen at DIR/bus; returns when it does. It ends with the test, or by own_bus_stop(). */
void own_bus_start(const char *dir);
void own_bus_stop(void);
void own_bus_signal(int number);

/* A connection to it, known to the bus as this user's: one's own, or, for root, anybody's. The caller owns
 * it. */
sd_bus *own_bus_open(const char *dir, uid_t uid);
