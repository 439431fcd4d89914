/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What both drivers do alike with a group that is held: reading what holds, squeezing before a memory limit
 * is lowered, placing processes, freezing and killing them. It never decides a value.
 */

#include "enforce/cgroup-driver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#define ATTACH_MAX 16
#define SQUEEZE_MSEC 200
#define SQUEEZE_STEP_MSEC 10

const char *tenant_group_path(const TenantGroup *group) {
        return group->path;
}

const char *tenant_group_tenant(const TenantGroup *group) {
        return group->tenant_id;
}

int tenant_group_fd(const TenantGroup *group) {
        return group->fd;
}

uint64_t tenant_group_id(const TenantGroup *group) {
        return group->id;
}

static int group_read_event(const TenantGroup *group, const char *key, uint64_t *ret) {
        char text[128];
        int r;

        r = group_read_fd(group->events_fd, text, sizeof(text));
        return r < 0 ? r : cgroup_events_parse(text, key, ret);
}

bool tenant_group_alive(const TenantGroup *group) {
        uint64_t populated;

        return group_read_event(group, "populated", &populated) >= 0;
}

int tenant_group_populated(TenantGroup *group) {
        uint64_t populated;
        int r;

        r = group_read_event(group, "populated", &populated);
        return r < 0 ? r : populated != 0;
}

int tenant_group_observe_some(TenantGroup *group, uint32_t which, Settings *ret) {
        Settings settings = { 0 };

        for (int i = 0; i < SETTING_MAX; i++) {
                uint64_t value;
                int r;

                if (!(group->driver->settings & which & (1U << i)))
                        continue;
                r = group_read_setting(group, (Setting) i, &value);
                if (r == -ENOENT) /* a controller that someone took from this group */
                        continue;
                if (r < 0)
                        return r;
                settings_put(&settings, (Setting) i, value);
        }
        /* An idle group shows weight 0, which says nothing. */
        if (settings_has(&settings, SETTING_CPU_IDLE) && settings.value[SETTING_CPU_IDLE] != 0)
                settings.present &= ~(1U << SETTING_CPU_WEIGHT);
        if (settings.present == 0 && !tenant_group_alive(group))
                return -ENOLINK;
        *ret = settings;
        return 0;
}

int tenant_group_observe(TenantGroup *group, Settings *ret) {
        return tenant_group_observe_some(group, UINT32_MAX, ret);
}

int tenant_group_memory_current(TenantGroup *group, uint64_t *ret_bytes) {
        char text[SETTING_TEXT_SIZE];
        int r;

        r = group_read_file(group->fd, "memory.current", text, sizeof(text));
        if (r < 0)
                return r == -ENOENT ? -EOPNOTSUPP : r;
        return setting_parse(SETTING_MEMORY_MAX, text, ret_bytes);
}

static uint64_t monotonic_msec(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}

/*
 * memory.max below what is used kills at once (Documentation/admin-guide/cgroup-v2.rst); memory.high only
 * reclaims. Gives memory.high as it was, UNLIMITED and *ret_squeezed false where nothing had to be done.
 */
static int group_squeeze(
                TenantGroup *group, const Settings *settled, bool *ret_squeezed, uint64_t *ret_high) {
        uint64_t target, current, high, deadline;
        int r;

        *ret_squeezed = false;
        if (!settings_has(settled, SETTING_MEMORY_MAX) || settled->value[SETTING_MEMORY_MAX] == UNLIMITED ||
                        !(group->driver->settings & (1U << SETTING_MEMORY_HIGH)))
                return 0;
        target = settled->value[SETTING_MEMORY_MAX];
        r = tenant_group_memory_current(group, &current);
        if (r < 0)
                return r;
        if (current <= target)
                return 0;

        r = group_read_setting(group, SETTING_MEMORY_HIGH, &high);
        if (r < 0)
                return r;
        if (high > target) {
                r = group_write_setting(group, SETTING_MEMORY_HIGH, target);
                if (r < 0)
                        return r;
                *ret_squeezed = true;
                *ret_high = high;
        }
        deadline = monotonic_msec() + SQUEEZE_MSEC;
        while (tenant_group_memory_current(group, &current) >= 0 && current > target &&
                        monotonic_msec() < deadline)
                (void) poll(NULL, 0, SQUEEZE_STEP_MSEC);
        return 0;
}

