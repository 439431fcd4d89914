/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/calendar.h"

#include <criterion/criterion.h>
#include <string.h>

static Allocation *put(Calendar *calendar, const char *id, const char *tenant, uint64_t start, uint64_t end,
                Amount cpu) {
        Allocation *a, *replaced;

        cr_assert_eq(allocation_new(&a), 0);
        a->id = strdup(id);
        a->tenant_id = strdup(tenant);
        a->start_usec = start;
        a->end_usec = end;
        cr_assert_eq(resource_set_put(&a->resources, RESOURCE_CPU, "", cpu), 0);
        cr_assert_eq(calendar_put(calendar, a, &replaced), 0);
        allocation_free(replaced);
        return a;
}

static const struct {
        const char *name;
        AllocationState state; /* it is in */
        uint64_t grace_usec, entered_boottime_usec;
        Instant now;
        AllocationState next; /* it should be in */
} cases[] = {
        /* The window is [1000, 2000). */
        { "before the start", ALLOCATION_PENDING, 0, 0, { 999, 0 }, ALLOCATION_PENDING },
        { "at the start", ALLOCATION_PENDING, 0, 0, { 1000, 0 }, ALLOCATION_ACTIVE },
        { "just before the end", ALLOCATION_ACTIVE, 0, 0, { 1999, 0 }, ALLOCATION_ACTIVE },
        { "at the end, no grace", ALLOCATION_ACTIVE, 0, 0, { 2000, 0 }, ALLOCATION_ENDED },
        { "at the end, grace", ALLOCATION_ACTIVE, 50, 0, { 2000, 0 }, ALLOCATION_ENDING },
        { "long after, still active: its grace begins now", ALLOCATION_ACTIVE, 50, 0, { 9000, 0 },
                        ALLOCATION_ENDING },
        { "in its grace, the clock went back", ALLOCATION_ENDING, 50, 100, { 1999, 149 }, ALLOCATION_ACTIVE },
        { "in its grace, by boot time", ALLOCATION_ENDING, 50, 100, { 9000, 149 }, ALLOCATION_ENDING },
        { "its grace is over, by boot time", ALLOCATION_ENDING, 50, 100, { 2001, 150 }, ALLOCATION_ENDED },
        { "in its grace after a restart, by UTC", ALLOCATION_ENDING, 50, 0, { 2049, 0 }, ALLOCATION_ENDING },
        { "its grace is over after a restart, by UTC", ALLOCATION_ENDING, 50, 0, { 2050, 0 },
                        ALLOCATION_ENDED },
        { "missed altogether, with grace: nothing ran", ALLOCATION_PENDING, 5000, 0, { 3000, 0 },
                        ALLOCATION_ENDED },
        { "ended, its grace by UTC not quite over", ALLOCATION_ENDED, 50, 100, { 2049, 150 },
                        ALLOCATION_ENDED },
        { "missed altogether", ALLOCATION_PENDING, 0, 0, { 3000, 0 }, ALLOCATION_ENDED },
        { "the clock went back over the start", ALLOCATION_ACTIVE, 0, 0, { 500, 0 }, ALLOCATION_PENDING },
        { "ended stays ended", ALLOCATION_ENDED, 0, 0, { 2500, 0 }, ALLOCATION_ENDED },
        { "the clock went back over the end", ALLOCATION_ENDED, 0, 0, { 1500, 0 }, ALLOCATION_ACTIVE },
        { "and over the start", ALLOCATION_ENDED, 0, 0, { 500, 0 }, ALLOCATION_PENDING },
        { "preempted stays preempted", ALLOCATION_PREEMPTED, 0, 0, { 1500, 0 }, ALLOCATION_PREEMPTED },
        { "failed stays failed", ALLOCATION_FAILED, 0, 0, { 1500, 0 }, ALLOCATION_FAILED },
        { "released stays released", ALLOCATION_RELEASED, 0, 0, { 1500, 0 }, ALLOCATION_RELEASED },
};

Test(calendar, states_follow_the_window) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                Calendar calendar = CALENDAR_NULL;
                Allocation *a = put(&calendar, "a", "t", 1000, 2000, (Amount){ 0, 100 });

                a->state = cases[i].state;
                a->grace_usec = cases[i].grace_usec;
                a->state_boottime_usec = cases[i].entered_boottime_usec;
                cr_expect_eq(calendar_state_at(&calendar, a, &cases[i].now), cases[i].next, "%s",
                                cases[i].name);
                calendar_deinit(&calendar);
        }
}

