/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Whoever applies is answered before anybody is told what came of it: headgated, run dry, at a peer socket,
 * where answer and signals come by one connection, in the order in which they were sent.
 */

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
#include <systemd/sd-bus.h>

#define WAIT_USEC 30000000ULL
#define NODE "org.headgate.Node1"
#define NODE_PATH "/org/headgate/Node1"

static char directory[] = "/tmp/headgate-answer-XXXXXX";
static pid_t daemon_pid;
static sd_bus *bus;

/* What has come since the last call: signals, and those of them that came before its answer. */
static struct {
        bool answered;
        unsigned told, early;
} seen;

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
static void exec_daemon(const char *peer) {
        _cleanup_fclose_ FILE *config = fopen("conf", "we");

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (config && fputs("[node]\nsample-interval=1h\n[clock]\nrequire-sync=no\n", config) >= 0 &&
                        fflush(config) == 0)
                execl(getenv("HEADGATED"), "headgated", "--dry-run", "--config=conf", "--state-dir=state",
                                "--pin-dir=", "--bus=unix:path=/nonexistent", peer,
                                "--cgroup-driver=cgroupfs", NULL);
        _exit(125);
}

static int note_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        if (!sd_bus_message_is_signal(m, NULL, NULL))
                return 0;
        seen.told++;
        seen.early += !seen.answered;
        return 0;
}

static void set_up(void) {
        _cleanup_free_ char *address = NULL, *notify = NULL, *option = NULL;
        _cleanup_close_ int fd = -EBADF;
        char text[256] = "";

        if (geteuid() != 0)
                cr_skip_test("a peer is root");
        cr_assert_not_null(mkdtemp(directory));
        cr_assert_eq(chdir(directory), 0);
        cr_assert_gt(asprintf(&address, "unix:path=%s/peer", directory), 0);
        cr_assert_gt(asprintf(&option, "--peer-socket=%s/peer", directory), 0);
        cr_assert_gt(asprintf(&notify, "%s/notify", directory), 0);
        fd = open_notify(notify);
        daemon_pid = fork();
        cr_assert_geq(daemon_pid, 0);
        if (daemon_pid == 0)
                exec_daemon(option);
        while (!strstr(text, "READY=1")) {
                ssize_t n;

                cr_assert_eq(poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, WAIT_USEC / 1000), 1, "not ready");
                n = recv(fd, text, sizeof(text) - 1, 0);
                cr_assert_geq(n, 0);
                text[n] = '\0';
        }
        cr_assert_geq(sd_bus_new(&bus), 0);
        cr_assert_geq(sd_bus_set_address(bus, address), 0);
        cr_assert_geq(sd_bus_start(bus), 0);
        cr_assert_geq(sd_bus_add_filter(bus, NULL, note_message, NULL), 0);
}

static void tear_down(void) {
        _cleanup_free_ char *remove = NULL;

        sd_bus_close_unref(bus);
        if (daemon_pid <= 0)
                return;
        (void) kill(daemon_pid, SIGKILL);
        (void) waitpid(daemon_pid, NULL, 0);
        if (asprintf(&remove, "rm -rf %s", directory) > 0)
                cr_assert_eq(system(remove), 0);
}

static int take_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        cr_assert_not(sd_bus_message_is_method_error(m, NULL), "%s", sd_bus_message_get_error(m)->message);
        seen.answered = true;
        return 0;
}

static int append_request(sd_bus_message *m, const char *id, uint64_t generation, uint64_t millicores) {
        return sd_bus_message_append(m, "a{sv}", 4, "AllocationId", "s", id, "Generation", "t", generation,
                        "TenantId", "s", id, "Resources", "a{s(tt)}", 1, "cpu", (uint64_t) 0, millicores);
}

/* All of them in one call, and what is told of it: all that is comes before the answer to the next call. */
static void apply(const char *what, const char *const *ids, uint64_t generation) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = 1;

        seen.answered = false;
        seen.early = seen.told = 0;
        cr_assert_geq(sd_bus_message_new_method_call(bus, &m, NODE, NODE_PATH, NODE ".Manager", "Apply"), 0);
        cr_assert_geq(sd_bus_message_open_container(m, 'a', "a{sv}"), 0);
        for (; *ids; ids++)
                cr_assert_geq(append_request(m, *ids, generation, 100 * generation), 0);
        cr_assert_geq(sd_bus_message_close_container(m), 0);
        cr_assert_geq(sd_bus_call_async(bus, NULL, m, take_answer, NULL, WAIT_USEC), 0);
        while (!seen.answered) {
                r = sd_bus_process(bus, NULL);
                cr_assert_geq(r, 0);
                if (r == 0)
                        cr_assert_gt(sd_bus_wait(bus, WAIT_USEC), 0, "%s: no answer", what);
        }
        cr_assert_geq(sd_bus_call_method(bus, NODE, NODE_PATH, "org.freedesktop.DBus.Peer", "Ping", &error,
                                      NULL, NULL),
                        0, "%s: %s", what, error.message);
        while (r > 0)
                r = sd_bus_process(bus, NULL);
        cr_expect_gt(seen.told, 0, "%s: nobody is told", what);
        cr_expect_eq(seen.early, 0, "%s: %u signals came before the answer", what, seen.early);
}

TestSuite(answer_first, .init = set_up, .fini = tear_down, .timeout = 120);

Test(answer_first, one_that_begins_and_changes) {
        const char *const ids[] = { "a", NULL };

        apply("one that begins", ids, 1);
        apply("one that changes", ids, 2);
}

Test(answer_first, many_in_one_call) {
        const char *const ids[] = { "a", "b", "c", NULL };

        apply("three that begin", ids, 1);
        apply("three that change", ids, 2);
}
