/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Admission, in steps:
 *   1. what the requests replace is taken out of the timelines, and all of them are put in, each with CPUs
 * chosen for it where it is to have some alone and names none;
 *   2. each resource that a request names must exist here;
 *   3. in its windows, from now on, the level with the request in it must not be over the total;
 *   4. where it is, those of lower priority that give way may lend what is short (preemption.c);
 *   5. where that is not enough: what is missing at most, when first, and the first start from which all of
 * it would fit for as long;
 *   6. the timelines are put back.
 * Only what lies within the requests' windows is looked at, and for 5 what comes after. It asks no clock.
 */

#include "admission-internal.h"

#include "model/allocation-claim.h"
#include "model/allocation-placement.h"
#include "placement.h"
#include "util/civil.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* Of a CPU or NUMA node, all of it while it is there; of those that are had alone, all but one, which others
 * need. */
static uint64_t total_of_set(const CpuSet *set, const char *target, uint64_t all, uint64_t whole) {
        unsigned count = cpu_set_count(set);

        if (*target)
                return cpu_set_has(set, (unsigned) strtoul(target, NULL, 10)) ? all : 0;
        return count > 1 ? (count - 1) * whole : 0;
}

uint64_t admission_total(const Capacity *capacity, ResourceKind kind, const char *target) {
        if (kind == RESOURCE_CPUSET)
                return total_of_set(&capacity->topology.online, target, CPU_CLAIM_ALL, 1000);
        if (kind == RESOURCE_NUMA)
                return total_of_set(&capacity->topology.nodes, target, NODE_CLAIM_ALL, 1);
        const Amount *total = resource_set_get(&capacity->total, kind, target);

        return total ? total->limit : 0;
}

/* Its i-th window, as far as it is still to come. */
static Window window_ahead(const AdmissionInput *input, const Allocation *request, size_t i) {
        Window window = *allocation_window(request, i);

        if (window.start_usec < input->now_usec)
                window.start_usec = input->now_usec;
        return window;
}

/* Over all of its windows: the highest level, and the first stretch that is over the total; false where there
 * is none. */
static bool find_shortage(const AdmissionInput *input, const Allocation *request, const Resource *claim,
                uint64_t *ret_peak, Window *ret_first) {
        const Timeline *timeline = calendar_reserved(input->calendar, claim->kind, claim->target);
        uint64_t total = admission_total(input->capacity, claim->kind, claim->target);
        bool found = false;

        *ret_peak = 0;
        for (size_t i = 0; timeline && i <= request->n_later; i++) {
                Window window = window_ahead(input, request, i);
                uint64_t peak;

                if (window.start_usec >= window.end_usec)
                        continue;
                peak = timeline_peak(timeline, window.start_usec, window.end_usec);
                if (peak > *ret_peak)
                        *ret_peak = peak;
                if (peak > total && !found)
                        found = timeline_find_over(timeline, window.start_usec, window.end_usec, total,
                                        &ret_first->start_usec, &ret_first->end_usec);
        }
        return found;
}

bool admission_fits(const AdmissionInput *input, const Allocation *request) {
        if (admission_lacks_choice(request))
                return false;
        for (size_t i = 0; i < request->claims.n; i++) {
                uint64_t peak;
                Window first;

                if (find_shortage(input, request, &request->claims.entries[i], &peak, &first))
                        return false;
        }
        return true;
}

/* 2. */
static bool resource_exists(const AdmissionInput *input, const Resource *entry) {
        const char *target = calendar_target(input->calendar, entry);
        const ResourceTarget kind = resource_info(entry->kind)->target;

        return kind == TARGET_NONE || (kind == TARGET_BLOCK && *target == '\0') ||
               resource_set_get(&input->capacity->total, entry->kind, target) ||
               resource_set_get(&input->capacity->targets, entry->kind, target);
}

