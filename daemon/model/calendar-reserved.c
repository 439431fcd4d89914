/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What allocations reserve, summed per resource over time. What they lend to each other comes off it with
 * them: calendar-loans.c.
 */

#include "allocation-claim.h"
#include "calendar-internal.h"

#include <assert.h>
#include <string.h>

const char *calendar_target(const Calendar *calendar, const Resource *entry) {
        return resource_info(entry->kind)->target == TARGET_UPLINK && entry->target[0] == '\0'
                               ? calendar->default_uplink
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

Timeline *calendar_find_timeline(const Calendar *calendar, ResourceKind kind, const char *target) {
        bool found;
        size_t i = resource_search(calendar, kind, target, &found);

        return found ? &calendar->resources[i].reserved : NULL;
}

int calendar_ensure_timeline(Calendar *calendar, ResourceKind kind, const char *target, Timeline **ret) {
        bool found;
        size_t i = resource_search(calendar, kind, target, &found);

        if (!found) {
                int r = calendar_grow(
                                &calendar->resources, calendar->n_resources + 1, sizeof(CalendarResource));

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

bool allocation_holds_reserved(const Allocation *allocation) {
        return allocation_is_live(allocation);
}

static size_t count_windows(const Allocation *allocation) {
        return 1 + allocation->n_later;
}

static void count(Calendar *calendar, const Allocation *allocation, bool in) {
        for (size_t i = 0; i < allocation->claims.n; i++) {
                const Resource *claim = &allocation->claims.entries[i];
                Timeline *timeline = calendar_find_timeline(calendar, claim->kind, claim->target);

                for (size_t k = 0; timeline && k < count_windows(allocation); k++) {
                        const Window *window = allocation_window(allocation, k);

                        (in ? timeline_add : timeline_subtract)(timeline, window->start_usec,
                                        window->end_usec, claim->amount.reserved);
                }
        }
}

/* Once: what it asks for does not change any more. */
static int make_claims(const Calendar *calendar, Allocation *allocation) {
        int r = allocation->claimed ? 0 : allocation_claims(calendar, allocation, &allocation->claims);

        if (r >= 0)
                allocation->claimed = true;
        return r;
}

int calendar_recount(Calendar *calendar, Allocation *allocation) {
        Timeline *timeline;
        int r = 0;

        if (allocation->counted || !allocation_holds_reserved(allocation))
                return 0;
        /* All that can fail first. */
        r = make_claims(calendar, allocation);
        for (size_t i = 0; r >= 0 && i < allocation->claims.n; i++) {
                const Resource *claim = &allocation->claims.entries[i];

                r = calendar_ensure_timeline(calendar, claim->kind, claim->target, &timeline);
                if (r >= 0)
                        r = timeline_reserve(timeline, count_windows(allocation));
        }
        if (r < 0)
                return r;
        count(calendar, allocation, /* in= */ true);
        allocation->counted = true;
        r = calendar_apply_loans(calendar, allocation);
        if (r < 0)
                calendar_discount(calendar, allocation);
        return r;
}

void calendar_discount(Calendar *calendar, Allocation *allocation) {
        if (!allocation->counted)
                return;
        calendar_undo_loans(calendar, allocation);
        count(calendar, allocation, /* in= */ false);
        allocation->counted = false;
}

static int list_devices(const Calendar *calendar, const ResourceSet *hardware, ResourceSet *ret) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < calendar->devices.n; i++)
                r = resource_set_put(ret, calendar->devices.entries[i].kind,
                                calendar->devices.entries[i].target, (Amount){ 0, 0 });
        for (size_t i = 0; r >= 0 && i < hardware->n; i++)
                if (resource_info(hardware->entries[i].kind)->target == TARGET_BLOCK)
                        r = resource_set_put(ret, hardware->entries[i].kind, hardware->entries[i].target,
                                        (Amount){ 0, 1 });
        return r;
}

int calendar_set_devices(Calendar *calendar, const ResourceSet *hardware) {
        _cleanup_resource_set_ ResourceSet devices = RESOURCE_SET_NULL;
        int r;

        r = list_devices(calendar, hardware, &devices);
        if (r < 0 || resource_set_equal(&devices, &calendar->devices))
                return r;
        for (size_t i = 0; i < calendar->n; i++)
                calendar_discount(calendar, calendar->allocations[i]);
        resource_set_deinit(&calendar->devices);
        calendar->devices = devices;
        devices = (ResourceSet) RESOURCE_SET_NULL;
        for (size_t i = 0; i < calendar->n; i++) {
                int k;

                resource_set_deinit(&calendar->allocations[i]->claims);
                calendar->allocations[i]->claimed = false;
                k = calendar_recount(calendar, calendar->allocations[i]);
                r = r < 0 ? r : k;
        }
        return r;
}
