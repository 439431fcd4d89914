/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Sync: an issuer's list as one transaction of manager-apply.c, which releases what the list leaves out.
 */

#include "manager-internal.h"

#include <string.h>

static bool is_named(Allocation *const *requests, size_t n, const char *id) {
        for (size_t i = 0; i < n; i++)
                if (requests[i]->id && strcmp(requests[i]->id, id) == 0)
                        return true;
        return false;
}

/* Each is the issuer's: it may leave that out, but not name another. */
static int give_issuer(const char *issuer, Allocation *const *requests, size_t n, Failure *failure) {
        for (size_t i = 0; i < n; i++) {
                if (!requests[i]->issuer)
                        requests[i]->issuer = strdup(issuer);
                if (!requests[i]->issuer)
                        return -ENOMEM;
                if (strcmp(requests[i]->issuer, issuer) != 0)
                        return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                        "allocation %.64s: Issuer '%.64s' must be '%.64s', whose list this "
                                        "is",
                                        requests[i]->id ?: "''", requests[i]->issuer, issuer);
        }
        return 0;
}

/* Anybody may have named any issuer: what is another's is no part of the caller's list. */
static bool is_callers(const Allocation *allocation, uid_t caller) {
        _cleanup_failure_ Failure refusal = FAILURE_NULL;

        return manager_judge_owner(allocation, caller, &refusal) == 0;
}

static void list_leaving(const Manager *manager, uid_t caller, const char *issuer,
                Allocation *const *requests, size_t n, Allocation **leaving) {
        const Calendar *calendar = &manager->node.calendar;
        size_t found = 0;

        for (size_t i = 0; i < calendar->n; i++) {
                Allocation *allocation = calendar->allocations[i];

                if (allocation_is_live(allocation) && allocation->issuer &&
                                strcmp(allocation->issuer, issuer) == 0 &&
                                !is_named(requests, n, allocation->id) && is_callers(allocation, caller))
                        leaving[found++] = allocation;
        }
        leaving[found] = NULL;
}

int manager_sync(void *userdata, uid_t caller, const char *issuer, Allocation **requests, size_t n,
                Failure *ret_failure) {
        Manager *manager = userdata;
        _cleanup_free_ Allocation **leaving = calloc(manager->node.calendar.n + 1, sizeof(Allocation *));
        int r;

        r = !leaving   ? -ENOMEM
            : !*issuer ? failure_set(ret_failure, FAILURE_INVALID_ALLOCATION,
                                         "Issuer '' must be the name of whose list this is")
                       : give_issuer(issuer, requests, n, ret_failure);
        if (r != 0) {
                for (size_t i = 0; i < n; i++)
                        allocation_free(requests[i]);
                return r;
        }
        list_leaving(manager, caller, issuer, requests, n, leaving);
        return manager_transact(manager, caller, requests, n, leaving, ret_failure);
}
