/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Whether requests fit: at every instant the sum of what is reserved stays within capacity, resource by
 * resource. Limits may be overcommitted; best-effort requests (nothing reserved) always fit.
 */

#include "model/calendar.h"
#include "model/topology.h"
#include "model/verdict.h"

typedef struct Capacity {
        ResourceSet total;    /* .limit of each entry: what can be reserved; uplinks as net.egress@<name> */
        ResourceSet hardware; /* the same without an operator's bounds */
        Topology topology;    /* CPUs and NUMA nodes: what CpuSet and NumaNodes can name */
        ResourceSet targets;  /* what else a name can be of, behind its '@': block and RDMA devices … */
        const char *default_uplink; /* where "net.egress" without a target goes; NULL: no uplink is configured
                                     */
} Capacity;

/*
 * Judges the requests jointly, as they stand (accepted: with their windows), against the calendar from now
 * on, which is put back as it was. A request takes the place of an allocation of the same id. `leaving`:
 * those that are to be released with it; NULL-terminated, or NULL. `ret_verdicts` has room for n and is the
 * caller's to deinit; the lenders in it are the calendar's. Returns 0 (the verdicts tell), or a negative
 * errno.
 */
int admission_check(Calendar *calendar, const Capacity *capacity, uint64_t now_usec,
                Allocation *const *requests, size_t n, Allocation *const *leaving, Verdict *ret_verdicts);

/*
 * Where windows that recur have come within the horizon and do not fit: those of higher priority preempt as a
 * request would. What does not fit all the same is shortage_mark()'s. Those who lend now are due for a look.
 */
int admission_rearrange(Calendar *calendar, const Capacity *capacity, uint64_t now_usec);

/* What is reserved at an instant, by capacity's entries, with capacity's limits. The caller deinits. */
int admission_reserved_at(
                const Calendar *calendar, const Capacity *capacity, uint64_t utc_usec, ResourceSet *ret);
