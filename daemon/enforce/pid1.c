/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "enforce/pid1.h"

#include "util/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#define PRIVATE_SOCKET "unix:path=/run/systemd/private"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define UNIT_PATH MANAGER_PATH "/unit"
#define MANAGER PID1_SERVICE ".Manager"

#define USEC_PER_SEC 1000000ULL
#define SCOPE_SUFFIX ".scope"

static int connect_anew(sd_bus **ret) {
        _cleanup_bus_ sd_bus *bus = NULL;
        int r;

        r = sd_bus_new(&bus);
        if (r < 0)
                return r;
        r = sd_bus_set_address(bus, PRIVATE_SOCKET);
        if (r < 0)
                return r;
        r = sd_bus_set_method_call_timeout(bus, PID1_JOB_TIMEOUT_USEC);
        if (r < 0)
                return r;
        r = sd_bus_start(bus);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

int pid1_connect(sd_bus **bus) {
        int r = *bus ? 1 : -ENOTCONN;

        while (r > 0)
                r = sd_bus_process(*bus, NULL);
        if (r >= 0 && sd_bus_is_open(*bus) > 0)
                return 0;
        *bus = sd_bus_close_unref(*bus);
        return connect_anew(bus);
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

static uint64_t monotonic_usec(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

/* A turn that has much to ask is long, and is no hang as long as it is answered: the watchdog is told, once a
 * second. */
static int answered(int r, const sd_bus_error *error, const char *unit) {
        static uint64_t told_usec;
        uint64_t now = monotonic_usec();

        if ((r >= 0 || sd_bus_error_is_set(error)) && now - told_usec >= USEC_PER_SEC) {
                (void) sd_notify(/* unset_environment= */ false, "WATCHDOG=1");
                told_usec = now;
        }
        return errno_from_bus(r, error, unit);
}

int pid1_new_call(sd_bus *bus, const char *method, sd_bus_message **ret) {
        return sd_bus_message_new_method_call(bus, ret, PID1_SERVICE, MANAGER_PATH, MANAGER, method);
}

int pid1_call(sd_bus *bus, sd_bus_message *m, const char *unit, uint64_t timeout_usec, sd_bus_message **ret) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_call(bus, m, timeout_usec, &error, ret);

        return answered(r, &error, unit);
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

int pid1_call_job(sd_bus *bus, sd_bus_message *m, const char *unit) {
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        _cleanup_message_ sd_bus_message *reply = NULL;
        JobWait wait = { 0 };
        uint64_t deadline = monotonic_usec() + PID1_JOB_TIMEOUT_USEC;
        int r;

        r = sd_bus_match_signal(bus, &slot, NULL, MANAGER_PATH, MANAGER, "JobRemoved", on_job_removed, &wait);
        if (r < 0)
                return r;
        r = pid1_call(bus, m, unit, 0, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "o", &wait.job);
        if (r < 0)
                return r;
        while (!wait.removed) {
                uint64_t now = monotonic_usec();

                r = sd_bus_process(bus, NULL);
                if (r < 0)
                        return r;
                if (r > 0)
                        continue;
                if (now >= deadline)
                        return -ETIMEDOUT;
                r = sd_bus_wait(bus, deadline - now);
                if (r < 0 && r != -EINTR)
                        return r;
        }
        return wait.result;
}

int pid1_call_unit_job(sd_bus *bus, const char *method, const char *unit) {
        _cleanup_message_ sd_bus_message *m = NULL;
        int r;

        r = pid1_new_call(bus, method, &m);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "ss", unit, "replace");
        if (r < 0)
                return r;
        return pid1_call_job(bus, m, unit);
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

int pid1_get_string(sd_bus *bus, const char *unit, const char *interface, const char *property, char **ret) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = sd_bus_path_encode(UNIT_PATH, unit, &path);
        if (r < 0)
                return r;
        r = sd_bus_get_property_string(bus, PID1_SERVICE, path, interface, property, &error, ret);
        return answered(r, &error, unit);
}

int pid1_get_trivial(sd_bus *bus, const char *unit, const char *property, char type, void *ret) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = sd_bus_path_encode(UNIT_PATH, unit, &path);
        if (r < 0)
                return r;
        r = sd_bus_get_property_trivial(
                        bus, PID1_SERVICE, path, PID1_SERVICE ".Slice", property, &error, type, ret);
        return answered(r, &error, unit);
}

int pid1_get_group(sd_bus *bus, const char *unit, char **ret) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = pid1_get_string(bus, unit, pid1_unit_interface(unit), "ControlGroup", &path);
        if (r < 0)
                return r;
        if (*path == '\0')
                return -ENOENT;
        *ret = TAKE_PTR(path);
        return 0;
}

/*
 * PID 1 answers SetUnitProperties before it has written the files, which it does before it takes its next
 * message: so an answer to another one says that they are written.
 */
static int pid1_wait_written(sd_bus *bus) {
        _cleanup_message_ sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(
                        bus, &m, PID1_SERVICE, MANAGER_PATH, "org.freedesktop.DBus.Peer", "Ping");
        if (r < 0)
                return r;
        return pid1_call(bus, m, PID1_SERVICE, 0, NULL);
}

int pid1_open_properties(sd_bus *bus, const char *unit, sd_bus_message **ret) {
        _cleanup_message_ sd_bus_message *m = NULL;
        int r;

        r = pid1_new_call(bus, "SetUnitProperties", &m);
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

typedef struct Answer {
        const char *unit;
        bool there;
        int result;
} Answer;

static int take_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Answer *answer = userdata;

        answer->there = true;
        answer->result = errno_from_bus(
                        -sd_bus_message_get_errno(m), sd_bus_message_get_error(m), answer->unit);
        return 0;
}

/* Both are sent before the first is answered: PID 1 is waited for once. */
int pid1_send_properties(sd_bus *bus, const char *unit, sd_bus_message *m) {
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        Answer answer = { .unit = unit };
        int r;

        r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_call_async(bus, &slot, m, take_answer, &answer, 0);
        if (r >= 0)
                r = pid1_wait_written(bus);
        if (r < 0)
                return r;
        do
                r = sd_bus_process(bus, NULL);
        while (r > 0 && !answer.there);
        if (!answer.there)
                return r < 0 ? r : -EBADMSG;
        return answer.result;
}
