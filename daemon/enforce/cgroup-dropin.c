/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Writes and removes one file of a fixed name, <unit>.d/50-headgate.conf. It never touches another file, and
 * removes a directory only when that leaves it empty.
 */

#include "enforce/cgroup-dropin.h"
#include "util/strv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define DROPIN_NAME "50-headgate.conf"
#define DROPIN_NEW "50-headgate.conf.new" /* systemd reads only what ends in .conf */
#define UNIT_NAME_MAX 255                 /* systemd.unit(5) */

#define MARK "# Written by headgated"
#define ORDER "[Unit]\nAfter=headgated.service\n"
#define SLICE "\nSlice="

/* In the order of trying. */
static const char *const directories[] = { "/etc/systemd/system", "/run/systemd/system" };

const char *dropin_section(const char *unit) {
        static const struct {
                const char *suffix, *section;
        } types[] = {
                { ".service", "Service" },
                { ".socket", "Socket" },
                { ".mount", "Mount" },
                { ".swap", "Swap" },
        };
        size_t length = strlen(unit);

        if (length > UNIT_NAME_MAX || unit[0] == '.' ||
                        strspn(unit, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.\\@"
                                     "-") != length)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                size_t n = strlen(types[i].suffix);

                if (length > n && strcmp(unit + length - n, types[i].suffix) == 0)
                        return types[i].section;
        }
        return NULL;
}

char *dropin_format(const char *unit, const char *slice, bool ordered) {
        char *text;

        if (asprintf(&text, MARK ": this unit belongs to a tenant.\n%s[%s]" SLICE "%s\n",
                            ordered ? ORDER : "", dropin_section(unit), slice) < 0)
                return NULL;
        return text;
}

