/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Calendars of 1,000 allocations, made at random from a seed that a failure names: what holds for all of
 * them. Times are seconds within a week, so that windows meet and edges fall together.
 */

#include "decide/plan.h"
#include "support/calendar-make.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#define ALLOCATIONS 1000
#define TENANTS 50
#define WEEK 604800ULL
#define CPU 64000
#define MEMORY 65536

static uint64_t below(unsigned *seed, uint64_t n) {
        return (uint64_t) rand_r(seed) % n;
}

static Made random_made(unsigned *seed, int i, char *id, char *tenant) {
        uint64_t start = 1 + below(seed, WEEK / 3600) * 3600;

        sprintf(id, "a%04d", i);
        sprintf(tenant, "t%02d", (int) below(seed, TENANTS));
        return (Made){ id, tenant, start, start + (1 + below(seed, 24)) * 1800, .cpu = below(seed, 9) * 500,
                .memory = below(seed, 9) * 512, .priority = (int) below(seed, 4),
                .mode = (PreemptMode) below(seed, PREEMPT_MODE_MAX) };
}

/* At every edge, which is where a step function has its peaks. */
static void expect_within(const Calendar *calendar, ResourceKind kind, uint64_t total, unsigned round) {
        const Timeline *timeline = calendar_reserved(calendar, kind, "");

        for (size_t i = 0; i < calendar->n; i++) {
                uint64_t at = calendar->allocations[i]->start_usec, level = made_level(calendar, kind, at);

                cr_assert_leq(level, total, "seed %u: at %" PRIu64, round, at);
                cr_assert_eq(level, timeline_level(timeline, at), "seed %u: at %" PRIu64, round, at);
        }
}

Test(calendar_property, at_no_instant_is_reserved_over_capacity) {
        for (unsigned round = 1; round <= 3; round++) {
                Calendar calendar = { .default_uplink = "eth0" };
                Capacity capacity = made_capacity(CPU, MEMORY, 100);
                unsigned seed = round;
                char id[16], tenant[16];

                for (int i = 0; i < 2 * ALLOCATIONS; i++) {
                        Made made = random_made(&seed, (int) below(&seed, ALLOCATIONS), id, tenant);

                        if (below(&seed, 5) == 0)
                                allocation_free(calendar_take(&calendar, id));
                        else if (!calendar_find(&calendar, id))
                                (void) made_apply(&calendar, &capacity, 0, made_allocation(&made));
                }
                cr_assert_gt(calendar.n, ALLOCATIONS / 2);
                expect_within(&calendar, RESOURCE_CPU, CPU, round);
                expect_within(&calendar, RESOURCE_MEMORY, MEMORY, round);
                calendar_deinit(&calendar);
                made_capacity_deinit(&capacity);
        }
}

static uint64_t brute_peak(const Calendar *calendar, ResourceKind kind, uint64_t start, uint64_t end) {
        uint64_t most = made_level(calendar, kind, start);

        for (size_t i = 0; i < calendar->n; i++) {
                uint64_t at = calendar->allocations[i]->start_usec, level;

                if (at <= start || at >= end)
                        continue;
                level = made_level(calendar, kind, at);
                most = level > most ? level : most;
        }
        return most;
}

static bool brute_fits(const Calendar *calendar, const Made *made, uint64_t start) {
        uint64_t end = start + made->end - made->start;

        return (made->cpu == 0 || brute_peak(calendar, RESOURCE_CPU, start, end) + made->cpu <= CPU) &&
               (made->memory == 0 ||
                               brute_peak(calendar, RESOURCE_MEMORY, start, end) + made->memory <= MEMORY);
}

/* A window can begin to fit only where another ends: those instants, and the one asked for, are all there
 * are. */
static uint64_t brute_earliest(const Calendar *calendar, const Made *made) {
        uint64_t first = brute_fits(calendar, made, made->start) ? made->start : UINT64_MAX;

        for (size_t i = 0; first != made->start && i < calendar->n; i++) {
                uint64_t end = calendar->allocations[i]->end_usec;

                if (end > made->start && end < first && brute_fits(calendar, made, end))
                        first = end;
        }
        return first;
}

