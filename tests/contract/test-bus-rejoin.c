/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* headgated, run dry, whose bus goes and comes again: it is there again long before its next sample, which is
 * an hour away. */

#include "contract/dry-daemon.h"
#include "contract/own-bus.h"

#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

#define NAME "org.headgate.Node1"

static char directory[] = "/tmp/headgate-rejoin-XXXXXX";
static DryDaemon daemon_of_test;

static void set_up(void) {
        _cleanup_free_ char *bus = NULL;

        if (geteuid() != 0)
                cr_skip_test("skipped: a peer is root");
        if (system("command -v dbus-daemon >/dev/null") != 0)
                cr_skip_test("skipped: no dbus-daemon here (Debian: dbus-daemon)");
        cr_assert_not_null(mkdtemp(directory));
        own_bus_start(directory);
        cr_assert_gt(asprintf(&bus, "unix:path=%s/bus", directory), 0);
        dry_daemon_start(&daemon_of_test, bus);
}

static void tear_down(void) {
        _cleanup_free_ char *remove = NULL;

        dry_daemon_stop(&daemon_of_test);
        own_bus_stop();
        if (asprintf(&remove, "rm -rf %s", directory) > 0)
                cr_assert_eq(system(remove), 0);
}

static bool has_owner(sd_bus *bus) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int owned = 0;

        cr_assert_geq(sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                      "org.freedesktop.DBus", "NameHasOwner", NULL, &reply, "s", NAME),
                        0);
        cr_assert_geq(sd_bus_message_read(reply, "b", &owned), 0);
        return owned;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        *(bool *) userdata = true;
        return 0;
}

/* Asked for once it is listened for, so that it is not missed between the two. */
static void await_name(sd_bus *bus) {
        bool came = false;

        cr_assert_geq(sd_bus_add_match(bus, NULL,
                                      "type='signal',sender='org.freedesktop.DBus',"
                                      "member='NameOwnerChanged',arg0='" NAME "'",
                                      on_owner, &came),
                        0);
        came = came || has_owner(bus);
        while (!came) {
                int r = sd_bus_process(bus, NULL);

                cr_assert_geq(r, 0);
                if (r == 0)
                        cr_assert_gt(sd_bus_wait(bus, DRY_DAEMON_WAIT_USEC), 0, "it did not come back");
        }
}

TestSuite(bus_rejoin, .init = set_up, .fini = tear_down, .timeout = 120);

Test(bus_rejoin, is_on_the_bus_again_that_came_again) {
        for (int i = 0; i < 3; i++) {
                sd_bus *bus;

                own_bus_stop();
                own_bus_start(directory);
                bus = own_bus_open(directory, 0);
                await_name(bus);
                sd_bus_close_unref(bus);
        }
}
