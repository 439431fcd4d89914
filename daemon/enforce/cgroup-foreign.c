/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Groups that others own: found and looked at. Nothing here opens a file of theirs, or writes one. */

#include "enforce/cgroup-driver.h"

#include <errno.h>
#include <sys/stat.h>

int cgroup_foreign_open(const CgroupDriver *driver, const char *path, int *ret_fd, uint64_t *ret_id) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        int r;

        r = group_open_directory(driver->mount_fd, path, &fd);
        if (r == -ENOTDIR || r == -ENAMETOOLONG)
                return -ENOENT;
        if (r < 0)
                return r;
        if (fstat(fd, &st) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        *ret_id = st.st_ino;
        return 0;
}

bool cgroup_foreign_lives(const CgroupDriver *driver, const char *path, uint64_t id) {
        _cleanup_close_ int fd = -EBADF;
        uint64_t found;

        return cgroup_foreign_open(driver, path, &fd, &found) >= 0 && found == id;
}
