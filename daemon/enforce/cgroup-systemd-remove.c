/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How a slice goes, with its group and all that was set of it; not with what somebody else has in it. Who
 * says in a unit elsewhere that it goes with this slice (BindsTo=, PartOf=) is taken at their word.
 */

#include "enforce/cgroup-systemd.h"

#include "util/strv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static bool is_scope(const char *unit) {
        const char *suffix = strrchr(unit, '.');

        return suffix && strcmp(suffix, SYSTEMD_SCOPE_SUFFIX) == 0;
}

/* By its name, as systemd has it. */
static bool is_slice_below(const char *unit, const char *slice) {
        size_t length = strlen(slice) - strlen(SYSTEMD_SLICE_SUFFIX);
        const char *suffix = strrchr(unit, '.');

        return suffix && strcmp(suffix, SYSTEMD_SLICE_SUFFIX) == 0 && strncmp(unit, slice, length) == 0 &&
               unit[length] == '-';
}

static int is_active(Pid1 *pid1, const char *unit) {
        _cleanup_free_ char *state = NULL;
        int r = pid1_get_string(pid1, unit, PID1_SERVICE ".Unit", "ActiveState", &state);

        return r < 0 ? r : strcmp(state, "inactive") != 0 && strcmp(state, "failed") != 0;
}

/* A scope is its processes, and a slice what is in it. */
static int is_in_use(Pid1 *pid1, const char *slice) {
        _cleanup_strv_ char **units = NULL;
        int r = pid1_get_list(pid1, slice, PID1_SERVICE ".Unit", "RequiredBy", &units);

        for (char **unit = units; r == 0 && unit && *unit; unit++)
                if (is_slice_below(*unit, slice))
                        r = is_in_use(pid1, *unit);
                else if (!is_scope(*unit))
                        r = is_active(pid1, *unit);
        return r;
}

static int is_populated(int holder_fd, const char *unit) {
        _cleanup_close_ int fd = -EBADF;
        uint64_t populated;
        char text[256];
        int r;

        r = group_open_directory(holder_fd, unit, &fd);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        r = group_read_file(fd, "cgroup.events", text, sizeof(text));
        if (r >= 0)
                r = cgroup_events_parse(text, "populated", &populated);
        return r < 0 ? r : populated > 0;
}

/*
 * PID 1 stops with a slice what is in it, and that is not ours. It is asked for what has no process there: a
 * service between two runs, a mount. What has come while it was asked is seen after that; and what somebody
 * has asked to be started by then has the stop refused, while that job lasts. One that PID 1 starts and is
 * through with between the look at its processes and the stop is stopped: nothing that it offers does both at
 * once.
 */
static int stop_slice(Pid1 *pid1, int holder_fd, const char *unit) {
        int r = is_in_use(pid1, unit);

        if (r == 0)
                r = is_populated(holder_fd, unit);
        if (r != 0)
                return r < 0 ? r : -EBUSY;
        return pid1_call_unit_job(pid1, "StopUnit", unit, "fail");
}

/* Takes back the drop-ins that PID 1 wrote for us; it leaves alone what others put into /etc for a slice of
 * ours. */
static int revert_unit(Pid1 *pid1, const char *unit) {
        _cleanup_message_ sd_bus_message *m = NULL;
        int r;

        r = pid1_new_call(pid1, "RevertUnitFiles", &m);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "as", 1, unit);
        if (r < 0)
                return r;
        return pid1_call(pid1, m, unit, 0, NULL);
}

int systemd_remove(CgroupDriver *driver, const char *tenant_id) {
        _cleanup_free_ char *unit = systemd_slice(tenant_id), *state = NULL;
        int holder_fd = tenant_id ? driver->parent->fd : driver->root_fd, r;
        bool was_started;
        Pid1 *pid1;

        if (!unit)
                return -ENOMEM;
        r = systemd_connect(driver, &pid1);
        if (r < 0)
                return r;
        /* Before the slice is stopped: while PID 1 takes a unit for part of it, that stops the unit, too,
         * even where it still runs elsewhere. */
        r = systemd_untie_slice(pid1, unit);
        if (r < 0)
                return r;
        r = pid1_get_string(pid1, unit, PID1_SERVICE ".Unit", "ActiveState", &state);
        if (r < 0)
                return r;
        was_started = strcmp(state, "inactive") != 0;
        /* PID 1 makes the group of a slice when it is configured, and takes it away only when one that was
         * started is stopped. One that cannot be started keeps its group, and nothing that was set of it. */
        if (!was_started && faccessat(holder_fd, unit, F_OK, 0) == 0)
                was_started = pid1_call_unit_job(pid1, "StartUnit", unit, "replace") >= 0;
        if (was_started) {
                r = stop_slice(pid1, holder_fd, unit);
                if (r < 0)
                        return r;
        }
        return revert_unit(pid1, unit);
}
