/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The snapshots that users of tenants were given. What is in a memfd is charged to who wrote it, for as long
 * as anybody has it open: a user who asks again is given the same one for a while, and not more than some
 * that stay open.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGES_A_USER 8
#define PAGES_SHARED_USEC 500000U

typedef struct Page Page;

typedef struct Pages {
        Page *entries; /* owned */
        size_t n;
} Pages;

void pages_deinit(Pages *pages);

/*
 * What the user was given last in this format, opened anew: 1 and the descriptor, which the caller closes. 0:
 * a new one is to be made. -EBUSY: the user has PAGES_A_USER open; or an errno.
 */
int pages_find(Pages *pages, uid_t uid, const char *format, uint64_t boottime_usec, int *ret_fd);

/* Keeps the memfd, which is closed here whatever comes of it, and gives it opened anew, for reading alone. */
int pages_put(Pages *pages, uid_t uid, const char *format, uint64_t boottime_usec, int fd, int *ret_fd);
