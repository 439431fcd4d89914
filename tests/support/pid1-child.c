/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "support/pid1-child.h"

#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#define WAIT_USEC 30000000ULL

void pid1_child_check(int r) {
        if (r < 0)
                _exit(1);
}

void pid1_child_tell_removed(sd_bus *bus, const char *job, const char *result) {
        pid1_child_check(sd_bus_emit_signal(bus, PID1_CHILD_PATH, PID1_CHILD_MANAGER, "JobRemoved", "uoss",
                        7U, job, "x.slice", result));
}

char *pid1_child_unit(sd_bus_message *m) {
        char *unit = NULL;

        pid1_child_check(sd_bus_path_decode(sd_bus_message_get_path(m), PID1_CHILD_PATH "/unit", &unit));
        return unit;
}

static void serve(int fd, sd_bus_message_handler_t answer, void *userdata) {
        sd_bus *bus = NULL;
        sd_id128_t id = {};

        pid1_child_check(sd_bus_new(&bus));
        pid1_child_check(sd_bus_set_fd(bus, fd, fd));
        pid1_child_check(sd_bus_set_server(bus, true, id));
        pid1_child_check(sd_bus_start(bus));
        pid1_child_check(sd_bus_add_filter(bus, NULL, answer, userdata));
        for (int r = 0; r >= 0 && sd_bus_is_open(bus) > 0;) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, WAIT_USEC);
        }
        sd_bus_close_unref(bus);
}

static int listen_at(const char *path) {
        struct sockaddr_un name = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        cr_assert_lt(snprintf(name.sun_path, sizeof(name.sun_path), "%s", path), (int) sizeof(name.sun_path));
        cr_assert_geq(fd, 0);
        cr_assert_eq(bind(fd, (struct sockaddr *) &name, sizeof(name)), 0, "%s: %m", path);
        cr_assert_eq(listen(fd, 4), 0);
        return fd;
}

void pid1_child_start(const char *path, sd_bus_message_handler_t answer, void *userdata) {
        _cleanup_close_ int listen_fd = listen_at(path);
        pid_t child = fork();

        cr_assert_geq(child, 0);
        if (child > 0)
                return;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
                int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

                pid1_child_check(fd);
                serve(fd, answer, userdata);
        }
}
