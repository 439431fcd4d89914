/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "decide/shortage.h"
#include "support/calendar-make.h"

#include <criterion/criterion.h>
#include <string.h>

static void count(Allocation *allocation, void *userdata) {
        (*(int *) userdata)++;
}

static int mark(Calendar *calendar, uint64_t cpu, uint64_t net, uint64_t now) {
        Capacity capacity = made_capacity(cpu, 1000, net);
        int changed = 0;

        if (net == 0) { /* the uplink is gone */
                resource_set_deinit(&capacity.total);
                cr_assert_eq(resource_set_put(&capacity.total, RESOURCE_CPU, "", (Amount){ 0, cpu }), 0);
        }
        cr_assert_eq(shortage_mark(calendar, &capacity, now, count, &changed), 0);
        made_capacity_deinit(&capacity);
        return changed;
}

static uint64_t missing(const Allocation *a, ResourceKind kind) {
        const Amount *amount = resource_set_get(&a->missing, kind, "");

        return amount ? amount->reserved - amount->limit : 0;
}

/* Three share the node at 100, two of them at 50; each with what it is short of once there are 700
 * millicores. */
static const struct {
        const char *name;
        Made held[3];
        uint64_t missing[3];
} cases[] = {
        { "the lowest priority is short",
                        { { "a", "t", 0, 200, .cpu = 400, .priority = 2 },
                                        { "b", "t", 0, 200, .cpu = 300, .priority = 1 },
                                        { "c", "t", 0, 200, .cpu = 300, .priority = 3 } },
                        { 0, 300, 0 } },
        { "by as much as there is not",
                        { { "a", "t", 0, 200, .cpu = 400 }, { "b", "t", 0, 200, .cpu = 100 },
                                        { "c", "t", 0, 200, .cpu = 400 } },
                        { 0, 0, 200 } },
        { "who began first keeps",
                        { { "a", "t", 50, 200, .cpu = 400 }, { "b", "t", 0, 200, .cpu = 400 },
                                        { "c", "t", 300, 400, .cpu = 700 } },
                        { 100, 0, 0 } },
        { "windows apart do not meet",
                        { { "a", "t", 0, 100, .cpu = 600 }, { "b", "t", 100, 200, .cpu = 600 },
                                        { "c", "t", 200, 300, .cpu = 600 } },
                        { 0, 0, 0 } },
        { "one that is over the node", { { "a", "t", 0, 200, .cpu = 1000 } }, { 300 } },
};

Test(shortage, falls_on_the_least_by_priority) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                Calendar calendar = { .default_uplink = "eth0" };
                Allocation *held[3];
                int wanted = 0;

                for (size_t k = 0; k < 3 && cases[i].held[k].id; k++) {
                        held[k] = made_hold(&calendar, &cases[i].held[k]);
                        wanted += cases[i].missing[k] > 0;
                }
                cr_expect_eq(mark(&calendar, 1000, 100, 0), 0, "%s: all fits", cases[i].name);
                cr_expect_eq(mark(&calendar, 700, 100, 0), wanted, "%s", cases[i].name);
                for (size_t k = 0; k < 3 && cases[i].held[k].id; k++)
                        cr_expect_eq(missing(held[k], RESOURCE_CPU), cases[i].missing[k], "%s: %s misses %lu",
                                        cases[i].name, held[k]->id, missing(held[k], RESOURCE_CPU));
                cr_expect_eq(mark(&calendar, 700, 100, 0), 0, "%s: told once", cases[i].name);
                cr_expect_eq(mark(&calendar, 1000, 100, 0), wanted, "%s: and when it is back", cases[i].name);
                calendar_deinit(&calendar);
        }
}

Test(shortage, an_uplink_that_is_gone_is_missing_whole) {
        Calendar calendar = { .default_uplink = "eth0" };
        Allocation *a = made_hold(&calendar, &(Made){ "a", "t", 0, 100, .cpu = 100, .net = 60 });

        cr_expect_eq(mark(&calendar, 1000, 0, 0), 1);
        cr_expect_eq(missing(a, RESOURCE_NET_EGRESS), 60);
        cr_expect_eq(missing(a, RESOURCE_CPU), 0);
        cr_expect_eq(mark(&calendar, 1000, 100, 0), 1);
        cr_expect_eq(a->missing.n, 0);
        calendar_deinit(&calendar);
}

