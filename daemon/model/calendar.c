/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Allocations ordered by id, with three indexes that follow every change: by tenant, by when they are due
 * (calendar-queue.c), and what they reserve over time (calendar-reserved.c).
 */

#include "calendar-internal.h"
#include "sorted.h"

#include <string.h>

int calendar_grow(void *array, size_t n, size_t size) {
        void *grown = reallocarray(*(void **) array, n, size);

        if (!grown)
                return -ENOMEM;
        *(void **) array = grown;
        return 0;
}

static int compare_tenant(const void *entry, const void *id) {
        return strcmp(((const CalendarTenant *) entry)->id, id);
}

static size_t tenant_search(const Calendar *calendar, const char *id, bool *ret_found) {
        return sorted_search(calendar->tenants, calendar->n_tenants, sizeof(CalendarTenant), id,
                        compare_tenant, ret_found);
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

                r = id ? calendar_grow(&calendar->tenants, calendar->n_tenants + 1, sizeof(CalendarTenant))
                       : -ENOMEM;
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
        r = calendar_grow(&tenant->allocations, tenant->n + 1, sizeof(Allocation *));
        if (r < 0)
                return r;
        tenant->allocations[tenant->n++] = allocation;
        calendar->n_short += allocation->missing.n > 0;
        calendar_mark(calendar, tenant->id);
        return 0;
}

