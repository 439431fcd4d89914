/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Ownership by attribute: every owning local carries one of these and an initial value, so that a function
 * can return from anywhere. Ownership leaves a local by TAKE_PTR() or TAKE_FD() and in no other way.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((__cleanup__(f)))
#define _printf_(a, b) __attribute__((__format__(printf, a, b)))
#define _unused_ __attribute__((__unused__))

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

#define TAKE_PTR(p)                                \
        ({                                         \
                __typeof__(p) *_take_pp = &(p);    \
                __typeof__(p) _take_p = *_take_pp; \
                *_take_pp = NULL;                  \
                _take_p;                           \
        })

#define TAKE_FD(fd)                        \
        ({                                 \
                int *_take_fdp = &(fd);    \
                int _take_fd = *_take_fdp; \
                *_take_fdp = -EBADF;       \
                _take_fd;                  \
        })

/* Defines name_p() for _cleanup_(name_p), from a destructor that takes the pointer itself and accepts NULL.
 */
#define DEFINE_CLEANUP(type, name)                      \
        static inline _unused_ void name##_p(type *p) { \
                if (*p)                                 \
                        name(*p);                       \
        }

static inline void cleanup_free(void *p) {
        free(*(void **) p);
}

static inline void cleanup_close(int *fd) {
        if (*fd >= 0)
                close(*fd);
}

static inline void cleanup_fclose(FILE **f) {
        if (*f)
                fclose(*f);
}

#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)
