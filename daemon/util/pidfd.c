/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What /proc says of the process behind a pidfd, believed only while the pidfd says that it still lives. */

#include "pidfd.h"

#include <inttypes.h>
#include <poll.h>
#include <string.h>
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

/* The first line of a file below /proc/PID. */
static int read_line(int pidfd, const char *name, char *ret, int size) {
        _cleanup_fclose_ FILE *f = NULL;
        char path[64];
        pid_t pid;
        int r;

        r = pidfd_get_pid(pidfd, &pid);
        if (r < 0)
                return r;
        snprintf(path, sizeof path, "/proc/%d/%s", (int) pid, name);
        f = fopen(path, "re");
        if (!f || !fgets(ret, size, f) || pidfd_has_exited(pidfd))
                return -ESRCH;
        ret[strcspn(ret, "\n")] = '\0';
        return 0;
}

int pidfd_get_memory(int pidfd, uint64_t *ret_bytes) {
        uint64_t resident, shared;
        char line[256];
        int r;

        r = read_line(pidfd, "statm", line, sizeof line);
        if (r < 0)
                return r;
        if (sscanf(line, "%*u %" SCNu64 " %" SCNu64, &resident, &shared) != 2)
                return -EBADMSG;
        *ret_bytes = (resident > shared ? resident - shared : 0) * (uint64_t) sysconf(_SC_PAGESIZE);
        return 0;
}

int pidfd_get_name(int pidfd, char ret[static PIDFD_NAME_SIZE]) {
        char line[PIDFD_NAME_SIZE];
        int r;

        r = read_line(pidfd, "comm", line, sizeof line);
        if (r < 0)
                return r;
        for (char *c = line; *c; c++)
                if ((unsigned char) *c < 0x20 || (unsigned char) *c >= 0x7f)
                        *c = '?';
        memcpy(ret, line, sizeof line);
        return 0;
}
