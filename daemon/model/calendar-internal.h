/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the calendar's files alone: what each does when an allocation comes, goes or changes its state.
 */

#include "calendar.h"

/* Makes room in both queues for so many allocations in all. */
int calendar_queues_reserve(Calendar *calendar, size_t n);
/* By its state: when the next one may begin, on each clock, after `now`. Takes it out of where it waited. */
void calendar_enqueue(Calendar *calendar, Allocation *allocation, const Instant *now);
void calendar_dequeue(Calendar *calendar, Allocation *allocation);

/* Whether its window is still to come, or running, as promised: what has ended has given its floor back. */
bool allocation_holds_reserved(const Allocation *allocation);
/* Whether it lends something at that instant, to one that has its window then, or will have. */
bool calendar_lends_at(const Calendar *calendar, const Allocation *allocation, uint64_t utc_usec);
/* Nothing is lent by it, or to it, any more. Who lent to it is due for another look. -ENOMEM: what others
 * lent to it could not be passed on to those whom it lent to. */
int calendar_drop_loans(Calendar *calendar, Allocation *allocation);
/* All that it borrows, and all that it lends, on the timelines; and off them. */
int calendar_apply_loans(Calendar *calendar, Allocation *allocation);
void calendar_undo_loans(Calendar *calendar, Allocation *allocation);
/* The claim's timeline; NULL where nothing was ever reserved. */
Timeline *calendar_find_timeline(const Calendar *calendar, ResourceKind kind, const char *target);
int calendar_ensure_timeline(Calendar *calendar, ResourceKind kind, const char *target, Timeline **ret);

/* reallocarray() of *array, which stays as it was on -ENOMEM. */
int calendar_grow(void *array, size_t n, size_t size);
