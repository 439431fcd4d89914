/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * All allocations over time, and what happens to them as time goes. Pure: the instant is always an argument.
 */

#include "allocation.h"

typedef struct Calendar {
        Allocation **allocations; /* owned, ordered by id */
        size_t n;
} Calendar;

#define CALENDAR_NULL { NULL, 0 }

void calendar_deinit(Calendar *calendar);
Allocation *calendar_find(const Calendar *calendar, const char *id);
/* Takes ownership of `allocation` and hands out the one of the same id that it replaces, or NULL. */
int calendar_put(Calendar *calendar, Allocation *allocation, Allocation **ret_replaced);
/* Hands the allocation out to the caller; NULL where there is none. */
Allocation *calendar_take(Calendar *calendar, const char *id);

typedef struct Instant {
        uint64_t utc_usec;      /* CLOCK_REALTIME: windows */
        uint64_t boottime_usec; /* CLOCK_BOOTTIME: durations */
} Instant;

/*
 * The state that the allocation should be in now. Grace is counted on boot time from when `ending` was entered where
 * that is known, else in UTC from the window's end.
 */
AllocationState allocation_state_at(const Allocation *allocation, const Instant *now);

/* The next instant (UTC) at which allocation_state_at() of any gives another answer; UINT64_MAX: never. */
uint64_t calendar_next_change(const Calendar *calendar, const Instant *now);

/* The sum of the tenant's active allocations. Those that are ending add their limit and no floor. */
int calendar_tenant_share(const Calendar *calendar, const char *tenant_id, ResourceSet *ret_share);
/* How many of the tenant's allocations are active or ending. */
size_t calendar_tenant_active(const Calendar *calendar, const char *tenant_id);
/* Whether any allocation, of whatever state, names the tenant. */
bool calendar_has_tenant(const Calendar *calendar, const char *tenant_id);
