/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon-on-bus.h"

#include "contract/own-bus.h"
#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void daemon_on_bus_start(DryDaemon *ret, char *directory) {
        _cleanup_free_ char *bus = NULL;

        if (geteuid() != 0)
                cr_skip_test("skipped: a peer is root, who alone can be somebody else");
        if (system("command -v dbus-daemon >/dev/null") != 0)
                cr_skip_test("skipped: no dbus-daemon here (Debian: dbus-daemon)");
        cr_assert_not_null(mkdtemp(directory));
        cr_assert_eq(chmod(directory, 0755), 0); /* the bus is for other users, too */
        own_bus_start(directory);
        cr_assert_gt(asprintf(&bus, "unix:path=%s/bus", directory), 0);
        dry_daemon_start(ret, bus);
}

void daemon_on_bus_stop(DryDaemon *daemon, const char *directory) {
        _cleanup_free_ char *remove = NULL;

        dry_daemon_stop(daemon);
        own_bus_stop();
        cr_assert_gt(asprintf(&remove, "rm -rf %s", directory), 0);
        cr_assert_eq(system(remove), 0);
}
