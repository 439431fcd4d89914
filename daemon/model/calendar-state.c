/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The state that an allocation should be in, a function of the calendar and an instant:
 *   1. what its owner or a failure ended, or a preemption has, stays ended;
 *   2. a lease that is over, and is to be released with, ends it too;
 *   3. before its window it is pending;
 *   4. within, unless preemption cut it short: suspended while it lends, held once its lease is over, else
 *      active; where the node drains, what has not begun does not begin;
 *   5. after: its grace, and then pending for its next window, or over.
 * What cannot be undone waits while `irrevocable_waits` says so: 2. does not happen, who is to be cancelled
 * is suspended meanwhile, and a grace whose EndSignal could not be sent is not over. It is told the time; it
 * never asks.
 */

#include "calendar-internal.h"

/* Whether the grace that began with the window's end is over. */
static bool grace_is_over(const Allocation *allocation, const Instant *now, bool cut) {
        if (allocation->grace_usec == 0)
                return true;
        if (allocation->state == ALLOCATION_ENDING && allocation->signal_waits)
                return false;
        if (allocation->state == ALLOCATION_ENDING && allocation->state_boottime_usec > 0)
                return now->boottime_usec >=
                       amount_add(allocation->state_boottime_usec, allocation->grace_usec);
        /* One that runs enters its grace now, however late: its processes get all of the time they were
         * promised. What never began, or is over, has none. */
        if (allocation->state != ALLOCATION_ENDING)
                return !allocation_is_current(allocation);
        return cut || now->utc_usec >= amount_add(allocation->window.end_usec, allocation->grace_usec);
}

static bool lease_is_over(const Allocation *allocation, const Instant *now) {
        return allocation->lease_usec > 0 && now->boottime_usec >= allocation->lease_expiry_boottime_usec;
}

static bool is_cut(const Calendar *calendar, const Allocation *allocation, const Instant *now) {
        return allocation->cut || (allocation->preempt_mode == PREEMPT_MODE_CANCEL &&
                                                  !calendar->irrevocable_waits && !calendar->uncommitted &&
                                                  calendar_lends_at(calendar, allocation, now->utc_usec));
}

static AllocationState state_within(
                const Calendar *calendar, const Allocation *allocation, const Instant *now) {
        if (calendar->draining && allocation->state == ALLOCATION_PENDING)
                return ALLOCATION_PENDING;
        if (calendar_lends_at(calendar, allocation, now->utc_usec))
                return ALLOCATION_SUSPENDED;
        return lease_is_over(allocation, now) ? ALLOCATION_HELD : ALLOCATION_ACTIVE;
}

AllocationState calendar_state_at(
                const Calendar *calendar, const Allocation *allocation, const Instant *now) {
        bool cut = is_cut(calendar, allocation, now);

        if (allocation->state > ALLOCATION_ENDED) /* 1. */
                return allocation->state;
        if (allocation->state < ALLOCATION_ENDING && lease_is_over(allocation, now) &&
                        allocation->on_lease_expiry == ON_LEASE_EXPIRY_RELEASE &&
                        !calendar->irrevocable_waits) /* 2. */
                return ALLOCATION_RELEASED;
        if (!cut && now->utc_usec < allocation->window.start_usec) /* 3. */
                return ALLOCATION_PENDING;
        if (!cut && now->utc_usec < allocation->window.end_usec) /* 4. */
                return state_within(calendar, allocation, now);
        if (!grace_is_over(allocation, now, cut)) /* 5. */
                return ALLOCATION_ENDING;
        if (cut)
                return ALLOCATION_PREEMPTED;
        return allocation->n_later > 0 ? ALLOCATION_PENDING : ALLOCATION_ENDED;
}

uint64_t allocation_warn_time(const Allocation *allocation) {
        uint64_t end = allocation->window.end_usec;

        for (size_t i = 0; allocation->preempt_mode == PREEMPT_MODE_CANCEL && i < allocation->n_borrowers;
                        i++) {
                const Allocation *to = allocation->borrowers[i];

                for (size_t k = 0; k < to->n_loans; k++)
                        if (to->loans[k].from == allocation && to->loans[k].window.start_usec < end)
                                end = to->loans[k].window.start_usec;
        }
        return end == UINT64_MAX ? UINT64_MAX : end > allocation->warn_usec ? end - allocation->warn_usec : 0;
}

