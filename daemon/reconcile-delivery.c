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

static int note_tenant(Reconciler *reconciler, Calendar *calendar, const CalendarTenant *known,
                Tenant *tenant, uint64_t boot_nsec) {
        DeliveryReading reading = delivery_read(boot_nsec, &tenant->usage);
        int r = 0;

        reading.in_step = meter_reads_all_files(reconciler->meter);
        for (size_t i = 0; known && i < known->n; i++)
                if (is_promised(known->allocations[i]))
                        delivery_promise(&reading, &known->allocations[i]->resources);
        if (reading.floor[DELIVERY_FLOOR_NET_EGRESS] > 0)
                note_overhead(reconciler, tenant->slot, &reading);
        delivery_follow(&tenant->delivery_before, &reading);
        for (size_t i = 0; known && i < known->n; i++) {
                Allocation *allocation = known->allocations[i];

                if (!is_promised(allocation))
                        continue;
                if (find_sum(reconciler, calendar, allocation) < 0)
                        r = -ENOSPC;
                else
                        delivery_add(allocation->delivered, &tenant->delivery_before, &reading);
        }
        tenant->delivery_before = reading;
        return r;
}

/* As calendar_tenant(), of tenants that are asked for in the order of their ids, which is the calendar's: one
 * walk over both instead of a search for each. `cursor` begins with 0. */
static const CalendarTenant *next_known(const Calendar *calendar, const char *id, size_t *cursor) {
        int order = -1;

        while (*cursor < calendar->n_tenants && (order = strcmp(calendar->tenants[*cursor].id, id)) < 0)
                ++*cursor;
        return order == 0 ? &calendar->tenants[*cursor] : NULL;
}

int reconciler_note_delivery(Reconciler *reconciler, Node *node, uint64_t boot_usec) {
        size_t cursor = 0;
        int r = 0;

        if (!reconciler->meter || !meter_keeps_delivered(reconciler->meter))
                return 0;
        for (size_t i = 0; i < node->n_tenants; i++) {
                Tenant *tenant = node->tenants[i];
                const CalendarTenant *known = next_known(&node->calendar, tenant->id, &cursor);

                /* Of who is only observed nothing is enforced, and nothing is promised. */
                if (tenant->observed)
                        tenant->delivery_before = (DeliveryReading){};
                else if (note_tenant(reconciler, &node->calendar, known, tenant, boot_usec * 1000) < 0)
                        r = -ENOSPC;
        }
        return r;
}
