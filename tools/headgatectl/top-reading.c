/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Whose an allocation is, and in which state its tenant is, is found once for all of the objects; what a
 * snapshot says of one is then found by its id. Nothing here goes through all allocations for each tenant.
 */

#include "top-reading.h"

#include "variant.h"
#include "view.h"

#include <string.h>

typedef struct TopTenant {
        const char *id;
        size_t n_active, n_suspended; /* of its allocations; those that are held are active */
} TopTenant;

typedef struct TopAllocation {
        const char *id;
        size_t tenant;  /* SIZE_MAX: none of these */
        bool is_active; /* or held */
} TopAllocation;

/* Either begins with its id. */
static int compare_ids(const void *a, const void *b) {
        return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void *find(const char *id, const void *list, size_t n, size_t size) {
        return n > 0 ? bsearch(&id, list, n, size, compare_ids) : NULL;
}

static void index_allocation(TopStanding *standing, TopAllocation *ret, const json_t *allocation) {
        const char *state = variant_get_string(allocation, "State");
        TopTenant *tenant = find(variant_get_string(allocation, "TenantId"), standing->of_tenants,
                        json_array_size(standing->tenants), sizeof(*tenant));

        *ret = (TopAllocation){
                .id = variant_get_string(allocation, "AllocationId"),
                .tenant = tenant ? (size_t) (tenant - standing->of_tenants) : SIZE_MAX,
                .is_active = strcmp(state, "active") == 0 || strcmp(state, "held") == 0,
        };
        if (tenant && ret->is_active)
                tenant->n_active++;
        if (tenant && strcmp(state, "suspended") == 0)
                tenant->n_suspended++;
}

int top_standing_init(TopStanding *standing, json_t *node, json_t *tenants, json_t *allocations) {
        const size_t n_tenants = json_array_size(tenants), n_allocations = json_array_size(allocations);
        TopTenant *of_tenants = calloc(n_tenants + 1, sizeof(*of_tenants));
        TopAllocation *of_allocations = calloc(n_allocations + 1, sizeof(*of_allocations));

        if (!of_tenants || !of_allocations) {
                free(of_tenants);
                free(of_allocations);
                return -ENOMEM;
        }

        *standing = (TopStanding){ json_incref(node), json_incref(tenants), json_incref(allocations),
                of_tenants, of_allocations };
        for (size_t i = 0; i < n_tenants; i++)
                of_tenants[i].id = variant_get_string(json_array_get(tenants, i), "TenantId");
        for (size_t i = 0; i < n_allocations; i++)
                index_allocation(standing, &of_allocations[i], json_array_get(allocations, i));
        return 0;
}

void top_standing_deinit(TopStanding *standing) {
        json_decref(standing->node);
        json_decref(standing->tenants);
        json_decref(standing->allocations);
        free(standing->of_tenants);
        free(standing->of_allocations);
        *standing = (TopStanding) TOP_STANDING_NULL;
}

bool top_standing_is_stale(const TopStanding *standing, const Snapshot *snapshot) {
        const size_t n = json_array_size(standing->tenants);

        if (n != snapshot->n_usage)
                return true;
        for (size_t i = 0; i < n; i++)
                if (strcmp(standing->of_tenants[i].id, snapshot->usage[i].id) != 0)
                        return true;
        return false;
}

/* Over the present windows of each tenant's allocations. */
static void add_delivered(const TopStanding *standing, const Snapshot *now, TopRow *rows) {
        for (size_t i = 0; i < now->n_delivered; i++) {
                const SnapshotDelivered *delivered = &now->delivered[i];
                const TopAllocation *allocation = find(delivered->id, standing->of_allocations,
                                json_array_size(standing->allocations), sizeof(*allocation));
                TopRow *row;

                if (!delivered->has_wanted || !allocation || !allocation->is_active ||
                                allocation->tenant == SIZE_MAX)
                        continue;
                row = &rows[allocation->tenant];
                row->has_wanted = true;
                row->wanted_nsec += delivered->wanted_nsec;
                row->denied_nsec += delivered->denied_nsec;
        }
}

int top_rows_new(const TopStanding *standing, const Snapshot *before, const Snapshot *now, TopRow **ret,
                size_t *ret_n) {
        const uint64_t from = before->time_usec, to = now->time_usec;
        const size_t n = json_array_size(standing->tenants);
        _cleanup_free_ TopRow *rows = calloc(n + 1, sizeof(*rows));

        if (!rows)
                return -ENOMEM;

        for (size_t i = 0; i < n; i++) {
                const TopTenant *tenant = &standing->of_tenants[i];

                rows[i] = (TopRow){
                        .id = tenant->id,
                        .state = view_state_by_counts(tenant->n_active, tenant->n_suspended),
                        .tenant = json_array_get(standing->tenants, i),
                        .before = snapshot_find(before, tenant->id),
                        .now = snapshot_find(now, tenant->id),
                        .elapsed_usec = to > from ? to - from : 0,
                };
        }
        add_delivered(standing, now, rows);

        *ret = TAKE_PTR(rows);
        *ret_n = n;
        return 0;
}
