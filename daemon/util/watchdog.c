/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "watchdog.h"

#include "cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static bool has_begun;

void watchdog_begin(void) {
        has_begun = true;
}

int watchdog_feed(void) {
        static const char message[] = "WATCHDOG=1";
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = -EBADF;
        size_t length;

        if (!path || !has_begun)
                return 0;
        length = strlen(path);
        if ((*path != '/' && *path != '@') || length >= sizeof(address.sun_path))
                return -EINVAL;
        memcpy(address.sun_path, path, length);
        if (*path == '@') /* an abstract one */
                address.sun_path[0] = '\0';
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (sendto(fd, message, sizeof(message) - 1, MSG_NOSIGNAL, (struct sockaddr *) &address,
                            (socklen_t) (offsetof(struct sockaddr_un, sun_path) + length)) < 0)
                return -errno;
        return 0;
}
