/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Outcomes that a caller of ours must be able to tell apart. A function that can refuse returns 0, a negative
 * errno where something broke, or a positive FailureCode with one sentence that names key, value and bound.
 * api/ maps each code to one D-Bus error, headgatectl maps those to exit codes.
 */

#include "util/cleanup.h"

typedef enum FailureCode {
        FAILURE_NONE,
        FAILURE_INVALID_ALLOCATION,     /* a key's value, or two keys together, are out of bounds */
        FAILURE_UNKNOWN_KEY,            /* a key that no version has, or that this one does not have */
        FAILURE_INSUFFICIENT_RESOURCES, /* reserved would exceed capacity at some instant */
        FAILURE_STALE_GENERATION,       /* older than what is held, or than what was released */
        FAILURE_GENERATION_CONFLICT,    /* the same generation with other content */
        FAILURE_NO_SUCH_TENANT,
        FAILURE_NO_SUCH_ALLOCATION,
        FAILURE_NO_SUCH_UNIT,
        FAILURE_NO_SUCH_PROCESS,
        FAILURE_NO_SUCH_GROUP,
        FAILURE_INVALID_GROUP,  /* a control group that cannot be adopted */
        FAILURE_LIMIT_EXCEEDED, /* more tenants, allocations or processes than configured */
        FAILURE_NOT_SUPPORTED,  /* the kernel or this version cannot do it */
        FAILURE_ACCESS_DENIED,
        FAILURE_DRAINING,     /* the node takes no new work */
        FAILURE_NOT_ENFORCED, /* the kernel or systemd refused; nothing was kept */
        FAILURE_CODE_MAX,
        FAILURE_CODE_INVALID = -EINVAL,
} FailureCode;

typedef struct Failure {
        FailureCode code;
        char *message; /* owned; one line, no newline */
} Failure;

#define FAILURE_NULL \
        { FAILURE_NONE, NULL }

/* Sets code and message (replacing what stood there) and returns the code; -ENOMEM where there is no room for
 * it. */
int failure_set(Failure *failure, FailureCode code, const char *format, ...) _printf_(3, 4);
void failure_deinit(Failure *failure);
#define _cleanup_failure_ _cleanup_(failure_deinit)
