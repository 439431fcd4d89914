/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * From what headgated says to the rows of 'top': what stands, which is asked for again only where something
 * has changed, and what is counted, which changes all the time. Asks nothing itself.
 */

#include "snapshot.h"
#include "top-rows.h"

#include <jansson.h>

typedef struct TopStanding {
        json_t *node, *tenants, *allocations; /* owned; the latter two ordered by id */
        struct TopTenant *of_tenants;         /* owned, one each, in their order */
        struct TopAllocation *of_allocations; /* owned, likewise */
} TopStanding;

#define TOP_STANDING_NULL \
        { NULL, NULL, NULL, NULL, NULL }

/* The properties of the node and, as client_get_objects() has them, of the others. Keeps what it is given. */
int top_standing_init(TopStanding *standing, json_t *node, json_t *tenants, json_t *allocations);
void top_standing_deinit(TopStanding *standing);
#define _cleanup_top_standing_ _cleanup_(top_standing_deinit)

/* Whether the snapshot is of other tenants than these. */
bool top_standing_is_stale(const TopStanding *standing, const Snapshot *snapshot);

/* One a tenant, the rates being between the two. The caller frees; what they point to is the others'. */
int top_rows_new(const TopStanding *standing, const Snapshot *before, const Snapshot *now, TopRow **ret,
                size_t *ret_n);
