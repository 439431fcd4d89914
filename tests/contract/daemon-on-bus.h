/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* headgated, run dry, on a bus of the test's own, in a directory that mkdtemp() makes of `directory`. The
 * test is skipped without root, and where there is no dbus-daemon. */

#include "contract/dry-daemon.h"

void daemon_on_bus_start(DryDaemon *ret, char *directory);
/* And what is left of the directory. */
void daemon_on_bus_stop(DryDaemon *daemon, const char *directory);
