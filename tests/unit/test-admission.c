/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "decide/admission.h"

#include <criterion/criterion.h>
#include <string.h>

static Allocation *make(const char *id, uint64_t start, uint64_t end, const char *resource, Amount amount) {
        char target[RESOURCE_TARGET_SIZE];
        ResourceKind kind;
        Allocation *a;

        cr_assert_eq(allocation_new(&a), 0);
        a->id = strdup(id);
        a->tenant_id = strdup("t");
        a->start_usec = start;
        a->end_usec = end;
        (void) allocation_reckon_windows(a, 0, 0);
        cr_assert_eq(resource_parse_name(resource, &kind, target), 0);
        cr_assert_eq(resource_set_put(&a->resources, kind, target, amount), 0);
        return a;
}

static void hold(Calendar *calendar, Allocation *a) {
        Allocation *replaced;

        cr_assert_eq(calendar_put(calendar, a, &replaced), 0);
        cr_assert_null(replaced);
}

static Capacity capacity_make(void) {
        Capacity capacity = { .default_uplink = "eth0" };

        cr_assert_eq(resource_set_put(&capacity.total, RESOURCE_CPU, "", (Amount){ 0, 1000 }), 0);
        cr_assert_eq(resource_set_put(&capacity.total, RESOURCE_NET_EGRESS, "eth0", (Amount){ 0, 100 }), 0);
        cr_assert_eq(resource_set_put(&capacity.total, RESOURCE_IO_READ, "8:0", (Amount){ 0, 50 }), 0);
        cr_assert_eq(resource_set_put(&capacity.targets, RESOURCE_IO_WRITE, "8:0", (Amount){}), 0);
        return capacity;
}

/* The node holds 600 in [100, 200), 300 in [150, 300) and, long over, 1000 in [0, 1000). */
static const struct {
        const char *name;
        uint64_t start, end;
        const char *resource;
        Amount amount;
        FailureCode code;
        uint64_t available; /* as Missing tells it, where it does not fit */
        uint64_t earliest;
} cases[] = {
        { "fits before", 0, 100, "cpu", { 1000, 1000 }, FAILURE_NONE, 0 },
        { "windows that touch do not overlap", 300, 400, "cpu", { 1000, 1000 }, FAILURE_NONE, 0 },
        { "fits beside both", 100, 400, "cpu", { 100, 1000 }, FAILURE_NONE, 0 },
        { "one too much where both are", 100, 400, "cpu", { 101, 1000 }, FAILURE_INSUFFICIENT_RESOURCES, 100,
                        200 },
        { "the peak is inside the window", 0, 400, "cpu", { 101, 1000 }, FAILURE_INSUFFICIENT_RESOURCES, 100,
                        200 },
        { "fits beside the second alone", 200, 400, "cpu", { 700, 1000 }, FAILURE_NONE, 0 },
        { "over the node", 500, 600, "cpu", { 1001, 2000 }, FAILURE_INSUFFICIENT_RESOURCES, 1000,
                        UINT64_MAX },
        { "limits may be overcommitted", 100, 400, "cpu", { 0, UNLIMITED }, FAILURE_NONE, 0 },
        { "a resource the node has none of", 500, 600, "memory", { 1, 1 }, FAILURE_INSUFFICIENT_RESOURCES, 0,
                        UINT64_MAX },
        { "the default uplink by no name", 0, 9, "net.egress", { 100, 100 }, FAILURE_NONE, 0 },
        { "the default uplink by its name", 0, 9, "net.egress@eth0", { 101, 101 },
                        FAILURE_INSUFFICIENT_RESOURCES, 100, UINT64_MAX },
        { "a block device's reading", 0, 9, "io.read@8:0", { 50, 50 }, FAILURE_NONE, 0 },
        { "more than it can do", 0, 9, "io.read@8:0", { 51, UNLIMITED }, FAILURE_INSUFFICIENT_RESOURCES, 50,
                        UINT64_MAX },
        { "of every block device", 0, 9, "io.read", { 51, 51 }, FAILURE_INSUFFICIENT_RESOURCES, 50,
                        UINT64_MAX },
        { "one of which nothing is known", 0, 9, "io.write@8:0", { 51, 51 }, FAILURE_NONE, 0 },
        { "a block device that is none", 0, 9, "io.read@8:1", { 0, 5 }, FAILURE_INVALID_ALLOCATION, 0 },
        { "what nobody counts", 0, 9, "misc@sev", { 0, 5 }, FAILURE_INVALID_ALLOCATION, 0 },
        { "what comes in where that is not shaped", 0, 9, "net.ingress", { 0, 5 }, FAILURE_NOT_SUPPORTED, 0 },
        { "what comes in at an uplink that is none", 0, 9, "net.ingress@eth7", { 0, 5 },
                        FAILURE_INVALID_ALLOCATION, 0 },
        { "an uplink that is none", 0, 9, "net.egress@eth7", { 0, 5 }, FAILURE_INVALID_ALLOCATION, 0 },
};

