/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "own-bus.h"

#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static pid_t bus_pid;

static void write_config(const char *dir, const char *path) {
        _cleanup_fclose_ FILE *file = fopen(path, "we");

        cr_assert(file);
        fprintf(file,
                        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" "
                        "\"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\"><busconfig>"
                        "<type>session</type><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>"
                        "<policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>"
                        "<allow eavesdrop=\"true\"/><allow own=\"*\"/><allow user=\"*\"/></policy>"
                        "</busconfig>",
                        dir);
}

void own_bus_start(const char *dir) {
        _cleanup_free_ char *path = NULL, *config = NULL, *print = NULL;
        int pipe_fds[2];
        char byte;

        cr_assert_gt(asprintf(&path, "%s/bus.conf", dir), 0);
        write_config(dir, path);
        cr_assert_eq(pipe(pipe_fds), 0);
        cr_assert_gt(asprintf(&config, "--config-file=%s", path), 0);
        cr_assert_gt(asprintf(&print, "--print-address=%d", pipe_fds[1]), 0);
        bus_pid = fork();
        cr_assert_geq(bus_pid, 0);
        if (bus_pid == 0) {
                if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0)
                        execlp("dbus-daemon", "dbus-daemon", "--nofork", config, print, NULL);
                _exit(125);
        }
        close(pipe_fds[1]);
        cr_assert_eq(read(pipe_fds[0], &byte, 1), 1, "the bus daemon ended");
        close(pipe_fds[0]);
}

void own_bus_stop(void) {
        if (bus_pid > 0) {
                kill(bus_pid, SIGKILL);
                waitpid(bus_pid, NULL, 0);
        }
        bus_pid = 0;
}

void own_bus_signal(int number) {
        cr_assert_eq(kill(bus_pid, number), 0);
}

/* The socket is its opener's who has this euid when it connects (unix(7), SO_PEERCRED). */
sd_bus *own_bus_open(const char *dir, uid_t uid) {
        _cleanup_free_ char *address = NULL;
        const char *name;
        sd_bus *bus;

        cr_assert_gt(asprintf(&address, "unix:path=%s/bus", dir), 0);
        cr_assert_eq(seteuid(uid), 0);
        cr_assert_geq(sd_bus_new(&bus), 0);
        cr_assert_geq(sd_bus_set_address(bus, address), 0);
        cr_assert_geq(sd_bus_set_bus_client(bus, true), 0);
        cr_assert_geq(sd_bus_negotiate_fds(bus, true), 0);
        cr_assert_geq(sd_bus_start(bus), 0);
        cr_assert_geq(sd_bus_get_unique_name(bus, &name), 0); /* waits until it is known to the bus */
        cr_assert_eq(seteuid(getuid()), 0);
        return bus;
}
