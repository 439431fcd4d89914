/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The calendar read ahead: when each tenant has how much of what, as promised now. What is named is named as
 * the node's capacity is: "net.egress" by the default uplink, "io.read" by each block device of which it is
 * known what it can do, and by its own name where there is none.
 */

#include "calendar.h"

typedef struct Segment {
        const char *tenant_id; /* the calendar's: good until it is next changed */
        ResourceKind kind;
        char target[RESOURCE_TARGET_SIZE];
        Window window;
        Amount amount; /* the sum over the tenant's allocations, less what they lend */
} Segment;

/* Stretches of [from, until) in which a tenant's amount of one resource does not change, ordered by tenant,
 * resource and start; none where it has none. -E2BIG: they are more than `n_max`, and no more were made than
 * one tenant's of one resource. The caller frees the array. */
int calendar_segments(const Calendar *calendar, uint64_t from_usec, uint64_t until_usec, size_t n_max,
                Segment **ret, size_t *ret_n);
