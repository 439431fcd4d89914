/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Requests judged one by one, before admission judges them together: whether each is a request at all, whose
 * it is, and whether its Generation may take the place of what is held. Changes nothing.
 */

#include "manager-internal.h"

#include "util/printable.h"

#include <inttypes.h>
#include <string.h>

/* Whether a request may take the place of what is held. 0: yes; 1 (FAILURE_*): no; -EALREADY: it is what is
 * held. */
static int judge_generation(
                Manager *manager, const Allocation *request, const Allocation *held, Failure *failure) {
        uint64_t released = 0;
        int r = 0;

        /* What is held and lives was over that when it came. */
        if (!held || !allocation_is_live(held))
                r = state_released_generation(manager->state, request->id, &released);
        if (r < 0)
                return r;
        if (request->generation <= released)
                return failure_set(failure, FAILURE_STALE_GENERATION,
                                "allocation %s: Generation %" PRIu64 " must be over %" PRIu64
                                ", at which it was released",
                                request->id, request->generation, released);
        if (!held)
                return 0;
        if (request->generation < held->generation)
                return failure_set(failure, FAILURE_STALE_GENERATION,
                                "allocation %s: Generation %" PRIu64 " is older than %" PRIu64
                                ", which is held",
                                request->id, request->generation, held->generation);
        if (request->generation > held->generation)
                return 0;
        if (held->state == ALLOCATION_RELEASED)
                return failure_set(failure, FAILURE_STALE_GENERATION,
                                "allocation %s: Generation %" PRIu64 " was released; give a higher one",
                                request->id, request->generation);
        if (allocation_same_request(request, held))
                return -EALREADY;
        return failure_set(failure, FAILURE_GENERATION_CONFLICT,
                        "allocation %s: Generation %" PRIu64 " is held with other content; give a higher one",
                        request->id, request->generation);
}

int manager_judge_reason(const char *reason, Failure *failure) {
        if (is_printable(reason) && strlen(reason) <= MANAGER_REASON_LENGTH_MAX)
                return 0;
        return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                        "the reason must be at most %d bytes without control characters",
                        MANAGER_REASON_LENGTH_MAX);
}

int manager_judge_owner(const Allocation *held, uid_t caller, Failure *failure) {
        if (caller == 0 || caller == geteuid() || held->owner == caller)
                return 0;
        return failure_set(failure, FAILURE_ACCESS_DENIED, "allocation %s belongs to user %d, not to user %d",
                        held->id, (int) held->owner, (int) caller);
}

int manager_judge_tenant(const Manager *manager, const Tenant *tenant, uid_t caller, Failure *failure) {
        const Calendar *calendar = &manager->node.calendar;
        bool any_lives = false, any = false;
        int r = 0;

        if (caller == 0 || caller == geteuid())
                return 0;
        for (size_t i = 0; i < calendar->n; i++)
                any_lives = any_lives || (strcmp(calendar->allocations[i]->tenant_id, tenant->id) == 0 &&
                                                         allocation_is_live(calendar->allocations[i]));
        for (size_t i = 0; r == 0 && i < calendar->n; i++) {
                const Allocation *allocation = calendar->allocations[i];

                if (strcmp(allocation->tenant_id, tenant->id) != 0 ||
                                (any_lives && !allocation_is_live(allocation)))
                        continue;
                any = true;
                r = manager_judge_owner(allocation, caller, failure);
        }
        return r == 0 && !any ? failure_set(failure, FAILURE_ACCESS_DENIED,
                                                "tenant %s has no allocation of user %d", tenant->id,
                                                (int) caller)
                              : r;
}

static int judge_alone(
                Manager *manager, Allocation *request, uid_t caller, const Instant *now, Failure *failure) {
        Allocation *held;
        int r;

        r = allocation_validate(request, failure);
        if (r != 0)
                return r;
        held = calendar_find(&manager->node.calendar, request->id);
        if (held) {
                r = manager_judge_owner(held, caller, failure);
                if (r == 0 && strcmp(held->tenant_id, request->tenant_id) != 0)
                        r = failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                        "allocation %s: TenantId '%s' cannot become '%s'", request->id,
                                        held->tenant_id, request->tenant_id);
                if (r != 0)
                        return r;
        }
        r = judge_generation(manager, request, held, failure);
        if (r != 0)
                return r;
        return allocation_accept(request,
                        &(Acceptance){ now->utc_usec, now->boottime_usec, manager->node.calendar.horizon_usec,
                                        held ? held->owner : caller },
                        failure);
}

