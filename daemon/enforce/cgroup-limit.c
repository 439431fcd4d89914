/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Files of a line a device, read and written through the group's held directory. They are written beside
 * systemd, as runc does: it keeps no list of them that it would put back, and leaves lines alone that it did
 * not write, over a daemon-reload too (src/core/cgroup.c, cgroup_context_apply). It decides no value.
 */

#include "enforce/cgroup-driver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define RDMA_DEVICES "/sys/class/infiniband"

uint32_t driver_find_limits(const CgroupDriver *driver) {
        uint32_t found = 0;

        for (int i = 0; i < LIMIT_FILE_MAX; i++) {
                const LimitFileInfo *info = limit_file_info((LimitFile) i);

                /* BFQ is a module, whose file comes when a device first uses it. */
                if (driver->controllers & (1U << info->controller) &&
                                (i == LIMIT_IO_BFQ_WEIGHT ||
                                                faccessat(driver->parent->fd, info->file, F_OK, 0) == 0))
                        found |= 1U << i;
        }
        return found;
}

int tenant_group_observe_limits(TenantGroup *group, uint32_t files, LimitSet *ret) {
        _cleanup_limit_set_ LimitSet limits = LIMIT_SET_NULL;

        for (int i = 0; i < LIMIT_FILE_MAX; i++) {
                _cleanup_free_ char *text = NULL;
                int r;

                if (!(group->driver->limits & files & (1U << i)))
                        continue;
                r = group_read_text(group->fd, limit_file_info((LimitFile) i)->file, &text);
                if (r == -ENOENT) /* a controller that someone took from this group, or no BFQ */
                        continue;
                if (r >= 0)
                        r = limit_parse((LimitFile) i, text, &limits);
                if (r < 0)
                        return r;
        }
        *ret = limits;
        limits = (LimitSet) LIMIT_SET_NULL;
        return 0;
}

int tenant_group_apply_limits(TenantGroup *group, const LimitLine *lines, size_t n) {
        int error = 0;

        if (!tenant_group_alive(group))
                return -ENOLINK;
        for (size_t i = 0; i < n; i++) {
                char text[LIMIT_TEXT_SIZE];
                int r;

                limit_format(&lines[i], text);
                r = group_write_file(group->fd, limit_file_info(lines[i].file)->file, text);
                if (r < 0 && r != -ENOENT && !(r == -ENOLINK && tenant_group_alive(group)) && error == 0)
                        error = r;
        }
        return error;
}

static int add_rdma_devices(ResourceSet *targets) {
        DIR *directory = opendir(RDMA_DEVICES);
        struct dirent *entry;
        int r = 0;

        while (directory && r >= 0 && (entry = readdir(directory))) {
                if (entry->d_name[0] == '.' || strlen(entry->d_name) >= RESOURCE_TARGET_SIZE)
                        continue;
                r = resource_set_put(targets, RESOURCE_RDMA_HANDLES, entry->d_name, (Amount){});
                if (r >= 0)
                        r = resource_set_put(targets, RESOURCE_RDMA_OBJECTS, entry->d_name, (Amount){});
        }
        if (directory)
                closedir(directory);
        return r;
}

/* misc.capacity stands in the hierarchy's own root alone, in the form of misc.max. */
static int add_misc(const CgroupDriver *driver, ResourceSet *targets) {
        _cleanup_limit_set_ LimitSet capacity = LIMIT_SET_NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        r = group_read_text(driver->mount_fd, "misc.capacity", &text);
        if (r >= 0)
                r = limit_parse(LIMIT_MISC_MAX, text, &capacity);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        for (size_t i = 0; r >= 0 && i < capacity.n; i++)
                r = resource_set_put(targets, RESOURCE_MISC, capacity.lines[i].target, (Amount){});
        return r;
}

int cgroup_driver_add_targets(CgroupDriver *driver, ResourceSet *targets) {
        int r = add_rdma_devices(targets);

        return r < 0 ? r : add_misc(driver, targets);
}
