/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The driver for nodes where PID 1 is systemd: the parent is headgate.slice, a tenant
 * headgate-<escaped>.slice, and every change goes through PID 1, which owns the files of the groups that it
 * made.
 *
 * A slice needs no unit file, so it is configured by SetUnitProperties(runtime) and then started, in that
 * order: it never exists without what it was given, and, other than a transient slice, whose settings go with
 * it, it has them again when someone stops it and something else starts it (the drop-ins stay in /run until
 * the tenant is removed).
 */

#include "enforce/cgroup-systemd.h"

#include "enforce/cgroup-slice.h"
#include "model/identifier.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#define UNIT_PREFIX "headgate-"
#define SERVICE_SUFFIX ".service"
#define PARTITION_UNIT_PREFIX "headgate-partition@"
#define CPU_WEIGHT_DEFAULT 100U

int systemd_connect(CgroupDriver *driver, Pid1 **ret) {
        int r = pid1_connect(&driver->pid1);

        if (r >= 0)
                *ret = &driver->pid1;
        return r;
}

static void systemd_rest(CgroupDriver *driver) {
        pid1_rest(&driver->pid1);
}

/*
 * Accounting has the memory, pids and io controllers enabled for the slice from its creation (io: writes are
 * charged to the group that had it when the page was dirtied). CPUAccounting alone does not enable cpu on
 * current kernels, a weight does; one that is set already is left.
 */
static const char *const configured[] = { "CPUWeight", "CPUAccounting", "MemoryAccounting", "TasksAccounting",
        "IOAccounting", NULL };
static const char *const *const accounting = configured + 1;

static int configure_slice(Pid1 *pid1, const char *unit) {
        _cleanup_message_ sd_bus_message *m = NULL;
        uint64_t weight;
        int r, complete = true;

        r = pid1_get_trivial(pid1, unit, "CPUWeight", 't', &weight);
        if (r < 0)
                return r;
        for (const char *const *name = accounting; *name && complete; name++) {
                r = pid1_get_trivial(pid1, unit, *name, 'b', &complete);
                if (r < 0)
                        return r;
        }
        if (complete && weight != UINT64_MAX)
                return 0;

        r = pid1_open_properties(pid1, unit, &m);
        for (const char *const *name = accounting; r >= 0 && *name; name++)
                r = sd_bus_message_append(m, "(sv)", *name, "b", true);
        if (r >= 0 && weight == UINT64_MAX)
                r = sd_bus_message_append(m, "(sv)", "CPUWeight", "t", (uint64_t) CPU_WEIGHT_DEFAULT);
        if (r < 0)
                return r;
        return pid1_send_properties(pid1, unit, m);
}

/* As systemd-escape --path: "/" is "-", and what is neither a letter, a digit, "_" nor "." is "\\xXX". */
static char *unit_path_escape(const char *path) {
        char *escaped = malloc(4 * strlen(path) + 1), *p = escaped;

        if (!escaped)
                return NULL;
        for (path += strspn(path, "/"); *path; path++)
                if (*path == '/')
                        *p++ = '-';
                else if (isalnum((unsigned char) *path) || *path == '_' || *path == '.')
                        *p++ = *path;
                else
                        p += sprintf(p, "\\x%02x", (unsigned char) *path);
        *p = '\0';
        return escaped;
}

char *systemd_slice(const char *tenant_id) {
        char escaped[IDENTIFIER_ESCAPED_SIZE];
        char *name;

        if (!tenant_id)
                return strdup(SYSTEMD_PARENT);
        identifier_escape(tenant_id, escaped);
        return asprintf(&name, UNIT_PREFIX "%s" SYSTEMD_SLICE_SUFFIX, escaped) < 0 ? NULL : name;
}

/* 1: it stands as we made it, and is at *ret_path. */
static int systemd_stands(
                const CgroupDriver *driver, const char *tenant_id, const char *unit, char **ret_path) {
        _cleanup_close_ int run_fd = open("/run/systemd", O_PATH | O_DIRECTORY | O_CLOEXEC);
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/%s", tenant_id ? driver->parent->path : "", unit) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        if (run_fd < 0 || !slice_stands(run_fd, driver->mount_fd, path, configured))
                return 0;
        *ret_path = TAKE_PTR(path);
        return 1;
}

