/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Who gives way to a request that does not fit, in steps:
 *   1. candidates: what is held, of lower priority, and neither "off" nor judged together with the request;
 *   2. in order: the lowest priority first, suspended rather than cancelled, the latest to begin first;
 *   3. each lends, instant by instant, what the request is still short of and it has, until nothing is short;
 *   4. whoever turns out not to be needed, the most worthy first, lends nothing.
 * A loan is never more than what is short at that instant: see model/calendar-loans.c. It carries nothing
 * out: states follow from the loans.
 */

#include "admission-internal.h"

#include "model/allocation-claim.h"

#include <string.h>

static bool gives_way(const AdmissionInput *input, const Allocation *lender, const Allocation *request) {
        for (size_t i = 0; i < input->n_requests; i++)
                if (lender == input->requests[i])
                        return false;
        return lender->counted && lender->preempt_mode != PREEMPT_MODE_OFF &&
               lender->priority < request->priority;
}

/* 2. */
static int by_worth(const void *a, const void *b) {
        const Allocation *x = *(Allocation *const *) a, *y = *(Allocation *const *) b;

        if (x->priority != y->priority)
                return x->priority < y->priority ? -1 : 1;
        if (x->preempt_mode != y->preempt_mode)
                return x->preempt_mode == PREEMPT_MODE_SUSPEND ? -1 : 1;
        if (x->window.start_usec != y->window.start_usec)
                return x->window.start_usec > y->window.start_usec ? -1 : 1;
        return strcmp(x->id, y->id);
}

/* 1. */
static int list_candidates(
                const AdmissionInput *input, const Allocation *request, Allocation ***ret, size_t *ret_n) {
        const Calendar *calendar = input->calendar;
        Allocation **list = NULL;
        size_t n = 0;

        for (size_t i = 0; i < calendar->n; i++)
                n += gives_way(input, calendar->allocations[i], request);
        list = reallocarray(NULL, n + 1, sizeof(Allocation *));
        if (!list)
                return -ENOMEM;
        n = 0;
        for (size_t i = 0; i < calendar->n; i++)
                if (gives_way(input, calendar->allocations[i], request))
                        list[n++] = calendar->allocations[i];
        qsort(list, n, sizeof(Allocation *), by_worth);
        *ret = list;
        *ret_n = n;
        return 0;
}

static uint64_t later(uint64_t a, uint64_t b) {
        return a > b ? a : b;
}

static int lend(const AdmissionInput *input, Allocation *to, Allocation *lender, const Resource *claim,
                Window stretch, uint64_t amount) {
        Loan loan = { .from = lender, .kind = claim->kind, .window = stretch, .amount = amount };

        if (amount == 0)
                return 0;
        strcpy(loan.target, claim->target);
        return calendar_lend(input->calendar, to, &loan);
}

/* What the lender lends of the claim by now, whoever borrows it. */
typedef struct Lent {
        Loan *loans;
        size_t n;
} Lent;

static void lent_deinit(Lent *lent) {
        free(lent->loans);
}

/* What it has left at that instant, and how long at the most that is so. */
static uint64_t left_at(const Lent *lent, const Resource *claim, uint64_t at, uint64_t *end) {
        uint64_t sum = 0;

        for (size_t i = 0; i < lent->n; i++) {
                const Window *window = &lent->loans[i].window;

                if (window->start_usec <= at && at < window->end_usec)
                        sum += lent->loans[i].amount;
                *end = least(*end, window->start_usec > at ? window->start_usec
                                   : window->end_usec > at ? window->end_usec
                                                           : UINT64_MAX);
        }
        return claim->amount.reserved > sum ? claim->amount.reserved - sum : 0;
}

/* 3. Within a stretch in which the request is short all the time: step by step of the timeline; steps that
 * come to the same are one loan. */
static int lend_while_short(const AdmissionInput *input, Allocation *request, Allocation *lender,
                const Resource *claim, const Lent *lent, Window stretch) {
        const Timeline *timeline = calendar_reserved(input->calendar, claim->kind, claim->target);
        uint64_t total = admission_total(input->capacity, claim->kind, claim->target), lending = 0, next;
        Window part = { stretch.start_usec, stretch.start_usec };
        int r = 0;

        for (uint64_t at = stretch.start_usec; r >= 0 && at < stretch.end_usec; at = next) {
                uint64_t amount = timeline_level(timeline, at) - total;

                next = least(timeline_next_step(timeline, at), stretch.end_usec);
                amount = least(amount, left_at(lent, claim, at, &next));
                if (amount != lending) {
                        r = lend(input, request, lender, claim, part, lending);
                        part.start_usec = at;
                        lending = amount;
                }
                part.end_usec = next;
        }
        return r < 0 ? r : lend(input, request, lender, claim, part, lending);
}