static void tenant_remove(Calendar *calendar, const Allocation *allocation) {
        bool found;
        size_t i = tenant_search(calendar, allocation->tenant_id, &found);
        CalendarTenant *tenant = &calendar->tenants[i];

        if (!found)
                return;
        calendar->n_short -= allocation->missing.n > 0;
        calendar_mark(calendar, tenant->id);
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

static int compare_allocation(const void *entry, const void *id) {
        return strcmp((*(Allocation *const *) entry)->id, id);
}

static size_t calendar_search(const Calendar *calendar, const char *id, bool *ret_found) {
        return sorted_search(calendar->allocations, calendar->n, sizeof(Allocation *), id, compare_allocation,
                        ret_found);
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
        resource_set_deinit(&calendar->devices);
        calendar_unmark(calendar);
        free(calendar->allocations);
        free(calendar->tenants);
        free(calendar->resources);
        for (QueueClock clock = 0; clock < QUEUE_CLOCK_MAX; clock++)
                free(calendar->queues[clock].entries);
        *calendar = (Calendar) CALENDAR_NULL;
}

Allocation *calendar_find(const Calendar *calendar, const char *id) {
        bool found;
        size_t i = calendar_search(calendar, id, &found);

        return found ? calendar->allocations[i] : NULL;
}

/* Out of every index, but still in its place. */
static void unlink_allocation(Calendar *calendar, Allocation *allocation) {
        calendar_dequeue(calendar, allocation);
        calendar_discount(calendar, allocation);
        (void) calendar_drop_loans(calendar, allocation);
        tenant_remove(calendar, allocation);
}

int calendar_put(Calendar *calendar, Allocation *allocation, Allocation **ret_replaced) {
        Allocation *replaced;
        bool found;
        size_t i;
        int r;

        /* All that can fail first. */
        r = calendar_grow(&calendar->allocations, calendar->n + 1, sizeof(Allocation *));
        if (r >= 0)
                r = calendar_queues_reserve(calendar, calendar->n + 1);
        if (r >= 0)
                r = tenant_add(calendar, allocation);
        if (r < 0)
                return r;
        if (!allocation->recurrence_text)
                allocation->window = (Window){ allocation->start_usec, allocation->end_usec };
        allocation->counted = false;
        r = calendar_recount(calendar, allocation);
        if (r < 0) {
                tenant_remove(calendar, allocation);
                return r;
        }
        i = calendar_search(calendar, allocation->id, &found);
        replaced = found ? calendar->allocations[i] : NULL;
        if (replaced) {
                r = calendar_inherit_loans(calendar, replaced, allocation);
                if (r < 0) {
                        calendar_discount(calendar, allocation);
                        tenant_remove(calendar, allocation);
                        return r;
                }
                unlink_allocation(calendar, replaced);
        } else {
                memmove(calendar->allocations + i + 1, calendar->allocations + i,
                                (calendar->n - i) * sizeof(Allocation *));
                calendar->n++;
        }
        calendar->allocations[i] = allocation;
        calendar_enqueue(calendar, allocation, &(Instant){ 0, 0 });
        if (allocation->window.start_usec == 0) /* which is never still to come */
                calendar_look_again(calendar, allocation);
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

static void exchange(ResourceSet *a, ResourceSet *b) {
        ResourceSet old = *a;

        *a = *b;
        *b = old;
}

void calendar_exchange_missing(
                Calendar *calendar, Allocation *allocation, ResourceSet *missing, ResourceSet *left_now) {
        calendar->n_short += (size_t) (missing->n > 0) - (size_t) (allocation->missing.n > 0);
        if (!resource_set_equal(left_now, &allocation->left_now))
                calendar_mark(calendar, allocation->tenant_id);
        exchange(missing, &allocation->missing);
        exchange(left_now, &allocation->left_now);
}

uint64_t calendar_reserved_now(const Allocation *allocation, ResourceKind kind, const char *target) {
        const Amount *promised = resource_set_get(&allocation->resources, kind, target);
        const Amount *left = resource_set_get(&allocation->left_now, kind, target);

        if (!promised || !allocation_is_current(allocation) || allocation->state == ALLOCATION_ENDING)
                return 0;
        return left && left->limit < promised->reserved ? left->limit : promised->reserved;
}

int calendar_tenant_share(const CalendarTenant *tenant, ResourceSet *ret_share) {
        _cleanup_resource_set_ ResourceSet share = RESOURCE_SET_NULL;

        for (size_t i = 0; tenant && i < tenant->n; i++) {
                const Allocation *allocation = tenant->allocations[i];
                _cleanup_resource_set_ ResourceSet part = RESOURCE_SET_NULL;
                int r;

                if (!allocation_is_current(allocation))
                        continue;
                r = resource_set_copy(&allocation->resources, &part);
                if (r < 0)
                        return r;
                for (size_t k = 0; k < part.n; k++) {
                        Resource *entry = &part.entries[k];

                        entry->amount.reserved =
                                        calendar_reserved_now(allocation, entry->kind, entry->target);
                        if (allocation->state == ALLOCATION_SUSPENDED &&
                                        resource_info(entry->kind)->lent_when_suspended)
                                entry->amount = (Amount){ 0, 0 };
                }
                r = resource_set_add(&share, &part);
                if (r < 0)
                        return r;
        }
        *ret_share = share;
        share = (ResourceSet) RESOURCE_SET_NULL;
        return 0;
}

size_t calendar_tenant_active(const CalendarTenant *tenant) {
        size_t n = 0;

        for (size_t i = 0; tenant && i < tenant->n; i++)
                n += allocation_is_current(tenant->allocations[i]);
        return n;
}

bool calendar_tenant_is_suspended(const CalendarTenant *tenant) {
        bool suspended = false;

        for (size_t i = 0; tenant && i < tenant->n; i++) {
                AllocationState state = tenant->allocations[i]->state;

                if (allocation_is_current(tenant->allocations[i]) && state != ALLOCATION_SUSPENDED)
                        return false;
                suspended = suspended || state == ALLOCATION_SUSPENDED;
        }
        return suspended;
}

size_t calendar_tenant_running(const CalendarTenant *tenant) {
        size_t n = 0;

        for (size_t i = 0; tenant && i < tenant->n; i++)
                n += allocation_is_current(tenant->allocations[i]) &&
                     tenant->allocations[i]->state != ALLOCATION_ENDING;
        return n;
}
