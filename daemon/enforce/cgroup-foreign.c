/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Groups that others own: found and looked at, and whose processes are in them. Nothing here writes a file of
 * theirs. */

#include "enforce/cgroup-driver.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* PID 1, ourselves, or a process that root runs, or that becomes root where it was not. */
static bool is_system(pid_t pid) {
        char path[sizeof("/proc/2147483647/status")], text[4096];
        _cleanup_close_ int fd = -EBADF;
        unsigned real, effective;
        const char *line;

        if (pid <= 1 || pid == getpid())
                return true;
        (void) snprintf(path, sizeof(path), "/proc/%d/status", (int) pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || group_read_fd(fd, text, sizeof(text)) < 0)
                return false; /* it is gone */
        line = strstr(text, "\nUid:");
        return !line || sscanf(line, " Uid: %u %u", &real, &effective) != 2 || real == 0 || effective == 0;
}

/* 1 where it is the system's. */
static int find_system(pid_t pid, void *userdata) {
        pid_t *ret = userdata;

        if (!is_system(pid))
                return 0;
        *ret = pid;
        return 1;
}

static int find_below(int parent_fd, const char *name, void *userdata) {
        _cleanup_close_ int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? 0 : group_each_process(fd, find_system, userdata);
}

int cgroup_foreign_find_system(const CgroupDriver *driver, const char *path, pid_t *ret) {
        _cleanup_close_ int fd = -EBADF;
        uint64_t id;
        int r;

        r = cgroup_foreign_open(driver, path, &fd, &id);
        if (r >= 0)
                r = group_each_process(fd, find_system, ret);
        return r == 0 ? group_walk(fd, find_below, ret) : r;
}
