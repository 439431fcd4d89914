/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "pages.h"
#include "util/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct Page {
        uid_t uid;
        char format[16];
        uint64_t made_usec;
        int fd; /* owned */
};

/* A description of its own, with an offset of its own, of the same memory. */
static int open_anew(int fd) {
        char path[32];
        int anew;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        anew = open(path, O_RDONLY | O_CLOEXEC);
        return anew < 0 ? -errno : anew;
}

/* A write lease is given on what nobody else has open, mapped or on its way in a message (fcntl(2)). */
static bool is_open_elsewhere(const Page *page) {
        if (fcntl(page->fd, F_SETLEASE, F_WRLCK) < 0)
                return true;
        (void) fcntl(page->fd, F_SETLEASE, F_UNLCK);
        return false;
}

static void drop(Pages *pages, size_t i) {
        close(pages->entries[i].fd);
        pages->entries[i] = pages->entries[--pages->n];
}

void pages_deinit(Pages *pages) {
        while (pages->n > 0)
                drop(pages, 0);
        free(pages->entries);
        *pages = (Pages){};
}

static bool is_fresh(const Page *page, uint64_t boottime_usec) {
        return boottime_usec < page->made_usec + PAGES_SHARED_USEC;
}

int pages_find(Pages *pages, uid_t uid, const char *format, uint64_t boottime_usec, int *ret_fd) {
        size_t held = 0;

        for (size_t i = pages->n; i-- > 0;) {
                const Page *page = &pages->entries[i];

                if (page->uid == uid && is_fresh(page, boottime_usec) && strcmp(page->format, format) == 0) {
                        *ret_fd = open_anew(page->fd);
                        return *ret_fd < 0 ? *ret_fd : 1;
                }
                if (!is_fresh(page, boottime_usec) && !is_open_elsewhere(page))
                        drop(pages, i);
                else
                        held += page->uid == uid;
        }
        return held < PAGES_A_USER ? 0 : -EBUSY;
}

int pages_put(Pages *pages, uid_t uid, const char *format, uint64_t boottime_usec, int fd, int *ret_fd) {
        /* Also for the lease, which counts descriptions that were opened. */
        _cleanup_close_ _unused_ int written = fd;
        _cleanup_close_ int kept = open_anew(fd), given = kept < 0 ? -EBADF : open_anew(kept);
        Page *grown;

        if (kept < 0)
                return kept;
        if (given < 0)
                return given;
        grown = reallocarray(pages->entries, pages->n + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        pages->entries = grown;
        grown[pages->n] = (Page){ .uid = uid, .made_usec = boottime_usec, .fd = TAKE_FD(kept) };
        snprintf(grown[pages->n].format, sizeof(grown->format), "%s", format);
        pages->n++;
        *ret_fd = TAKE_FD(given);
        return 0;
}