/* No signal, no grace: however long the clock is doubted. */
Test(calendar, a_grace_waits_for_its_signal) {
        Calendar calendar = CALENDAR_NULL;
        Allocation *a = put(&calendar, "a", "t", 1000, 2000, (Amount){ 0, 100 });

        a->state = ALLOCATION_ENDING;
        a->grace_usec = 50;
        a->state_boottime_usec = 100;
        a->signal_waits = true;
        cr_expect_eq(calendar_state_at(&calendar, a, &(Instant){ 9000, 9000 }), ALLOCATION_ENDING);
        cr_expect_eq(calendar_state_at(&calendar, a, &(Instant){ 1999, 9000 }), ALLOCATION_ACTIVE);
        cr_expect_eq(calendar_settle(&calendar, a, &(Instant){ 9000, 9000 }), 0);
        cr_expect_null(calendar_due(&calendar, &(Instant){ UINT64_MAX, UINT64_MAX }),
                        "nothing is asked again");
        a->signal_waits = false;
        cr_expect_eq(calendar_state_at(&calendar, a, &(Instant){ 9000, 9000 }), ALLOCATION_ENDED);
        calendar_deinit(&calendar);
}

Test(calendar, next_change_is_the_soonest) {
        Calendar calendar = CALENDAR_NULL;
        Allocation *a = put(&calendar, "a", "t", 1000, 2000, (Amount){ 0, 100 });
        Allocation *b = put(&calendar, "b", "t", 500, 1500, (Amount){ 0, 100 });

        cr_expect_eq(calendar_next_change(&calendar, &(Instant){ 100, 0 }), 500);
        cr_expect_null(calendar_due(&calendar, &(Instant){ 499, 0 }));
        cr_expect_eq(calendar_due(&calendar, &(Instant){ 500, 0 }), b);
        calendar_set_state(&calendar, b, ALLOCATION_ACTIVE, &(Instant){ 500, 0 });
        cr_expect_eq(calendar_next_change(&calendar, &(Instant){ 600, 0 }), 1000);
        calendar_set_state(&calendar, a, ALLOCATION_ACTIVE, &(Instant){ 1000, 0 });
        cr_expect_eq(calendar_next_change(&calendar, &(Instant){ 1000, 0 }), 1500);
        b->grace_usec = 300;
        calendar_set_state(&calendar, b, ALLOCATION_ENDING, &(Instant){ 1500, 10 });
        cr_expect_eq(calendar_next_change(&calendar, &(Instant){ 1500, 60 }), 1750,
                        "300 of grace from 10, it is 60: 250 are left");
        cr_expect_eq(calendar_due(&calendar, &(Instant){ 0, 310 }), b, "by boot time, whatever UTC says");
        calendar_set_state(&calendar, b, ALLOCATION_ENDED, &(Instant){ 1800, 310 });
        calendar_set_state(&calendar, a, ALLOCATION_RELEASED, &(Instant){ 1800, 310 });
        cr_expect_eq(calendar_next_change(&calendar, &(Instant){ 1500, 60 }), UINT64_MAX);
        calendar_deinit(&calendar);
}

Test(calendar, what_begins_at_the_first_instant_is_due) {
        Calendar calendar = CALENDAR_NULL;
        Allocation *a = put(&calendar, "a", "t", 0, 2000, (Amount){ 0, 100 });

        cr_expect_eq(calendar_due(&calendar, &(Instant){ 1000, 1 }), a);
        calendar_set_state(&calendar, a, ALLOCATION_ACTIVE, &(Instant){ 1000, 1 });
        cr_expect_null(calendar_due(&calendar, &(Instant){ 1000, 1 }));
        cr_expect_eq(calendar_next_change(&calendar, &(Instant){ 1000, 1 }), 2000);
        calendar_deinit(&calendar);
}

