/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Directories and files of control groups, reached only through held descriptors: a path is resolved beneath
 * a directory that is ours to look in, and a group that was removed or made anew answers with -ENOLINK
 * instead of letting us write into its successor. It knows neither driver.
 */

#include "enforce/cgroup-driver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* The kernel's cgroup.max.depth has no bound by default; this bounds our stack and descriptors. */
#define GROUP_DEPTH_MAX 32

int group_open_directory(int base_fd, const char *path, int *ret_fd) {
        struct open_how how = {
                .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
        };
        int fd;

        path += strspn(path, "/");
        fd = (int) syscall(SYS_openat2, base_fd, *path ? path : ".", &how, sizeof(how));
        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}

/* kernfs answers through a held descriptor: ENODEV from a file, ENOENT from a directory, of a group that is
 * gone. */
static int error_of_file(int error) {
        return error == ENODEV ? -ENOLINK : -error;
}

/* AT_EACCESS, since kernels as old as 6.1 copy our credentials without it. */
bool group_has_file(int group_fd, const char *file) {
        return faccessat(group_fd, file, F_OK, AT_EACCESS) == 0 || (errno != ENOENT && errno != ENODEV);
}

int group_open_file(int group_fd, const char *file, int flags, int *ret_fd) {
        int fd = openat(group_fd, file, flags | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0) {
                int error = errno;

                if ((error == ENOENT || error == ENODEV) && !group_has_file(group_fd, "cgroup.procs"))
                        return -ENOLINK;
                return error_of_file(error);
        }
        *ret_fd = fd;
        return 0;
}

/* As much as there is room for: whoever fills it may not have all. kernfs shows a file at once
 * (fs/kernfs/file.c, seq_read_iter() of one record), so that what ends before the room does is whole. */
static int read_once(int fd, char *ret, size_t size, size_t *ret_n) {
        ssize_t n;

        do
                n = pread(fd, ret, size - 1, 0);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return error_of_file(errno);
        ret[n] = '\0';
        *ret_n = (size_t) n;
        return 0;
}

int group_read_fd(int fd, char *ret, size_t size) {
        size_t n;

        return read_once(fd, ret, size, &n);
}

int group_read_file(int group_fd, const char *file, char *ret, size_t size) {
        _cleanup_close_ int fd = -EBADF;
        int r = group_open_file(group_fd, file, O_RDONLY, &fd);

        return r < 0 ? r : group_read_fd(fd, ret, size);
}

int group_read_text(int group_fd, const char *file, char **ret) {
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *text = NULL;
        size_t n, size = 1024;
        int r;

        r = group_open_file(group_fd, file, O_RDONLY, &fd);
        do {
                size *= 2;
                free(text);
                text = r >= 0 ? malloc(size) : NULL;
                if (!text)
                        return r < 0 ? r : -ENOMEM;
                r = read_once(fd, text, size, &n);
        } while (r >= 0 && n == size - 1);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        return 0;
}

int group_write_fd(int fd, const char *text) {
        ssize_t n;

        do
                n = pwrite(fd, text, strlen(text), 0);
        while (n < 0 && errno == EINTR);
        return n < 0 ? error_of_file(errno) : 0;
}

int group_write_file(int group_fd, const char *file, const char *text) {
        _cleanup_close_ int fd = -EBADF;
        int r = group_open_file(group_fd, file, O_WRONLY, &fd);

        return r < 0 ? r : group_write_fd(fd, text);
}

int group_put_process(CgroupDriver *driver, const char *path, pid_t pid) {
        _cleanup_close_ int fd = -EBADF;
        char text[sizeof("4294967295")];
        int r;

        r = group_open_directory(driver->mount_fd, path, &fd);
        if (r < 0)
                return r;
        (void) snprintf(text, sizeof(text), "%u", (unsigned) pid);
        return group_write_file(fd, "cgroup.procs", text);
}

static int group_value_fd(TenantGroup *group, Setting setting, int *ret_fd) {
        if (group->value_fds[setting] < 0) {
                int r = group_open_file(
                                group->fd, setting_info(setting)->file, O_RDWR, &group->value_fds[setting]);

                if (r < 0)
                        return r;
        }
        *ret_fd = group->value_fds[setting];
        return 0;
}

