/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "contract/dry-daemon.h"

#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

/* Where the daemon says that it is ready. */
static int open_notify(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        cr_assert_geq(fd, 0);
        cr_assert_eq(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        cr_assert_eq(setenv("NOTIFY_SOCKET", path, 1), 0);
        return fd;
}

/* One that samples within the hour would tell of that, too. */
static void exec_daemon(const char *bus, const char *peer) {
        _cleanup_fclose_ FILE *config = fopen("conf", "we");

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (config && fputs("[node]\nsample-interval=1h\n[clock]\nrequire-sync=no\n", config) >= 0 &&
                        fflush(config) == 0)
                execl(getenv("HEADGATED"), "headgated", "--dry-run", "--config=conf", "--state-dir=state",
                                "--pin-dir=", bus, peer, "--cgroup-driver=cgroupfs", NULL);
        _exit(125);
}

void dry_daemon_start(DryDaemon *ret, const char *bus) {
        char directory[] = "/tmp/headgate-dry-XXXXXX", text[256] = "";
        _cleanup_free_ char *address = NULL, *notify = NULL, *option = NULL, *bus_option = NULL;

        if (geteuid() != 0)
                cr_skip_test("a peer is root");
        cr_assert_not_null(mkdtemp(directory));
        cr_assert_eq(chdir(directory), 0);
        cr_assert_gt(asprintf(&address, "unix:path=%s/peer", directory), 0);
        cr_assert_gt(asprintf(&option, "--peer-socket=%s/peer", directory), 0);
        cr_assert_gt(asprintf(&bus_option, "--bus=%s", bus ?: "unix:path=/nonexistent"), 0);
        cr_assert_gt(asprintf(&notify, "%s/notify", directory), 0);
        *ret = (DryDaemon){ .notify_fd = open_notify(notify), .directory = strdup(directory) };
        ret->pid = fork();
        cr_assert_geq(ret->pid, 0);
        if (ret->pid == 0)
                exec_daemon(bus_option, option);
        while (!strstr(text, "READY=1")) {
                ssize_t n;

                cr_assert_eq(poll(&(struct pollfd){ ret->notify_fd, POLLIN, 0 }, 1,
                                             DRY_DAEMON_WAIT_USEC / 1000),
                                1, "not ready");
                n = recv(ret->notify_fd, text, sizeof(text) - 1, 0);
                cr_assert_geq(n, 0);
                text[n] = '\0';
        }
        cr_assert_geq(sd_bus_new(&ret->bus), 0);
        cr_assert_geq(sd_bus_set_address(ret->bus, address), 0);
        cr_assert_geq(sd_bus_start(ret->bus), 0);
}

void dry_daemon_stop(DryDaemon *daemon) {
        _cleanup_free_ char *remove = NULL;

        sd_bus_close_unref(daemon->bus);
        if (daemon->pid <= 0)
                return;
        (void) kill(daemon->pid, SIGKILL);
        (void) waitpid(daemon->pid, NULL, 0);
        close(daemon->notify_fd);
        if (asprintf(&remove, "rm -rf %s", daemon->directory) > 0)
                cr_assert_eq(system(remove), 0);
        free(daemon->directory);
}
