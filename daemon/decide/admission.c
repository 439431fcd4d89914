/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Admission, in steps:
 *   1. what the requests replace is taken out of the timelines, and all of them are put in, but for one
 *      that is alone;
 *   2. each resource that a request names must exist here;
 *   3. the peak over its window, with the request in it, must not be over the total;
 *   4. where it is: what is missing at most, and the first start from which all of it would fit for as long;
 *   5. the timelines are put back.
 * Only what lies within the requests' windows is looked at, and for 4 what comes after. It asks no clock.
 */

#include "admission.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static uint64_t total_of(const Capacity *capacity, ResourceKind kind, const char *target) {
        const Amount *total = resource_set_get(&capacity->total, kind, target);

        return total ? total->limit : 0;
}

/* "net.egress" and "net.egress@<the default uplink>" are one. */
static uint64_t reserved_of(const Calendar *calendar, const Allocation *allocation, ResourceKind kind,
                const char *target) {
        uint64_t sum = 0;

        for (size_t i = 0; i < allocation->resources.n; i++) {
                const Resource *entry = &allocation->resources.entries[i];

                if (entry->kind == kind && strcmp(calendar_target(calendar, entry), target) == 0)
                        sum = amount_add(sum, entry->amount.reserved);
        }
        return sum;
}

static uint64_t peak_of(
                const Calendar *calendar, const Allocation *request, ResourceKind kind, const char *target) {
        const Timeline *timeline = calendar_reserved(calendar, kind, target);

        return timeline ? timeline_peak(timeline, request->start_usec, request->end_usec) : 0;
}

static int judge_resource(const Calendar *calendar, const Capacity *capacity, const Allocation *request,
                const Resource *entry, Verdict *verdict) {
        const char *target = calendar_target(calendar, entry);
        uint64_t wanted = reserved_of(calendar, request, entry->kind, target),
                 total = total_of(capacity, entry->kind, target);
        uint64_t others, available;
        char name[RESOURCE_NAME_SIZE];
        int r;

        resource_format_name(entry->kind, entry->target, name);
        if (entry->kind == RESOURCE_NET_EGRESS &&
                        !resource_set_get(&capacity->total, entry->kind, target)) /* 2. */
                return capacity->default_uplink ? failure_set(&verdict->failure, FAILURE_INVALID_ALLOCATION,
                                                                  "allocation %s: %s: no uplink of that name "
                                                                  "is configured",
                                                                  request->id, name)
                                                : failure_set(&verdict->failure, FAILURE_NOT_SUPPORTED,
                                                                  "allocation %s: %s: no uplink is "
                                                                  "configured on this node",
                                                                  request->id, name);
        if (wanted == 0)
                return 0;
        others = peak_of(calendar, request, entry->kind, target);
        if (request->counted)
                others -= wanted; /* 3.: over its own window it is level */
        available = total > others ? total - others : 0;
        if (wanted <= available)
                return 0;
        r = resource_set_put(&verdict->missing, entry->kind, entry->target, (Amount){ wanted, available });
        if (r < 0)
                return r;
        return failure_set(&verdict->failure, FAILURE_INSUFFICIENT_RESOURCES,
                        "allocation %s: %s reserved %" PRIu64 " is over what is free in its window, %" PRIu64
                        " of %" PRIu64 " %s",
                        request->id, name, wanted, available, total, resource_info(entry->kind)->unit);
}

/* 4. Each resource may push the start on; when none does any more, all fit. The request is not in the
 * timelines. */
