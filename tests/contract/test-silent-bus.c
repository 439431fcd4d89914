/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* headgated, run dry, on a bus that takes its connection and never answers: peers are served all the same,
 * from the first moment on, and it does not wait for long to be ready. Where the bus cuts it off it tries
 * again, and does not keep busy a bus that does so each time. */

#include "contract/dry-daemon.h"
#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define CALL_USEC_MAX 2000000 /* far below the 5 s that it gives a bus */
#define CUTS 7
#define CUTS_USEC_MIN ((50 + 100 + 200 + 400 + 800) * 1000) /* after two, of which one was at once */

static DryDaemon daemon_of_test;
static int silent_fd;

static void set_up(void) {
        struct sockaddr_un name = { .sun_family = AF_UNIX };
        socklen_t length = sizeof(name);
        char address[64];

        silent_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cr_assert_geq(silent_fd, 0);
        cr_assert_eq(bind(silent_fd, (struct sockaddr *) &name, sizeof(sa_family_t)),
                        0); /* unix(7): any name */
        cr_assert_eq(listen(silent_fd, 16), 0);
        cr_assert_eq(getsockname(silent_fd, (struct sockaddr *) &name, &length), 0);
        snprintf(address, sizeof(address), "unix:abstract=%s", name.sun_path + 1);
        dry_daemon_start(&daemon_of_test, address);
}

static void tear_down(void) {
        dry_daemon_stop(&daemon_of_test);
        close(silent_fd);
}

static void ping(void) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        cr_assert_geq(sd_bus_set_method_call_timeout(daemon_of_test.bus, CALL_USEC_MAX), 0);
        cr_assert_geq(sd_bus_call_method(daemon_of_test.bus, "org.headgate.Node1", "/org/headgate/Node1",
                                      "org.freedesktop.DBus.Peer", "Ping", &error, NULL, NULL),
                        0, "%s", error.message);
}

TestSuite(silent_bus, .init = set_up, .fini = tear_down, .timeout = 120);

Test(silent_bus, keeps_nobody_waiting) {
        _cleanup_close_ int connected = accept4(silent_fd, NULL, NULL, SOCK_CLOEXEC);

        cr_assert_geq(connected, 0, "it did not connect");
        ping();
        close(connected); /* and now it is away */
        connected = -EBADF;
        ping();
}

/* Of CLOCK_MONOTONIC, when it has connected. */
static uint64_t await_connection(int *ret_fd) {
        struct timespec now;

        cr_assert_eq(poll(&(struct pollfd){ silent_fd, POLLIN, 0 }, 1, DRY_DAEMON_WAIT_USEC / 1000), 1,
                        "it did not connect");
        *ret_fd = accept4(silent_fd, NULL, NULL, SOCK_CLOEXEC);
        cr_assert_geq(*ret_fd, 0);
        cr_assert_eq(clock_gettime(CLOCK_MONOTONIC, &now), 0);
        return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

Test(silent_bus, is_tried_again_later_and_later) {
        uint64_t first_usec = 0, last_usec = 0;

        for (int i = 0; i < CUTS; i++) {
                int fd;

                last_usec = await_connection(&fd);
                if (i == 1)
                        first_usec = last_usec;
                close(fd);
        }
        cr_expect_geq(last_usec - first_usec, CUTS_USEC_MIN);
}
