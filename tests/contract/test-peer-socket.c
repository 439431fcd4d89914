/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The peer socket by itself: who is let in, as whom, and how much a peer can hold of the daemon. The daemon's
 * end is this process, the peers are children of it, some as other users: those cases need root.
 */

#include "api/api.h"
#include "support/sample-node.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define NOBODY 65534
#define SCHEDULER_UID 1
#define PEERS_MAX 8
#define UNREAD_MAX 131072
#define IN_THE_SOCKET 32768 /* more than its buffer holds of the messages sent here */
#define WAIT_MSEC 30000

static struct {
        unsigned applied;
        uid_t caller;
} asked;

static char daemon_user[] = "daemon", *schedulers[] = { daemon_user, NULL };
static char directory[] = "/tmp/headgate-peer-XXXXXX", path[64];
static sd_event *event;
static Node node;
static Api *api;

static int fake_apply(void *userdata, uid_t caller, Allocation **requests, size_t n, Failure *ret_failure) {
        for (size_t i = 0; i < n; i++)
                allocation_free(requests[i]);
        asked.applied++;
        asked.caller = caller;
        return 0;
}

static const ApiOperations operations = { .apply = fake_apply };

static void serve(char *const *users) {
        static ApiOptions options;

        options.schedulers = users;
        cr_assert_eq(api_new(&node, &operations, &options, NULL, &api), 0);
        cr_assert_eq(api_listen(api, event, path), 0);
}

static void set_up(void) {
        sigset_t mask;

        sigemptyset(&mask);
        sigaddset(&mask, SIGCHLD);
        cr_assert_eq(sigprocmask(SIG_BLOCK, &mask, NULL), 0);
        cr_assert_not_null(mkdtemp(directory));
        cr_assert_eq(chmod(directory, 0755), 0);
        snprintf(path, sizeof(path), "%s/bus", directory);
        cr_assert_geq(sd_event_new(&event), 0);
        node = *sample_node();
}

static void tear_down(void) {
        api_free(api);
        sd_event_unref(event);
        cr_assert_eq(access(path, F_OK), -1, "the socket goes with who made it");
        cr_assert_eq(rmdir(directory), 0);
}

TestSuite(peer, .init = set_up, .fini = tear_down, .timeout = 60);

static int on_child(sd_event_source *source, const siginfo_t *info, void *userdata) {
        *(int *) userdata = info->si_code == CLD_EXITED ? info->si_status : 100 + info->si_status;
        return 0;
}

/* Serves until a child that does `as_peer` as that user is done: 0, or the number of what it found wrong. */
static int run_peer(uid_t uid, int (*as_peer)(void)) {
        int status = -1;
        pid_t pid = fork();

        cr_assert_geq(pid, 0);
        if (pid == 0)
                _exit(uid != getuid() && (setgid(uid) < 0 || setuid(uid) < 0) ? 99 : as_peer());
        cr_assert_geq(sd_event_add_child(event, NULL, pid, WEXITED, on_child, &status), 0);
        while (status < 0)
                cr_assert_geq(sd_event_run(event, UINT64_MAX), 0);
        return status;
}

static void as_root(void) {
        if (geteuid() != 0)
                cr_skip_test("only root has other users' peers");
}

static int knock(void) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        strcpy(address.sun_path, path);
        if (connect(fd, (struct sockaddr *) &address, sizeof(address)) >= 0)
                return fd;
        close(fd);
        return -errno;
}

/* Closed with nothing said. */
static bool is_shut(int fd) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        char byte;

        return poll(&p, 1, WAIT_MSEC) > 0 && read(fd, &byte, 1) <= 0;
}

static sd_bus *peer_bus(void) {
        sd_bus *bus = NULL;
        char address[128];

        snprintf(address, sizeof(address), "unix:path=%s", path);
        if (sd_bus_new(&bus) < 0 || sd_bus_set_address(bus, address) < 0 ||
                        sd_bus_negotiate_fds(bus, true) < 0 || sd_bus_start(bus) < 0)
                return NULL;
        return bus;
}

/* An Apply, said to be from a name that is not the peer's to claim. */
static int apply_by(sd_bus *bus, const char *sender, sd_bus_error *error) {
        sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &m, API_BUS_NAME, API_PATH, API_BUS_NAME ".Manager", "Apply");
        if (r >= 0 && sender)
                r = sd_bus_message_set_sender(m, sender);
        if (r >= 0)
                r = sd_bus_message_append(m, "aa{sv}", 1, 1, "AllocationId", "s", "a");
        if (r >= 0)
                r = sd_bus_call(bus, m, 0, error, NULL);
        sd_bus_message_unref(m);
        return r;
}

static int apply_once(void) {
        sd_bus *bus = peer_bus();
        int r = bus ? apply_by(bus, NULL, NULL) : -ENOTCONN;

        sd_bus_close_unref(bus);
        return r < 0 ? 1 : 0;
}

static int read_and_be_refused(void) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus *bus = peer_bus();
        char *version = NULL;

        if (!bus || sd_bus_get_property_string(bus, API_BUS_NAME, API_PATH, API_BUS_NAME ".Manager",
                                    "Version", NULL, &version) < 0)
                return 1;
        if (apply_by(bus, ":1.1", NULL) < 0)
                return 2;
        /* For root alone. */
        if (sd_bus_call_method(bus, API_BUS_NAME, API_PATH, API_BUS_NAME ".Manager", "AcceptClock", &error,
                            NULL, "") >= 0)
                return 3;
        return sd_bus_error_has_name(&error, "org.headgate.Error.AccessDenied") ? 0 : 4;
}

