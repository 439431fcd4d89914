/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Tells systemd's watchdog that this process lives, as sd_notify(3) would, and other than that never waits: a
 * PID 1 that does not read, while it loads its units anew, may have its socket full.
 *
 * 0: told, or nobody asks ($NOTIFY_SOCKET); -EAGAIN: it is full, which is to be tried again.
 */
int watchdog_feed(void);

/* Before it nothing is told: PID 1 has the watchdog run from the first time on, of a service that still
 * starts, too, whose programs may take longer to load than it may be silent. */
void watchdog_begin(void);
