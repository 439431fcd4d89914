/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * When an allocation holds: one window, or those of its Calendar as far as a horizon; and how long its lease
 * runs. It is told the time; it never asks.
 */

#include "allocation.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

const Window *allocation_window(const Allocation *allocation, size_t i) {
        assert(i <= allocation->n_later);
        return i == 0 ? &allocation->window : &allocation->later[i - 1];
}

int allocation_parse_recurrence(Allocation *allocation, Failure *ret_failure) {
        Recurrence *recurrence;
        int r;

        if (!allocation->recurrence_text)
                return 0;
        r = recurrence_parse(allocation->recurrence_text, &recurrence, ret_failure);
        if (r != 0)
                return r;
        recurrence_free(allocation->recurrence);
        allocation->recurrence = recurrence;
        return 0;
}

typedef struct WindowList {
        Window *entries;
        size_t n, n_allocated;
} WindowList;

/* Joins it to the last where they meet. */
static int window_list_add(WindowList *list, Window window) {
        if (list->n > 0 && window.start_usec <= list->entries[list->n - 1].end_usec) {
                if (window.end_usec > list->entries[list->n - 1].end_usec)
                        list->entries[list->n - 1].end_usec = window.end_usec;
                return 0;
        }
        if (list->n == list->n_allocated) {
                size_t grown = list->n_allocated ? 2 * list->n_allocated : 16;
                Window *entries = reallocarray(list->entries, grown, sizeof(Window));

                if (!entries)
                        return -ENOMEM;
                list->entries = entries;
                list->n_allocated = grown;
        }
        list->entries[list->n++] = window;
        return 0;
}

static int reckon(Allocation *allocation, uint64_t from, uint64_t horizon, WindowList *list) {
        uint64_t after = from > allocation->duration_usec ? from - allocation->duration_usec : 0, start;
        uint64_t far = amount_add(from, horizon);

        if (allocation->start_given && after < allocation->start_usec)
                after = allocation->start_usec > 0 ? allocation->start_usec - 1 : 0;
        for (allocation->n_elapses = 0;; allocation->n_elapses++) {
                Window window;
                int r = recurrence_next(allocation->recurrence, after, &start);

                if (r < 0 && r != -ENOENT)
                        return r;
                if (r == -ENOENT || start >= allocation->end_usec)
                        return 0;
                if (allocation->n_elapses == ALLOCATION_ELAPSES_MAX)
                        return -E2BIG;
                /* A window without end is one: past the horizon, what joins it tells no more. */
                if (start > far && (list->n > 1 || (list->n == 1 && start <= list->entries[0].end_usec)))
                        return 0;
                window = (Window){ start, amount_add(start, allocation->duration_usec) };
                if (window.end_usec > allocation->end_usec)
                        window.end_usec = allocation->end_usec;
                if (window.end_usec > from) {
                        r = window_list_add(list, window);
                        if (r < 0)
                                return r;
                }
                after = start;
        }
}

int allocation_reckon_windows(Allocation *allocation, uint64_t from_usec, uint64_t horizon_usec) {
        WindowList list = {};
        int r;

        if (!allocation->recurrence) {
                allocation->window = (Window){ allocation->start_usec, allocation->end_usec };
                return allocation->end_usec > from_usec;
        }
        r = reckon(allocation, from_usec, horizon_usec, &list);
        if (r < 0 && r != -E2BIG) {
                free(list.entries);
                return r;
        }
        allocation->expanded_usec = from_usec;
        free(allocation->later);
        allocation->later = list.entries;
        allocation->n_later = 0;
        if (list.n == 0)
                return r;
        allocation->window = list.entries[0];
        memmove(list.entries, list.entries + 1, (list.n - 1) * sizeof(Window));
        allocation->n_later = list.n - 1;
        return r < 0 ? r : 1;
}

static int refuse_windows(const Allocation *allocation, int r, uint64_t now_usec, Failure *failure) {
        if (r == -E2BIG)
                return failure_set(failure, FAILURE_LIMIT_EXCEEDED,
                                "allocation %s: Calendar '%s' elapses more than %d times within the horizon",
                                allocation->id, allocation->recurrence_text, ALLOCATION_ELAPSES_MAX);
        if (r < 0)
                return r;
        if (allocation->recurrence)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: Calendar '%s' has no window after now", allocation->id,
                                allocation->recurrence_text);
        return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                        "allocation %s: EndTime %" PRIu64 " is already past (it is %" PRIu64 " now)",
                        allocation->id, allocation->end_usec, now_usec);
}

int allocation_accept(Allocation *allocation, const Acceptance *acceptance, Failure *ret_failure) {
        uint64_t now = acceptance->now_usec;
        int r;

        r = allocation_parse_recurrence(allocation, ret_failure);
        if (r != 0)
                return r;
        if (!allocation->start_given)
                allocation->start_usec = now;
        if (allocation->duration_usec > 0 && !allocation->recurrence)
                allocation->end_usec = amount_add(allocation->start_usec, allocation->duration_usec);
        r = allocation_reckon_windows(allocation, now, acceptance->horizon_usec);
        if (r <= 0)
                return refuse_windows(allocation, r, now, ret_failure);
        allocation->owner = acceptance->owner;
        allocation_renew(allocation, now, acceptance->boottime_usec, allocation->lease_usec);
        return 0;
}

void allocation_renew(
                Allocation *allocation, uint64_t now_usec, uint64_t boottime_usec, uint64_t lease_usec) {
        uint64_t expiry = amount_add(boottime_usec, lease_usec);

        if (allocation->lease_usec == 0)
                return;
        if (expiry <= allocation->lease_expiry_boottime_usec && !allocation->lease_by_utc)
                return;
        allocation->lease_by_utc = false;
        allocation->lease_expiry_boottime_usec = expiry;
        allocation->lease_expiry_usec = amount_add(now_usec, lease_usec);
}

void allocation_reckon_lease(
                Allocation *allocation, uint64_t now_usec, uint64_t boottime_usec, bool trusted) {
        uint64_t left = allocation->lease_expiry_usec > now_usec ? allocation->lease_expiry_usec - now_usec
                                                                 : 0;

        if (allocation->lease_usec == 0)
                return;
        if (left > ALLOCATION_LEASE_USEC_MAX)
                left = ALLOCATION_LEASE_USEC_MAX;
        allocation->lease_by_utc = !trusted;
        allocation->lease_expiry_boottime_usec = boottime_usec + left;
}
