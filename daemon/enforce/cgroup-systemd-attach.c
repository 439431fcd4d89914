/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What comes to a tenant's slice from elsewhere: processes, in a scope that is made of them (a slice holds
 * none itself), and units, by a drop-in that counts from their next start.
 */

#include "enforce/cgroup-systemd.h"

#include "enforce/cgroup-dropin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RELOAD_TIMEOUT_USEC (90 * 1000000ULL)
#define SCOPE_TRIES 16

static int start_scope(
                Pid1 *pid1, const TenantGroup *group, const char *scope, const Process *processes, size_t n) {
        _cleanup_message_ sd_bus_message *m = NULL;
        int r;

        r = pid1_new_call(pid1, "StartTransientUnit", &m);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "ss", scope, "fail");
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "(sv)(sv)(sv)", "Slice", "s", group->unit, "CollectMode", "s",
                        "inactive-or-failed", "Description", "s", "Processes attached to a Headgate tenant");
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'r', "sv");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", "PIDs");
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'v', "au");
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'a', "u");
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = sd_bus_message_append(m, "u", (uint32_t) processes[i].pid);
        for (int i = 0; r >= 0 && i < 4; i++) /* array, variant, struct, array of properties */
                r = sd_bus_message_close_container(m);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "a(sa(sv))", 0);
        if (r < 0)
                return r;
        return pid1_call_job(pid1, m, scope);
}

typedef struct ScopeNumber {
        const char *prefix;
        unsigned highest;
} ScopeNumber;

static int note_scope(int parent_fd, const char *name, void *userdata) {
        ScopeNumber *number = userdata;
        size_t length = strlen(number->prefix);
        unsigned n;

        if (strncmp(name, number->prefix, length) == 0 && sscanf(name + length, "%u", &n) == 1 &&
                        n > number->highest)
                number->highest = n;
        return 0;
}

int systemd_attach(TenantGroup *group, const Process *processes, size_t n, char **ret_group) {
        _cleanup_free_ char *prefix =
                        strndup(group->unit, strlen(group->unit) - strlen(SYSTEMD_SLICE_SUFFIX) + 1);
        ScopeNumber number = { prefix, 0 };
        Pid1 *pid1;
        int r;

        if (!prefix)
                return -ENOMEM;
        prefix[strlen(prefix) - 1] = '-';
        r = group_each_child(group->fd, note_scope, &number);
        if (r < 0)
                return r;
        r = systemd_connect(group->driver, &pid1);
        if (r < 0)
                return r;
        for (unsigned i = 1; i <= SCOPE_TRIES; i++) {
                _cleanup_free_ char *scope = NULL;

                if (asprintf(&scope, "%s%u" SYSTEMD_SCOPE_SUFFIX, prefix, number.highest + i) < 0)
                        return -ENOMEM;
                r = start_scope(pid1, group, scope, processes, n);
                if (r == -EEXIST)
                        continue;
                if (r < 0)
                        return r == -EIO ? -ESRCH : r; /* the job failed: no process was left to place */
                r = pid1_get_group(pid1, scope, ret_group);
                return r == -ENOENT ? -ESRCH : r; /* they have all exited, and the scope with them */
        }
        return -EEXIST;
}

static int reload(Pid1 *pid1) {
        _cleanup_message_ sd_bus_message *m = NULL;
        int r;

        r = pid1_new_call(pid1, "Reload", &m);
        if (r < 0)
                return r;
        return pid1_call(pid1, m, SYSTEMD_PARENT, RELOAD_TIMEOUT_USEC, NULL);
}

/* The drop-in counts only if no other that sorts behind it says otherwise: PID 1 is asked which slice it
 * took. Where it is not this one, whose the unit was before it stays. */
static int tie_unit(Pid1 *pid1, const char *unit, const char *slice) {
        _cleanup_free_ char *taken = NULL;
        DropinFormer former = {};
        int r;

        r = systemd_may_order(pid1, unit);
        if (r >= 0)
                r = dropin_write(unit, slice, /* ordered= */ r > 0, &former);
        if (r < 0)
                return r;
        r = reload(pid1);
        if (r >= 0)
                r = pid1_get_string(pid1, unit, pid1_unit_interface(unit), "Slice", &taken);
        if (r >= 0 && strcmp(taken, slice) != 0)
                r = -EEXIST;
        if (r < 0) {
                (void) dropin_put_back(unit, &former);
                (void) reload(pid1);
        }
        return r;
}

int systemd_attach_unit(TenantGroup *group, const char *unit, char **ret_group) {
        _cleanup_free_ char *state = NULL, *path = NULL;
        Pid1 *pid1;
        int r;

        if (!dropin_section(unit))
                return -EINVAL;
        r = systemd_connect(group->driver, &pid1);
        if (r < 0)
                return r;
        r = pid1_get_string(pid1, unit, PID1_SERVICE ".Unit", "LoadState", &state);
        if (r < 0)
                return r;
        if (strcmp(state, "loaded") != 0)
                return -ENOENT;
        r = pid1_get_group(pid1, unit, &path);
        if (r < 0 && r != -ENOENT)
                return r;
        r = tie_unit(pid1, unit, group->unit);
        if (r < 0)
                return r;
        *ret_group = TAKE_PTR(path);
        return 0;
}

int systemd_untie_slice(Pid1 *pid1, const char *slice) {
        bool untied;
        int r = dropin_remove_all(slice, &untied);

        return r >= 0 && untied ? reload(pid1) : r;
}

int systemd_untie(CgroupDriver *driver, const char *tenant_id) {
        _cleanup_free_ char *unit = systemd_slice(tenant_id);
        Pid1 *pid1;
        int r;

        if (!unit)
                return -ENOMEM;
        r = systemd_connect(driver, &pid1);
        return r < 0 ? r : systemd_untie_slice(pid1, unit);
}
