/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* headgated, run dry, whose bus goes and comes again: it is there again long before its next sample, which is
 * an hour away. */

#include "contract/daemon-on-bus.h"
#include "contract/own-bus.h"

#include "util/cleanup.h"

#include <criterion/criterion.h>

#define NAME "org.headgate.Node1"

static char directory[] = "/tmp/headgate-rejoin-XXXXXX";
static DryDaemon daemon_of_test;

static void set_up(void) {
        daemon_on_bus_start(&daemon_of_test, directory);
}

static void tear_down(void) {
        daemon_on_bus_stop(&daemon_of_test, directory);
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
