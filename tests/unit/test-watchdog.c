/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the watchdog is told, at sockets of the test's own. */

#include "util/cleanup.h"
#include "util/watchdog.h"

#include <criterion/criterion.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static char name[64];

/* In the abstract namespace where it begins with '@'. */
static int listen_at(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        cr_assert_geq(fd, 0);
        memcpy(address.sun_path, path, strlen(path));
        if (*path == '@')
                address.sun_path[0] = '\0';
        cr_assert_eq(bind(fd, (struct sockaddr *) &address,
                                     (socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(path))),
                        0, "%s: %m", path);
        cr_assert_eq(setenv("NOTIFY_SOCKET", path, 1), 0);
        return fd;
}

static void expect_told(int fd) {
        char text[64] = "";

        cr_expect_geq(recv(fd, text, sizeof(text) - 1, 0), 0, "%m");
        cr_expect_str_eq(text, "WATCHDOG=1");
}

/* One that would wait ends here. */
TestSuite(watchdog, .init = watchdog_begin, .timeout = 20);

Test(watchdog_of_a_start, is_not_told) {
        _cleanup_close_ int fd = -EBADF;
        char text[64];

        snprintf(name, sizeof(name), "@headgate-test-watchdog.%d", getpid());
        fd = listen_at(name);
        cr_expect_eq(watchdog_feed(), 0);
        cr_expect_eq(recv(fd, text, sizeof(text), 0), -1);
        watchdog_begin();
        cr_expect_eq(watchdog_feed(), 0);
        expect_told(fd);
}

Test(watchdog, is_told) {
        static const char *const roots[] = { "/tmp/", "@" };

        for (size_t i = 0; i < ELEMENTSOF(roots); i++) {
                _cleanup_close_ int fd = -EBADF;

                snprintf(name, sizeof(name), "%sheadgate-test-watchdog.%d", roots[i], getpid());
                fd = listen_at(name);
                cr_expect_eq(watchdog_feed(), 0, "%s", name);
                expect_told(fd);
                (void) unlink(name);
        }
}

Test(watchdog, does_not_wait_for_who_does_not_read) {
        _cleanup_close_ int fd = -EBADF;
        int r;

        snprintf(name, sizeof(name), "@headgate-test-watchdog.%d", getpid());
        fd = listen_at(name);
        while ((r = watchdog_feed()) == 0)
                ;
        cr_expect_eq(r, -EAGAIN, "%s", strerror(-r));
        expect_told(fd);
        cr_expect_eq(watchdog_feed(), 0, "there is room again");
}

Test(watchdog, nobody_asks) {
        cr_assert_eq(unsetenv("NOTIFY_SOCKET"), 0);
        cr_expect_eq(watchdog_feed(), 0);
}

Test(watchdog, cannot_be_told) {
        static const struct {
                const char *path;
                int expected;
        } cases[] = {
                { "", -EINVAL },
                { "vsock:2:1", -EINVAL },
                { "/nonexistent/notify", -ENOENT },
                { "/01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678"
                  "90123456789"
                  "0123456",
                                -EINVAL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int r;

                cr_assert_eq(setenv("NOTIFY_SOCKET", cases[i].path, 1), 0);
                r = watchdog_feed();
                cr_expect_eq(r, cases[i].expected, "%s: %s", cases[i].path, strerror(-r));
        }
}