static uint64_t earliest_start(
                const Calendar *calendar, const Capacity *capacity, const Allocation *request) {
        uint64_t duration = request->end_usec == UINT64_MAX ? UINT64_MAX
                                                            : request->end_usec - request->start_usec;
        uint64_t start = request->start_usec;

        for (bool moved = true; moved && start != UINT64_MAX;) {
                moved = false;
                for (size_t i = 0; i < request->resources.n && start != UINT64_MAX; i++) {
                        const Resource *entry = &request->resources.entries[i];
                        const char *target = calendar_target(calendar, entry);
                        uint64_t wanted = reserved_of(calendar, request, entry->kind, target);
                        uint64_t total = total_of(capacity, entry->kind, target), next = start;
                        const Timeline *timeline = calendar_reserved(calendar, entry->kind, target);

                        if (wanted == 0)
                                continue;
                        if (wanted > total)
                                return UINT64_MAX;
                        if (timeline)
                                next = timeline_earliest(timeline, start, duration, total - wanted);
                        moved = moved || next != start;
                        start = next;
                }
        }
        return start;
}

static int judge(Calendar *calendar, const Capacity *capacity, Allocation *request, Verdict *ret_verdict) {
        Verdict verdict = { .fits = true, .earliest_usec = request->start_usec };

        for (size_t i = 0; i < request->resources.n; i++) {
                int r = judge_resource(calendar, capacity, request, &request->resources.entries[i], &verdict);

                if (r < 0) {
                        verdict_deinit(&verdict);
                        return r;
                }
                if (r > 0)
                        verdict.fits = false;
        }
        if (verdict.missing.n > 0) {
                bool counted = request->counted;
                int r;

                calendar_discount(calendar, request);
                verdict.earliest_usec = earliest_start(calendar, capacity, request);
                r = counted ? calendar_recount(calendar, request) : 0;
                assert(r >= 0); /* there was room for it a moment ago */
                (void) r;
        } else if (!verdict.fits)
                verdict.earliest_usec = UINT64_MAX;
        *ret_verdict = verdict;
        return 0;
}

/* 1., and 5. with `in` false. What was discounted finds its room again. */
static int place(Calendar *calendar, Allocation *const *requests, size_t n, bool in) {
        int r = 0;

        for (size_t i = 0; in && i < n; i++) {
                Allocation *held = calendar_find(calendar, requests[i]->id);

                if (held)
                        calendar_discount(calendar, held);
        }
        for (size_t i = 0; r >= 0 && n > 1 && i < n; i++)
                if (in)
                        r = calendar_recount(calendar, requests[i]);
                else
                        calendar_discount(calendar, requests[i]);
        for (size_t i = 0; !in && i < n; i++) {
                Allocation *held = calendar_find(calendar, requests[i]->id);

                if (held)
                        (void) calendar_recount(calendar, held);
        }
        return r;
}

int admission_check(Calendar *calendar, const Capacity *capacity, Allocation *const *requests, size_t n,
                Verdict *ret_verdicts) {
        size_t judged = 0;
        int r;

        r = place(calendar, requests, n, /* in= */ true);
        while (r >= 0 && judged < n) {
                r = judge(calendar, capacity, requests[judged], &ret_verdicts[judged]);
                if (r >= 0)
                        judged++;
        }
        (void) place(calendar, requests, n, /* in= */ false);
        while (r < 0 && judged-- > 0)
                verdict_deinit(&ret_verdicts[judged]);
        return r < 0 ? r : 0;
}

int admission_reserved_at(
                const Calendar *calendar, const Capacity *capacity, uint64_t utc_usec, ResourceSet *ret) {
        _cleanup_resource_set_ ResourceSet reserved = RESOURCE_SET_NULL;

        for (size_t i = 0; i < capacity->total.n; i++) {
                const Resource *entry = &capacity->total.entries[i];
                const Timeline *timeline = calendar_reserved(calendar, entry->kind, entry->target);
                uint64_t level = timeline ? timeline_level(timeline, utc_usec) : 0;
                int r = resource_set_put(&reserved, entry->kind, entry->target,
                                (Amount){ level, entry->amount.limit });

                if (r < 0)
                        return r;
        }
        *ret = reserved;
        reserved = (ResourceSet) RESOURCE_SET_NULL;
        return 0;
}
