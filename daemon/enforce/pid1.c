/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "enforce/pid1.h"

#include "util/log.h"
#include "util/strv.h"
#include "util/watchdog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MANAGER_PATH "/org/freedesktop/systemd1"
#define UNIT_PATH MANAGER_PATH "/unit"
#define MANAGER PID1_SERVICE ".Manager"

#define USEC_PER_SEC 1000000ULL
#define DRAIN_USEC USEC_PER_SEC
#define SCOPE_SUFFIX ".scope"

static uint64_t monotonic_usec(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

static int connect_anew(const char *address, sd_bus **ret) {
        _cleanup_bus_ sd_bus *bus = NULL;
        int r;

        r = sd_bus_new(&bus);
        if (r < 0)
                return r;
        r = sd_bus_set_address(bus, address);
        if (r < 0)
                return r;
        r = sd_bus_start(bus);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

int pid1_connect(Pid1 *pid1) {
        uint64_t deadline_usec = monotonic_usec() + DRAIN_USEC;
        int r = pid1->bus ? 1 : -ENOTCONN;

        while (r > 0 && monotonic_usec() < deadline_usec)
                r = sd_bus_process(pid1->bus, NULL);
        if (r >= 0 && sd_bus_is_open(pid1->bus) > 0)
                return 0;
        pid1->bus = sd_bus_close_unref(pid1->bus);
        return connect_anew(pid1->address, &pid1->bus);
}

void pid1_rest(Pid1 *pid1) {
        pid1->bus = sd_bus_close_unref(pid1->bus);
        pid1->jobs_in_vain = 0;
}

/* Names that a caller must tell apart; the message is told here, as the code says less. */
static int errno_from_bus(int r, const sd_bus_error *error, const char *unit) {
        static const struct {
                const char *name;
                int error;
        } names[] = {
                { PID1_SERVICE ".NoSuchUnit", -ENOENT },
                { PID1_SERVICE ".UnitExists", -EEXIST },
                { PID1_SERVICE ".NoSuchProcess", -ESRCH },
                { PID1_SERVICE ".TransactionIsDestructive", -EBUSY },
                { "System.Error.ESRCH", -ESRCH },
                { SD_BUS_ERROR_UNIX_PROCESS_ID_UNKNOWN, -ESRCH },
        };

        if (r >= 0)
                return 0; /* sd-bus says 1 for a reply */
        if (sd_bus_error_is_set(error))
                log_write(LOG_DEBUG, &(LogFields){ .object = unit }, "systemd refused for %s: %s", unit,
                                error->message);
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (sd_bus_error_has_name(error, names[i].name))
                        return names[i].error;
        return r;
}

/*
 * The loop stands still while PID 1 is waited for, which may be long: it answers nobody while it loads its
 * units anew, and right after that it ends who gave no sign of life, once it has read what it was told
 * meanwhile. So who waits says once a second that he lives. Where a wait was in vain that is no sign of life
 * any more: who is not answered by a PID 1 that works is better started anew.
 */
static void say_alive(Pid1 *pid1, uint64_t now_usec) {
        if (pid1->in_vain || now_usec - pid1->told_usec < USEC_PER_SEC)
                return;
        if (watchdog_feed() >= 0)
                pid1->told_usec = now_usec;
}

/* -ETIMEDOUT at the deadline, though PID 1 may have more to say. */
static int wait_for(Pid1 *pid1, const bool *done, uint64_t deadline_usec) {
        while (!*done) {
                int r = sd_bus_process(pid1->bus, NULL);
                uint64_t now_usec = monotonic_usec();

                if (r < 0)
                        return r;
                say_alive(pid1, now_usec);
                if (*done)
                        break;
                if (now_usec >= deadline_usec) {
                        pid1->in_vain = true;
                        return -ETIMEDOUT;
                }
                if (r > 0)
                        continue;
                r = sd_bus_wait(pid1->bus, deadline_usec - now_usec < USEC_PER_SEC ? deadline_usec - now_usec
                                                                                   : USEC_PER_SEC);
                if (r < 0 && r != -EINTR)
                        return r;
        }
        return 0;
}

static uint64_t deadline_of(const Pid1 *pid1, uint64_t timeout_usec) {
        return monotonic_usec() + (timeout_usec > 0 ? timeout_usec : pid1->timeout_usec);
}

/* In the memory of who waits for it. */
typedef struct Answer {
        Pid1 *pid1;
        const char *unit; /* not owned */
        sd_bus_slot *slot;
        bool there;
        int result;
        sd_bus_message *message; /* NULL where it is an error */
} Answer;

static void answer_deinit(Answer *answer) {
        sd_bus_slot_unref(answer->slot); /* one that comes later is nobody's */
        sd_bus_message_unref(answer->message);
}

#define _cleanup_answer_ _cleanup_(answer_deinit)

static int take_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const sd_bus_error *error = sd_bus_message_get_error(m);
        Answer *answer = userdata;

        answer->there = true;
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY)) { /* sd-bus says so of a lost connection */
                answer->result = -ECONNRESET;
                return 0;
        }
        answer->pid1->in_vain = false;
        answer->result = errno_from_bus(-sd_bus_message_get_errno(m), error, answer->unit);
        if (answer->result == 0)
                answer->message = sd_bus_message_ref(m);
        return 0;
}

