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
 * believed no more until he gets one. For jobs that do not end a minute is lost in one go at most, of however
 * many units they are.
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

typedef struct Pid1 {
        const char *address;
        uint64_t timeout_usec; /* of what has no other */
        sd_bus *bus;           /* the connection; NULL: there is none */
        unsigned jobs_in_vain; /* waited for since the last rest */
        bool in_vain;          /* the last wait was, and there was no answer since */
        uint64_t told_usec;    /* when it was last said that we live */
} Pid1;

#define PID1_AT(where) \
        { .address = (where), .timeout_usec = 30000000 }

/* Connects to PID 1 where nobody is, or where the connection was lost, as it is when PID 1 is executed anew;
 * else reads, and drops, what PID 1 has said to it in between. */
int pid1_connect(Pid1 *pid1);
/* Ends the connection, if there is one; what is asked from then on is asked in another go. */
void pid1_rest(Pid1 *pid1);
int pid1_new_call(Pid1 *pid1, const char *method, sd_bus_message **ret);
/* 0: as long as any call may take. */
int pid1_call(Pid1 *pid1, sd_bus_message *m, const char *unit, uint64_t timeout_usec, sd_bus_message **ret);
/* Makes the call, whose reply is a job, and waits until PID 1 is through with it. */
int pid1_call_job(Pid1 *pid1, sd_bus_message *m, const char *unit);
/* `mode`: "replace" what others have asked for of the unit and those that come and go with it, or "fail":
 * -EBUSY. */
int pid1_call_unit_job(Pid1 *pid1, const char *method, const char *unit, const char *mode);
/* The interface that a unit of this name has its group under. */
const char *pid1_unit_interface(const char *unit);
int pid1_get_string(Pid1 *pid1, const char *unit, const char *interface, const char *property, char **ret);
int pid1_get_list(Pid1 *pid1, const char *unit, const char *interface, const char *property, char ***ret);
int pid1_get_trivial(Pid1 *pid1, const char *unit, const char *property, char type, void *ret);
/* Where the unit's processes are. -ENOENT: nowhere, it is not running. */
int pid1_get_group(Pid1 *pid1, const char *unit, char **ret);
int pid1_open_properties(Pid1 *pid1, const char *unit, sd_bus_message **ret);
int pid1_send_properties(Pid1 *pid1, const char *unit, sd_bus_message *m);
