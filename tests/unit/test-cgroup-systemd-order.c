/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which services can be started after us at a boot, by what PID 1, who is a child of the test, says of units.
 */

#include "enforce/cgroup-systemd.h"
#include "support/pid1-child.h"

#include <criterion/criterion.h>
#include <string.h>

/* Before which others they are, and by which socket they are started. */
static const struct {
        const char *unit;
        const char *before[3];
        const char *triggered_by;
} units[] = {
        { "app.service", { "multi-user.target", "shutdown.target" }, NULL },
        { "socketed.service", { "shutdown.target" }, "app.socket" },
        { "after.service", { "shutdown.target" }, NULL },
        { "headgated.service", { "after.service", "multi-user.target", "shutdown.target" }, NULL },
        { "next.service", { "headgated.service" }, NULL },
        { "early.service", { "shutdown.target", "between.service" }, NULL },
        { "between.service", { "early.target" }, NULL },
        { "early.target", { "app.service", "headgated.service" }, NULL },
        { "round.service", { "about.service" }, NULL },
        { "about.service", { "round.service" }, NULL },
        { "dbus.service", { "shutdown.target" }, "dbus.socket" },
};

static int append_units(sd_bus_message *reply, const char *const *names, size_t n) {
        int r = sd_bus_message_open_container(reply, 'v', "as");

        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "s");
        for (size_t i = 0; r >= 0 && i < n && names[i]; i++)
                r = sd_bus_message_append(reply, "s", names[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_free_ char *unit = pid1_child_unit(m);
        _cleanup_message_ sd_bus_message *reply = NULL;
        const char *interface, *property;
        const char *const *names = NULL;
        size_t n = 0;

        pid1_child_check(sd_bus_message_read(m, "ss", &interface, &property));
        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (strcmp(units[i].unit, unit) == 0) {
                        bool before = strcmp(property, "Before") == 0;

                        names = before ? units[i].before : &units[i].triggered_by;
                        n = before ? ELEMENTSOF(units[i].before) : 1;
                }
        pid1_child_check(sd_bus_message_new_method_return(m, &reply));
        pid1_child_check(append_units(reply, names, n));
        return sd_bus_send(NULL, reply, NULL);
}

Test(cgroup_systemd_order, none_that_we_wait_for, .timeout = 60) {
        static const struct {
                const char *unit;
                int expected;
        } cases[] = {
                { "app.service", 1 },
                { "socketed.service", 1 },
                { "after.service", 1 },
                { "round.service", 1 }, /* theirs to break */
                { "next.service", 0 },
                { "early.service", 0 },
                { "between.service", 0 },
                { "headgated.service", 0 },
                { "dbus.service", 0 },
                { "app.socket", 0 },
                { "srv.mount", 0 },
                { ".service", 0 },
        };
        char directory[] = "/tmp/headgate-test-order.XXXXXX", address[64];
        Pid1 pid1;

        cr_assert_not_null(mkdtemp(directory));
        snprintf(address, sizeof(address), "unix:path=%s/private", directory);
        pid1_child_start(strchr(address, '/'), answer, NULL);
        pid1 = (Pid1) PID1_AT(address);
        cr_assert_eq(pid1_connect(&pid1), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int r = systemd_may_order(&pid1, cases[i].unit);

                cr_expect_eq(r, cases[i].expected, "%s: %d", cases[i].unit, r);
        }
        pid1_rest(&pid1);
        cr_expect_eq(unlink(strchr(address, '/')), 0);
        cr_expect_eq(rmdir(directory), 0);
}
