/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which controllers the groups of tenants have: enabled in cgroup.subtree_control of the root and of the
 * parent, and enabled again where somebody took one away, and with it what was set. Of cpuset it knows
 * nothing: that one comes with the first who is placed (cgroup-placement.c). It sets no value.
 */

#include "enforce/cgroup-driver.h"

#include "util/strv.h"

#include <errno.h>

int group_enable_controllers(int fd, uint32_t wanted, uint32_t *ret_enabled) {
        char text[4096];
        uint32_t available, enabled;
        int r, error = 0;

        r = group_read_file(fd, "cgroup.controllers", text, sizeof(text));
        if (r < 0)
                return r;
        available = controllers_parse(text) & wanted;
        r = group_read_file(fd, "cgroup.subtree_control", text, sizeof(text));
        if (r < 0)
                return r;
        enabled = controllers_parse(text);

        for (int i = 0; i < CONTROLLER_MAX; i++) {
                uint32_t missing = available & ~enabled & (1U << i);
                char plus[CONTROLLERS_TEXT_SIZE];

                if (missing == 0)
                        continue;
                controllers_format(missing, plus);
                r = group_write_file(fd, "cgroup.subtree_control", plus);
                if (r < 0)
                        error = r;
                else
                        enabled |= missing;
        }
        *ret_enabled = enabled;
        return error;
}

/*
 * What PID 1 enables on demand it believes to be there from then on, and does not look: while there are
 * tenants it is theirs, and once there are none it is PID 1's to take away. The others it leaves alone, and
 * what is enabled of them stays over a daemon-reload.
 */
static int find_wanted(CgroupDriver *driver, uint32_t *ret) {
        _cleanup_strv_ char **ids = NULL;
        int r = driver->ops->on_demand ? cgroup_driver_list(driver, &ids) : 0;

        if (r < 0)
                return r;
        *ret = ids ? CONTROLLERS_ALL : CONTROLLERS_ALL & ~driver->ops->on_demand;
        return 0;
}

/* One that cannot be had at the root may still be had below it, and the reverse. */
static int enable(const CgroupDriver *driver, uint32_t wanted, uint32_t *ret_enabled) {
        uint32_t enabled = 0;
        int r, k;

        r = group_enable_controllers(driver->root_fd, wanted, &enabled);
        k = group_enable_controllers(driver->parent->fd, wanted, ret_enabled);
        return r < 0 ? r : k;
}

int driver_enable_controllers(CgroupDriver *driver) {
        uint32_t wanted, enabled = 0;
        char text[4096];
        int r;

        r = find_wanted(driver, &wanted);
        if (r < 0)
                return r;
        driver->enable_error = enable(driver, wanted, &enabled);
        r = group_read_file(driver->parent->fd, "cgroup.controllers", text, sizeof(text));
        if (r < 0)
                return r;
        driver->controllers = controllers_parse(text) & (driver->ops->on_demand | enabled);
        return 0;
}

int cgroup_parent_observe_controllers(CgroupDriver *driver, uint32_t *ret, uint32_t *ret_wanted) {
        uint32_t enabled, wanted = CONTROLLERS_ALL;
        char text[4096];
        int r;

        r = group_read_file(driver->parent->fd, "cgroup.subtree_control", text, sizeof(text));
        if (r < 0)
                return r;
        enabled = controllers_parse(text) & driver->controllers;
        if (enabled != driver->controllers)
                r = find_wanted(driver, &wanted);
        if (r < 0)
                return r;
        *ret = enabled;
        *ret_wanted = (wanted & driver->controllers) | enabled;
        return 0;
}

int cgroup_parent_give_controllers(CgroupDriver *driver) {
        uint32_t had, have, wanted;
        int r;

        r = cgroup_parent_observe_controllers(driver, &had, &wanted);
        if (r < 0 || had == wanted)
                return r;
        have = had;
        r = enable(driver, wanted, &have);
        return r < 0 ? r : (have & wanted) != had;
}
