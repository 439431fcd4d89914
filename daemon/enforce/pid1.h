/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Calls to systemd's manager, PID 1, and waiting for what it was asked for; of units, it knows their names
 * and no more.
 *
 * PID 1 is spoken to on its private socket: faster by a fifth, and there when no bus daemon is. A connection
 * is kept for what is asked in one go, and no longer: PID 1 sends every signal to all who are connected
 * there, and who does not read them makes it queue them.
 *
 * Whoever asks waits, and the loop with him: 30 s a call at most, for a Reload 90 s, whatever else PID 1 says
 * meanwhile, and the watchdog is told that this is no hang. Who did not get an answer in that time is
 * believed no more until he gets one.
 *
 * 0 or a negative errno: -ETIMEDOUT no answer in time, -ENOENT no such unit, -EEXIST there is one, -ESRCH no
 * such process. `unit` of a call is for the journal, which has what PID 1 said.
 */

#include "util/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

DEFINE_CLEANUP(sd_bus *, sd_bus_close_unref);
#define _cleanup_bus_ _cleanup_(sd_bus_close_unref_p)
#define _cleanup_message_ _cleanup_(sd_bus_message_unrefp)
#define _cleanup_error_ _cleanup_(sd_bus_error_free)

#define PID1_SERVICE "org.freedesktop.systemd1"
#define PID1_ADDRESS "unix:path=/run/systemd/private"

/* Connects to PID 1, which is at that address, where *bus is NULL, or was lost, as it is when PID 1 is
 * executed anew; else reads, and drops, what PID 1 has said to it in between. sd_bus_close_unref() ends it.
 */
int pid1_connect(sd_bus **bus, const char *address);
int pid1_new_call(sd_bus *bus, const char *method, sd_bus_message **ret);
/* 0: as long as any call of this connection may take. */
int pid1_call(sd_bus *bus, sd_bus_message *m, const char *unit, uint64_t timeout_usec, sd_bus_message **ret);
/* Makes the call, whose reply is a job, and waits until PID 1 is through with it. */
int pid1_call_job(sd_bus *bus, sd_bus_message *m, const char *unit);
/* `mode`: "replace" what others have asked for of the unit and those that come and go with it, or "fail":
 * -EBUSY. */
int pid1_call_unit_job(sd_bus *bus, const char *method, const char *unit, const char *mode);
/* The interface that a unit of this name has its group under. */
const char *pid1_unit_interface(const char *unit);
int pid1_get_string(sd_bus *bus, const char *unit, const char *interface, const char *property, char **ret);
int pid1_get_list(sd_bus *bus, const char *unit, const char *interface, const char *property, char ***ret);
int pid1_get_trivial(sd_bus *bus, const char *unit, const char *property, char type, void *ret);
/* Where the unit's processes are. -ENOENT: nowhere, it is not running. */
int pid1_get_group(sd_bus *bus, const char *unit, char **ret);
int pid1_open_properties(sd_bus *bus, const char *unit, sd_bus_message **ret);
int pid1_send_properties(sd_bus *bus, const char *unit, sd_bus_message *m);
