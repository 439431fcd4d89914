/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The loop of headgated, run dry, feeds the watchdog, and stands not still where PID 1, who is the test, does
 * not read. */

#include "contract/dry-daemon.h"
#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define FEEDINGS 3
#define WATCHDOG_USEC 400000 /* it feeds four times as often */

#define STRING_(x) #x
#define STRING(x) STRING_(x)

static DryDaemon daemon_of_test;

static void set_up(void) {
        cr_assert_eq(setenv("WATCHDOG_USEC", STRING(WATCHDOG_USEC), 1), 0);
        cr_assert_eq(unsetenv("WATCHDOG_PID"), 0);
        dry_daemon_start(&daemon_of_test, /* bus= */ NULL);
}

static void tear_down(void) {
        dry_daemon_stop(&daemon_of_test);
}

static void read_feeding(void) {
        char text[64] = "";

        cr_assert_eq(poll(&(struct pollfd){ daemon_of_test.notify_fd, POLLIN, 0 }, 1,
                                     DRY_DAEMON_WAIT_USEC / 1000),
                        1, "it is silent");
        cr_assert_gt(recv(daemon_of_test.notify_fd, text, sizeof(text) - 1, 0), 0);
        cr_assert_str_eq(text, "WATCHDOG=1");
}

static void ping(const char *what) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        cr_assert_geq(sd_bus_call_method(daemon_of_test.bus, "org.headgate.Node1", "/org/headgate/Node1",
                                      "org.freedesktop.DBus.Peer", "Ping", &error, NULL, NULL),
                        0, "%s: %s", what, error.message);
}

TestSuite(watchdog_loop, .init = set_up, .fini = tear_down, .timeout = 120);

Test(watchdog_loop, feeds_again_and_again) {
        for (int i = 0; i < FEEDINGS; i++)
                read_feeding();
}

static uint64_t now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

/* As others' messages fill PID 1's socket. */
static void fill_socket(void) {
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        struct sockaddr_un name;
        socklen_t length = sizeof(name);

        cr_assert_eq(getsockname(daemon_of_test.notify_fd, (struct sockaddr *) &name, &length), 0);
        while (sendto(fd, "X=1", 3, 0, (struct sockaddr *) &name, length) == 3)
                ;
        cr_assert_eq(errno, EAGAIN, "%m");
}

Test(watchdog_loop, does_not_stand_still) {
        char text[64];
        uint64_t begin_usec;

        read_feeding();
        fill_socket();
        begin_usec = now_usec();
        do /* and it has fed in between, or tried to */
                ping("while nobody reads");
        while (now_usec() - begin_usec < WATCHDOG_USEC);
        while (recv(daemon_of_test.notify_fd, text, sizeof(text), MSG_DONTWAIT) > 0)
                ;
        for (int i = 0; i < FEEDINGS; i++)
                read_feeding();
}