/* How long it is waited for the caller says. */
static int send_call(sd_bus_message *m, Answer *answer) {
        return sd_bus_call_async(answer->pid1->bus, &answer->slot, m, take_answer, answer, UINT64_MAX);
}

int pid1_new_call(Pid1 *pid1, const char *method, sd_bus_message **ret) {
        return sd_bus_message_new_method_call(pid1->bus, ret, PID1_SERVICE, MANAGER_PATH, MANAGER, method);
}

int pid1_call(Pid1 *pid1, sd_bus_message *m, const char *unit, uint64_t timeout_usec, sd_bus_message **ret) {
        _cleanup_answer_ Answer answer = { .pid1 = pid1, .unit = unit };
        int r = send_call(m, &answer);

        if (r >= 0)
                r = wait_for(pid1, &answer.there, deadline_of(pid1, timeout_usec));
        if (r < 0)
                return r;
        if (ret && answer.result == 0)
                *ret = TAKE_PTR(answer.message);
        return answer.result;
}

typedef struct JobWait {
        const char *job;
        bool removed;
        int result;
} JobWait;

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        JobWait *wait = userdata;
        const char *job, *unit, *result;
        uint32_t id;

        if (sd_bus_message_read(m, "uoss", &id, &job, &unit, &result) < 0)
                return 0;
        if (!wait->job || strcmp(job, wait->job) != 0)
                return 0;
        wait->removed = true;
        wait->result = strcmp(result, "done") == 0 || strcmp(result, "skipped") == 0 ? 0
                       : strcmp(result, "timeout") == 0                              ? -ETIMEDOUT
                       : strcmp(result, "canceled") == 0                             ? -ECANCELED
                                                                                     : -EIO;
        return 0;
}

/*
 * What is asked in one go may be jobs of thousands of units, of which none ends while PID 1 answers all the
 * same: each that was waited for in vain halves the wait for those that follow, so that all of them together
 * are waited for less than twice as long as the first. What was asked for PID 1 does nevertheless: who looks
 * again finds it done.
 */
static uint64_t job_deadline(const Pid1 *pid1, uint64_t begin_usec) {
        return begin_usec + (pid1->jobs_in_vain < 64 ? pid1->timeout_usec >> pid1->jobs_in_vain : 0);
}

/* PID 1 answers before it runs the job: JobRemoved is behind the answer. */
int pid1_call_job(Pid1 *pid1, sd_bus_message *m, const char *unit) {
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        _cleanup_message_ sd_bus_message *reply = NULL;
        uint64_t begin_usec = monotonic_usec();
        JobWait wait = { 0 };
        int r;

        r = sd_bus_match_signal(
                        pid1->bus, &slot, NULL, MANAGER_PATH, MANAGER, "JobRemoved", on_job_removed, &wait);
        if (r < 0)
                return r;
        r = pid1_call(pid1, m, unit, 0, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "o", &wait.job);
        if (r < 0)
                return r;
        r = wait_for(pid1, &wait.removed, job_deadline(pid1, begin_usec));
        if (r == -ETIMEDOUT)
                pid1->jobs_in_vain++;
        return r < 0 ? r : wait.result;
}

