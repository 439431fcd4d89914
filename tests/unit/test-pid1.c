/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is sent to PID 1, what its answers mean, and how long they are waited for: PID 1 is a child, at a
 * socket of its own, that answers by the unit's name. */

#include "enforce/pid1.h"
#include "support/pid1-child.h"
#include "util/watchdog.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define WAIT_USEC 30000000ULL
#define JOB_OF_OTHERS PID1_CHILD_PATH "/job/8"

static char directory[] = "/tmp/headgate-test-pid1.XXXXXX";
static char address[64];
static int notify_fd = -EBADF; /* the child's, too */

/* Whether the watchdog is fed in so long. */
static bool is_fed(int timeout_msec) {
        char text[64] = "";

        return poll(&(struct pollfd){ notify_fd, POLLIN, 0 }, 1, timeout_msec) == 1 &&
               recv(notify_fd, text, sizeof(text) - 1, 0) > 0 && strcmp(text, "WATCHDOG=1") == 0;
}

/* --- the child --- */

static void start_unit(sd_bus *bus, sd_bus_message *m) {
        const char *unit;

        pid1_child_check(sd_bus_message_read(m, "s", &unit));
        pid1_child_check(sd_bus_reply_method_return(m, "o", PID1_CHILD_JOB));
        if (strcmp(unit, "endless.slice") == 0)
                return;
        do {
                pid1_child_tell_removed(bus, JOB_OF_OTHERS, "failed");
                pid1_child_check(sd_bus_flush(bus));
        } while (strcmp(unit, "flood.slice") == 0);
        pid1_child_tell_removed(bus, PID1_CHILD_JOB, unit); /* what became of it is its name */
}

static void get_property(sd_bus_message *m) {
        _cleanup_free_ char *unit = pid1_child_unit(m);

        if (strcmp(unit, "mute.slice") == 0)
                return;
        for (int i = 0; i < 2 && strcmp(unit, "late.slice") == 0; i++)
                pid1_child_check(is_fed(WAIT_USEC / 1000) ? 0 : -ETIMEDOUT);
        pid1_child_check(sd_bus_reply_method_return(m, "v", "s", unit));
}

static int answer_set(sd_bus_message *m, const char *unit) {
        if (strcmp(unit, "gone.slice") == 0)
                return sd_bus_reply_method_errorf(m, PID1_SERVICE ".NoSuchUnit", "no %s", unit);
        if (strcmp(unit, "wrong.slice") == 0)
                return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_INVALID_ARGS, "not for %s", unit);
        return sd_bus_reply_method_return(m, NULL);
}

/* The answer to SetUnitProperties waits for the Ping behind it, as the files do: who would wait for it before
 * sending that waits forever. */
static void take_ping(sd_bus *bus, sd_bus_message *m, sd_bus_message **held) {
        const char *unit;

        if (!*held)
                _exit(1);
        pid1_child_check(sd_bus_message_read(*held, "s", &unit));
        if (strcmp(unit, "lost.slice") == 0)
                sd_bus_close(bus);
        else {
                pid1_child_check(answer_set(*held, unit));
                pid1_child_check(sd_bus_reply_method_return(m, NULL));
        }
        *held = sd_bus_message_unref(*held);
}

static int answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        sd_bus *bus = sd_bus_message_get_bus(m);
        sd_bus_message **held = userdata;

        if (sd_bus_message_is_method_call(m, PID1_CHILD_MANAGER, "SetUnitProperties") > 0)
                *held = sd_bus_message_ref(m);
        else if (sd_bus_message_is_method_call(m, PID1_CHILD_MANAGER, "StartUnit") > 0)
                start_unit(bus, m);
        else if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "Get") > 0)
                get_property(m);
        else
                take_ping(bus, m, held);
        return 1;
}

/* --- the test's end --- */

static void set_up(void) {
        struct sockaddr_un name = { .sun_family = AF_UNIX };
        static sd_bus_message *held;

        cr_assert_not_null(mkdtemp(directory));
        snprintf(name.sun_path, sizeof(name.sun_path), "%s/notify", directory);
        notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        cr_assert_geq(notify_fd, 0);
        cr_assert_eq(bind(notify_fd, (struct sockaddr *) &name, sizeof(name)), 0, "%m");
        cr_assert_eq(setenv("NOTIFY_SOCKET", name.sun_path, 1), 0);
        snprintf(address, sizeof(address), "unix:path=%s/private", directory);
        pid1_child_start(strchr(address, '/'), answer, &held);
        watchdog_begin();
}

static void tear_down(void) {
        char command[64];

        snprintf(command, sizeof(command), "rm -r %s", directory);
        cr_assert_eq(system(command), 0);
}

static Pid1 connect_pid1(uint64_t timeout_usec) {
        Pid1 pid1 = PID1_AT(address);

        cr_expect_eq(pid1.timeout_usec, WAIT_USEC);
        cr_assert_eq(pid1_connect(&pid1), 0);
        pid1.timeout_usec = timeout_usec;
        return pid1;
}

static int set_weight(Pid1 *pid1, const char *unit) {
        _cleanup_message_ sd_bus_message *m = NULL;

        cr_assert_geq(pid1_open_properties(pid1, unit, &m), 0);
        cr_assert_geq(sd_bus_message_append(m, "(sv)", "CPUWeight", "t", (uint64_t) 100), 0);
        return pid1_send_properties(pid1, unit, m);
}

static int get_slice(Pid1 *pid1, const char *unit) {
        _cleanup_free_ char *slice = NULL;
        int r = pid1_get_string(pid1, unit, PID1_SERVICE ".Slice", "Slice", &slice);

        if (r >= 0)
                cr_expect_str_eq(slice, unit);
        return r;
}

