/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Allocations ordered by id, and the rules of their windows. It is told the time; it never asks. */

#include "calendar.h"

#include <string.h>

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
        free(calendar->allocations);
        *calendar = (Calendar) CALENDAR_NULL;
}

Allocation *calendar_find(const Calendar *calendar, const char *id) {
        bool found;
        size_t i = calendar_search(calendar, id, &found);

        return found ? calendar->allocations[i] : NULL;
}

int calendar_put(Calendar *calendar, Allocation *allocation, Allocation **ret_replaced) {
        Allocation **allocations;
        bool found;
        size_t i = calendar_search(calendar, allocation->id, &found);

        if (found) {
                *ret_replaced = calendar->allocations[i];
                calendar->allocations[i] = allocation;
                return 0;
        }
        allocations = reallocarray(calendar->allocations, calendar->n + 1, sizeof(Allocation *));
        if (!allocations)
                return -ENOMEM;
        memmove(allocations + i + 1, allocations + i, (calendar->n - i) * sizeof(Allocation *));
        allocations[i] = allocation;
        calendar->allocations = allocations;
        calendar->n++;
        *ret_replaced = NULL;
        return 0;
}

Allocation *calendar_take(Calendar *calendar, const char *id) {
        Allocation *allocation;
        bool found;
        size_t i = calendar_search(calendar, id, &found);

        if (!found)
                return NULL;
        allocation = calendar->allocations[i];
        calendar->n--;
        memmove(calendar->allocations + i, calendar->allocations + i + 1, (calendar->n - i) * sizeof(Allocation *));
        return allocation;
}

/* Whether the grace that began with the window's end is over. */
static bool grace_is_over(const Allocation *allocation, const Instant *now) {
        if (allocation->grace_usec == 0)
                return true;
        if (allocation->state == ALLOCATION_ENDING && allocation->state_boottime_usec > 0)
                return now->boottime_usec >= amount_add(allocation->state_boottime_usec, allocation->grace_usec);
        /* An active one enters its grace now, however late: its processes get all of the time they were promised. */
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

/* When this one's state next changes by itself, in UTC as it stands now. */
static uint64_t allocation_next_change(const Allocation *allocation, const Instant *now) {
        if (allocation->state == ALLOCATION_ENDING) {
                uint64_t over;

                if (allocation->state_boottime_usec == 0)
                        return amount_add(allocation->end_usec, allocation->grace_usec);
                over = amount_add(allocation->state_boottime_usec, allocation->grace_usec);
                return over <= now->boottime_usec ? now->utc_usec : amount_add(now->utc_usec, over - now->boottime_usec);
        }
        if (!allocation_is_live(allocation))
                return UINT64_MAX;
        return now->utc_usec < allocation->start_usec ? allocation->start_usec : allocation->end_usec;
}

uint64_t calendar_next_change(const Calendar *calendar, const Instant *now) {
        uint64_t next = UINT64_MAX;

        for (size_t i = 0; i < calendar->n; i++) {
                uint64_t change = allocation_next_change(calendar->allocations[i], now);

                if (change < next)
                        next = change;
        }
        return next;
}

int calendar_tenant_share(const Calendar *calendar, const char *tenant_id, ResourceSet *ret_share) {
        _cleanup_resource_set_ ResourceSet share = RESOURCE_SET_NULL;

        for (size_t i = 0; i < calendar->n; i++) {
                const Allocation *allocation = calendar->allocations[i];
                _cleanup_resource_set_ ResourceSet part = RESOURCE_SET_NULL;
                int r;

                if (strcmp(allocation->tenant_id, tenant_id) != 0)
                        continue;
                if (allocation->state != ALLOCATION_ACTIVE && allocation->state != ALLOCATION_ENDING)
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
        size_t n = 0;

        for (size_t i = 0; i < calendar->n; i++)
                if ((calendar->allocations[i]->state == ALLOCATION_ACTIVE ||
                            calendar->allocations[i]->state == ALLOCATION_ENDING) &&
                        strcmp(calendar->allocations[i]->tenant_id, tenant_id) == 0)
                        n++;
        return n;
}

bool calendar_has_tenant(const Calendar *calendar, const char *tenant_id) {
        for (size_t i = 0; i < calendar->n; i++)
                if (strcmp(calendar->allocations[i]->tenant_id, tenant_id) == 0)
                        return true;
        return false;
}
