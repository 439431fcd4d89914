/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/pin-watch.h"

#include <sys/inotify.h>

#define READ_SIZE 16384

struct PinWatch {
        int fd;
};

int pin_watch_new(PinWatch **ret) {
        PinWatch *watch = calloc(1, sizeof(*watch));

        if (!watch)
                return -ENOMEM;
        watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (watch->fd < 0) {
                free(watch);
                return -errno;
        }
        *ret = watch;
        return 0;
}

PinWatch *pin_watch_free(PinWatch *watch) {
        if (!watch)
                return NULL;
        cleanup_close(&watch->fd);
        free(watch);
        return NULL;
}

int pin_watch_fd(const PinWatch *watch) {
        return watch->fd;
}

/* A directory that is watched already keeps its one watch; with one that is gone the kernel ends it. */
int pin_watch_follow(PinWatch *watch, const char *dir) {
        return inotify_add_watch(watch->fd, dir,
                               IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR) < 0
                               ? -errno
                               : 0;
}

int pin_watch_read(PinWatch *watch) {
        char buffer[READ_SIZE];
        ssize_t n;

        do
                n = read(watch->fd, buffer, sizeof(buffer));
        while (n > 0 || (n < 0 && errno == EINTR));
        return n < 0 && errno != EAGAIN ? -errno : 0;
}
