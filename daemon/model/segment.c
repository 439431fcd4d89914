/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * For each tenant and each resource that its live allocations name: the instants at which one of them begins,
 * ends or lends, in order, and the sums between. It foresees no state: what is promised, not what will be
 * used.
 */

#include "calendar-internal.h"
#include "segment.h"

#include <string.h>

/* A sum of them over all allocations of a node fits; what is over is as good as unlimited. */
#define LIMIT_SUM_MAX (INT64_MAX >> 20)

typedef struct Edge {
        uint64_t at_usec;
        int64_t reserved, limit; /* by how much the sums change */
        int64_t count;           /* of allocations that have it */
        int64_t unlimited;       /* of those without a limit */
} Edge;

typedef struct Edges {
        Edge *entries;
        size_t n, n_allocated;
} Edges;

typedef struct Segments {
        Segment *entries;
        size_t n, n_allocated;
} Segments;

static int make_room(void *array, size_t n, size_t *n_allocated, size_t size) {
        int r;

        if (n < *n_allocated)
                return 0;
        r = calendar_grow(array, *n_allocated ? 2 * *n_allocated : 32, size);
        if (r >= 0)
                *n_allocated = *n_allocated ? 2 * *n_allocated : 32;
        return r;
}

static int add_edge(Edges *edges, Edge edge) {
        int r = make_room(&edges->entries, edges->n, &edges->n_allocated, sizeof(Edge));

        if (r >= 0)
                edges->entries[edges->n++] = edge;
        return r;
}

/* Both ends of a stretch, as far as it lies in the range. */
static int add_stretch(Edges *edges, Window range, Window stretch, Edge change) {
        int r;

        if (stretch.start_usec < range.start_usec)
                stretch.start_usec = range.start_usec;
        if (stretch.end_usec > range.end_usec)
                stretch.end_usec = range.end_usec;
        if (stretch.start_usec >= stretch.end_usec)
                return 0;
        change.at_usec = stretch.start_usec;
        r = add_edge(edges, change);
        if (r < 0)
                return r;
        return add_edge(edges, (Edge){ stretch.end_usec, -change.reserved, -change.limit, -change.count,
                                               -change.unlimited });
}

/* Of which it is known what it can do: the node says of it how much there is to reserve. */
static bool is_known(const Calendar *calendar, ResourceKind kind, const char *device) {
        const Amount *amount = resource_set_get(&calendar->devices, kind, device);

        return amount && amount->limit > 0;
}

static bool is_every_device(const Resource *entry) {
        return resource_info(entry->kind)->target == TARGET_BLOCK && entry->target[0] == '\0';
}

static int name_as(ResourceSet *names, ResourceKind kind, const char *target) {
        return resource_set_put(names, kind, target, (Amount){});
}

/* By what names the entry is told: as the node's capacity is, so that one can be set against the other. */
static int name_entry(const Calendar *calendar, const Resource *entry, ResourceSet *names) {
        bool any = false;
        int r = 0;

        if (!is_every_device(entry))
                return name_as(names, entry->kind, calendar_target(calendar, entry));
        for (size_t i = 0; r >= 0 && i < calendar->devices.n; i++) {
                const Resource *device = &calendar->devices.entries[i];

                if (device->kind != entry->kind || device->amount.limit == 0)
                        continue;
                any = true;
                r = name_as(names, device->kind, device->target);
        }
        return any ? r : name_as(names, entry->kind, "");
}

/* The same asked of one name, of those that some entry has. */
static bool is_told_as(const Calendar *calendar, const Resource *entry, const Resource *name) {
        if (entry->kind != name->kind)
                return false;
        if (is_every_device(entry) && name->target[0] != '\0')
                return is_known(calendar, name->kind, name->target);
        return strcmp(calendar_target(calendar, entry), name->target) == 0;
}

/* Of an allocation, by two names perhaps: false where it has none of it. */
static bool sum_entries(
                const Calendar *calendar, const Allocation *allocation, const Resource *name, Edge *ret) {
        Edge held = {};

        for (size_t i = 0; i < allocation->resources.n; i++) {
                const Resource *entry = &allocation->resources.entries[i];

                if (!is_told_as(calendar, entry, name))
                        continue;
                held.count = 1;
                held.reserved += (int64_t) entry->amount.reserved;
                if (entry->amount.limit > LIMIT_SUM_MAX)
                        held.unlimited = 1;
                else
                        held.limit += (int64_t) entry->amount.limit;
        }
        *ret = held;
        return held.count > 0;
}