/* Modes are set, not left to the umask: units are for everyone to read. */
static int write_file(int fd, const char *text) {
        _cleanup_close_ int file_fd =
                        openat(fd, DROPIN_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
        size_t length = strlen(text);
        int r;

        if (file_fd < 0)
                return -errno;
        if (fchmod(file_fd, 0644) < 0)
                r = -errno;
        else {
                ssize_t n = write(file_fd, text, length);

                r = n < 0 ? -errno : (size_t) n != length ? -EIO : fsync(file_fd) < 0 ? -errno : 0;
        }
        if (r >= 0 && renameat(fd, DROPIN_NEW, fd, DROPIN_NAME) < 0)
                r = -errno;
        if (r < 0)
                (void) unlinkat(fd, DROPIN_NEW, 0);
        return r;
}

static int write_in(const char *directory, const char *unit_d, const char *text) {
        _cleanup_close_ int fd = -EBADF, unit_fd = -EBADF;

        fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (mkdirat(fd, unit_d, 0755) < 0) {
                if (errno != EEXIST)
                        return -errno;
        } else if (fchmodat(fd, unit_d, 0755, 0) < 0)
                return -errno;
        unit_fd = openat(fd, unit_d, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (unit_fd < 0)
                return -errno;
        return write_file(unit_fd, text);
}

static int remove_in(const char *directory, const char *unit_d) {
        _cleanup_close_ int fd = -EBADF, unit_fd = -EBADF;

        fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        unit_fd = openat(fd, unit_d, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (unit_fd < 0)
                return errno == ENOENT ? 0 : -errno;
        if (unlinkat(unit_fd, DROPIN_NAME, 0) < 0)
                return errno == ENOENT ? 0 : -errno;
        (void) unlinkat(fd, unit_d, AT_REMOVEDIR);
        return 0;
}

/* The text of <unit_d>/50-headgate.conf; false where there is none. `ret` has DROPIN_TEXT_SIZE. */
static bool read_text(int fd, const char *unit_d, char *ret) {
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int file_fd = -EBADF;
        ssize_t n;

        if (asprintf(&path, "%s/" DROPIN_NAME, unit_d) < 0)
                return false;
        file_fd = openat(fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (file_fd < 0)
                return false;
        n = read(file_fd, ret, DROPIN_TEXT_SIZE - 1);
        if (n < 0)
                return false;
        ret[n] = '\0';
        return true;
}

/* `ret` as read_text(). */
static void read_former(const char *directory, const char *unit_d, char *ret) {
        _cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 || !read_text(fd, unit_d, ret))
                ret[0] = '\0';
}

int dropin_write(const char *unit, const char *slice, bool ordered, DropinFormer *ret_former) {
        _cleanup_free_ char *text = NULL, *unit_d = NULL;
        int r = -ENOENT;

        if (!dropin_section(unit))
                return -EINVAL;
        text = dropin_format(unit, slice, ordered);
        if (!text || asprintf(&unit_d, "%s.d", unit) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                DropinFormer former = { .directory = directories[i] };

                read_former(former.directory, unit_d, former.text);
                r = write_in(former.directory, unit_d, text);
                if (r >= 0)
                        *ret_former = former;
                if (r != -EROFS && r != -EACCES && r != -EPERM && r != -ENOENT)
                        return r;
        }
        return r;
}

int dropin_put_back(const char *unit, const DropinFormer *former) {
        _cleanup_free_ char *unit_d = NULL;

        if (asprintf(&unit_d, "%s.d", unit) < 0)
                return -ENOMEM;
        return former->text[0] ? write_in(former->directory, unit_d, former->text)
                               : remove_in(former->directory, unit_d);
}

/* Whether <unit_d>/50-headgate.conf ties its unit to the slice. */
static bool ties_to(int fd, const char *unit_d, const char *slice) {
        _cleanup_free_ char *line = NULL;
        char text[DROPIN_TEXT_SIZE];

        return asprintf(&line, SLICE "%s\n", slice) >= 0 && read_text(fd, unit_d, text) &&
               strstr(text, line) != NULL;
}

static bool is_unordered(int fd, const char *unit_d) {
        char text[DROPIN_TEXT_SIZE];

        return read_text(fd, unit_d, text) && strncmp(text, MARK, strlen(MARK)) == 0 &&
               strstr(text, "[Service]" SLICE) != NULL && strstr(text, ORDER) == NULL;
}

int dropin_list_unordered(char ***ret_units) {
        _cleanup_strv_ char **units = NULL;
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                DIR *d = opendir(directories[i]);
                struct dirent *entry;

                while (d && r >= 0 && (entry = readdir(d))) {
                        size_t length = strlen(entry->d_name);

                        if (length >= 3 && strcmp(entry->d_name + length - 2, ".d") == 0 &&
                                        is_unordered(dirfd(d), entry->d_name))
                                r = strv_pushf(&units, "%.*s", (int) length - 2, entry->d_name);
                }
                if (d)
                        closedir(d);
        }
        if (r >= 0)
                *ret_units = TAKE_PTR(units);
        return r;
}

static int order_in(const char *directory, const char *unit, const char *unit_d) {
        _cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_free_ char *text = NULL;
        char before[DROPIN_TEXT_SIZE], *slice;

        if (fd < 0 || !read_text(fd, unit_d, before))
                return 0;
        slice = strstr(before, SLICE);
        if (!slice)
                return 0;
        slice += strlen(SLICE);
        slice[strcspn(slice, "\n")] = '\0';
        text = dropin_format(unit, slice, /* ordered= */ true);
        return text ? write_in(directory, unit_d, text) : -ENOMEM;
}

int dropin_order(const char *unit) {
        _cleanup_free_ char *unit_d = NULL;
        int r = 0;

        if (!dropin_section(unit))
                return -EINVAL;
        if (asprintf(&unit_d, "%s.d", unit) < 0)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(directories); i++)
                r = order_in(directories[i], unit, unit_d);
        return r;
}

static int remove_all_in(const char *directory, const char *slice, bool *removed) {
        DIR *d = opendir(directory);
        struct dirent *entry;
        int r = 0;

        if (!d)
                return errno == ENOENT ? 0 : -errno;
        while ((entry = readdir(d))) {
                size_t length = strlen(entry->d_name);
                int k;

                if (length < 3 || strcmp(entry->d_name + length - 2, ".d") != 0 ||
                                !ties_to(dirfd(d), entry->d_name, slice))
                        continue;
                k = remove_in(directory, entry->d_name);
                if (k < 0)
                        r = k;
                else
                        *removed = true;
        }
        closedir(d);
        return r;
}

int dropin_remove_all(const char *slice, bool *ret_removed) {
        bool removed = false;
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                int k = remove_all_in(directories[i], slice, &removed);

                if (k < 0)
                        r = k;
        }
        *ret_removed = removed;
        return r;
}