Test(shortage, what_is_over_does_not_count) {
        Calendar calendar = { .default_uplink = "eth0" };

        made_hold(&calendar, &(Made){ "a", "t", 0, 100, .cpu = 900 });
        made_hold(&calendar, &(Made){ "b", "t", 100, 200, .cpu = 500 });
        cr_expect_eq(mark(&calendar, 500, 100, 100), 0, "a has ended, whatever its state is yet");
        cr_expect_eq(mark(&calendar, 500, 100, 99), 1);
        calendar_deinit(&calendar);
}

Test(shortage, what_is_missing_shrinks_the_share_and_nothing_else) {
        Calendar calendar = { .default_uplink = "eth0" };
        _cleanup_resource_set_ ResourceSet share = RESOURCE_SET_NULL;

        made_hold(&calendar, &(Made){ "a", "t", 5, 100, .cpu = 900 });
        made_advance(&calendar, &(Instant){ 10, 1 }, false, NULL);
        mark(&calendar, 500, 100, 10);
        cr_assert_eq(calendar_tenant_share(calendar_tenant(&calendar, "t"), &share), 0);
        cr_expect_eq(resource_set_get(&share, RESOURCE_CPU, "")->reserved, 500);
        cr_expect_eq(resource_set_get(&share, RESOURCE_CPU, "")->limit, 900);
        cr_expect_eq(timeline_level(calendar_reserved(&calendar, RESOURCE_CPU, ""), 10), 900,
                        "its claim stands: nobody else is admitted into it");
        calendar_deinit(&calendar);
}

Test(shortage, what_is_short_next_week_is_whole_today) {
        Calendar calendar = { .default_uplink = "eth0" };
        Allocation *a = made_hold(&calendar, &(Made){ "a", "t", 5, 1000, .cpu = 400, .priority = 1 });

        made_hold(&calendar, &(Made){ "b", "u", 700, 1000, .cpu = 500, .priority = 2 });
        made_advance(&calendar, &(Instant){ 10, 1 }, false, NULL);
        mark(&calendar, 700, 100, 10);
        cr_expect_eq(missing(a, RESOURCE_CPU), 200, "it is said");
        cr_expect_eq(calendar_reserved_now(a, RESOURCE_CPU, ""), 400, "and not felt yet");
        made_advance(&calendar, &(Instant){ 700, 2 }, false, NULL);
        mark(&calendar, 700, 100, 700);
        cr_expect_eq(calendar_reserved_now(a, RESOURCE_CPU, ""), 200);
        calendar_deinit(&calendar);
}

/* Random calendars on a node that lost half: what is left fits at every instant. */
Test(shortage, what_is_left_fits_at_every_instant) {
        unsigned seed = 5;

        for (int round = 0; round < 200; round++) {
                Calendar calendar = { .default_uplink = "eth0" };
                Capacity capacity = made_capacity(1000, 1000, 100);

                for (int i = 0; i < 20; i++) {
                        uint64_t start = (uint64_t) rand_r(&seed) % 50;
                        char id[8];

                        snprintf(id, sizeof id, "a%d", i);
                        (void) made_apply(&calendar, &capacity, 0,
                                        made_allocation(&(Made){ id, "t", start,
                                                        start + 1 + (uint64_t) rand_r(&seed) % 20,
                                                        .cpu = (uint64_t) rand_r(&seed) % 8 * 100,
                                                        .priority = rand_r(&seed) % 4,
                                                        .mode = (PreemptMode) (rand_r(&seed) % 3) }));
                }
                mark(&calendar, 500, 100, 0);
                for (uint64_t at = 0; at < 80; at++) {
                        uint64_t level = 0;

                        for (size_t i = 0; i < calendar.n; i++) {
                                const Allocation *a = calendar.allocations[i];
                                const Amount *cpu = resource_set_get(&a->resources, RESOURCE_CPU, "");
                                uint64_t left = allocation_left_to_lend(
                                                a, RESOURCE_CPU, "", &(Window){ at, at + 1 });

                                if (!cpu || at < a->window.start_usec || a->window.end_usec <= at)
                                        continue;
                                if (left > cpu->reserved - missing(a, RESOURCE_CPU))
                                        left = cpu->reserved - missing(a, RESOURCE_CPU);
                                level += left;
                        }
                        cr_assert_leq(level, 500, "round %d at %lu", round, at);
                }
                calendar_deinit(&calendar);
                made_capacity_deinit(&capacity);
        }
}