static int read_value(TenantGroup *group, Setting setting, char *ret, size_t size) {
        int fd, r = group_value_fd(group, setting, &fd);

        return r < 0 ? r : group_read_fd(fd, ret, size);
}

static int write_value(TenantGroup *group, Setting setting, const char *text) {
        int fd, r = group_value_fd(group, setting, &fd);

        return r < 0 ? r : group_write_fd(fd, text);
}

/* Of a controller that was taken away and given again the files are others, and what was open answers as that
 * of a group that is gone: it is opened once more. */
static void forget_value_fd(TenantGroup *group, Setting setting) {
        cleanup_close(&group->value_fds[setting]);
        group->value_fds[setting] = -EBADF;
}

int group_read_setting(TenantGroup *group, Setting setting, uint64_t *ret) {
        char text[SETTING_TEXT_SIZE];
        int r;

        r = read_value(group, setting, text, sizeof(text));
        if (r == -ENOLINK) {
                forget_value_fd(group, setting);
                r = read_value(group, setting, text, sizeof(text));
        }
        return r < 0 ? r : setting_parse(setting, text, ret);
}

/* Huge pages in use cannot be taken, and a limit below them is refused (mm/page_counter.c): no more, at
 * least. */
static int lower_to_usage(TenantGroup *group, Setting setting) {
        const char *file = setting_info(setting)->file;
        char current[32], text[SETTING_TEXT_SIZE];
        int r;

        (void) snprintf(current, sizeof(current), "%.*s.current", (int) (strrchr(file, '.') - file), file);
        r = group_read_file(group->fd, current, text, sizeof(text));
        return r < 0 ? r : write_value(group, setting, text);
}

int group_write_setting(TenantGroup *group, Setting setting, uint64_t value) {
        char text[SETTING_TEXT_SIZE];
        int r;

        setting_format(setting, value, text);
        r = write_value(group, setting, text);
        if (r == -ENOLINK) {
                forget_value_fd(group, setting);
                r = write_value(group, setting, text);
        }
        return r == -EBUSY && setting_info(setting)->controller == CONTROLLER_HUGETLB
                               ? lower_to_usage(group, setting)
                               : r;
}

int group_write_settings(TenantGroup *group, const Settings *settings) {
        for (size_t i = 0; i < ELEMENTSOF(settings_order); i++) {
                Setting setting = settings_order[i];
                int r;

                if (!settings_has(settings, setting))
                        continue;
                r = group_write_setting(group, setting, settings->value[setting]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int walk(int fd, GroupVisit each, void *userdata, unsigned depth) {
        DIR *directory;
        struct dirent *entry;
        int r = 0, own_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (own_fd < 0)
                return errno == ENOENT ? -ENOLINK : -errno;
        directory = fdopendir(own_fd);
        if (!directory) {
                r = -errno;
                close(own_fd);
                return r;
        }
        while (r == 0 && (entry = readdir(directory))) {
                _cleanup_close_ int child_fd = -EBADF;

                if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
                        continue;
                if (depth > 1) {
                        r = group_open_directory(own_fd, entry->d_name, &child_fd);
                        if (r == -ENOENT) { /* removed since it was listed */
                                r = 0;
                                continue;
                        }
                        if (r == 0)
                                r = walk(child_fd, each, userdata, depth - 1);
                        if (r == -ENOLINK) {
                                r = 0;
                                continue;
                        }
                }
                if (r == 0)
                        r = each(own_fd, entry->d_name, userdata);
        }
        closedir(directory);
        return r;
}

int group_walk(int fd, GroupVisit each, void *userdata) {
        return walk(fd, each, userdata, GROUP_DEPTH_MAX);
}

int group_each_child(int fd, GroupVisit each, void *userdata) {
        return walk(fd, each, userdata, 1);
}

int group_each_process(int fd, ProcessVisit each, void *userdata) {
        _cleanup_fclose_ FILE *f = NULL;
        int procs_fd, pid, r;

        r = group_open_file(fd, "cgroup.procs", O_RDONLY, &procs_fd);
        if (r < 0)
                return r == -ENOLINK ? 0 : r;
        f = fdopen(procs_fd, "re");
        if (!f) {
                close(procs_fd);
                return -ENOMEM;
        }
        while (r == 0 && fscanf(f, "%d", &pid) == 1)
                r = each(pid, userdata);
        return r;
}
