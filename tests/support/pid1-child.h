/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A PID 1 for tests: a child of the test that serves one connection after the other at a socket, and says
 * what the test's handler, which runs in it, has it say. What fails there ends it, and with it the test.
 */

#include <systemd/sd-bus.h>

#define PID1_CHILD_MANAGER "org.freedesktop.systemd1.Manager"
#define PID1_CHILD_PATH "/org/freedesktop/systemd1"
#define PID1_CHILD_JOB PID1_CHILD_PATH "/job/7"

/* It listens at `path` when this returns, and ends with the test; asserts. */
void pid1_child_start(const char *path, sd_bus_message_handler_t answer, void *userdata);

/* In the child: */
void pid1_child_check(int r);
/* PID 1 is through with that job; `result` in systemd's words. */
void pid1_child_tell_removed(sd_bus *bus, const char *job, const char *result);
/* The unit that a message is sent to, by its path; the caller frees. */
char *pid1_child_unit(sd_bus_message *m);
