/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Allocations ordered by id, with three indexes that follow every change: by tenant, by when they are due
 * (two heaps, one a clock), and what they reserve over time. It is told the time; it never asks.
 */

#include "calendar.h"

#include <assert.h>
#include <string.h>

#define NOT_QUEUED SIZE_MAX

/* --- the queues --- */

static void queue_place(CalendarQueue *queue, size_t i, Allocation *allocation) {
        queue->entries[i] = allocation;
        allocation->queue_index = i;
}

static void queue_sift(CalendarQueue *queue, size_t i) {
        Allocation *moved = queue->entries[i];

        for (; i > 0 && moved->due_usec < queue->entries[(i - 1) / 2]->due_usec; i = (i - 1) / 2)
                queue_place(queue, i, queue->entries[(i - 1) / 2]);
        for (;;) {
                size_t child = 2 * i + 1;

                if (child + 1 < queue->n &&
                                queue->entries[child + 1]->due_usec < queue->entries[child]->due_usec)
                        child++;
                if (child >= queue->n || queue->entries[child]->due_usec >= moved->due_usec)
                        break;
                queue_place(queue, i, queue->entries[child]);
                i = child;
        }
        queue_place(queue, i, moved);
}

static void queue_remove(CalendarQueue *queue, Allocation *allocation) {
        size_t i = allocation->queue_index;
        Allocation *last = queue->entries[--queue->n];

        allocation->queue_index = NOT_QUEUED;
        if (last == allocation)
                return;
        queue_place(queue, i, last);
        queue_sift(queue, i);
}

/* Room was made by calendar_put() for every allocation to be in either. */
static void queue_add(CalendarQueue *queue, Allocation *allocation, uint64_t due_usec) {
        allocation->due_usec = due_usec;
        queue_place(queue, queue->n++, allocation);
        queue_sift(queue, queue->n - 1);
}

static bool queue_has(const CalendarQueue *queue, const Allocation *allocation) {
        return allocation->queue_index < queue->n && queue->entries[allocation->queue_index] == allocation;
}

static void dequeue(Calendar *calendar, Allocation *allocation) {
        if (queue_has(&calendar->by_utc, allocation))
                queue_remove(&calendar->by_utc, allocation);
        else if (queue_has(&calendar->by_boottime, allocation))
                queue_remove(&calendar->by_boottime, allocation);
}

/* By its state: when the next one begins, and on which clock. */
static void enqueue(Calendar *calendar, Allocation *allocation) {
        allocation->queue_index = NOT_QUEUED;
        switch (allocation->state) {
        case ALLOCATION_PENDING:
                queue_add(&calendar->by_utc, allocation, allocation->start_usec);
                break;
        case ALLOCATION_ACTIVE:
                if (allocation->end_usec != UINT64_MAX)
                        queue_add(&calendar->by_utc, allocation, allocation->end_usec);
                break;
        case ALLOCATION_ENDING:
                if (allocation->state_boottime_usec > 0)
                        queue_add(&calendar->by_boottime, allocation,
                                        amount_add(allocation->state_boottime_usec, allocation->grace_usec));
                else
                        queue_add(&calendar->by_utc, allocation,
                                        amount_add(allocation->end_usec, allocation->grace_usec));
                break;
        default:
                break;
        }
}

static int grow(void *array, size_t n, size_t size) {
        void *grown = reallocarray(*(void **) array, n, size);

        if (!grown)
                return -ENOMEM;
        *(void **) array = grown;
        return 0;
}

/* --- what is reserved --- */

const char *calendar_target(const Calendar *calendar, const Resource *entry) {
        return entry->kind == RESOURCE_NET_EGRESS && entry->target[0] == '\0' ? calendar->default_uplink
                                                                              : entry->target;
}

static size_t resource_search(
                const Calendar *calendar, ResourceKind kind, const char *target, bool *ret_found) {
        size_t i;

        *ret_found = false;
        for (i = 0; i < calendar->n_resources; i++) {
                const CalendarResource *resource = &calendar->resources[i];
                int order = resource->kind != kind ? (int) resource->kind - (int) kind
                                                   : strcmp(resource->target, target);

                if (order >= 0) {
                        *ret_found = order == 0;
                        break;
                }
        }
        return i;
}