size_t manager_count_elapses(const Manager *manager) {
        const Calendar *calendar = &manager->node.calendar;
        size_t n = 0;

        for (size_t i = 0; i < calendar->n; i++)
                n += calendar->allocations[i]->n_elapses;
        return n;
}

static int refuse_elapses(const Allocation *request, Failure *failure) {
        return failure_set(failure, FAILURE_LIMIT_EXCEEDED,
                        "allocation %.64s: Calendar '%.256s': all Calendars together would elapse more than "
                        "%d "
                        "times within the horizon",
                        request->id ?: "''", request->recurrence_text, CALENDAR_ELAPSES_MAX);
}

int manager_judge_request(Manager *manager, Allocation *request, uid_t caller, const Instant *now,
                size_t *n_elapses, Failure *failure) {
        const Allocation *held = request->id ? calendar_find(&manager->node.calendar, request->id) : NULL;
        int r;

        if (request->recurrence_text && *n_elapses > CALENDAR_ELAPSES_MAX)
                return refuse_elapses(request, failure);
        r = judge_alone(manager, request, caller, now, failure);
        *n_elapses += request->n_elapses;
        if (r != 0 || request->n_elapses == 0)
                return r;
        if (held)
                *n_elapses -= held->n_elapses;
        return *n_elapses > CALENDAR_ELAPSES_MAX ? refuse_elapses(request, failure) : 0;
}

static int by_id(const void *a, const void *b) {
        return strcmp((*(Allocation *const *) a)->id ?: "", (*(Allocation *const *) b)->id ?: "");
}

/* One call names an allocation once. */
int manager_judge_duplicates(Allocation *const *requests, size_t n, Failure *failure) {
        _cleanup_free_ Allocation **sorted = calloc(n + 1, sizeof(Allocation *));

        if (!sorted)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                sorted[i] = requests[i];
        qsort(sorted, n, sizeof(Allocation *), by_id);
        for (size_t i = 1; i < n; i++)
                if (by_id(&sorted[i - 1], &sorted[i]) == 0)
                        return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                        "allocation %.64s is given twice", sorted[i]->id ?: "''");
        return 0;
}

/* A node that drains changes nothing but by releases. */
int manager_judge_draining(const Manager *manager, const Allocation *request, Failure *failure) {
        if (!manager->node.calendar.draining)
                return 0;
        return failure_set(failure, FAILURE_DRAINING,
                        "allocation %s: the node is draining (%s) and takes no new work", request->id,
                        manager->node.drain_reason);
}

int manager_judge_requests(Manager *manager, Allocation **requests, size_t *n, size_t n_leaving, uid_t caller,
                const Instant *now, Failure *failure) {
        size_t kept = 0, total = manager->node.calendar.n - n_leaving;
        size_t n_elapses = manager_count_elapses(manager);
        int r;

        r = manager_judge_duplicates(requests, *n, failure);
        if (r != 0)
                return r;
        for (size_t i = 0; i < *n; i++) {
                r = manager_judge_request(manager, requests[i], caller, now, &n_elapses, failure);
                if (r == 0)
                        r = manager_judge_draining(manager, requests[i], failure);
                if (r != 0 && r != -EALREADY)
                        return r;
                total += !calendar_find(&manager->node.calendar, requests[i]->id);
        }
        if (total > manager->options.config->allocations_max)
                return failure_set(failure, FAILURE_LIMIT_EXCEEDED,
                                "%zu allocations would be over allocations-max, %" PRIu64, total,
                                manager->options.config->allocations_max);
        for (size_t i = 0; i < *n; i++) {
                const Allocation *held = calendar_find(&manager->node.calendar, requests[i]->id);

                if (held && held->generation == requests[i]->generation)
                        allocation_free(requests[i]);
                else
                        requests[kept++] = requests[i];
        }
        *n = kept;
        return 0;
}
