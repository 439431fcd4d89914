/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The answer of admission to one request. */

#include "failure.h"
#include "resource.h"

typedef struct Verdict {
        bool fits;
        Failure failure;        /* why not; its code is FAILURE_NONE where it fits */
        uint64_t earliest_usec; /* where it does not fit: the first start at which it would; UINT64_MAX: none
                                 */
        ResourceSet missing; /* of each resource that is short: .reserved what was wanted, .limit what is free
                                at most */
} Verdict;

static inline void verdict_deinit(Verdict *verdict) {
        failure_deinit(&verdict->failure);
        resource_set_deinit(&verdict->missing);
}
