/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "enforce/arrival-watch.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define READ_SIZE 16384

struct ArrivalWatch {
        const char *root;
        char *const *paths;
        int fd;
};

/* The part of a path that begins here, or behind the slashes here; its length is 0 at the end. */
static const char *part_at(const char *s, size_t *ret_length) {
        s += strspn(s, "/");
        *ret_length = strcspn(s, "/");
        return s;
}

/* From the root down, as far as directories are there. Each is watched before the next is looked for, so that
 * none comes unseen; one that is watched already keeps its watch, one that is gone has lost it. */
static int follow(const ArrivalWatch *watch, const char *path) {
        size_t length;

        for (const char *part = part_at(path, &length); length > 0; part = part_at(part + length, &length)) {
                char above[PATH_MAX];

                (void) snprintf(above, sizeof(above), "%s/%.*s", watch->root, (int) (part - path), path);
                if (inotify_add_watch(watch->fd, above, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0)
                        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
        }
        return 0;
}

static int follow_all(const ArrivalWatch *watch) {
        int r = 0;

        for (char *const *path = watch->paths; r >= 0 && *path; path++)
                r = follow(watch, *path);
        return r;
}

int arrival_watch_new(const char *root, char *const *paths, ArrivalWatch **ret) {
        _cleanup_(arrival_watch_free_p) ArrivalWatch *watch = malloc(sizeof(*watch));
        int r;

        if (!watch)
                return -ENOMEM;
        *watch = (ArrivalWatch){ root, paths, inotify_init1(IN_CLOEXEC | IN_NONBLOCK) };
        if (watch->fd < 0)
                return -errno;
        r = follow_all(watch);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(watch);
        return 0;
}

ArrivalWatch *arrival_watch_free(ArrivalWatch *watch) {
        if (!watch)
                return NULL;
        cleanup_close(&watch->fd);
        free(watch);
        return NULL;
}

int arrival_watch_fd(const ArrivalWatch *watch) {
        return watch->fd;
}

/* Of any path, wherever it came: a look too many is nothing. */
static bool is_part(const ArrivalWatch *watch, const char *name) {
        for (char *const *path = watch->paths; *path; path++) {
                size_t length;

                for (const char *part = part_at(*path, &length); length > 0;
                                part = part_at(part + length, &length))
                        if (strlen(name) == length && strncmp(part, name, length) == 0)
                                return true;
        }
        return false;
}

static bool is_arrival(const ArrivalWatch *watch, const struct inotify_event *event) {
        return event->mask & IN_Q_OVERFLOW || (event->len > 0 && is_part(watch, event->name));
}

int arrival_watch_read(ArrivalWatch *watch) {
        char buffer[READ_SIZE] __attribute__((aligned(__alignof__(struct inotify_event))));
        bool came = false;
        ssize_t n;
        int r;

        while ((n = read(watch->fd, buffer, sizeof(buffer))) > 0)
                for (const char *p = buffer; p < buffer + n;) {
                        const struct inotify_event *event = (const struct inotify_event *) p;

                        came = came || is_arrival(watch, event);
                        p += sizeof(*event) + event->len;
                }
        if (n < 0 && errno != EAGAIN && errno != EINTR)
                return -errno;
        r = came ? follow_all(watch) : 0;
        return r < 0 ? r : came;
}
