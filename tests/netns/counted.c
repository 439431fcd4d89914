/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "counted.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

ssize_t __real_send(int fd, const void *data, size_t size, int flags);
ssize_t __real_recv(int fd, void *buffer, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags);

unsigned asked, told;

static unsigned count_messages(const void *data, ssize_t size) {
        const struct nlmsghdr *header = data;
        unsigned n = 0;

        for (unsigned left = size > 0 ? (unsigned) size : 0; NLMSG_OK(header, left);
                        header = NLMSG_NEXT(header, left))
                n += header->nlmsg_type >= NLMSG_MIN_TYPE;
        return n;
}

ssize_t __wrap_send(int fd, const void *data, size_t size, int flags) {
        asked += count_messages(data, (ssize_t) size);
        return __real_send(fd, data, size, flags);
}

ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags) {
        ssize_t n = __real_recv(fd, buffer, size, flags);

        told += count_messages(buffer, n);
        return n;
}
