/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * All allocations over time: found by id and by tenant, with what they reserve summed per resource, and the
 * instants at which they change in order. Pure: the instant is always an argument.
 */

#include "allocation.h"
#include "timeline.h"

typedef struct Instant {
        uint64_t utc_usec;      /* CLOCK_REALTIME: windows */
        uint64_t boottime_usec; /* CLOCK_BOOTTIME: durations */
} Instant;

/* Heap of allocations, the one that is due first on top. An allocation is in one queue at most. */
typedef struct CalendarQueue {
        Allocation **entries; /* owned array of borrowed allocations */
        size_t n;
} CalendarQueue;

typedef struct CalendarTenant {
        char *id;
        Allocation **allocations; /* owned array of borrowed allocations, in no order */
        size_t n;
} CalendarTenant;

typedef struct CalendarResource {
        ResourceKind kind;
        char target[RESOURCE_TARGET_SIZE];
        Timeline reserved;
} CalendarResource;

typedef struct Calendar {
        Allocation **allocations; /* owned, ordered by id */
        size_t n;
        CalendarTenant *tenants; /* owned, ordered by id; only those that have an allocation */
        size_t n_tenants;
        CalendarResource *resources; /* owned, ordered by kind and target; those that were ever reserved */
        size_t n_resources;
        CalendarQueue by_utc, by_boottime;
        char default_uplink[RESOURCE_TARGET_SIZE]; /* what "net.egress" without a target means; set before the
                                                      first put */
} Calendar;

#define CALENDAR_NULL \
        {}

void calendar_deinit(Calendar *calendar);
Allocation *calendar_find(const Calendar *calendar, const char *id);
/*
 * Takes ownership of `allocation` and hands out the one of the same id that it replaces, or NULL. -ENOMEM
 * leaves the calendar, and the ownership, as they were.
 */
int calendar_put(Calendar *calendar, Allocation *allocation, Allocation **ret_replaced);
/* Hands the allocation out to the caller; NULL where there is none. */
Allocation *calendar_take(Calendar *calendar, const char *id);

/*
 * The state that the allocation should be in now. Grace is counted on boot time from when `ending` was
 * entered where that is known, else in UTC from the window's end.
 */
AllocationState allocation_state_at(const Allocation *allocation, const Instant *now);

/* Puts it in that state, entered now: what it reserves and when it is next due follow. */
void calendar_set_state(
                Calendar *calendar, Allocation *allocation, AllocationState state, const Instant *now);
/* One whose time for another state has come, or NULL. Clock steps backwards are not seen here: look at all
 * then. */
Allocation *calendar_due(const Calendar *calendar, const Instant *now);
/* The next instant (UTC) at which any is due; UINT64_MAX: never. */
uint64_t calendar_next_change(const Calendar *calendar, const Instant *now);

/* The tenant's allocations; NULL where it has none. Good until the calendar is next changed. */
const CalendarTenant *calendar_tenant(const Calendar *calendar, const char *tenant_id);
/* The sum of the tenant's active allocations. Those that are ending add their limit and no floor. */
int calendar_tenant_share(const Calendar *calendar, const char *tenant_id, ResourceSet *ret_share);
/* How many of the tenant's allocations are active or ending. */
size_t calendar_tenant_active(const Calendar *calendar, const char *tenant_id);

/* The target by which the calendar sums: the default uplink's name for "net.egress" alone. */
const char *calendar_target(const Calendar *calendar, const Resource *entry);
/* What is reserved of a resource over time, by its target; NULL where nothing ever was. */
const Timeline *calendar_reserved(const Calendar *calendar, ResourceKind kind, const char *target);
/* For admission's question "and if this were not there?": takes out and puts back what the allocation
 * reserves. */
void calendar_discount(Calendar *calendar, Allocation *allocation);
int calendar_recount(Calendar *calendar, Allocation *allocation);
