/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * When anything next changes: two heaps, one a clock, in which each allocation waits for the next instant
 * that may mean another state, a warning or another window. It judges no state; calendar-state.c does.
 */

#include "calendar-internal.h"

#define NOT_QUEUED SIZE_MAX

static void queue_place(CalendarQueue *queue, QueueClock clock, size_t i, Allocation *allocation) {
        queue->entries[i] = allocation;
        allocation->queue_index[clock] = i;
}

static void queue_sift(CalendarQueue *queue, QueueClock clock, size_t i) {
        Allocation *moved = queue->entries[i];
        uint64_t due = moved->due_usec[clock];

        for (; i > 0 && due < queue->entries[(i - 1) / 2]->due_usec[clock]; i = (i - 1) / 2)
                queue_place(queue, clock, i, queue->entries[(i - 1) / 2]);
        for (;;) {
                size_t child = 2 * i + 1;

                if (child + 1 < queue->n && queue->entries[child + 1]->due_usec[clock] <
                                                            queue->entries[child]->due_usec[clock])
                        child++;
                if (child >= queue->n || queue->entries[child]->due_usec[clock] >= due)
                        break;
                queue_place(queue, clock, i, queue->entries[child]);
                i = child;
        }
        queue_place(queue, clock, i, moved);
}

static void queue_remove(CalendarQueue *queue, QueueClock clock, Allocation *allocation) {
        size_t i = allocation->queue_index[clock];
        Allocation *last = queue->entries[--queue->n];

        allocation->queue_index[clock] = NOT_QUEUED;
        if (last == allocation)
                return;
        queue_place(queue, clock, i, last);
        queue_sift(queue, clock, i);
}

/* Room was made by calendar_queues_reserve(). */
static void queue_add(CalendarQueue *queue, QueueClock clock, Allocation *allocation, uint64_t due_usec) {
        allocation->queue_index[clock] = NOT_QUEUED;
        if (due_usec == UINT64_MAX)
                return;
        allocation->due_usec[clock] = due_usec;
        queue_place(queue, clock, queue->n++, allocation);
        queue_sift(queue, clock, queue->n - 1);
}

static bool queue_has(const CalendarQueue *queue, QueueClock clock, const Allocation *allocation) {
        size_t i = allocation->queue_index[clock];

        return i < queue->n && queue->entries[i] == allocation;
}

int calendar_queues_reserve(Calendar *calendar, size_t n) {
        for (QueueClock clock = 0; clock < QUEUE_CLOCK_MAX; clock++) {
                int r = calendar_grow(&calendar->queues[clock].entries, n, sizeof(Allocation *));

                if (r < 0)
                        return r;
        }
        return 0;
}

void calendar_dequeue(Calendar *calendar, Allocation *allocation) {
        for (QueueClock clock = 0; clock < QUEUE_CLOCK_MAX; clock++)
                if (queue_has(&calendar->queues[clock], clock, allocation))
                        queue_remove(&calendar->queues[clock], clock, allocation);
}

/* The sooner of the two, where it is still to come. */
static void consider(uint64_t *due, uint64_t at_usec, uint64_t now_usec) {
        if (at_usec > now_usec && at_usec < *due)
                *due = at_usec;
}

static void consider_window(const Allocation *allocation, uint64_t now, uint64_t *due) {
        consider(due, allocation->window.start_usec, now);
        consider(due, allocation->window.end_usec, now);
        if (allocation->warn_usec > 0 && !allocation->warned)
                consider(due, allocation_warn_time(allocation), now);
        for (size_t i = 0; i < allocation->n_borrowers; i++) {
                const Allocation *borrower = allocation->borrowers[i];

                for (size_t k = 0; k < borrower->n_loans; k++)
                        if (borrower->loans[k].from == allocation) {
                                consider(due, borrower->loans[k].window.start_usec, now);
                                consider(due, borrower->loans[k].window.end_usec, now);
                        }
        }
}

void calendar_enqueue(Calendar *calendar, Allocation *allocation, const Instant *now) {
        uint64_t utc = UINT64_MAX, boottime = UINT64_MAX;

        switch (allocation->state) {
        case ALLOCATION_PENDING:
        case ALLOCATION_ACTIVE:
        case ALLOCATION_HELD:
        case ALLOCATION_SUSPENDED:
                consider_window(allocation, now->utc_usec, &utc);
                if (allocation->recurrence)
                        consider(&utc, allocation_reckon_time(allocation, calendar->horizon_usec),
                                        now->utc_usec);
                if (allocation->lease_usec > 0)
                        consider(&boottime, allocation->lease_expiry_boottime_usec, now->boottime_usec);
                break;
        case ALLOCATION_ENDING:
                if (allocation->state_boottime_usec > 0)
                        consider(&boottime,
                                        amount_add(allocation->state_boottime_usec, allocation->grace_usec),
                                        now->boottime_usec);
                else
                        consider(&utc, amount_add(allocation->window.end_usec, allocation->grace_usec),
                                        now->utc_usec);
                break;
        default:
                break;
        }
        calendar_dequeue(calendar, allocation);
        queue_add(&calendar->queues[QUEUE_UTC], QUEUE_UTC, allocation, utc);
        queue_add(&calendar->queues[QUEUE_BOOTTIME], QUEUE_BOOTTIME, allocation, boottime);
}

void calendar_look_again(Calendar *calendar, Allocation *allocation) {
        calendar_dequeue(calendar, allocation);
        queue_add(&calendar->queues[QUEUE_UTC], QUEUE_UTC, allocation, 0);
}

Allocation *calendar_due(const Calendar *calendar, const Instant *now) {
        const CalendarQueue *utc = &calendar->queues[QUEUE_UTC];
        const CalendarQueue *boottime = &calendar->queues[QUEUE_BOOTTIME];

        if (utc->n > 0 && utc->entries[0]->due_usec[QUEUE_UTC] <= now->utc_usec)
                return utc->entries[0];
        if (boottime->n > 0 && boottime->entries[0]->due_usec[QUEUE_BOOTTIME] <= now->boottime_usec)
                return boottime->entries[0];
        return NULL;
}

uint64_t calendar_next_change(const Calendar *calendar, const Instant *now) {
        const CalendarQueue *utc = &calendar->queues[QUEUE_UTC];
        const CalendarQueue *boottime = &calendar->queues[QUEUE_BOOTTIME];
        uint64_t next = utc->n > 0 ? utc->entries[0]->due_usec[QUEUE_UTC] : UINT64_MAX, due, left;

        if (boottime->n == 0)
                return next;
        due = boottime->entries[0]->due_usec[QUEUE_BOOTTIME];
        left = amount_add(now->utc_usec, due > now->boottime_usec ? due - now->boottime_usec : 0);
        return left < next ? left : next;
}
