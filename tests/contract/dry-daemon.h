/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * headgated itself ($HEADGATED), run dry in a directory of its own, and a connection to its peer socket. It
 * ends with the test, which is skipped without root: a peer is root.
 */

#include <stdint.h>
#include <systemd/sd-bus.h>

#define DRY_DAEMON_WAIT_USEC 30000000ULL

typedef struct DryDaemon {
        int notify_fd; /* where it says that it is ready, and then whatever else */
        sd_bus *bus;
        char *directory;
        pid_t pid;
} DryDaemon;

/* Once it is ready; asserts. It takes no sample within the hour. `bus`: the address of one, or NULL. */
void dry_daemon_start(DryDaemon *ret, const char *bus);
void dry_daemon_stop(DryDaemon *daemon);