static uint64_t now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

TestSuite(pid1, .init = set_up, .fini = tear_down, .timeout = 60);

Test(pid1, properties_are_set_and_written) {
        static const struct {
                const char *unit;
                int expected;
        } cases[] = {
                { "there.slice", 0 }, { "gone.slice", -ENOENT }, { "wrong.slice", -EINVAL },
                { "there.slice", 0 }, /* by the same connection, after that */
        };
        _cleanup_(pid1_rest) Pid1 pid1 = connect_pid1(WAIT_USEC);

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int r = set_weight(&pid1, cases[i].unit);

                cr_expect_eq(r, cases[i].expected, "%s: %s", cases[i].unit, strerror(-r));
        }
}

Test(pid1, what_became_of_a_job) {
        static const struct {
                const char *result;
                int expected;
        } cases[] = {
                { "done", 0 },
                { "skipped", 0 },
                { "timeout", -ETIMEDOUT },
                { "canceled", -ECANCELED },
                { "dependency", -EIO },
        };
        _cleanup_(pid1_rest) Pid1 pid1 = connect_pid1(WAIT_USEC);

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int r = pid1_call_unit_job(&pid1, "StartUnit", cases[i].result, "replace");

                cr_expect_eq(r, cases[i].expected, "%s: %s", cases[i].result, strerror(-r));
        }
}

/* Executed anew, PID 1 closes what it had. */
Test(pid1, a_connection_that_is_lost) {
        _cleanup_(pid1_rest) Pid1 pid1 = connect_pid1(WAIT_USEC);
        sd_bus *first = pid1.bus;

        cr_expect_eq(pid1_connect(&pid1), 0);
        cr_expect_eq(pid1.bus, first, "one that is open was closed");
        cr_expect_eq(set_weight(&pid1, "lost.slice"), -ECONNRESET);
        cr_expect_eq(sd_bus_is_open(pid1.bus), 0);
        cr_assert_eq(pid1_connect(&pid1), 0);
        cr_expect_eq(set_weight(&pid1, "there.slice"), 0, "it is not connected anew");
}

/* PID 1, which loads its units anew, answers only when it has read twice that we live. */
Test(pid1, who_waits_lives) {
        _cleanup_(pid1_rest) Pid1 pid1 = connect_pid1(WAIT_USEC);

        cr_expect_eq(get_slice(&pid1, "late.slice"), 0);
}

Test(pid1, who_waited_in_vain_is_not_believed) {
        _cleanup_(pid1_rest) Pid1 pid1 = connect_pid1(100000);

        cr_expect_eq(get_slice(&pid1, "mute.slice"), -ETIMEDOUT);
        while (is_fed(0))
                ;
        pid1_rest(&pid1);
        cr_assert_eq(pid1_connect(&pid1), 0);
        pid1.timeout_usec = 2500000;
        cr_expect_eq(get_slice(&pid1, "mute.slice"), -ETIMEDOUT);
        cr_expect_not(is_fed(0), "without an answer it was fed");
        pid1.timeout_usec = WAIT_USEC;
        cr_expect_eq(get_slice(&pid1, "there.slice"), 0);
        cr_expect(is_fed(0), "an answer is a sign of life");
}

/* While it is there nothing is ever the last that PID 1 has to say. */
static int wait_for_more(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        if (sd_bus_message_is_signal(m, PID1_CHILD_MANAGER, "JobRemoved") > 0)
                cr_assert_eq(poll(&(struct pollfd){ sd_bus_get_fd(userdata), POLLIN, 0 }, 1,
                                             WAIT_USEC / 1000),
                                1);
        return 0;
}

Test(pid1, what_is_said_of_others_makes_no_wait_longer) {
        _cleanup_(pid1_rest) Pid1 pid1 = connect_pid1(1000000);
        sd_bus *first = pid1.bus;
        uint64_t begin_usec = now_usec();

        cr_assert_geq(sd_bus_add_filter(pid1.bus, NULL, wait_for_more, pid1.bus), 0);
        cr_expect_eq(pid1_call_unit_job(&pid1, "StartUnit", "flood.slice", "replace"), -ETIMEDOUT);
        cr_expect_geq(now_usec() - begin_usec, 1000000, "it was not waited for");
        cr_expect_eq(pid1_connect(&pid1), 0);
        cr_expect_eq(pid1.bus, first, "one that is open was closed");
}

static uint64_t time_endless_job(Pid1 *pid1) {
        uint64_t begin_usec = now_usec();

        cr_expect_eq(pid1_call_unit_job(pid1, "StartUnit", "endless.slice", "replace"), -ETIMEDOUT);
        return now_usec() - begin_usec;
}

/* However many jobs do not end, PID 1 is not waited for much longer than for one; and what it answers is had.
 */
Test(pid1, jobs_that_do_not_end) {
        _cleanup_(pid1_rest) Pid1 pid1 = connect_pid1(1000000);
        uint64_t usec = time_endless_job(&pid1), all_usec = usec;

        cr_expect_geq(usec, 1000000, "it was not waited for");
        for (unsigned i = 1; i < 100; i++)
                all_usec += time_endless_job(&pid1);
        cr_expect_lt(all_usec, 10000000, "%" PRIu64 ", of which 2 s were waited", all_usec);
        cr_expect_eq(set_weight(&pid1, "there.slice"), 0);

        pid1_rest(&pid1);
        cr_assert_eq(pid1_connect(&pid1), 0);
        cr_expect_eq(pid1_call_unit_job(&pid1, "StartUnit", "done", "replace"), 0);
        cr_expect_geq(time_endless_job(&pid1), 1000000, "another go begins with less");
}