static int systemd_make(CgroupDriver *driver, const char *tenant_id, char **ret_unit, char **ret_path) {
        _cleanup_free_ char *unit = systemd_slice(tenant_id), *path = NULL, *state = NULL;
        Pid1 *pid1;
        int r;

        if (!unit)
                return -ENOMEM;
        r = systemd_stands(driver, tenant_id, unit, ret_path);
        if (r > 0)
                *ret_unit = TAKE_PTR(unit);
        if (r != 0)
                return r < 0 ? r : 0;
        r = systemd_connect(driver, &pid1);
        if (r < 0)
                return r;
        r = configure_slice(pid1, unit);
        if (r < 0)
                return r;
        r = pid1_get_string(pid1, unit, PID1_SERVICE ".Unit", "ActiveState", &state);
        if (r < 0)
                return r;
        if (strcmp(state, "active") != 0) {
                r = pid1_call_unit_job(pid1, "StartUnit", unit, "replace");
                if (r < 0)
                        return r;
        }
        r = pid1_get_group(pid1, unit, &path);
        if (r < 0)
                return r;
        *ret_unit = TAKE_PTR(unit);
        *ret_path = TAKE_PTR(path);
        return 0;
}

static int systemd_find(CgroupDriver *driver, const char *tenant_id, char **ret_unit, char **ret_path) {
        _cleanup_free_ char *unit = systemd_slice(tenant_id), *path = NULL;
        Pid1 *pid1;
        int r;

        if (!unit)
                return -ENOMEM;
        r = systemd_connect(driver, &pid1);
        if (r < 0)
                return r;
        r = pid1_get_group(pid1, unit, &path);
        if (r < 0)
                return r;
        *ret_unit = TAKE_PTR(unit);
        *ret_path = TAKE_PTR(path);
        return 0;
}

static int apply_properties(TenantGroup *group, const Settings *settled) {
        _cleanup_message_ sd_bus_message *m = NULL;
        Pid1 *pid1;
        SettingProperty properties[SETTING_MAX];
        size_t n = settings_properties(settled, properties);
        int r;

        if (n == 0)
                return 0;
        r = systemd_connect(group->driver, &pid1);
        if (r < 0)
                return r;
        r = pid1_open_properties(pid1, group->unit, &m);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = sd_bus_message_append(m, "(sv)", properties[i].name, "t", properties[i].value);
        if (r < 0)
                return r;
        return pid1_send_properties(pid1, group->unit, m);
}

