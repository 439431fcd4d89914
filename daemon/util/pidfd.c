/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What /proc says of the process behind a pidfd, believed only while the pidfd says that it still lives. */

#include "pidfd.h"

#include <poll.h>
#include <sys/stat.h>

/* A pidfd is readable once its process has exited (pidfd_open(2)). */
bool pidfd_has_exited(int pidfd) {
        return poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1, 0) != 0;
}

int pidfd_get_pid(int pidfd, pid_t *ret_pid) {
        char path[64], line[256];
        _cleanup_fclose_ FILE *info = NULL;
        bool found = false;
        int pid = -1;

        snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
        info = fopen(path, "re");
        if (!info)
                return -EBADF;
        while (!found && fgets(line, sizeof line, info))
                found = sscanf(line, "Pid: %d", &pid) == 1;
        if (!found)
                return -EINVAL;
        if (pid <= 0 || pidfd_has_exited(pidfd))
                return -ESRCH;
        *ret_pid = pid;
        return 0;
}

int pidfd_get_uid(int pidfd, uid_t *ret_uid) {
        struct stat st;
        char path[32];
        pid_t pid;
        int r;

        r = pidfd_get_pid(pidfd, &pid);
        if (r < 0)
                return r;
        snprintf(path, sizeof path, "/proc/%d", (int) pid);
        if (stat(path, &st) < 0 || pidfd_has_exited(pidfd))
                return -ESRCH;
        *ret_uid = st.st_uid;
        return 0;
}
