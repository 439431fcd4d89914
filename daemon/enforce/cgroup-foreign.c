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

/* 1 where one of the group's own is the system's. Of a threaded group the domain above lists them. */
static int find_in(int fd, pid_t *ret) {
        _cleanup_fclose_ FILE *f = NULL;
        int procs, pid;

        procs = openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
        if (procs < 0)
                return errno == ENOENT || errno == ENODEV ? 0 : -errno;
        f = fdopen(procs, "re");
        if (!f) {
                close(procs);
                return -ENOMEM;
        }
        while (fscanf(f, "%d", &pid) == 1)
                if (is_system(pid)) {
                        *ret = pid;
                        return 1;
                }
        return 0;
}

static int find_below(int parent_fd, const char *name, void *userdata) {
        _cleanup_close_ int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? 0 : find_in(fd, userdata);
}

int cgroup_foreign_find_system(const CgroupDriver *driver, const char *path, pid_t *ret) {
        _cleanup_close_ int fd = -EBADF;
        uint64_t id;
        int r;

        r = cgroup_foreign_open(driver, path, &fd, &id);
        if (r >= 0)
                r = find_in(fd, ret);
        return r == 0 ? group_walk(fd, find_below, ret) : r;
}