int pid1_call_unit_job(Pid1 *pid1, const char *method, const char *unit, const char *mode) {
        _cleanup_message_ sd_bus_message *m = NULL;
        int r;

        r = pid1_new_call(pid1, method, &m);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "ss", unit, mode);
        if (r < 0)
                return r;
        return pid1_call_job(pid1, m, unit);
}

const char *pid1_unit_interface(const char *unit) {
        static const struct {
                const char *suffix, *interface;
        } types[] = {
                { ".service", PID1_SERVICE ".Service" },
                { ".socket", PID1_SERVICE ".Socket" },
                { ".mount", PID1_SERVICE ".Mount" },
                { ".swap", PID1_SERVICE ".Swap" },
                { SCOPE_SUFFIX, PID1_SERVICE ".Scope" },
        };
        const char *suffix = strrchr(unit, '.');

        for (size_t i = 0; suffix && i < ELEMENTSOF(types); i++)
                if (strcmp(suffix, types[i].suffix) == 0)
                        return types[i].interface;
        return PID1_SERVICE ".Slice";
}

static int get_property(Pid1 *pid1, const char *unit, const char *interface, const char *property,
                sd_bus_message **ret) {
        _cleanup_message_ sd_bus_message *m = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = sd_bus_path_encode(UNIT_PATH, unit, &path);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_call(
                        pid1->bus, &m, PID1_SERVICE, path, "org.freedesktop.DBus.Properties", "Get");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "ss", interface, property);
        if (r < 0)
                return r;
        return pid1_call(pid1, m, unit, 0, ret);
}

int pid1_get_string(Pid1 *pid1, const char *unit, const char *interface, const char *property, char **ret) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        const char *text;
        char *copy;
        int r;

        r = get_property(pid1, unit, interface, property, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "v", "s", &text);
        if (r < 0)
                return r;
        copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

int pid1_get_list(Pid1 *pid1, const char *unit, const char *interface, const char *property, char ***ret) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_strv_ char **list = NULL;
        const char *text;
        int r;

        r = get_property(pid1, unit, interface, property, &reply);
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read(reply, "s", &text)) > 0)
                r = strv_push(&list, text);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(list);
        return 0;
}

int pid1_get_trivial(Pid1 *pid1, const char *unit, const char *property, char type, void *ret) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        int r;

        r = get_property(pid1, unit, PID1_SERVICE ".Slice", property, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "v", (const char[]){ type, '\0' }, ret);
        return r < 0 ? r : 0;
}

int pid1_get_group(Pid1 *pid1, const char *unit, char **ret) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = pid1_get_string(pid1, unit, pid1_unit_interface(unit), "ControlGroup", &path);
        if (r < 0)
                return r;
        if (*path == '\0')
                return -ENOENT;
        *ret = TAKE_PTR(path);
        return 0;
}

int pid1_open_properties(Pid1 *pid1, const char *unit, sd_bus_message **ret) {
        _cleanup_message_ sd_bus_message *m = NULL;
        int r;

        r = pid1_new_call(pid1, "SetUnitProperties", &m);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "sb", unit, /* runtime= */ true);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

/*
 * PID 1 answers SetUnitProperties before it has written the files, which it does before it takes its next
 * message: so an answer to another one says that they are written. Both are sent before the first is
 * answered: PID 1 is waited for once.
 */
int pid1_send_properties(Pid1 *pid1, const char *unit, sd_bus_message *m) {
        _cleanup_answer_ Answer set = { .pid1 = pid1, .unit = unit };
        _cleanup_answer_ Answer written = { .pid1 = pid1, .unit = PID1_SERVICE };
        _cleanup_message_ sd_bus_message *ping = NULL;
        int r;

        r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_new_method_call(pid1->bus, &ping, PID1_SERVICE, MANAGER_PATH,
                                "org.freedesktop.DBus.Peer", "Ping");
        if (r >= 0)
                r = send_call(m, &set);
        if (r >= 0)
                r = send_call(ping, &written);
        if (r >= 0)
                r = wait_for(pid1, &written.there, deadline_of(pid1, 0));
        if (r < 0)
                return r;
        if (!set.there)
                return -EBADMSG;
        return set.result < 0 ? set.result : written.result;
}