/* 3. Within a stretch that is both's. What is short is looked for first: mostly nothing is. */
static int lend_within(const AdmissionInput *input, Allocation *request, Allocation *lender,
                const Resource *claim, Window stretch) {
        uint64_t total = admission_total(input->capacity, claim->kind, claim->target);
        _cleanup_(lent_deinit) Lent lent = { NULL, 0 };
        const Timeline *timeline;
        Window shortage;
        int r = 0;

        while (r >= 0 && (timeline = calendar_reserved(input->calendar, claim->kind, claim->target)) &&
                        timeline_find_over(timeline, stretch.start_usec, stretch.end_usec, total,
                                        &shortage.start_usec, &shortage.end_usec)) {
                if (!lent.loans)
                        r = allocation_list_lent(lender, claim->kind, claim->target, &lent.loans, &lent.n);
                if (r >= 0)
                        r = lend_while_short(input, request, lender, claim, &lent, shortage);
                stretch.start_usec = shortage.end_usec;
        }
        return r;
}

/* 3. In each stretch in which both hold. Both lists of windows ascend. */
static int lend_claim(
                const AdmissionInput *input, Allocation *request, Allocation *lender, const Resource *claim) {
        size_t i = 0, k = 0;

        while (i <= request->n_later && k <= lender->n_later) {
                const Window *ours = allocation_window(request, i), *theirs = allocation_window(lender, k);
                Window both = { later(later(ours->start_usec, theirs->start_usec), input->now_usec),
                        least(ours->end_usec, theirs->end_usec) };
                int r = lend_within(input, request, lender, claim, both);

                if (r < 0)
                        return r;
                if (ours->end_usec <= theirs->end_usec)
                        i++;
                else
                        k++;
        }
        return 0;
}

static bool can_lend(const Allocation *request, const Allocation *lender, const Resource *claim) {
        return allocation_can_lend(lender, claim->kind) &&
               allocation_claim(request, claim->kind, claim->target) > 0;
}

static int lend_from(const AdmissionInput *input, Allocation *request, Allocation *lender) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < lender->claims.n; i++)
                if (can_lend(request, lender, &lender->claims.entries[i]))
                        r = lend_claim(input, request, lender, &lender->claims.entries[i]);
        return r;
}

static bool lends_to(const Allocation *lender, const Allocation *request) {
        for (size_t i = 0; i < lender->n_borrowers; i++)
                if (lender->borrowers[i] == request)
                        return true;
        return false;
}

/* 4. The others may lend more in its place; where that is not enough, it lends the rest. */
static int spare(const AdmissionInput *input, Allocation *request, Allocation *const *lenders, size_t n,
                Allocation *spared) {
        int r = 0;

        calendar_take_back(input->calendar, request, spared);
        if (admission_fits(input, request))
                return 0;
        for (size_t i = 0; r >= 0 && i < n; i++)
                if (lenders[i] != spared && lends_to(lenders[i], request))
                        r = lend_from(input, request, lenders[i]);
        return r < 0 || admission_fits(input, request) ? r : lend_from(input, request, spared);
}

int preemption_try(const AdmissionInput *input, Allocation *request, bool *ret_fits) {
        _cleanup_free_ Allocation **lenders = NULL;
        bool fits = false;
        size_t n = 0;
        int r;

        r = list_candidates(input, request, &lenders, &n);
        for (size_t i = 0; r >= 0 && !fits && i < n; i++) {
                r = lend_from(input, request, lenders[i]);
                fits = r >= 0 && lends_to(lenders[i], request) && admission_fits(input, request);
        }
        for (size_t i = n; r >= 0 && fits && i-- > 0;)
                if (lends_to(lenders[i], request))
                        r = spare(input, request, lenders, n, lenders[i]);
        if (r < 0 || !fits)
                calendar_take_back(input->calendar, request, /* from= */ NULL);
        *ret_fits = r >= 0 && fits;
        return r;
}

static int lend_whole_window(const AdmissionInput *input, Allocation *probe, Allocation *lender,
                const Resource *claim, Window window) {
        uint64_t next;
        int r = 0;

        for (uint64_t at = window.start_usec; r >= 0 && at < window.end_usec; at = next) {
                next = allocation_next_loan_edge(lender, at, window.end_usec);
                r = lend(input, probe, lender, claim, (Window){ at, next }, claim->amount.reserved);
        }
        return r;
}

int preemption_lend_all(const AdmissionInput *input, const Allocation *request, Allocation *probe) {
        _cleanup_free_ Allocation **lenders = NULL;
        size_t n = 0;
        int r;

        r = list_candidates(input, request, &lenders, &n);
        for (size_t i = 0; r >= 0 && i < n; i++)
                for (size_t k = 0; r >= 0 && k < lenders[i]->claims.n; k++) {
                        const Resource *claim = &lenders[i]->claims.entries[k];

                        for (size_t w = 0; r >= 0 && can_lend(request, lenders[i], claim) &&
                                           w <= lenders[i]->n_later;
                                        w++)
                                r = lend_whole_window(input, probe, lenders[i], claim,
                                                *allocation_window(lenders[i], w));
                }
        return r;
}
