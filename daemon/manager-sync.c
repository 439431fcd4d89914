/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Sync: an issuer's list as one transaction of manager-apply.c, which releases what the list leaves out.
 */

#include "manager-internal.h"

#include <string.h>

static int by_id(const void *a, const void *b) {
        return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* The ids that are named, in their order; the caller frees. */
static const char **list_named(Allocation *const *requests, size_t n, size_t *ret_n) {
        const char **ids = calloc(n + 1, sizeof(char *));

        *ret_n = 0;
        for (size_t i = 0; ids && i < n; i++)
                if (requests[i]->id)
                        ids[(*ret_n)++] = requests[i]->id;
        if (ids)
                qsort(ids, *ret_n, sizeof(char *), by_id);
        return ids;
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

int manager_list_leaving(const Manager *manager, uid_t caller, const char *issuer,
                Allocation *const *requests, size_t n, Allocation ***ret, size_t *ret_n) {
        const Calendar *calendar = &manager->node.calendar;
        _cleanup_free_ Allocation **leaving = calloc(calendar->n + 1, sizeof(Allocation *));
        size_t n_named, found = 0;
        _cleanup_free_ const char **named = list_named(requests, n, &n_named);

        if (!leaving || !named)
                return -ENOMEM;
        for (size_t i = 0; i < calendar->n; i++) {
                Allocation *allocation = calendar->allocations[i];

                if (allocation_is_live(allocation) && allocation->issuer &&
                                strcmp(allocation->issuer, issuer) == 0 && is_callers(allocation, caller) &&
                                !bsearch(&allocation->id, named, n_named, sizeof(char *), by_id))
                        leaving[found++] = allocation;
        }
        *ret = TAKE_PTR(leaving);
        *ret_n = found;
        return 0;
}

int manager_sync(void *userdata, uid_t caller, const char *issuer, Allocation **requests, size_t n,
                Failure *ret_failure) {
        int r = *issuer ? give_issuer(issuer, requests, n, ret_failure)
                        : failure_set(ret_failure, FAILURE_INVALID_ALLOCATION,
                                          "Issuer '' must be the name of whose list this is");

        if (r == 0)
                return manager_transact(userdata, caller, requests, n, issuer, ret_failure);
        for (size_t i = 0; i < n; i++)
                allocation_free(requests[i]);
        return r;
}
