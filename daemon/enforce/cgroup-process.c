/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Processes that are to be placed in a group. The kernel and systemd 252 move processes by pid, and a pid may
 * be another process's by the time they look: so who was meant is checked again through its pidfd, and a move
 * of someone else is undone. It never signals a process and never waits for one.
 */

#include "enforce/cgroup-driver.h"
#include "util/pidfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* Enough for the lines of every cgroup v1 hierarchy and one unified path of PATH_MAX. */
#define PROC_TEXT_SIZE 8192

static int read_proc(const char *path, char *ret, size_t size) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        return group_read_fd(fd, ret, size);
}

/* A number after "KEY:" in the text of a proc file. */
static int proc_field(const char *text, const char *key, pid_t *ret) {
        size_t length = strlen(key);

        for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
                if (strncmp(line, key, length) == 0 && line[length] == ':') {
                        *ret = (pid_t) strtol(line + length + 1, NULL, 10);
                        return 0;
                }
        return -ENODATA;
}

int process_find_group(pid_t pid, char **ret) {
        char path[sizeof("/proc/4294967295/cgroup")], text[PROC_TEXT_SIZE];
        int r;

        (void) snprintf(path, sizeof(path), "/proc/%u/cgroup", (unsigned) pid);
        r = read_proc(path, text, sizeof(text));
        if (r < 0)
                return r;
        return cgroup_path_parse(text, ret);
}

static int process_find_parent(pid_t pid, pid_t *ret) {
        char path[sizeof("/proc/4294967295/status")], text[PROC_TEXT_SIZE];
        int r;

        (void) snprintf(path, sizeof(path), "/proc/%u/status", (unsigned) pid);
        r = read_proc(path, text, sizeof(text));
        if (r < 0)
                return r;
        return proc_field(text, "PPid", ret);
}

void processes_free(Process *processes, size_t n) {
        if (!processes)
                return;
        for (size_t i = 0; i < n; i++)
                free(processes[i].group);
        free(processes);
}

static int process_identify(int pidfd, Process *ret) {
        _cleanup_free_ char *group = NULL;
        pid_t pid;
        int r;

        r = pidfd_get_pid(pidfd, &pid);
        if (r < 0)
                return r;
        r = process_find_group(pid, &group);
        if (r < 0)
                return r;
        /* Only now is it certain that the pid, and so the group, was this process's. */
        if (pidfd_has_exited(pidfd))
                return -ESRCH;
        *ret = (Process){ pidfd, pid, TAKE_PTR(group) };
        return 0;
}

int processes_identify(const int *pidfds, size_t n, Process **ret) {
        Process *processes = calloc(n, sizeof(*processes));

        if (!processes)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                int r = process_identify(pidfds[i], processes + i);

                if (r < 0) {
                        processes_free(processes, n);
                        return r;
                }
        }
        *ret = processes;
        return 0;
}

static bool process_in_group(pid_t pid, const char *group) {
        _cleanup_free_ char *now = NULL;

        return process_find_group(pid, &now) >= 0 && strcmp(now, group) == 0;
}

bool processes_placed(const Process *processes, size_t n, const char *group) {
        for (size_t i = 0; i < n; i++)
                if (!process_in_group(processes[i].pid, group) || pidfd_has_exited(processes[i].pidfd))
                        return false;
        return true;
}

/* Someone else has the pid and was moved in its stead. Where it came from nobody wrote down: its parent's
 * group. */
static void impostor_undo(CgroupDriver *driver, pid_t pid) {
        _cleanup_free_ char *group = NULL;
        pid_t parent;

        if (process_find_parent(pid, &parent) < 0 || process_find_group(parent, &group) < 0)
                return;
        (void) group_put_process(driver, group, pid);
}

void processes_undo(CgroupDriver *driver, const Process *processes, size_t n, const char *group) {
        for (size_t i = 0; i < n; i++) {
                const Process *process = processes + i;

                if (strcmp(process->group, group) == 0 || !process_in_group(process->pid, group))
                        continue;
                if (pidfd_has_exited(process->pidfd))
                        impostor_undo(driver, process->pid);
                else
                        (void) group_put_process(driver, process->group, process->pid);
        }
}

int cgroup_find_process(int pidfd, char **ret) {
        Process process;
        int r = process_identify(pidfd, &process);

        if (r >= 0)
                *ret = process.group;
        return r;
}