Test(calendar_property, the_counter_offer_fits_there_and_nowhere_before) {
        Calendar calendar = { .default_uplink = "eth0" };
        Capacity capacity = made_capacity(CPU, MEMORY, 100);
        unsigned seed = 17, offered = 0;
        char id[16], tenant[16];

        for (int i = 0; i < ALLOCATIONS; i++) {
                Made made = random_made(&seed, i, id, tenant);

                made.priority = 0;
                (void) made_apply(&calendar, &capacity, 0, made_allocation(&made));
        }
        for (int i = 0; i < 60; i++) {
                Made made = random_made(&seed, ALLOCATIONS + i, id, tenant);
                Allocation *request;
                Verdict verdict;

                made.cpu *= 3;
                made.priority = 0;
                request = made_allocation(&made);
                cr_assert_eq(admission_check(&calendar, &capacity, 0, &request, 1, NULL, &verdict), 0);
                cr_assert_eq(verdict.fits, brute_fits(&calendar, &made, made.start), "%d", i);
                if (!verdict.fits) {
                        offered++;
                        cr_assert_eq(verdict.earliest_usec, brute_earliest(&calendar, &made), "%d", i);
                        cr_assert_geq(verdict.shortage.start_usec, made.start);
                        cr_assert_leq(verdict.shortage.end_usec, made.end);
                }
                verdict_deinit(&verdict);
                allocation_free(request);
        }
        cr_expect_gt(offered, 10);
        calendar_deinit(&calendar);
        made_capacity_deinit(&capacity);
}

static void expect_same_plan(const Node *a, const Node *b, uint64_t at) {
        const PlanInput inputs[2] = {
                { .node = a, .cpu_millicores = CPU, .sibling_weight = 200 },
                { .node = b, .cpu_millicores = CPU, .sibling_weight = 200 },
        };
        _cleanup_plan_ Plan x = PLAN_NULL, y = PLAN_NULL;

        cr_assert_eq(plan_make(&inputs[0], &x), 0);
        cr_assert_eq(plan_make(&inputs[1], &y), 0);
        cr_assert_eq(x.n_tenants, y.n_tenants);
        cr_assert_eq(memcmp(&x.parent, &y.parent, sizeof x.parent), 0, "at %" PRIu64, at);
        for (size_t i = 0; i < x.n_tenants; i++) {
                cr_assert_str_eq(x.tenants[i]->tenant->id, y.tenants[i]->tenant->id);
                cr_assert_eq(memcmp(&x.tenants[i]->settings, &y.tenants[i]->settings, sizeof(Settings)), 0,
                                "at %" PRIu64 ": tenant %s", at, x.tenants[i]->tenant->id);
                cr_assert_eq(x.tenants[i]->frozen, y.tenants[i]->frozen);
        }
}

/* The node runs through the week by one path; at each look another is made of the same allocations, in
 * another order and with nothing but the instant, as after a crash: what is planned is the same. */
Test(calendar_property, the_plan_does_not_depend_on_arrival_nor_on_a_restart) {
        Node node = { .calendar.default_uplink = "eth0" };
        unsigned seed = 23;
        char id[16], tenant[16];
        Tenant *added;

        for (int i = 0; i < ALLOCATIONS; i++) {
                Made made = random_made(&seed, i, id, tenant);

                made.cpu /= 10; /* no overflow, whatever the order */
                made.memory /= 10;
                made_hold(&node.calendar, &made);
                (void) node_add_tenant(&node, tenant, 10000, &added);
        }
        for (uint64_t at = 0; at < WEEK; at += 7 * 3600 + 11) {
                Node other = { .calendar.default_uplink = "eth0" };
                const Instant now = { at, at + 1 };

                made_advance(&node.calendar, &now, false, NULL);
                for (size_t i = node.calendar.n; i-- > 0;) {
                        const Allocation *a = node.calendar.allocations[(i * 617 + 1) % node.calendar.n];
                        Allocation *copy, *replaced;

                        if (calendar_find(&other.calendar, a->id))
                                continue;
                        cr_assert_eq(allocation_copy(a, &copy), 0);
                        copy->state = ALLOCATION_PENDING;
                        cr_assert_eq(calendar_put(&other.calendar, copy, &replaced), 0);
                        cr_assert_null(replaced);
                }
                cr_assert_eq(other.calendar.n, node.calendar.n);
                for (size_t i = 0; i < node.n_tenants; i++)
                        (void) node_add_tenant(
                                        &other, node.tenants[node.n_tenants - 1 - i]->id, 10000, &added);
                made_advance(&other.calendar, &now, true, NULL);
                expect_same_plan(&node, &other, at);
                node_deinit(&other);
        }
        node_deinit(&node);
}