Test(admission, sum_of_reserved_stays_within_capacity_at_every_instant) {
        Calendar calendar = { .default_uplink = "eth0" };
        Capacity capacity = capacity_make();
        Allocation *over = make("over", 0, 1000, "cpu", (Amount){ 1000, 1000 });

        over->state = ALLOCATION_ENDED;
        cr_assert_eq(calendar_set_devices(&calendar, &capacity.total), 0);
        hold(&calendar, over);
        hold(&calendar, make("a", 100, 200, "cpu", (Amount){ 600, 600 }));
        hold(&calendar, make("b", 150, 300, "cpu", (Amount){ 300, 600 }));
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                _cleanup_allocation_ Allocation *request =
                                make("new", cases[i].start, cases[i].end, cases[i].resource, cases[i].amount);
                Verdict verdict;

                cr_assert_eq(admission_check(&calendar, &capacity, 0, &request, 1, NULL, &verdict), 0);
                cr_expect_eq(verdict.failure.code, cases[i].code, "%s: %s", cases[i].name,
                                verdict.failure.message);
                cr_expect_eq(verdict.fits, cases[i].code == FAILURE_NONE, "%s", cases[i].name);
                if (cases[i].code == FAILURE_INSUFFICIENT_RESOURCES) {
                        cr_assert_eq(verdict.missing.n, 1, "%s", cases[i].name);
                        cr_expect_eq(verdict.missing.entries[0].amount.reserved, cases[i].amount.reserved);
                        cr_expect_eq(verdict.missing.entries[0].amount.limit, cases[i].available, "%s",
                                        cases[i].name);
                        cr_expect_eq(verdict.earliest_usec, cases[i].earliest, "%s: %lu", cases[i].name,
                                        verdict.earliest_usec);
                }
                verdict_deinit(&verdict);
        }
        calendar_deinit(&calendar);
        resource_set_deinit(&capacity.total);
        resource_set_deinit(&capacity.targets);
}

Test(admission, requests_are_judged_together) {
        Allocation *requests[2] = { make("x", 0, 10, "cpu", (Amount){ 600, 600 }),
                make("y", 5, 15, "cpu", (Amount){ 600, 600 }) };
        Calendar calendar = { .default_uplink = "eth0" };
        Capacity capacity = capacity_make();
        Verdict verdicts[2];

        cr_assert_eq(admission_check(&calendar, &capacity, 0, requests, 2, NULL, verdicts), 0);
        cr_expect_not(verdicts[0].fits);
        cr_expect_not(verdicts[1].fits);
        for (int i = 0; i < 2; i++) {
                verdict_deinit(&verdicts[i]);
                allocation_free(requests[i]);
        }
        resource_set_deinit(&capacity.total);
        resource_set_deinit(&capacity.targets);
}