static int group_is_idle(TenantGroup *group, bool *ret) {
        uint64_t idle = 0;
        int r = 0;

        if (group->driver->settings & (1U << SETTING_CPU_IDLE))
                r = group_read_setting(group, SETTING_CPU_IDLE, &idle);
        if (r < 0 && r != -ENOENT)
                return r;
        *ret = idle != 0;
        return 0;
}

/*
 * A quota below the burst is refused (EINVAL), which systemd takes for a success that changes nothing: the
 * burst goes first, and comes back with what else systemd has no property for.
 */
static int group_lower_burst(TenantGroup *group, Settings *settled) {
        uint64_t burst;
        int r;

        if (!settings_has(settled, SETTING_CPU_MAX) || !(group->driver->settings & (1U << SETTING_CPU_BURST)))
                return 0;
        r = group_read_setting(group, SETTING_CPU_BURST, &burst);
        if (r < 0 || burst == 0)
                return r;
        if (!settings_has(settled, SETTING_CPU_BURST))
                settings_put(settled, SETTING_CPU_BURST, burst);
        return group_write_setting(group, SETTING_CPU_BURST, 0);
}

int tenant_group_apply(TenantGroup *group, const Settings *changes) {
        Settings settled = *changes;
        bool idle, squeezed;
        uint64_t high = UNLIMITED;
        int r;

        if (!tenant_group_alive(group))
                return -ENOLINK;
        r = group_is_idle(group, &idle);
        if (r < 0)
                return r;
        settled.present &= group->driver->settings;
        settled = settings_settle(&settled, idle);
        if (settled.present == 0)
                return 0;
        r = group_squeeze(group, &settled, &squeezed, &high);
        if (r < 0)
                return r;

        r = group_lower_burst(group, &settled);
        if (r >= 0)
                r = group->driver->ops->apply(group, &settled);
        /* Also after a failure: a squeeze that nobody asked for must not stay. */
        if (squeezed && (r < 0 || !settings_has(&settled, SETTING_MEMORY_HIGH))) {
                int k = group_write_setting(group, SETTING_MEMORY_HIGH, high);

                if (r >= 0)
                        r = k;
        }
        return r;
}

int tenant_group_attach(TenantGroup *group, const int *pidfds, size_t n, char **ret_group) {
        _cleanup_free_ char *path = NULL;
        Process *processes;
        int r;

        if (n == 0)
                return -EINVAL;
        if (n > ATTACH_MAX)
                return -E2BIG;
        if (!tenant_group_alive(group))
                return -ENOLINK;
        r = processes_identify(pidfds, n, &processes);
        if (r < 0)
                return r;
        r = group->driver->ops->attach(group, processes, n, &path);
        if (r >= 0 && !processes_placed(processes, n, path))
                r = -ESRCH;
        if (r < 0 && path)
                processes_undo(group->driver, processes, n, path);
        processes_free(processes, n);
        if (r < 0)
                return r;
        *ret_group = TAKE_PTR(path);
        return 0;
}

int tenant_group_attach_unit(TenantGroup *group, const char *unit, char **ret_group) {
        return group->driver->ops->attach_unit(group, unit, ret_group);
}

int tenant_group_signal(TenantGroup *group, int signal) {
        if (!tenant_group_alive(group))
                return -ENOLINK;
        return group->driver->ops->signal(group, signal);
}

int tenant_group_freeze(TenantGroup *group, bool frozen) {
        return group_write_file(group->fd, "cgroup.freeze", frozen ? "1" : "0");
}

int tenant_group_is_frozen(TenantGroup *group) {
        char text[SETTING_TEXT_SIZE];
        int r = 0;

        if (group->freeze_fd < 0)
                r = group_open_file(group->fd, "cgroup.freeze", O_RDONLY, &group->freeze_fd);
        if (r >= 0)
                r = group_read_fd(group->freeze_fd, text, sizeof(text));
        return r < 0 ? r : *text == '1';
}

int tenant_group_kill(TenantGroup *group) {
        return group_write_file(group->fd, "cgroup.kill", "1");
}
