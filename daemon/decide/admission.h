/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Whether requests fit: at every instant the sum of what is reserved stays within capacity, resource by
 * resource. Limits may be overcommitted; best-effort requests (nothing reserved) always fit.
 */

#include "model/calendar.h"
#include "model/verdict.h"

typedef struct Capacity {
        ResourceSet total; /* .limit of each entry: what can be reserved; uplinks as net.egress@<name> */
        const char *default_uplink; /* where "net.egress" without a target goes; NULL: no uplink is configured
                                     */
} Capacity;

/*
 * Judges the requests jointly, as they stand (accepted: with their start and end), against the calendar,
 * which is put back as it was. A request takes the place of an allocation of the same id. `ret_verdicts` has
 * room for n and is the caller's to deinit. Returns 0 (the verdicts tell), or a negative errno.
 */
int admission_check(Calendar *calendar, const Capacity *capacity, Allocation *const *requests, size_t n,
                Verdict *ret_verdicts);

/* What is reserved at an instant, by capacity's entries, with capacity's limits. The caller deinits. */
int admission_reserved_at(
                const Calendar *calendar, const Capacity *capacity, uint64_t utc_usec, ResourceSet *ret);