Test(peer, apply) {
        serve(NULL);
        cr_assert_eq(run_peer(getuid(), apply_once), 0);
        cr_assert_eq(asked.applied, 1);
        cr_assert_eq(asked.caller, getuid());
}

Test(peer, a_scheduler_is_who_its_socket_says) {
        as_root();
        serve(schedulers);
        cr_assert_eq(run_peer(SCHEDULER_UID, read_and_be_refused), 0);
        cr_assert_eq(asked.applied, 1);
        cr_assert_eq(asked.caller, SCHEDULER_UID);
}

static int be_shut_out(void) {
        int fd = knock();

        return fd >= 0 && is_shut(fd) ? 0 : 1;
}

/* Not even told that it is refused. */
static int find_nobody(void) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus *bus = peer_bus();

        if (!bus) /* shut before it had said its first word */
                return 0;
        if (apply_by(bus, NULL, &error) >= 0)
                return 1;
        return sd_bus_error_has_name(&error, "org.headgate.Error.AccessDenied") ? 2 : 0;
}

static int find_it_closed(void) {
        return knock() == -EACCES ? 0 : 1;
}

Test(peer, another_user_is_refused) {
        as_root();
        serve(schedulers);
        cr_assert_eq(run_peer(NOBODY, find_nobody), 0);
        cr_assert_eq(run_peer(SCHEDULER_UID, apply_once), 0, "others are served on");
}

Test(peer, without_schedulers_the_file_is_roots) {
        as_root();
        serve(NULL);
        cr_assert_eq(run_peer(SCHEDULER_UID, find_it_closed), 0);
}

static int say_nothing(void) {
        int fd = knock();

        return fd >= 0 && is_shut(fd) ? 0 : 1;
}

Test(peer, who_does_not_authenticate_is_dropped) {
        serve(NULL);
        cr_assert_eq(run_peer(getuid(), say_nothing), 0);
}

static int knock_too_often(void) {
        int fds[PEERS_MAX];

        for (size_t i = 0; i < PEERS_MAX; i++)
                fds[i] = knock();
        if (be_shut_out() != 0)
                return 1;
        for (size_t i = 0; i < PEERS_MAX; i++) {
                struct pollfd p = { .fd = fds[i], .events = POLLIN };

                if (poll(&p, 1, 0) != 0)
                        return 2;
                close(fds[i]);
        }
        /* Those who leave make room. */
        for (size_t i = 0; i < (size_t) 2 * PEERS_MAX; i++)
                if (apply_once() != 0)
                        return 3;
        return 0;
}

Test(peer, so_many_and_no_more) {
        serve(NULL);
        cr_assert_eq(run_peer(getuid(), knock_too_often), 0);
}

static int heard;

static int on_capacity(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        heard++;
        return 0;
}

/* Lets both ends run until the peer is as far as `turns` says, or a bound. */
static void run_both(sd_bus *bus, int turns) {
        for (int i = 0; i < turns; i++) {
                cr_assert_geq(sd_bus_process(bus, NULL), 0);
                cr_assert_geq(sd_event_run(event, 0), 0);
        }
}

static sd_bus *join(void) {
        sd_bus *bus = peer_bus();

        cr_assert_not_null(bus);
        cr_assert_geq(sd_bus_match_signal(bus, NULL, API_BUS_NAME, API_PATH, API_BUS_NAME ".Manager",
                                      "CapacityChanged", on_capacity, NULL),
                        0);
        for (int turn = 0; sd_bus_is_ready(bus) <= 0 && turn < 1000; turn++)
                run_both(bus, 1);
        cr_assert_gt(sd_bus_is_ready(bus), 0);
        run_both(bus, 10); /* the server's end is a step behind */
        return bus;
}

Test(peer, every_peer_hears_signals) {
        sd_bus *a, *b;

        serve(NULL);
        a = join();
        b = join();
        api_capacity_changed(api);
        run_both(a, 10);
        run_both(b, 10);
        cr_assert_eq(heard, 2);
        sd_bus_close_unref(a);
        sd_bus_close_unref(b);
}

/* The other, who reads, hears all. */
Test(peer, who_does_not_read_is_dropped) {
        int told = 0, slow_got = 0, r;
        sd_bus *slow, *good;

        serve(NULL);
        slow = join();
        good = join();
        for (; told < UNREAD_MAX + IN_THE_SOCKET; told++) {
                api_capacity_changed(api);
                run_both(good, 2);
        }
        for (int turn = 0; heard < told && turn < 1000; turn++)
                run_both(good, 1);
        cr_assert_eq(heard, told);
        while ((r = sd_bus_process(slow, NULL)) > 0 && sd_bus_is_open(slow) > 0)
                slow_got++;
        cr_assert_leq(sd_bus_is_open(slow), 0, "it is cut off");
        cr_assert_lt(slow_got, told);
        sd_bus_close_unref(slow);
        sd_bus_close_unref(good);
}

Test(peer, a_socket_that_was_left_goes_and_nothing_else) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        strcpy(address.sun_path, path);
        cr_assert_eq(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        close(fd);
        serve(NULL);
        cr_assert_eq(run_peer(getuid(), apply_once), 0);
        api_unlisten(api);
        fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        close(fd);
        cr_assert_eq(api_listen(api, event, path), -EEXIST);
        cr_assert_eq(unlink(path), 0, "it is still there");
}