/* 2. */
static int judge_existence(const AdmissionInput *input, const Allocation *request, const Resource *entry,
                Failure *failure) {
        const char *target = calendar_target(input->calendar, entry);
        const ResourceTarget kind = resource_info(entry->kind)->target;
        char name[RESOURCE_NAME_SIZE];

        if (resource_exists(input, entry))
                return 0;
        resource_format_name(entry->kind, entry->target, name);
        if (kind != TARGET_UPLINK)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION, "allocation %s: %s: %s", request->id,
                                name,
                                kind == TARGET_BLOCK
                                                ? "this node has no such block device (a partition's disk "
                                                  "is meant by the disk's numbers)"
                                : kind == TARGET_RDMA ? "this node has no such RDMA device"
                                                      : "this node has nothing of that name to count");
        if (entry->kind == RESOURCE_NET_INGRESS &&
                        resource_set_get(&input->capacity->total, RESOURCE_NET_EGRESS, target))
                return failure_set(failure, FAILURE_NOT_SUPPORTED,
                                "allocation %s: %s: what comes in at %s is not shaped on this node; "
                                "ingress-capacity in [uplink %s] of the configuration says what it can be",
                                request->id, name, target, target);
        if (input->capacity->default_uplink)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: %s: no uplink of that name is configured", request->id, name);
        return failure_set(failure, FAILURE_NOT_SUPPORTED,
                        "allocation %s: %s: no uplink is configured on this node", request->id, name);
}

/* 5. Of one claim, by the name that the request gave it. */
static int note_shortage(const AdmissionInput *input, const Allocation *request, const Resource *claim,
                Verdict *verdict) {
        const Resource name = allocation_claim_name(input->calendar, request, claim);
        uint64_t wanted = claim->amount.reserved,
                 total = admission_total(input->capacity, claim->kind, claim->target), peak, others;
        Window first;

        if (!find_shortage(input, request, claim, &peak, &first))
                return 0;
        if (verdict->missing.n == 0 || first.start_usec < verdict->shortage.start_usec)
                verdict->shortage = first;
        others = peak - wanted; /* over its own window it is level */
        return resource_set_put(&verdict->missing, name.kind, name.target,
                        claim_amount_shown(claim, wanted, total > others ? total - others : 0));
}

/* 5. Each resource may push the start on; when none does any more, all fit. The request itself is not in the
 * timelines. */
