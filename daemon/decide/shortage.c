/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * In steps:
 *   1. resources whose level is over the total at some instant from now on; mostly there are none;
 *   2. those that reserve some of them, by worth: the highest priority first, then who runs, then who began
 * first;
 *   3. each is placed anew, less what it lends; what is over the total is missing.
 * The calendar's own timelines stay as they are: what is marked still holds its claim.
 */

#include "shortage.h"

#include "admission-internal.h"

#include "model/allocation-placement.h"

#include "model/allocation-claim.h"

#include <string.h>

/* 2. */
static int by_worth(const void *a, const void *b) {
        const Allocation *x = *(Allocation *const *) a, *y = *(Allocation *const *) b;

        if (x->priority != y->priority)
                return x->priority > y->priority ? -1 : 1;
        if (allocation_is_current(x) != allocation_is_current(y))
                return allocation_is_current(x) ? -1 : 1;
        if (x->start_usec != y->start_usec)
                return x->start_usec < y->start_usec ? -1 : 1;
        return strcmp(x->id, y->id);
}

/* 1. */
static bool is_over(const Capacity *capacity, const CalendarResource *resource, uint64_t now_usec) {
        Window first;

        return timeline_find_over(&resource->reserved, now_usec, UINT64_MAX,
                        admission_total(capacity, resource->kind, resource->target), &first.start_usec,
                        &first.end_usec);
}

static const Resource *find_claim(const Allocation *allocation, const CalendarResource *resource) {
        for (size_t i = 0; i < allocation->claims.n; i++) {
                const Resource *claim = &allocation->claims.entries[i];

                if (claim->kind == resource->kind && strcmp(claim->target, resource->target) == 0)
                        return claim;
        }
        return NULL;
}

/* A stretch of one of its windows in which its loans do not change, and what it has there beside them. */
typedef struct Stretch {
        size_t window; /* its number */
        Window at;
        uint64_t amount;
} Stretch;

/* The next after `stretch`; the first where that is all zero. False: there is none. */
static bool next_stretch(const Allocation *allocation, const Resource *claim, Stretch *stretch) {
        const Window *window = allocation_window(allocation, stretch->window);
        uint64_t start = stretch->at.end_usec;

        if (start <= window->start_usec)
                start = window->start_usec;
        if (start >= window->end_usec) {
                if (stretch->window == allocation->n_later)
                        return false;
                window = allocation_window(allocation, ++stretch->window);
                start = window->start_usec;
        }
        stretch->at = (Window){ start, allocation_next_loan_edge(allocation, start, window->end_usec) };
        stretch->amount = allocation_left_to_lend(allocation, claim->kind, claim->target, &stretch->at);
        return true;
}

/* What there is of one allocation: at the worst of its instants, and now. */
typedef struct Left {
        uint64_t least, now;
} Left;

/* The resource as it is filled anew. */
typedef struct Filling {
        uint64_t total, now_usec;
        Timeline scratch;
        uint64_t level_now; /* of those that hold at this instant */
} Filling;

/* 3. Of one allocation, beside those that were placed before. */
static int place_anew(Filling *filling, const Allocation *allocation, const Resource *claim, Left *ret) {
        Left left = { claim->amount.reserved, claim->amount.reserved };
        uint64_t now = filling->now_usec;

        for (Stretch stretch = {}; next_stretch(allocation, claim, &stretch);) {
                uint64_t start = stretch.at.start_usec > now ? stretch.at.start_usec : now, others, room;

                if (start >= stretch.at.end_usec)
                        continue;
                others = timeline_peak(&filling->scratch, start, stretch.at.end_usec);
                room = filling->total > others ? filling->total - others : 0;
                if (stretch.amount > room)
                        left.least = least(left.least, room);
                if (stretch.at.start_usec > now)
                        continue;
                room = filling->total > filling->level_now ? filling->total - filling->level_now : 0;
                if (stretch.amount > room)
                        left.now = room;
                filling->level_now += least(stretch.amount, room);
        }
        for (Stretch stretch = {}; next_stretch(allocation, claim, &stretch);) {
                int r = timeline_reserve(&filling->scratch, 1);

                if (r < 0)
                        return r;
                timeline_add(&filling->scratch, stretch.at.start_usec, stretch.at.end_usec,
                                least(stretch.amount, left.least));
        }
        *ret = left;
        return 0;
}

typedef struct Marks {
        ResourceSet missing, left_now;
} Marks;

/* The least there is of it, where several claims have one name. */
static int mark_less(ResourceSet *marks, const Resource *name, Amount amount) {
        const Amount *marked = resource_set_get(marks, name->kind, name->target);

        if (amount.limit >= amount.reserved || (marked && marked->limit <= amount.limit))
                return 0;
        return resource_set_put(marks, name->kind, name->target, amount);
}

static int mark_resource(const Calendar *calendar, const Capacity *capacity, const CalendarResource *resource,
                Allocation *const *sorted, Marks *marks, uint64_t now_usec) {
        Filling filling = { .total = admission_total(capacity, resource->kind, resource->target),
                .now_usec = now_usec };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < calendar->n; i++) {
                const Resource *claim = sorted[i]->counted ? find_claim(sorted[i], resource) : NULL;
                const Resource *name;
                Left left;

                if (!claim)
                        continue;
                name = allocation_claim_entry(calendar, sorted[i], claim) ?: claim;
                r = place_anew(&filling, sorted[i], claim, &left);
                if (r >= 0)
                        r = mark_less(&marks[i].missing, name,
                                        claim_amount_shown(claim, claim->amount.reserved, left.least));
                if (r >= 0)
                        r = mark_less(&marks[i].left_now, name,
                                        claim_amount_shown(claim, claim->amount.reserved, left.now));
        }
        timeline_deinit(&filling.scratch);
        return r;
}

static int mark_all(const Calendar *calendar, const Capacity *capacity, Allocation *const *sorted,
                Marks *marks, uint64_t now_usec) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < calendar->n_resources; i++)
                if (is_over(capacity, &calendar->resources[i], now_usec))
                        r = mark_resource(
                                        calendar, capacity, &calendar->resources[i], sorted, marks, now_usec);
        return r;
}

int shortage_mark(Calendar *calendar, const Capacity *capacity, uint64_t now_usec,
                void (*changed)(Allocation *allocation, void *userdata), void *userdata) {
        _cleanup_free_ Allocation **sorted = NULL;
        _cleanup_free_ Marks *marks = NULL;
        bool any = false;
        int r;

        for (size_t i = 0; !any && i < calendar->n_resources; i++)
                any = is_over(capacity, &calendar->resources[i], now_usec);
        if (!any && calendar->n_short == 0)
                return 0;
        sorted = reallocarray(NULL, calendar->n + 1, sizeof(Allocation *));
        marks = calloc(calendar->n + 1, sizeof(Marks));
        if (!sorted || !marks)
                return -ENOMEM;
        memcpy(sorted, calendar->allocations, calendar->n * sizeof(Allocation *));
        qsort(sorted, calendar->n, sizeof(Allocation *), by_worth);
        r = mark_all(calendar, capacity, sorted, marks, now_usec);
        for (size_t i = 0; i < calendar->n; i++) {
                if (r >= 0) {
                        bool told = resource_set_equal(&marks[i].missing, &sorted[i]->missing);

                        calendar_exchange_missing(calendar, sorted[i], &marks[i].missing, &marks[i].left_now);
                        if (!told)
                                changed(sorted[i], userdata);
                }
                resource_set_deinit(&marks[i].missing);
                resource_set_deinit(&marks[i].left_now);
        }
        return r;
}