/* Whether the time to warn has come. What may yet be refused is not spoken of. */
static bool warning_is_due(Allocation *allocation, const Instant *now, uint64_t *ret_left_usec) {
        uint64_t at;

        if (allocation->untold || allocation->warn_usec == 0 || allocation->warned ||
                        !allocation_is_current(allocation) || allocation->state == ALLOCATION_ENDING)
                return false;
        at = allocation_warn_time(allocation);
        if (now->utc_usec < at)
                return false;
        allocation->warned = true;
        *ret_left_usec = at + allocation->warn_usec > now->utc_usec
                                         ? at + allocation->warn_usec - now->utc_usec
                                         : 0;
        return true;
}

/* A fourteenth of the horizon is passed: as far ahead as promised, but for that. */
#define RECKON_PARTS 14

uint64_t allocation_reckon_time(const Allocation *allocation, uint64_t horizon_usec) {
        return amount_add(allocation->expanded_usec, horizon_usec / RECKON_PARTS + 1);
}

/* Whether windows that recur are to be reckoned anew: this one is over, time went on or back. */
static bool windows_are_stale(const Calendar *calendar, const Allocation *allocation, const Instant *now) {
        if (!allocation->recurrence || allocation->cut || allocation->state == ALLOCATION_ENDING ||
                        allocation->state > ALLOCATION_ENDED)
                return false;
        return now->utc_usec < allocation->expanded_usec ||
               now->utc_usec >= allocation_reckon_time(allocation, calendar->horizon_usec) ||
               (allocation->state == ALLOCATION_PENDING && now->utc_usec >= allocation->window.end_usec);
}

static int reckon(Calendar *calendar, Allocation *allocation, const Instant *now) {
        uint64_t was = allocation->window.end_usec;
        int r, counted;

        /* What runs past its window's end is over by its state, not by losing its window. */
        if (allocation_is_current(allocation) && now->utc_usec >= was)
                return 0;
        calendar_discount(calendar, allocation);
        r = allocation_reckon_windows(allocation, now->utc_usec, calendar->horizon_usec);
        if (r == -E2BIG)
                r = 0;
        if (allocation->window.end_usec != was)
                allocation->warned = false;
        calendar->reckoned = true;
        counted = calendar_recount(calendar, allocation);
        return counted < 0 ? counted : r < 0 ? r : 0;
}

int calendar_settle(Calendar *calendar, Allocation *allocation, const Instant *now) {
        int r = windows_are_stale(calendar, allocation, now) ? reckon(calendar, allocation, now) : 0;

        calendar_enqueue(calendar, allocation, now);
        return r;
}

int calendar_set_state(
                Calendar *calendar, Allocation *allocation, AllocationState state, const Instant *now) {
        int r = 0;

        if ((state == ALLOCATION_ENDING || state == ALLOCATION_PREEMPTED) &&
                        now->utc_usec < allocation->window.end_usec)
                allocation->cut = true;
        allocation->state = state;
        calendar_mark(calendar, allocation->tenant_id);
        allocation->state_boottime_usec = now->boottime_usec;
        if (!allocation_holds_reserved(allocation)) {
                calendar_discount(calendar, allocation);
                /* What only its window's end ended, a clock that went back takes up again. */
                if (state != ALLOCATION_ENDED)
                        r = calendar_drop_loans(calendar, allocation);
        } else
                r = calendar_recount(calendar, allocation);
        if (r < 0) {
                calendar_enqueue(calendar, allocation, now);
                return r;
        }
        return calendar_settle(calendar, allocation, now);
}

static int advance_one(Calendar *calendar, Allocation *allocation, const Instant *now,
                const CalendarSteps *steps, void *userdata) {
        AllocationState state;
        uint64_t left_usec;
        Window was;
        int r;

        /* Its windows may be others once it is settled, and its state with them. */
        do {
                while ((state = calendar_state_at(calendar, allocation, now)) != allocation->state)
                        steps->enter(allocation, state, now, userdata);
                if (warning_is_due(allocation, now, &left_usec))
                        steps->warn(allocation, left_usec, userdata);
                was = allocation->window;
                r = calendar_settle(calendar, allocation, now);
                if (steps->move && (was.start_usec != allocation->window.start_usec ||
                                                   was.end_usec != allocation->window.end_usec))
                        steps->move(allocation, userdata);
        } while (r >= 0 && calendar_state_at(calendar, allocation, now) != allocation->state);
        return r;
}

int calendar_advance(Calendar *calendar, const Instant *now, bool all, const CalendarSteps *steps,
                void *userdata) {
        Allocation *allocation;
        int result = 0, r;

        for (size_t i = 0; all && i < calendar->n; i++) {
                r = advance_one(calendar, calendar->allocations[i], now, steps, userdata);
                result = r < 0 ? r : result;
        }
        while ((allocation = calendar_due(calendar, now))) {
                r = advance_one(calendar, allocation, now, steps, userdata);
                result = r < 0 ? r : result;
        }
        return result;
}