static uint64_t earliest_start(const AdmissionInput *input, const Allocation *request) {
        uint64_t start = window_ahead(input, request, 0).start_usec, duration = UINT64_MAX;

        if (request->window.end_usec != UINT64_MAX)
                duration = request->window.end_usec - request->window.start_usec;
        for (bool moved = true; moved && start != UINT64_MAX;) {
                uint64_t chosen = placement_earliest(input->calendar, &input->capacity->topology,
                                allocation_cpus_to_choose(request), start, duration);

                moved = chosen != start;
                start = chosen;
                for (size_t i = 0; i < request->claims.n && start != UINT64_MAX; i++) {
                        const Resource *claim = &request->claims.entries[i];
                        uint64_t wanted = claim->amount.reserved, next = start,
                                 total = admission_total(input->capacity, claim->kind, claim->target);
                        const Timeline *timeline =
                                        calendar_reserved(input->calendar, claim->kind, claim->target);

                        /* Elsewhere it may be given others. */
                        if (claim->kind == RESOURCE_CPUSET && *claim->target &&
                                        allocation_cpus_to_choose(request) > 0)
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

/* 5. A window that recurs has no one start to move. */
static int find_earliest(const AdmissionInput *input, Allocation *request, uint64_t *ret_usec) {
        Allocation probe = { .counted = true };
        int r, recounted;

        *ret_usec = UINT64_MAX;
        if (request->recurrence)
                return 0;
        r = preemption_lend_all(input, request, &probe);
        calendar_discount(input->calendar, request);
        if (r >= 0)
                *ret_usec = earliest_start(input, request);
        recounted = calendar_recount(input->calendar, request);
        calendar_take_back(input->calendar, &probe, /* from= */ NULL);
        free(probe.loans);
        return r < 0 ? r : recounted;
}

static const char *format_time(uint64_t usec, char *ret) {
        return usec == UINT64_MAX ? "its end" : civil_format_utc(usec, ret);
}

/* Key, value and bound, when, and the counter-offer. */
static int say_shortage(const AdmissionInput *input, const Allocation *request, Verdict *verdict) {
        const Resource *first = &verdict->missing.entries[0];
        const char *target = calendar_target(input->calendar, first);
        uint64_t total = admission_total(input->capacity, first->kind, target);
        char name[RESOURCE_NAME_SIZE], from[CIVIL_TEXT_SIZE], until[CIVIL_TEXT_SIZE], offer[CIVIL_TEXT_SIZE];
        bool offered = verdict->earliest_usec != UINT64_MAX;

        resource_format_name(first->kind, first->target, name);
        return failure_set(&verdict->failure, FAILURE_INSUFFICIENT_RESOURCES,
                        "allocation %s: %s reserved %" PRIu64 " is over what is free in its window, %" PRIu64
                        " of %" PRIu64 " %s, from %s until %s; %s%s",
                        request->id, name, first->amount.reserved, first->amount.limit,
                        claim_amount_shown(first, total, total).reserved, resource_info(first->kind)->unit,
                        format_time(verdict->shortage.start_usec, from),
                        format_time(verdict->shortage.end_usec, until),
                        offered               ? "all of it would fit from "
                        : request->recurrence ? "another Calendar may fit"
                                              : "there is no later start at which it would fit",
                        offered ? format_time(verdict->earliest_usec, offer) : "");
}

static int refuse(const AdmissionInput *input, Allocation *request, Verdict *verdict) {
        int r = 0;

        verdict->fits = false;
        for (size_t i = 0; r >= 0 && i < request->claims.n; i++)
                r = note_shortage(input, request, &request->claims.entries[i], verdict);
        if (r >= 0)
                r = admission_note_no_choice(input, request, verdict);
        if (r >= 0)
                r = find_earliest(input, request, &verdict->earliest_usec);
        return r < 0 ? r : say_shortage(input, request, verdict);
}

static int judge(const AdmissionInput *input, Allocation *request, Verdict *verdict) {
        int r;

        *verdict = (Verdict){ .earliest_usec = request->window.start_usec };
        for (size_t i = 0; i < request->resources.n; i++) {
                r = judge_existence(input, request, &request->resources.entries[i], &verdict->failure);
                if (r == 0)
                        continue;
                verdict->earliest_usec = UINT64_MAX;
                return r;
        }
        r = admission_judge_placement(input, request, verdict);
        if (r != 0) {
                verdict->earliest_usec = UINT64_MAX;
                return r;
        }
        verdict->fits = admission_fits(input, request);
        r = verdict->fits ? 0 : preemption_try(input, request, &verdict->fits);
        return r < 0 || verdict->fits ? r : refuse(input, request, verdict);
}

/* Whether all that it names is here. */
static bool is_possible(const AdmissionInput *input, const Allocation *request) {
        for (size_t i = 0; i < request->resources.n; i++)
                if (!resource_exists(input, &request->resources.entries[i]))
                        return false;
        return admission_placement_exists(input, request);
}

/* 1. */
static int place(const AdmissionInput *input, Allocation *const *leaving) {
        int r = 0;

        for (; leaving && *leaving; leaving++)
                calendar_discount(input->calendar, *leaving);
        for (size_t i = 0; i < input->n_requests; i++) {
                Allocation *held = calendar_find(input->calendar, input->requests[i]->id);

                if (held)
                        calendar_discount(input->calendar, held);
        }
        for (size_t i = 0; r >= 0 && i < input->n_requests; i++) {
                Allocation *held = calendar_find(input->calendar, input->requests[i]->id);

                /* What is refused for that is not claimed: a calendar keeps room for all that it has heard
                 * of. */
                if (!is_possible(input, input->requests[i]))
                        continue;
                r = admission_choose_cpus(input, input->requests[i], held);
                if (r >= 0)
                        r = calendar_recount(input->calendar, input->requests[i]);
                if (r >= 0 && held)
                        r = calendar_inherit_loans(input->calendar, held, input->requests[i]);
        }
        return r;
}

/* 6. What was discounted finds its room again, and what was lent is lent as it was. */
static int displace(const AdmissionInput *input, Allocation *const *leaving, const SavedLoan *loans,
                size_t n_loans) {
        int r;

        for (size_t i = 0; i < input->n_requests; i++)
                calendar_discount(input->calendar, input->requests[i]);
        for (size_t i = 0; i < input->n_requests; i++) {
                Allocation *held = calendar_find(input->calendar, input->requests[i]->id);

                if (held)
                        (void) calendar_recount(input->calendar, held);
        }
        for (; leaving && *leaving; leaving++)
                (void) calendar_recount(input->calendar, *leaving);
        r = n_loans > 0 ? calendar_restore_loans(input->calendar, loans, n_loans) : 0;
        return r;
}

/* The request's loans become the verdict's: whoever accepts it lends them again. */
static int take_loans(const AdmissionInput *input, Allocation *request, Verdict *verdict) {
        if (request->n_loans == 0)
                return 0;
        verdict->loans = reallocarray(NULL, request->n_loans, sizeof(Loan));
        if (!verdict->loans)
                return -ENOMEM;
        verdict->n_loans = request->n_loans;
        memcpy(verdict->loans, request->loans, request->n_loans * sizeof(Loan));
        calendar_take_back(input->calendar, request, /* from= */ NULL);
        return 0;
}

int admission_check(Calendar *calendar, const Capacity *capacity, uint64_t now_usec,
                Allocation *const *requests, size_t n, Allocation *const *leaving, Verdict *ret_verdicts) {
        const AdmissionInput input = { calendar, capacity, now_usec, requests, n };
        _cleanup_free_ SavedLoan *loans = NULL;
        size_t judged = 0, n_loans = 0;
        bool lends = false;
        int r, displaced;

        for (size_t i = 0; i < n; i++) {
                const Allocation *held = calendar_find(calendar, requests[i]->id);

                lends = lends || (held && held->n_borrowers > 0);
        }
        r = lends ? calendar_save_loans(calendar, &loans, &n_loans) : 0;
        if (r < 0)
                return r;
        r = place(&input, leaving);
        for (; r >= 0 && judged < n; judged++)
                r = judge(&input, requests[judged], &ret_verdicts[judged]);
        for (size_t i = 0; i < n; i++)
                if (r >= 0)
                        r = take_loans(&input, requests[i], &ret_verdicts[i]);
                else
                        calendar_take_back(calendar, requests[i], /* from= */ NULL);
        displaced = displace(&input, leaving, loans, n_loans);
        if (r >= 0)
                r = displaced;
        while (r < 0 && judged-- > 0)
                verdict_deinit(&ret_verdicts[judged]);
        return r < 0 ? r : 0;
}

static int by_priority(const void *a, const void *b) {
        const Allocation *x = *(Allocation *const *) a, *y = *(Allocation *const *) b;

        return x->priority != y->priority ? (x->priority > y->priority ? -1 : 1) : strcmp(x->id, y->id);
}

/* What it borrowed before it keeps where more does not help. */
static int rearrange_one(const AdmissionInput *input, Allocation *allocation) {
        size_t n = allocation->n_loans;
        _cleanup_free_ Loan *had = calloc(n + 1, sizeof(Loan));
        bool fits;
        int r;

        if (!had)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                had[i] = allocation->loans[i];
        r = preemption_try(input, allocation, &fits);
        for (size_t i = 0; r >= 0 && !fits && i < n; i++)
                r = calendar_lend(input->calendar, allocation, &had[i]);
        for (size_t i = 0; i < allocation->n_loans; i++)
                calendar_look_again(input->calendar, allocation->loans[i].from);
        return r;
}

int admission_rearrange(Calendar *calendar, const Capacity *capacity, uint64_t now_usec) {
        const AdmissionInput input = { calendar, capacity, now_usec, NULL, 0 };
        _cleanup_free_ Allocation **sorted = NULL;
        int r = 0;

        if (calendar->n == 0)
                return 0;
        sorted = reallocarray(NULL, calendar->n, sizeof(Allocation *));
        if (!sorted)
                return -ENOMEM;
        memcpy(sorted, calendar->allocations, calendar->n * sizeof(Allocation *));
        qsort(sorted, calendar->n, sizeof(Allocation *), by_priority);
        for (size_t i = 0; r >= 0 && i < calendar->n; i++)
                if (sorted[i]->counted && !admission_fits(&input, sorted[i]))
                        r = rearrange_one(&input, sorted[i]);
        return r;
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