static int add_allocation(const Calendar *calendar, Edges *edges, Window range, const Allocation *allocation,
                const Resource *name) {
        Edge held;
        int r = 0;

        if (!sum_entries(calendar, allocation, name, &held))
                return 0;
        for (size_t i = 0; r >= 0 && i <= allocation->n_later; i++)
                r = add_stretch(edges, range, *allocation_window(allocation, i), held);
        for (size_t i = 0; i < allocation->n_borrowers; i++) {
                const Allocation *to = allocation->borrowers[i];

                for (size_t k = 0; r >= 0 && k < to->n_loans; k++) {
                        const Loan *loan = &to->loans[k];

                        if (loan->from == allocation && loan->applied && loan->kind == name->kind &&
                                        strcmp(loan->target, name->target) == 0)
                                r = add_stretch(edges, range, loan->window,
                                                (Edge){ .reserved = -(int64_t) loan->amount });
                }
        }
        return r;
}

static int by_time(const void *a, const void *b) {
        const Edge *x = a, *y = b;

        return x->at_usec < y->at_usec ? -1 : x->at_usec > y->at_usec;
}

static int add_segment(Segments *segments, const Segment *segment) {
        Segment *last = segments->n > 0 ? &segments->entries[segments->n - 1] : NULL;
        int r;

        /* Two windows that meet with the same sums are one. */
        if (last && last->tenant_id == segment->tenant_id && last->kind == segment->kind &&
                        strcmp(last->target, segment->target) == 0 &&
                        last->window.end_usec == segment->window.start_usec &&
                        last->amount.reserved == segment->amount.reserved &&
                        last->amount.limit == segment->amount.limit) {
                last->window.end_usec = segment->window.end_usec;
                return 0;
        }
        r = make_room(&segments->entries, segments->n, &segments->n_allocated, sizeof(Segment));
        if (r >= 0)
                segments->entries[segments->n++] = *segment;
        return r;
}

static int sum_edges(Edges *edges, Segment segment, Segments *segments) {
        int64_t reserved = 0, limit = 0, count = 0, unlimited = 0;
        int r = 0;

        if (edges->n == 0)
                return 0;
        qsort(edges->entries, edges->n, sizeof(Edge), by_time);
        for (size_t i = 0; r >= 0 && i < edges->n; i++) {
                const Edge *edge = &edges->entries[i];

                reserved += edge->reserved;
                limit = limit + edge->limit;
                count += edge->count;
                unlimited += edge->unlimited;
                if (count == 0 || i + 1 == edges->n || edges->entries[i + 1].at_usec == edge->at_usec)
                        continue;
                segment.window = (Window){ edge->at_usec, edges->entries[i + 1].at_usec };
                segment.amount =
                                (Amount){ (uint64_t) reserved, unlimited > 0 ? UNLIMITED : (uint64_t) limit };
                r = add_segment(segments, &segment);
        }
        return r;
}

static int add_resource(const Calendar *calendar, const CalendarTenant *tenant, const Resource *name,
                Window range, Segments *segments) {
        Segment segment = { .tenant_id = tenant->id, .kind = name->kind };
        Edges edges = {};
        int r = 0;

        strcpy(segment.target, name->target);
        for (size_t i = 0; r >= 0 && i < tenant->n; i++)
                if (allocation_is_live(tenant->allocations[i]))
                        r = add_allocation(calendar, &edges, range, tenant->allocations[i], name);
        if (r >= 0)
                r = sum_edges(&edges, segment, segments);
        free(edges.entries);
        return r;
}

static int name_all(const Calendar *calendar, const CalendarTenant *tenant, ResourceSet *names) {
        int r = 0;

        for (size_t i = 0; i < tenant->n; i++) {
                const ResourceSet *resources = &tenant->allocations[i]->resources;

                for (size_t k = 0; r >= 0 && k < resources->n; k++)
                        r = name_entry(calendar, &resources->entries[k], names);
        }
        return r;
}

int calendar_segments(const Calendar *calendar, uint64_t from_usec, uint64_t until_usec, size_t n_max,
                Segment **ret, size_t *ret_n) {
        const Window range = { from_usec, until_usec };
        Segments segments = {};
        int r = 0;

        for (size_t i = 0; r >= 0 && i < calendar->n_tenants; i++) {
                const CalendarTenant *tenant = &calendar->tenants[i];
                _cleanup_resource_set_ ResourceSet names = RESOURCE_SET_NULL;

                r = name_all(calendar, tenant, &names);
                for (size_t k = 0; r >= 0 && k < names.n; k++) {
                        r = add_resource(calendar, tenant, &names.entries[k], range, &segments);
                        if (r >= 0 && segments.n > n_max)
                                r = -E2BIG;
                }
        }
        if (r < 0) {
                free(segments.entries);
                return r;
        }
        *ret = segments.entries;
        *ret_n = segments.n;
        return 0;
}