/* Random changes; the queue's answer against a look at everything. */
Test(calendar, due_agrees_with_a_look_at_all) {
        Instant now = { 0, 1 };
        Calendar calendar = CALENDAR_NULL;
        unsigned seed = 3;

        for (int i = 0; i < 300; i++) {
                uint64_t start = (uint64_t) rand_r(&seed) % 1000;
                char id[8];

                snprintf(id, sizeof id, "a%d", i);
                put(&calendar, id, "t", start, start + 1 + (uint64_t) rand_r(&seed) % 50, (Amount){ 1, 100 })
                                ->grace_usec = (uint64_t) rand_r(&seed) % 3 * 20;
        }
        for (; now.utc_usec < 1200; now.utc_usec += 7, now.boottime_usec += 7) {
                uint64_t next = UINT64_MAX;
                Allocation *due;

                while ((due = calendar_due(&calendar, &now))) {
                        AllocationState state = calendar_state_at(&calendar, due, &now);

                        cr_assert_neq(state, due->state, "due for nothing");
                        calendar_set_state(&calendar, due, state, &now);
                }
                for (size_t i = 0; i < calendar.n; i++) {
                        Allocation *a = calendar.allocations[i];
                        Instant later = now;

                        cr_assert_eq(calendar_state_at(&calendar, a, &now), a->state,
                                        "at %lu %s was passed over", now.utc_usec, a->id);
                        while (allocation_is_live(a) && calendar_state_at(&calendar, a, &later) == a->state)
                                later.utc_usec++, later.boottime_usec++;
                        if (allocation_is_live(a) && later.utc_usec < next)
                                next = later.utc_usec;
                }
                cr_assert_eq(calendar_next_change(&calendar, &now), next, "at %lu", now.utc_usec);
                if (rand_r(&seed) % 3 == 0 && calendar.n > 0)
                        allocation_free(calendar_take(&calendar,
                                        calendar.allocations[(size_t) rand_r(&seed) % calendar.n]->id));
        }
        calendar_deinit(&calendar);
}

Test(calendar, what_is_released_gives_its_floor_back_and_what_is_replaced_too) {
        Calendar calendar = CALENDAR_NULL;
        Allocation *a = put(&calendar, "a", "t", 100, 200, (Amount){ 30, 100 });
        const Timeline *cpu;

        put(&calendar, "b", "u", 150, 250, (Amount){ 5, 100 });
        cpu = calendar_reserved(&calendar, RESOURCE_CPU, "");
        cr_expect_eq(timeline_peak(cpu, 0, 1000), 35);
        put(&calendar, "b", "u", 150, 250, (Amount){ 7, 100 });
        cr_expect_eq(timeline_peak(cpu, 0, 1000), 37);
        calendar_set_state(&calendar, a, ALLOCATION_RELEASED, &(Instant){ 120, 1 });
        cr_expect_eq(timeline_peak(cpu, 0, 1000), 7);
        allocation_free(calendar_take(&calendar, "b"));
        cr_expect_eq(timeline_peak(cpu, 0, 1000), 0);
        cr_expect_null(calendar_tenant(&calendar, "u"));
        calendar_deinit(&calendar);
}

Test(calendar, share_is_the_sum_of_what_is_active) {
        _cleanup_resource_set_ ResourceSet share = RESOURCE_SET_NULL;
        Calendar calendar = CALENDAR_NULL;
        Allocation *a = put(&calendar, "a", "t", 0, 1, (Amount){ 100, 200 });
        Allocation *b = put(&calendar, "b", "t", 0, 1, (Amount){ 10, 20 });
        Allocation *c = put(&calendar, "c", "t", 0, 1, (Amount){ 1, 2 });
        Allocation *d = put(&calendar, "d", "other", 0, 1, (Amount){ 7000, 8000 });

        a->state = ALLOCATION_ACTIVE;
        b->state = ALLOCATION_ENDING;
        c->state = ALLOCATION_PENDING;
        d->state = ALLOCATION_ACTIVE;
        cr_assert_eq(calendar_tenant_share(calendar_tenant(&calendar, "t"), &share), 0);
        cr_expect_eq(resource_set_get(&share, RESOURCE_CPU, "")->reserved, 100,
                        "what is ending has no floor");
        cr_expect_eq(resource_set_get(&share, RESOURCE_CPU, "")->limit, 220, "and keeps its ceiling");
        cr_expect_eq(calendar_tenant_active(calendar_tenant(&calendar, "t")), 2);
        cr_expect_not_null(calendar_tenant(&calendar, "other"));
        cr_expect_null(calendar_tenant(&calendar, "third"));
        calendar_deinit(&calendar);
}

Test(calendar, is_ordered_by_id_whatever_the_order_of_arrival) {
        static const char *const ids[] = { "m", "a", "z", "b", "y", "c" };
        Calendar calendar = CALENDAR_NULL;
        Allocation *taken;

        for (size_t i = 0; i < 6; i++)
                put(&calendar, ids[i], "t", 0, 1, (Amount){ 0, 100 });
        for (size_t i = 1; i < calendar.n; i++)
                cr_expect(strcmp(calendar.allocations[i - 1]->id, calendar.allocations[i]->id) < 0);
        for (size_t i = 0; i < 6; i++)
                cr_assert_not_null(calendar_find(&calendar, ids[i]));
        taken = calendar_take(&calendar, "m");
        cr_assert_not_null(taken);
        allocation_free(taken);
        cr_expect_null(calendar_find(&calendar, "m"));
        cr_expect_eq(calendar.n, 5);
        calendar_deinit(&calendar);
}