const Timeline *calendar_reserved(const Calendar *calendar, ResourceKind kind, const char *target) {
        bool found;
        size_t i = resource_search(calendar, kind, target, &found);

        return found ? &calendar->resources[i].reserved : NULL;
}

static int resource_ensure(Calendar *calendar, ResourceKind kind, const char *target, Timeline **ret) {
        bool found;
        size_t i = resource_search(calendar, kind, target, &found);

        if (!found) {
                int r = grow(&calendar->resources, calendar->n_resources + 1, sizeof(CalendarResource));

                if (r < 0)
                        return r;
                memmove(calendar->resources + i + 1, calendar->resources + i,
                                (calendar->n_resources - i) * sizeof(CalendarResource));
                calendar->resources[i] = (CalendarResource){ .kind = kind };
                strcpy(calendar->resources[i].target, target);
                calendar->n_resources++;
        }
        *ret = &calendar->resources[i].reserved;
        return 0;
}

/* Whether its window is still to come, or running, as promised: what has ended early has given its floor
 * back. */
static bool holds_reserved(const Allocation *allocation) {
        return allocation->state == ALLOCATION_PENDING || allocation->state == ALLOCATION_ACTIVE ||
               allocation->state == ALLOCATION_ENDING;
}

int calendar_recount(Calendar *calendar, Allocation *allocation) {
        Timeline *timeline;
        int r;

        if (allocation->counted || !holds_reserved(allocation))
                return 0;
        for (size_t i = 0; i < allocation->resources.n; i++) {
                const Resource *entry = &allocation->resources.entries[i];

                if (entry->amount.reserved == 0)
                        continue;
                r = resource_ensure(calendar, entry->kind, calendar_target(calendar, entry), &timeline);
                if (r >= 0)
                        r = timeline_reserve(timeline);
                if (r < 0) {
                        while (i-- > 0) {
                                entry = &allocation->resources.entries[i];
                                if (resource_ensure(calendar, entry->kind, calendar_target(calendar, entry),
                                                    &timeline) >= 0)
                                        timeline_subtract(timeline, allocation->start_usec,
                                                        allocation->end_usec, entry->amount.reserved);
                        }
                        return r;
                }
                timeline_add(timeline, allocation->start_usec, allocation->end_usec, entry->amount.reserved);
        }
        allocation->counted = true;
        return 0;
}

void calendar_discount(Calendar *calendar, Allocation *allocation) {
        if (!allocation->counted)
                return;
        for (size_t i = 0; i < allocation->resources.n; i++) {
                const Resource *entry = &allocation->resources.entries[i];
                bool found;
                size_t k = resource_search(calendar, entry->kind, calendar_target(calendar, entry), &found);

                if (found)
                        timeline_subtract(&calendar->resources[k].reserved, allocation->start_usec,
                                        allocation->end_usec, entry->amount.reserved);
        }
        allocation->counted = false;
}

/* --- by tenant --- */

