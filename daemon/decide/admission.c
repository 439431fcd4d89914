/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Admission, in steps:
 *   1. each resource that a request names must exist here;
 *   2. what is reserved changes only where a window begins, so the sum is taken at the request's start and at each
 *      start of another within its window;
 *   3. the least that is free at any of those instants is what the request is measured against.
 * It asks no clock and writes nothing.
 */

#include "admission.h"

#include <inttypes.h>
#include <string.h>

/* "net.egress" and "net.egress@<the default uplink>" are one. */
static const char *target_resolve(const Capacity *capacity, const Resource *entry) {
        if (entry->kind == RESOURCE_NET_EGRESS && entry->target[0] == '\0')
                return capacity->default_uplink ?: "";
        return entry->target;
}

static uint64_t reserved_of(const Allocation *allocation, const Capacity *capacity, ResourceKind kind, const char *target) {
        uint64_t sum = 0;

        for (size_t i = 0; i < allocation->resources.n; i++) {
                const Resource *entry = &allocation->resources.entries[i];

                if (entry->kind == kind && strcmp(target_resolve(capacity, entry), target) == 0)
                        sum = amount_add(sum, entry->amount.reserved);
        }
        return sum;
}

/* Whether its reserved counts at the instant: what is ending has given its floor back. */
static bool holds_at(const Allocation *allocation, uint64_t at) {
        return (allocation->state == ALLOCATION_PENDING || allocation->state == ALLOCATION_ACTIVE) &&
                allocation->start_usec <= at && at < allocation->end_usec;
}

static bool is_replaced(const Allocation *allocation, Allocation *const *requests, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(requests[i]->id, allocation->id) == 0)
                        return true;
        return false;
}

typedef struct Question {
        const Calendar *calendar;
        const Capacity *capacity;
        Allocation *const *requests;
        size_t n;
} Question;

/* All that is reserved at an instant by others than `request`. */
static uint64_t others_reserved_at(const Question *q, const Allocation *request, ResourceKind kind, const char *target,
        uint64_t at) {
        uint64_t sum = 0;

        for (size_t i = 0; i < q->calendar->n; i++) {
                const Allocation *held = q->calendar->allocations[i];

                if (holds_at(held, at) && !is_replaced(held, q->requests, q->n))
                        sum = amount_add(sum, reserved_of(held, q->capacity, kind, target));
        }
        for (size_t i = 0; i < q->n; i++)
                if (q->requests[i] != request && q->requests[i]->start_usec <= at && at < q->requests[i]->end_usec)
                        sum = amount_add(sum, reserved_of(q->requests[i], q->capacity, kind, target));
        return sum;
}

/* Steps 2 and 3. */
static uint64_t least_free(const Question *q, const Allocation *request, ResourceKind kind, const char *target,
        uint64_t total) {
        uint64_t most = others_reserved_at(q, request, kind, target, request->start_usec);

        for (size_t i = 0; i < q->calendar->n + q->n; i++) {
                const Allocation *other = i < q->calendar->n ? q->calendar->allocations[i] : q->requests[i - q->calendar->n];
                uint64_t sum;

                if (other->start_usec <= request->start_usec || other->start_usec >= request->end_usec)
                        continue;
                sum = others_reserved_at(q, request, kind, target, other->start_usec);
                if (sum > most)
                        most = sum;
        }
        return most >= total ? 0 : total - most;
}

static int judge_resource(const Question *q, const Allocation *request, const Resource *entry, Verdict *verdict) {
        const char *target = target_resolve(q->capacity, entry);
        const Amount *total = resource_set_get(&q->capacity->total, entry->kind, target);
        uint64_t wanted = reserved_of(request, q->capacity, entry->kind, target), available;
        char name[RESOURCE_NAME_SIZE];
        int r;

        resource_format_name(entry->kind, entry->target, name);
        if (entry->kind == RESOURCE_NET_EGRESS && !total) /* 1. */
                return q->capacity->default_uplink ?
                        failure_set(&verdict->failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: %s: no uplink of that name is configured", request->id, name) :
                        failure_set(&verdict->failure, FAILURE_NOT_SUPPORTED,
                                "allocation %s: %s: no uplink is configured on this node", request->id, name);
        if (wanted == 0)
                return 0;
        available = total ? least_free(q, request, entry->kind, target, total->limit) : 0;
        if (wanted <= available)
                return 0;
        r = resource_set_put(&verdict->missing, entry->kind, entry->target, (Amount) { wanted, available });
        if (r < 0)
                return r;
        return failure_set(&verdict->failure, FAILURE_INSUFFICIENT_RESOURCES,
                "allocation %s: %s reserved %" PRIu64 " is over what is free in its window, %" PRIu64 " of %" PRIu64 " %s",
                request->id, name, wanted, available, total ? total->limit : 0, resource_info(entry->kind)->unit);
}

int admission_check(const Calendar *calendar, const Capacity *capacity, Allocation *const *requests, size_t n,
        Verdict *ret_verdicts) {
        const Question q = { calendar, capacity, requests, n };

        for (size_t i = 0; i < n; i++) {
                Verdict verdict = { .fits = true };

                for (size_t k = 0; k < requests[i]->resources.n; k++) {
                        int r = judge_resource(&q, requests[i], &requests[i]->resources.entries[k], &verdict);
                        if (r < 0) {
                                verdict_deinit(&verdict);
                                while (i-- > 0)
                                        verdict_deinit(&ret_verdicts[i]);
                                return r;
                        }
                        if (r > 0)
                                verdict.fits = false;
                }
                ret_verdicts[i] = verdict;
        }
        return 0;
}

int admission_reserved_at(const Calendar *calendar, const Capacity *capacity, uint64_t utc_usec, ResourceSet *ret) {
        const Question q = { calendar, capacity, NULL, 0 };
        _cleanup_resource_set_ ResourceSet reserved = RESOURCE_SET_NULL;

        for (size_t i = 0; i < capacity->total.n; i++) {
                const Resource *entry = &capacity->total.entries[i];
                uint64_t sum = others_reserved_at(&q, NULL, entry->kind, entry->target, utc_usec);
                int r = resource_set_put(&reserved, entry->kind, entry->target, (Amount) { sum, entry->amount.limit });
                if (r < 0)
                        return r;
        }
        *ret = reserved;
        reserved = (ResourceSet) RESOURCE_SET_NULL;
        return 0;
}
