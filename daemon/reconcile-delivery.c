/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What was delivered of what was promised, from sample to sample, to the sums of those it was promised to.
 * What counts as delivered is model/delivery.c's. */

#include "reconcile-internal.h"

#include "meter/class-meter.h"

#include <string.h>

/* Its promise holds now. */
static bool is_promised(const Allocation *allocation) {
        return allocation->state == ALLOCATION_ACTIVE || allocation->state == ALLOCATION_HELD;
}

static uint64_t ended_usec(const char *id, void *userdata) {
        const Allocation *allocation = calendar_find(userdata, id);

        if (!allocation)
                return 0;
        return allocation_is_current(allocation) ? UINT64_MAX : allocation->actual_end_usec;
}

static void lose_sum(const char *id, void *userdata) {
        Allocation *allocation = calendar_find(userdata, id);

        if (allocation)
                allocation->delivered = NULL;
}

/* The allocation's sum, begun anew with each start: an update of what runs is none. */
static int find_sum(Reconciler *reconciler, Calendar *calendar, Allocation *allocation) {
        const DeliveredOwners owners = { ended_usec, lose_sum, calendar };
        uint64_t since_usec = allocation->actual_start_usec;

        if (allocation->delivered && allocation->delivered_since_usec == since_usec)
                return 0;
        allocation->delivered = meter_find_delivered(reconciler->meter, allocation->id, since_usec, &owners);
        allocation->delivered_since_usec = since_usec;
        return allocation->delivered ? 0 : -ENOSPC;
}

static void take_sum(const char *id, uint64_t since_usec, Delivery *sum, void *userdata) {
        Allocation *allocation = calendar_find(userdata, id);

        if (!allocation || allocation->actual_start_usec != since_usec)
                return;
        allocation->delivered = sum;
        allocation->delivered_since_usec = since_usec;
}

void reconciler_find_delivered(Reconciler *reconciler, Node *node) {
        if (reconciler->meter && meter_keeps_delivered(reconciler->meter))
                meter_each_delivered(reconciler->meter, take_sum, &node->calendar);
}

/* As calendar_tenant(), of tenants that are asked for in the order of their ids, which is the calendar's: one
 * walk over both instead of a search for each. `cursor` begins with 0. */
static const CalendarTenant *next_known(const Calendar *calendar, const char *id, size_t *cursor) {
        int order = -1;

        while (*cursor < calendar->n_tenants && (order = strcmp(calendar->tenants[*cursor].id, id)) < 0)
                ++*cursor;
        return order == 0 ? &calendar->tenants[*cursor] : NULL;
}

/* Of one tenant; its sums are added at `sums`. -ENOSPC where there is no sum for one. */
static int make_promise(Reconciler *reconciler, Calendar *calendar, const CalendarTenant *known,
                Promise *promise, Delivery **sums) {
        DeliveryReading reading = {};
        int r = 0;

        promise->n_sums = 0;
        for (size_t i = 0; known && i < known->n; i++) {
                Allocation *allocation = known->allocations[i];

                if (!is_promised(allocation))
                        continue;
                delivery_promise(&reading, &allocation->resources);
                if (find_sum(reconciler, calendar, allocation) < 0)
                        r = -ENOSPC;
                else
                        sums[promise->n_sums++] = allocation->delivered;
        }
        memcpy(promise->floor, reading.floor, sizeof promise->floor);
        return r;
}

/* Nobody whose promise holds loses his sum to another, so that they are good until the calendar changes.
 * Where there is no sum for someone, all is tried again with the next sample. */
static int make_promises(Reconciler *reconciler, Node *node) {
        Promises *promises = &reconciler->promises;
        size_t cursor = 0, n_sums = 0;
        int r = 0;

        free(promises->entries);
        free(promises->sums);
        promises->entries = calloc(node->n_tenants + 1, sizeof(Promise));
        promises->sums = calloc(node->calendar.n + 1, sizeof(Delivery *));
        if (!promises->entries || !promises->sums) {
                free(promises->entries);
                promises->entries = NULL;
                return -ENOMEM;
        }
        for (size_t i = 0; i < node->n_tenants; i++) {
                const Tenant *tenant = node->tenants[i];
                const CalendarTenant *known = next_known(&node->calendar, tenant->id, &cursor);

                /* Of who is only observed nothing is enforced, and nothing is promised. */
                if (tenant->observed)
                        continue;
                if (make_promise(reconciler, &node->calendar, known, &promises->entries[i],
                                    promises->sums + n_sums) < 0)
                        r = -ENOSPC;
                n_sums += promises->entries[i].n_sums;
        }
        promises->n_marked = node->calendar.n_marked - (r < 0);
        return r;
}

/* What each uplink takes of a packet that goes out beside what its class counts of it. */
static void note_overhead(const Reconciler *reconciler, uint32_t slot, DeliveryReading *reading) {
        for (size_t i = 0; i < CLASS_METER_LINKS_MAX; i++) {
                const char *uplink = meter_uplink(reconciler->meter, CLASS_WAY_OUT, i);
                uint64_t overhead = uplink ? uplinks_overhead(reconciler->uplinks, uplink) : 0;
                uint64_t counters[NET_CLASS_COUNTERS];

                if (overhead > 0 && meter_read_uplink(reconciler->meter, CLASS_WAY_OUT, i, slot, counters))
                        delivery_add_overhead(reading, overhead * counters[NET_CLASS_PACKETS]);
        }
}

static void note_tenant(const Reconciler *reconciler, Tenant *tenant, const Promise *promise,
                Delivery *const *sums, uint64_t monotonic_nsec) {
        DeliveryReading reading = delivery_read(monotonic_nsec, &tenant->usage);
        size_t n_sums = promise->n_sums;

        reading.in_step = meter_reads_all_files(reconciler->meter);
        memcpy(reading.floor, promise->floor, sizeof reading.floor);
        if (reading.floor[DELIVERY_FLOOR_NET_EGRESS] > 0)
                note_overhead(reconciler, tenant->slot, &reading);
        if (!delivery_follow(&tenant->delivery_before, &reading))
                n_sums = 0;
        for (size_t i = 0; i < n_sums; i++)
                delivery_add(sums[i], &tenant->delivery_before, &reading);
        tenant->delivery_before = reading;
}

int reconciler_note_delivery(Reconciler *reconciler, Node *node, uint64_t monotonic_usec) {
        const Promises *promises = &reconciler->promises;
        Delivery *const *sums;
        int r = 0;

        if (!reconciler->meter || !meter_keeps_delivered(reconciler->meter))
                return 0;
        if (!promises->entries || promises->n_marked != node->calendar.n_marked)
                r = make_promises(reconciler, node);
        if (r == -ENOMEM)
                return r;
        sums = promises->sums;
        for (size_t i = 0; i < node->n_tenants; i++) {
                const Promise *promise = &promises->entries[i];
                Tenant *tenant = node->tenants[i];

                if (tenant->observed)
                        tenant->delivery_before = (DeliveryReading){};
                else
                        note_tenant(reconciler, tenant, promise, sums, monotonic_usec * 1000);
                sums += promise->n_sums;
        }
        return r;
}