static size_t tenant_search(const Calendar *calendar, const char *id, bool *ret_found) {
        size_t low = 0, high = calendar->n_tenants;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = strcmp(calendar->tenants[middle].id, id);

                if (order == 0) {
                        *ret_found = true;
                        return middle;
                }
                if (order < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        *ret_found = false;
        return low;
}

const CalendarTenant *calendar_tenant(const Calendar *calendar, const char *tenant_id) {
        bool found;
        size_t i = tenant_search(calendar, tenant_id, &found);

        return found ? &calendar->tenants[i] : NULL;
}

static int tenant_add(Calendar *calendar, Allocation *allocation) {
        bool found;
        size_t i = tenant_search(calendar, allocation->tenant_id, &found);
        CalendarTenant *tenant;
        int r;

        if (!found) {
                char *id = strdup(allocation->tenant_id);

                r = id ? grow(&calendar->tenants, calendar->n_tenants + 1, sizeof(CalendarTenant)) : -ENOMEM;
                if (r < 0) {
                        free(id);
                        return r;
                }
                memmove(calendar->tenants + i + 1, calendar->tenants + i,
                                (calendar->n_tenants - i) * sizeof(CalendarTenant));
                calendar->tenants[i] = (CalendarTenant){ .id = id };
                calendar->n_tenants++;
        }
        tenant = &calendar->tenants[i];
        r = grow(&tenant->allocations, tenant->n + 1, sizeof(Allocation *));
        if (r < 0)
                return r;
        tenant->allocations[tenant->n++] = allocation;
        return 0;
}

static void tenant_remove(Calendar *calendar, const Allocation *allocation) {
        bool found;
        size_t i = tenant_search(calendar, allocation->tenant_id, &found);
        CalendarTenant *tenant = &calendar->tenants[i];

        if (!found)
                return;
        for (size_t k = 0; k < tenant->n; k++)
                if (tenant->allocations[k] == allocation)
                        tenant->allocations[k] = tenant->allocations[--tenant->n];
        if (tenant->n > 0)
                return;
        free(tenant->id);
        free(tenant->allocations);
        calendar->n_tenants--;
        memmove(tenant, tenant + 1, (calendar->n_tenants - i) * sizeof(CalendarTenant));
}

/* --- all of it --- */

static size_t calendar_search(const Calendar *calendar, const char *id, bool *ret_found) {
        size_t low = 0, high = calendar->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = strcmp(calendar->allocations[middle]->id, id);

                if (order == 0) {
                        *ret_found = true;
                        return middle;
                }
                if (order < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        *ret_found = false;
        return low;
}

void calendar_deinit(Calendar *calendar) {
        for (size_t i = 0; i < calendar->n; i++)
                allocation_free(calendar->allocations[i]);
        for (size_t i = 0; i < calendar->n_tenants; i++) {
                free(calendar->tenants[i].id);
                free(calendar->tenants[i].allocations);
        }
        for (size_t i = 0; i < calendar->n_resources; i++)
                timeline_deinit(&calendar->resources[i].reserved);
        free(calendar->allocations);
        free(calendar->tenants);
        free(calendar->resources);
        free(calendar->by_utc.entries);
        free(calendar->by_boottime.entries);
        *calendar = (Calendar) CALENDAR_NULL;
}

Allocation *calendar_find(const Calendar *calendar, const char *id) {
        bool found;
        size_t i = calendar_search(calendar, id, &found);

        return found ? calendar->allocations[i] : NULL;
}

/* Out of every index, but still in its place. */
static void unlink_allocation(Calendar *calendar, Allocation *allocation) {
        dequeue(calendar, allocation);
        calendar_discount(calendar, allocation);
        tenant_remove(calendar, allocation);
}

int calendar_put(Calendar *calendar, Allocation *allocation, Allocation **ret_replaced) {
        Allocation *replaced;
        bool found;
        size_t i;
        int r;

        /* All that can fail first. */
        r = grow(&calendar->allocations, calendar->n + 1, sizeof(Allocation *));
        if (r >= 0)
                r = grow(&calendar->by_utc.entries, calendar->n + 1, sizeof(Allocation *));
        if (r >= 0)
                r = grow(&calendar->by_boottime.entries, calendar->n + 1, sizeof(Allocation *));
        if (r >= 0)
                r = tenant_add(calendar, allocation);
        if (r < 0)
                return r;
        allocation->counted = false;
        r = calendar_recount(calendar, allocation);
        if (r < 0) {
                tenant_remove(calendar, allocation);
                return r;
        }
        i = calendar_search(calendar, allocation->id, &found);
        replaced = found ? calendar->allocations[i] : NULL;
        if (replaced)
                unlink_allocation(calendar, replaced);
        else {
                memmove(calendar->allocations + i + 1, calendar->allocations + i,
                                (calendar->n - i) * sizeof(Allocation *));
                calendar->n++;
        }
        calendar->allocations[i] = allocation;
        enqueue(calendar, allocation);
        *ret_replaced = replaced;
        return 0;
}

Allocation *calendar_take(Calendar *calendar, const char *id) {
        Allocation *allocation;
        bool found;
        size_t i = calendar_search(calendar, id, &found);

        if (!found)
                return NULL;
        allocation = calendar->allocations[i];
        unlink_allocation(calendar, allocation);
        calendar->n--;
        memmove(calendar->allocations + i, calendar->allocations + i + 1,
                        (calendar->n - i) * sizeof(Allocation *));
        return allocation;
}

/* --- time --- */

/* Whether the grace that began with the window's end is over. */
static bool grace_is_over(const Allocation *allocation, const Instant *now) {
        if (allocation->grace_usec == 0)
                return true;
        if (allocation->state == ALLOCATION_ENDING && allocation->state_boottime_usec > 0)
                return now->boottime_usec >=
                       amount_add(allocation->state_boottime_usec, allocation->grace_usec);
        /* An active one enters its grace now, however late: its processes get all of the time they were
         * promised. */
        if (allocation->state == ALLOCATION_ACTIVE)
                return false;
        return now->utc_usec >= amount_add(allocation->end_usec, allocation->grace_usec);
}

AllocationState allocation_state_at(const Allocation *allocation, const Instant *now) {
        if (!allocation_is_live(allocation))
                return allocation->state;
        if (allocation->state == ALLOCATION_ENDING)
                return grace_is_over(allocation, now) ? ALLOCATION_ENDED : ALLOCATION_ENDING;
        if (now->utc_usec < allocation->start_usec)
                return ALLOCATION_PENDING;
        if (now->utc_usec < allocation->end_usec)
                return ALLOCATION_ACTIVE;
        return grace_is_over(allocation, now) ? ALLOCATION_ENDED : ALLOCATION_ENDING;
}

void calendar_set_state(
                Calendar *calendar, Allocation *allocation, AllocationState state, const Instant *now) {
        dequeue(calendar, allocation);
        allocation->state = state;
        allocation->state_boottime_usec = now->boottime_usec;
        if (!holds_reserved(allocation))
                calendar_discount(calendar, allocation);
        enqueue(calendar, allocation);
}

Allocation *calendar_due(const Calendar *calendar, const Instant *now) {
        const CalendarQueue *utc = &calendar->by_utc, *boottime = &calendar->by_boottime;

        if (utc->n > 0 && utc->entries[0]->due_usec <= now->utc_usec)
                return utc->entries[0];
        if (boottime->n > 0 && boottime->entries[0]->due_usec <= now->boottime_usec)
                return boottime->entries[0];
        return NULL;
}

uint64_t calendar_next_change(const Calendar *calendar, const Instant *now) {
        const CalendarQueue *utc = &calendar->by_utc, *boottime = &calendar->by_boottime;
        uint64_t next = utc->n > 0 ? utc->entries[0]->due_usec : UINT64_MAX, left;

        if (boottime->n == 0)
                return next;
        left = boottime->entries[0]->due_usec > now->boottime_usec
                               ? boottime->entries[0]->due_usec - now->boottime_usec
                               : 0;
        left = amount_add(now->utc_usec, left);
        return left < next ? left : next;
}

/* --- shares --- */

static bool is_current(const Allocation *allocation) {
        return allocation->state == ALLOCATION_ACTIVE || allocation->state == ALLOCATION_ENDING;
}

int calendar_tenant_share(const Calendar *calendar, const char *tenant_id, ResourceSet *ret_share) {
        const CalendarTenant *tenant = calendar_tenant(calendar, tenant_id);
        _cleanup_resource_set_ ResourceSet share = RESOURCE_SET_NULL;

        for (size_t i = 0; tenant && i < tenant->n; i++) {
                const Allocation *allocation = tenant->allocations[i];
                _cleanup_resource_set_ ResourceSet part = RESOURCE_SET_NULL;
                int r;

                if (!is_current(allocation))
                        continue;
                r = resource_set_copy(&allocation->resources, &part);
                if (r < 0)
                        return r;
                if (allocation->state == ALLOCATION_ENDING)
                        for (size_t k = 0; k < part.n; k++)
                                part.entries[k].amount.reserved = 0;
                r = resource_set_add(&share, &part);
                if (r < 0)
                        return r;
        }
        *ret_share = share;
        share = (ResourceSet) RESOURCE_SET_NULL;
        return 0;
}

size_t calendar_tenant_active(const Calendar *calendar, const char *tenant_id) {
        const CalendarTenant *tenant = calendar_tenant(calendar, tenant_id);
        size_t n = 0;

        for (size_t i = 0; tenant && i < tenant->n; i++)
                n += is_current(tenant->allocations[i]);
        return n;
}
