/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The answer of admission to one request. */

#include "allocation.h"

typedef struct Verdict {
        bool fits;
        Failure failure;        /* why not; its code is FAILURE_NONE where it fits */
        uint64_t earliest_usec; /* where it does not fit: the first start at which it would; UINT64_MAX: none
                                 */
        Window shortage;        /* the first stretch of its windows in which something is missing */
        Loan *loans;            /* owned; where it fits by preemption alone: what others are to lend it */
        size_t n_loans;
        ResourceSet missing; /* of each resource that is short: .reserved what was wanted, .limit what is free
                                at most */
} Verdict;

static inline void verdict_deinit(Verdict *verdict) {
        failure_deinit(&verdict->failure);
        resource_set_deinit(&verdict->missing);
        free(verdict->loans);
}