/* A list of numbers as systemd takes it: a bit each, the lowest first (sd_bus: "ay"). */
static int append_mask(sd_bus_message *m, const char *property, const CpuSet *set) {
        uint8_t mask[CPU_SET_SIZE / 8] = {};
        size_t n = 0;
        int r;

        CPU_SET_FOREACH (number, set) {
                mask[number / 8] |= (uint8_t) (1U << (number % 8));
                n = number / 8 + 1;
        }
        r = sd_bus_message_open_container(m, 'r', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', property);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "ay");
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', mask, n);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int systemd_place(TenantGroup *group, const CpuSet *cpus, const CpuSet *nodes) {
        _cleanup_message_ sd_bus_message *m = NULL;
        Pid1 *pid1;
        int r;

        r = systemd_connect(group->driver, &pid1);
        if (r < 0)
                return r;
        r = pid1_open_properties(pid1, group->unit, &m);
        if (r >= 0)
                r = append_mask(m, "AllowedCPUs", cpus);
        if (r >= 0)
                r = append_mask(m, "AllowedMemoryNodes", nodes);
        if (r < 0)
                return r;
        return pid1_send_properties(pid1, group->unit, m);
}

/*
 * A partition below a group that is none takes CAP_SYS_ADMIN (kernel/cgroup/cpuset.c,
 * remote_partition_enable()), which this service does without: what the kernel does not grant us, a unit of
 * ours is started for, that has this capability and does this one write.
 */
static int systemd_make_partition(TenantGroup *group) {
        _cleanup_free_ char *unit = NULL, *encoded = NULL;
        Pid1 *pid1;
        char text[96];
        int r;

        r = group_write_file(group->fd, "cpuset.cpus.partition", "root");
        if (r >= 0)
                r = group_read_file(group->fd, "cpuset.cpus.partition", text, sizeof text);
        if (r < 0 || !strstr(text, "not permitted"))
                return r;
        encoded = unit_path_escape(group->path);
        if (!encoded || asprintf(&unit, PARTITION_UNIT_PREFIX "%s" SERVICE_SUFFIX, encoded) < 0) {
                unit = NULL;
                return -ENOMEM;
        }
        r = systemd_connect(group->driver, &pid1);
        if (r < 0)
                return r;
        return pid1_call_unit_job(pid1, "StartUnit", unit, "replace");
}

/*
 * systemd has no property for memory.oom.group of a slice, and still clears it with whatever else it writes
 * of memory (252): it is written again, after.
 */
static int keep_oom_group(TenantGroup *group, Settings *beside) {
        uint64_t value;
        int r;

        if (settings_has(beside, SETTING_OOM_GROUP) || !(group->driver->settings & (1U << SETTING_OOM_GROUP)))
                return 0;
        r = group_read_setting(group, SETTING_OOM_GROUP, &value);
        if (r >= 0 && value != 0)
                settings_put(beside, SETTING_OOM_GROUP, value);
        return r;
}

static int systemd_apply(TenantGroup *group, const Settings *settled) {
        Settings beside = *settled;
        int r;

        beside.present = settings_beside(settled);
        r = keep_oom_group(group, &beside);
        if (r >= 0)
                r = apply_properties(group, settled);
        return r < 0 ? r : group_write_settings(group, &beside);
}

/* PID 1 may signal anyone, and "all" is every process in the slice and below it. */
static int systemd_signal(TenantGroup *group, int signal) {
        _cleanup_message_ sd_bus_message *m = NULL;
        Pid1 *pid1;
        int r;

        r = systemd_connect(group->driver, &pid1);
        if (r < 0)
                return r;
        r = pid1_new_call(pid1, "KillUnit", &m);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "ssi", group->unit, "all", (int32_t) signal);
        if (r < 0)
                return r;
        r = pid1_call(pid1, m, group->unit, 0, NULL);
        return r == -ESRCH ? 0 : r; /* nobody to tell */
}

static bool systemd_parse_name(const char *name, char *ret_tenant_id) {
        char escaped[IDENTIFIER_ESCAPED_SIZE];
        size_t length = strlen(name), prefix = strlen(UNIT_PREFIX), suffix = strlen(SYSTEMD_SLICE_SUFFIX);

        if (length <= prefix + suffix || length - prefix - suffix >= sizeof(escaped) ||
                        strncmp(name, UNIT_PREFIX, prefix) != 0 ||
                        strcmp(name + length - suffix, SYSTEMD_SLICE_SUFFIX) != 0)
                return false;
        memcpy(escaped, name + prefix, length - prefix - suffix);
        escaped[length - prefix - suffix] = '\0';
        return identifier_unescape(escaped, ret_tenant_id);
}

const CgroupDriverOps cgroup_systemd_ops = {
        .kind = CGROUP_DRIVER_SYSTEMD,
        .make = systemd_make,
        .on_demand = (1U << CONTROLLER_CPU) | (1U << CONTROLLER_MEMORY) | (1U << CONTROLLER_PIDS) |
                     (1U << CONTROLLER_IO),
        .apply = systemd_apply,
        .place = systemd_place,
        .make_partition = systemd_make_partition,
        .attach = systemd_attach,
        .attach_unit = systemd_attach_unit,
        .signal = systemd_signal,
        .order_units = systemd_order_units,
        .untie = systemd_untie,
        .remove = systemd_remove,
        .find = systemd_find,
        .rest = systemd_rest,
        .parse_name = systemd_parse_name,
};