Test(admission, what_is_not_here_leaves_nothing_behind) {
        Calendar calendar = { .default_uplink = "eth0" };
        Capacity capacity = capacity_make();
        size_t known;

        hold(&calendar, make("a", 0, 10, "net.egress", (Amount){ 1, 1 }));
        known = calendar.n_resources;
        for (int i = 0; i < 100; i++) {
                _cleanup_allocation_ Allocation *request = NULL;
                Verdict verdict;
                char name[32];

                snprintf(name, sizeof name, "net.egress@no%d", i);
                request = make("b", 0, 10, name, (Amount){ 1, 1 });
                cr_assert_eq(admission_check(&calendar, &capacity, 0, &request, 1, NULL, &verdict), 0);
                cr_expect_eq(verdict.failure.code, FAILURE_INVALID_ALLOCATION);
                verdict_deinit(&verdict);
        }
        cr_expect_eq(calendar.n_resources, known, "%zu resources", calendar.n_resources);
        calendar_deinit(&calendar);
        resource_set_deinit(&capacity.total);
        resource_set_deinit(&capacity.targets);
}

Test(admission, an_update_takes_its_own_place) {
        _cleanup_allocation_ Allocation *request = make("a", 100, 200, "cpu", (Amount){ 900, 900 });
        Calendar calendar = { .default_uplink = "eth0" };
        Capacity capacity = capacity_make();
        Verdict verdict;

        hold(&calendar, make("a", 100, 200, "cpu", (Amount){ 600, 600 }));
        cr_assert_eq(admission_check(&calendar, &capacity, 0, &request, 1, NULL, &verdict), 0);
        cr_expect(verdict.fits, "%s", verdict.failure.message);
        verdict_deinit(&verdict);
        calendar_deinit(&calendar);
        resource_set_deinit(&capacity.total);
        resource_set_deinit(&capacity.targets);
}

static uint64_t brute_peak(const Calendar *calendar, uint64_t start, uint64_t end) {
        uint64_t most = 0;

        for (uint64_t at = start; at < end; at++) {
                uint64_t sum = 0;

                for (size_t i = 0; i < calendar->n; i++)
                        if (calendar->allocations[i]->start_usec <= at &&
                                        at < calendar->allocations[i]->end_usec)
                                sum += calendar->allocations[i]->resources.entries[0].amount.reserved;
                most = sum > most ? sum : most;
        }
        return most;
}

/* Random calendars against a look at every instant: it fits there, and nowhere before. */
Test(admission, agrees_with_brute_force) {
        unsigned seed = 1;

        for (int round = 0; round < 300; round++) {
                Calendar calendar = CALENDAR_NULL;
                Capacity capacity = capacity_make();
                uint64_t wanted = (uint64_t) rand_r(&seed) % 900, start, length;
                _cleanup_allocation_ Allocation *request = NULL;
                Verdict verdict;

                for (int i = 0; i < 12; i++) {
                        uint64_t at = (uint64_t) rand_r(&seed) % 50;
                        char id[8];

                        snprintf(id, sizeof id, "a%d", i);
                        hold(&calendar, make(id, at, at + 1 + (uint64_t) rand_r(&seed) % 20, "cpu",
                                                        (Amount){ (uint64_t) rand_r(&seed) % 300, 1000 }));
                }
                start = (uint64_t) rand_r(&seed) % 40;
                length = 1 + (uint64_t) rand_r(&seed) % 30;
                request = make("new", start, start + length, "cpu", (Amount){ wanted, 1000 });
                cr_assert_eq(admission_check(&calendar, &capacity, 0, &request, 1, NULL, &verdict), 0);
                cr_expect_eq(verdict.fits,
                                wanted == 0 || brute_peak(&calendar, start, start + length) + wanted <= 1000,
                                "round %d", round);
                if (!verdict.fits) {
                        while (brute_peak(&calendar, start, start + length) + wanted > 1000)
                                start++;
                        cr_expect_eq(verdict.earliest_usec, start, "round %d", round);
                }
                cr_expect_null(calendar_find(&calendar, "new"), "a question leaves nothing");
                cr_expect_eq(timeline_peak(calendar_reserved(&calendar, RESOURCE_CPU, ""), 0, 1000),
                                brute_peak(&calendar, 0, 1000));
                verdict_deinit(&verdict);
                calendar_deinit(&calendar);
                resource_set_deinit(&capacity.total);
                resource_set_deinit(&capacity.targets);
        }
}
