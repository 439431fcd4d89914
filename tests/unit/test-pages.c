/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "api/pages.h"
#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define USER 1000U
#define FORMAT "json"

static Pages pages;

static void end(void) {
        pages_deinit(&pages);
}

TestSuite(pages, .fini = end);

static int find(uid_t uid, uint64_t usec, int *ret_fd) {
        return pages_find(&pages, uid, FORMAT, usec, ret_fd);
}

/* As the daemon does: written, sealed, and kept. */
static int put(uid_t uid, uint64_t usec, const char *text) {
        int fd = memfd_create("page", MFD_CLOEXEC | MFD_ALLOW_SEALING), given = -EBADF;

        cr_assert_geq(fd, 0);
        cr_assert_eq(write(fd, text, strlen(text)), (ssize_t) strlen(text));
        cr_assert_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL), 0);
        cr_assert_eq(pages_put(&pages, uid, FORMAT, usec, fd, &given), 0);
        return given;
}

static ino_t inode(int fd) {
        struct stat st;

        cr_assert_eq(fstat(fd, &st), 0);
        return st.st_ino;
}

static void expect_text(int fd, const char *text) {
        char read_text[16] = "";

        cr_expect_eq(read(fd, read_text, sizeof(read_text) - 1), (ssize_t) strlen(text));
        cr_expect_str_eq(read_text, text);
}

Test(pages, the_same_is_given_for_a_while_and_read_from_its_beginning) {
        _cleanup_close_ int first = put(USER, 1, "one"), second = -EBADF, third = -EBADF;

        expect_text(first, "one");
        cr_assert_eq(find(USER, PAGES_SHARED_USEC, &second), 1);
        cr_expect_eq(inode(first), inode(second));
        expect_text(second, "one");
        cr_expect_eq(find(USER, 1 + PAGES_SHARED_USEC, &third), 0);
        cr_expect_eq(find(USER + 1, 2, &third), 0, "another's");
        cr_expect_eq(pages_find(&pages, USER, "openmetrics", 2, &third), 0, "another format");
}

/* Of each the time for which it is shared has passed. */
static uint64_t open_all(int fds[static PAGES_A_USER]) {
        uint64_t usec = 0;
        int none;

        for (size_t i = 0; i < PAGES_A_USER; i++, usec += PAGES_SHARED_USEC) {
                cr_assert_eq(find(USER, usec, &none), 0);
                fds[i] = put(USER, usec, "page");
        }
        return usec;
}

Test(pages, so_many_are_open_and_one_more_when_one_is_closed) {
        int fds[PAGES_A_USER], none;
        uint64_t usec = open_all(fds);

        cr_expect_eq(find(USER, usec, &none), -EBUSY);
        cr_expect_eq(find(USER + 1, usec, &none), 0, "another's are another's");
        close(fds[3]);
        cr_expect_eq(find(USER, usec, &none), 0);
        fds[3] = put(USER, usec, "page");
        cr_expect_eq(find(USER, usec + PAGES_SHARED_USEC, &none), -EBUSY);
        for (size_t i = 0; i < PAGES_A_USER; i++)
                close(fds[i]);
        cr_expect_eq(find(USER, usec + PAGES_SHARED_USEC, &none), 0);
        cr_expect_eq(pages.n, 0, "what nobody has open is not kept");
}

Test(pages, what_is_mapped_is_open) {
        int fds[PAGES_A_USER], none;
        uint64_t usec = open_all(fds);
        void *map = mmap(NULL, 4, PROT_READ, MAP_SHARED, fds[0], 0);

        cr_assert_neq(map, MAP_FAILED);
        for (size_t i = 0; i < PAGES_A_USER; i++)
                close(fds[i]);
        cr_expect_eq(find(USER, usec, &none), 0);
        cr_expect_eq(pages.n, 1);
        munmap(map, 4);
        cr_expect_eq(find(USER, usec, &none), 0);
        cr_expect_eq(pages.n, 0);
}
