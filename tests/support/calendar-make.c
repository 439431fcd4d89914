/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* It fails the test where a step that a test takes for granted fails. */

#include "support/calendar-make.h"

#include <criterion/criterion.h>
#include <string.h>

Allocation *made_allocation(const Made *made) {
        const struct {
                ResourceKind kind;
                uint64_t reserved;
        } parts[] = { { RESOURCE_CPU, made->cpu }, { RESOURCE_MEMORY, made->memory },
                { RESOURCE_NET_EGRESS, made->net } };
        Allocation *a;

        cr_assert_eq(allocation_new(&a), 0);
        a->id = strdup(made->id);
        a->tenant_id = strdup(made->tenant ?: "t");
        a->generation = 1;
        a->start_given = true;
        a->start_usec = made->start;
        a->end_usec = made->end;
        a->priority = made->priority;
        a->preempt_mode = made->mode;
        for (size_t i = 0; i < ELEMENTSOF(parts); i++)
                if (parts[i].reserved > 0)
                        cr_assert_eq(resource_set_put(&a->resources, parts[i].kind, "",
                                                     (Amount){ parts[i].reserved, parts[i].reserved }),
                                        0);
        cr_assert_geq(allocation_reckon_windows(a, 0, 0), 0);
        return a;
}

Allocation *made_hold(Calendar *calendar, const Made *made) {
        Allocation *a = made_allocation(made), *replaced;

        cr_assert_eq(calendar_put(calendar, a, &replaced), 0);
        allocation_free(replaced);
        return a;
}

Allocation *made_apply(Calendar *calendar, const Capacity *capacity, uint64_t now_usec, Allocation *request) {
        Allocation *replaced;
        Verdict verdict;

        cr_assert_eq(admission_check(calendar, capacity, now_usec, &request, 1, NULL, &verdict), 0);
        if (!verdict.fits) {
                verdict_deinit(&verdict);
                allocation_free(request);
                return NULL;
        }
        cr_assert_eq(calendar_put(calendar, request, &replaced), 0);
        for (size_t i = 0; i < verdict.n_loans; i++) {
                cr_assert_eq(calendar_lend(calendar, request, &verdict.loans[i]), 0);
                calendar_look_again(calendar, verdict.loans[i].from);
        }
        allocation_free(replaced);
        verdict_deinit(&verdict);
        return request;
}

typedef struct Advance {
        Calendar *calendar;
        size_t *changes;
} Advance;

static void enter(Allocation *allocation, AllocationState state, const Instant *now, void *userdata) {
        const Advance *advance = userdata;

        cr_assert_eq(calendar_set_state(advance->calendar, allocation, state, now), 0);
        if (advance->changes)
                (*advance->changes)++;
}

static void warn(Allocation *allocation, uint64_t left_usec, void *userdata) {
}

void made_advance(Calendar *calendar, const Instant *now, bool all, size_t *changes) {
        Advance advance = { calendar, changes };

        cr_assert_eq(calendar_advance(calendar, now, all, &(CalendarSteps){ enter, warn }, &advance), 0);
}

Capacity made_capacity(uint64_t cpu, uint64_t memory, uint64_t net) {
        Capacity capacity = { .default_uplink = "eth0" };

        cr_assert_eq(resource_set_put(&capacity.total, RESOURCE_CPU, "", (Amount){ 0, cpu }), 0);
        cr_assert_eq(resource_set_put(&capacity.total, RESOURCE_MEMORY, "", (Amount){ 0, memory }), 0);
        cr_assert_eq(resource_set_put(&capacity.total, RESOURCE_NET_EGRESS, "eth0", (Amount){ 0, net }), 0);
        return capacity;
}

void made_capacity_deinit(Capacity *capacity) {
        resource_set_deinit(&capacity->total);
        resource_set_deinit(&capacity->hardware);
}

static bool holds_at(const Window *window, uint64_t at_usec) {
        return window->start_usec <= at_usec && at_usec < window->end_usec;
}

uint64_t made_level(const Calendar *calendar, ResourceKind kind, uint64_t at_usec) {
        uint64_t level = 0;

        for (size_t i = 0; i < calendar->n; i++) {
                const Allocation *a = calendar->allocations[i];
                const Amount *amount = resource_set_get(&a->resources, kind, "");

                if (!allocation_is_live(a))
                        continue;
                for (size_t k = 0; amount && k <= a->n_later; k++)
                        if (holds_at(allocation_window(a, k), at_usec))
                                level += amount->reserved;
                for (size_t k = 0; k < a->n_loans; k++)
                        if (a->loans[k].applied && a->loans[k].kind == kind &&
                                        holds_at(&a->loans[k].window, at_usec))
                                level -= a->loans[k].amount;
        }
        return level;
}
