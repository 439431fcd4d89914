/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is sent to PID 1, and what its answers mean: PID 1 is a child, at the other end of a pair of sockets.
 */

#include "enforce/pid1.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define WAIT_USEC 30000000ULL

/* The answer to SetUnitProperties waits for the Ping behind it, as the files do: who would wait for it before
 * sending that waits forever. */
static int answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        sd_bus_message **held = userdata;
        const char *unit;
        int r;

        if (sd_bus_message_is_method_call(m, PID1_SERVICE ".Manager", "SetUnitProperties") > 0) {
                *held = sd_bus_message_ref(m);
                return 1;
        }
        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Peer", "Ping") <= 0 || !*held)
                _exit(1);
        if (sd_bus_message_read(*held, "s", &unit) < 0 || strcmp(unit, "lost.slice") == 0)
                _exit(0);
        r = strcmp(unit, "gone.slice") == 0
                            ? sd_bus_reply_method_errorf(*held, PID1_SERVICE ".NoSuchUnit", "no %s", unit)
            : strcmp(unit, "wrong.slice") == 0
                            ? sd_bus_reply_method_errorf(*held, SD_BUS_ERROR_INVALID_ARGS, "not for %s", unit)
                            : sd_bus_reply_method_return(*held, NULL);
        *held = sd_bus_message_unref(*held);
        return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

static void be_pid1(int fd) {
        sd_bus_message *held = NULL;
        sd_id128_t id = {};
        sd_bus *bus;
        int r;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_fd(bus, fd, fd);
        if (r >= 0)
                r = sd_bus_set_server(bus, true, id);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r >= 0)
                r = sd_bus_add_filter(bus, NULL, answer, &held);
        while (r >= 0) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, WAIT_USEC);
        }
        _exit(0);
}

static sd_bus *connect_to_child(void) {
        int fds[2];
        sd_bus *bus;
        pid_t child;

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        child = fork();
        cr_assert_geq(child, 0);
        if (child == 0) {
                close(fds[0]);
                be_pid1(fds[1]);
        }
        close(fds[1]);
        cr_assert_geq(sd_bus_new(&bus), 0);
        cr_assert_geq(sd_bus_set_fd(bus, fds[0], fds[0]), 0);
        cr_assert_geq(sd_bus_set_method_call_timeout(bus, WAIT_USEC), 0);
        cr_assert_geq(sd_bus_start(bus), 0);
        return bus;
}

static int set_weight(sd_bus *bus, const char *unit) {
        _cleanup_message_ sd_bus_message *m = NULL;

        cr_assert_geq(pid1_open_properties(bus, unit, &m), 0);
        cr_assert_geq(sd_bus_message_append(m, "(sv)", "CPUWeight", "t", (uint64_t) 100), 0);
        return pid1_send_properties(bus, unit, m);
}

TestSuite(pid1, .timeout = 60);

Test(pid1, properties_are_set_and_written) {
        static const struct {
                const char *unit;
                int expected;
        } cases[] = {
                { "there.slice", 0 }, { "gone.slice", -ENOENT }, { "wrong.slice", -EINVAL },
                { "there.slice", 0 }, /* by the same connection, after that */
        };
        _cleanup_bus_ sd_bus *bus = connect_to_child();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int r = set_weight(bus, cases[i].unit);

                cr_expect_eq(r, cases[i].expected, "%s: %s", cases[i].unit, strerror(-r));
        }
}

/* Executed anew, PID 1 closes what it had. */
Test(pid1, a_connection_that_is_lost) {
        _cleanup_bus_ sd_bus *bus = connect_to_child();

        cr_expect_lt(set_weight(bus, "lost.slice"), 0);
        cr_expect_eq(sd_bus_is_open(bus), 0);
}
