/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "support/calendar-make.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

#define NOBODY \
        { .id = NULL }

/* The node has 1000 millicores, 1000 bytes, 100 bit/s. The request is "p". */
static const struct {
        const char *name;
        Made held[3];
        Made request;
        const char *preempts; /* NULL: it does not fit */
} cases[] = {
        { "it fits: nobody gives way", { { "a", "t", 0, 100, .cpu = 500, .mode = PREEMPT_MODE_SUSPEND } },
                        { "p", "u", 0, 100, .cpu = 500, .priority = 9 }, "" },
        { "the lower gives way", { { "a", "t", 0, 100, .cpu = 600, .mode = PREEMPT_MODE_SUSPEND } },
                        { "p", "u", 0, 100, .cpu = 500, .priority = 1 }, "a" },
        { "not for an equal",
                        { { "a", "t", 0, 100, .cpu = 600, .priority = 1, .mode = PREEMPT_MODE_SUSPEND } },
                        { "p", "u", 0, 100, .cpu = 500, .priority = 1 }, NULL },
        { "not where it is off", { { "a", "t", 0, 100, .cpu = 600 } },
                        { "p", "u", 0, 100, .cpu = 500, .priority = 1 }, NULL },
        { "nor elsewhere in time",
                        { { "a", "t", 0, 100, .cpu = 600 },
                                        { "b", "t", 200, 300, .cpu = 600, .mode = PREEMPT_MODE_SUSPEND } },
                        { "p", "u", 0, 100, .cpu = 500, .priority = 1 }, NULL },
        { "a frozen tenant still holds its memory",
                        { { "a", "t", 0, 100, .memory = 600, .mode = PREEMPT_MODE_SUSPEND } },
                        { "p", "u", 0, 100, .memory = 500, .priority = 1 }, NULL },
        { "a cancelled one does not", { { "a", "t", 0, 100, .memory = 600, .mode = PREEMPT_MODE_CANCEL } },
                        { "p", "u", 0, 100, .memory = 500, .priority = 1 }, "a" },
        { "the network is lent", { { "a", "t", 0, 100, .net = 60, .mode = PREEMPT_MODE_SUSPEND } },
                        { "p", "u", 0, 100, .net = 50, .priority = 1 }, "a" },
        { "the lowest priority first",
                        { { "a", "t", 0, 100, .cpu = 500, .priority = 2, .mode = PREEMPT_MODE_SUSPEND },
                                        { "b", "t", 0, 100, .cpu = 500, .priority = 1,
                                                        .mode = PREEMPT_MODE_SUSPEND } },
                        { "p", "u", 0, 100, .cpu = 500, .priority = 3 }, "b" },
        { "suspended rather than cancelled",
                        { { "a", "t", 0, 100, .cpu = 500, .mode = PREEMPT_MODE_CANCEL },
                                        { "b", "t", 0, 100, .cpu = 500, .mode = PREEMPT_MODE_SUSPEND } },
                        { "p", "u", 0, 100, .cpu = 500, .priority = 3 }, "b" },
        { "as many as it takes",
                        { { "a", "t", 0, 100, .cpu = 500, .mode = PREEMPT_MODE_SUSPEND },
                                        { "b", "t", 0, 100, .cpu = 500, .mode = PREEMPT_MODE_SUSPEND } },
                        { "p", "u", 0, 100, .cpu = 900, .priority = 3 }, "a b" },
        { "and no more",
                        { { "a", "t", 0, 100, .cpu = 100, .mode = PREEMPT_MODE_SUSPEND },
                                        { "b", "t", 0, 100, .cpu = 900, .priority = 1,
                                                        .mode = PREEMPT_MODE_SUSPEND } },
                        { "p", "u", 0, 100, .cpu = 500, .priority = 3 }, "b" },
        { "each in its time",
                        { { "a", "t", 0, 50, .cpu = 800, .mode = PREEMPT_MODE_SUSPEND },
                                        { "b", "t", 50, 100, .cpu = 800, .mode = PREEMPT_MODE_SUSPEND } },
                        { "p", "u", 0, 100, .cpu = 500, .priority = 3 }, "a b" },
        { "what stands in the way for ever",
                        { { "a", "t", 0, 100, .cpu = 600, .mode = PREEMPT_MODE_SUSPEND },
                                        { "b", "t", 90, 100, .cpu = 400, .priority = 9 } },
                        { "p", "u", 0, 100, .cpu = 700, .priority = 3 }, NULL },
};

static void list_lenders(const Verdict *verdict, char *ret) {
        ret[0] = '\0';
        for (size_t i = 0; i < verdict->n_loans; i++)
                if (!strstr(ret, verdict->loans[i].from->id)) {
                        if (ret[0])
                                strcat(ret, " ");
                        strcat(ret, verdict->loans[i].from->id);
                }
}

static int by_letter(const void *a, const void *b) {
        return *(const char *) a - *(const char *) b;
}

Test(preemption, names_who_gives_way) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                Calendar calendar = { .default_uplink = "eth0" };
                Capacity capacity = made_capacity(1000, 1000, 100);
                _cleanup_allocation_ Allocation *request = made_allocation(&cases[i].request);
                char lenders[64];
                Verdict verdict;

                for (size_t k = 0; k < 3 && cases[i].held[k].id; k++)
                        made_hold(&calendar, &cases[i].held[k]);
                cr_assert_eq(admission_check(&calendar, &capacity, 0, &request, 1, NULL, &verdict), 0);
                cr_expect_eq(verdict.fits, cases[i].preempts != NULL, "%s: %s", cases[i].name,
                                verdict.failure.message);
                list_lenders(&verdict, lenders);
                if (strlen(lenders) == 3) {
                        char sorted[2] = { lenders[0], lenders[2] };

                        qsort(sorted, 2, 1, by_letter);
                        lenders[0] = sorted[0];
                        lenders[2] = sorted[1];
                }
                cr_expect_str_eq(lenders, cases[i].preempts ?: "", "%s", cases[i].name);
                cr_expect_eq(request->n_loans, 0, "a question leaves nothing");
                for (size_t k = 0; k < calendar.n; k++)
                        cr_expect_eq(calendar.allocations[k]->n_borrowers, 0, "%s", cases[i].name);
                verdict_deinit(&verdict);
                calendar_deinit(&calendar);
                made_capacity_deinit(&capacity);
        }
}

static Allocation *preempt(
                Calendar *calendar, const Capacity *capacity, PreemptMode mode, Allocation **ret_lender) {
        *ret_lender = made_hold(
                        calendar, &(Made){ "v", "t", 100, 1000, .cpu = 800, .memory = 10, .mode = mode });
        return made_apply(calendar, capacity, 0,
                        made_allocation(&(Made){ "p", "u", 200, 300, .cpu = 800, .priority = 5 }));
}

Test(preemption, who_is_suspended_lends_its_window_and_resumes) {
        Calendar calendar = { .default_uplink = "eth0" };
        Capacity capacity = made_capacity(1000, 1000, 100);
        Allocation *v, *p = preempt(&calendar, &capacity, PREEMPT_MODE_SUSPEND, &v);
        _cleanup_resource_set_ ResourceSet share = RESOURCE_SET_NULL;

        cr_assert_not_null(p);
        made_advance(&calendar, &(Instant){ 150, 1 }, false, NULL);
        cr_expect_eq(v->state, ALLOCATION_ACTIVE);
        cr_expect_eq(calendar_next_change(&calendar, &(Instant){ 150, 1 }), 200);
        made_advance(&calendar, &(Instant){ 200, 1 }, false, NULL);
        cr_expect_eq(v->state, ALLOCATION_SUSPENDED);
        cr_expect_eq(p->state, ALLOCATION_ACTIVE);
        cr_expect(calendar_tenant_is_suspended(calendar_tenant(&calendar, "t")));
        cr_assert_eq(calendar_tenant_share(calendar_tenant(&calendar, "t"), &share), 0);
        cr_expect_eq(resource_set_get(&share, RESOURCE_CPU, "")->reserved, 0, "it lends its CPU");
        cr_expect_eq(resource_set_get(&share, RESOURCE_MEMORY, "")->reserved, 10, "and holds its memory");
        made_advance(&calendar, &(Instant){ 300, 1 }, false, NULL);
        cr_expect_eq(v->state, ALLOCATION_ACTIVE);
        cr_expect_eq(p->state, ALLOCATION_ENDED);
        calendar_deinit(&calendar);
        made_capacity_deinit(&capacity);
}

Test(preemption, who_is_released_early_gives_back_at_once) {
        Calendar calendar = { .default_uplink = "eth0" };
        Capacity capacity = made_capacity(1000, 1000, 100);
        Allocation *v, *p = preempt(&calendar, &capacity, PREEMPT_MODE_SUSPEND, &v);

        made_advance(&calendar, &(Instant){ 250, 1 }, false, NULL);
        cr_assert_eq(v->state, ALLOCATION_SUSPENDED);
        cr_assert_eq(calendar_set_state(&calendar, p, ALLOCATION_RELEASED, &(Instant){ 260, 2 }), 0);
        made_advance(&calendar, &(Instant){ 260, 2 }, false, NULL);
        cr_expect_eq(v->state, ALLOCATION_ACTIVE);
        cr_expect_eq(v->n_borrowers, 0);
        calendar_deinit(&calendar);
        made_capacity_deinit(&capacity);
}

Test(preemption, who_is_cancelled_has_its_grace_and_does_not_come_back) {
        Calendar calendar = { .default_uplink = "eth0" };
        Capacity capacity = made_capacity(1000, 1000, 100);
        Allocation *v, *p = preempt(&calendar, &capacity, PREEMPT_MODE_CANCEL, &v);

        v->grace_usec = 50;
        made_advance(&calendar, &(Instant){ 150, 950 }, false, NULL);
        made_advance(&calendar, &(Instant){ 200, 1000 }, false, NULL);
        cr_expect_eq(v->state, ALLOCATION_ENDING);
        cr_assert_eq(calendar_set_state(&calendar, p, ALLOCATION_RELEASED, &(Instant){ 210, 1010 }), 0);
        made_advance(&calendar, &(Instant){ 220, 1020 }, true, NULL);
        cr_expect_eq(v->state, ALLOCATION_ENDING, "its processes were told to end");
        made_advance(&calendar, &(Instant){ 250, 1050 }, false, NULL);
        cr_expect_eq(v->state, ALLOCATION_PREEMPTED);
        made_advance(&calendar, &(Instant){ 150, 1060 }, true, NULL);
        cr_expect_eq(v->state, ALLOCATION_PREEMPTED, "whatever the clock says");
        calendar_deinit(&calendar);
        made_capacity_deinit(&capacity);
}

Test(preemption, what_cannot_be_undone_waits_and_shares_do_not) {
        Calendar calendar = { .default_uplink = "eth0", .irrevocable_waits = true };
        Capacity capacity = made_capacity(1000, 1000, 100);
        Allocation *v;

        preempt(&calendar, &capacity, PREEMPT_MODE_CANCEL, &v);
        made_advance(&calendar, &(Instant){ 200, 1 }, false, NULL);
        cr_expect_eq(v->state, ALLOCATION_SUSPENDED, "it lends, and can have it back");
        made_advance(&calendar, &(Instant){ 150, 1 }, true, NULL);
        cr_expect_eq(v->state, ALLOCATION_ACTIVE, "it was a wrong clock");
        made_advance(&calendar, &(Instant){ 210, 1 }, true, NULL);
        calendar.irrevocable_waits = false;
        made_advance(&calendar, &(Instant){ 220, 1 }, true, NULL);
        cr_expect_eq(v->state, ALLOCATION_PREEMPTED);
        calendar_deinit(&calendar);
        made_capacity_deinit(&capacity);
}

Test(preemption, an_update_of_the_lender_goes_on_lending) {
        Calendar calendar = { .default_uplink = "eth0" };
        Capacity capacity = made_capacity(1000, 1000, 100);
        Allocation *v, *p = preempt(&calendar, &capacity, PREEMPT_MODE_SUSPEND, &v);

        made_advance(&calendar, &(Instant){ 250, 1 }, false, NULL);
        v = made_apply(&calendar, &capacity, 250,
                        made_allocation(&(Made){
                                        "v", "t", 100, 2000, .cpu = 800, .mode = PREEMPT_MODE_SUSPEND }));
        cr_assert_not_null(v, "a later end is no more than it had");
        cr_expect_eq(p->n_loans, 1);
        cr_expect_eq(p->loans[0].from, v);
        made_advance(&calendar, &(Instant){ 260, 1 }, false, NULL);
        cr_expect_eq(v->state, ALLOCATION_SUSPENDED);
        cr_expect_null(made_apply(&calendar, &capacity, 250,
                                       made_allocation(&(Made){ "v", "t", 100, 2000, .cpu = 800 })),
                        "it must give way where it does not fit otherwise");
        cr_expect_eq(made_level(&calendar, RESOURCE_CPU, 250),
                        timeline_level(calendar_reserved(&calendar, RESOURCE_CPU, ""), 250));
        calendar_deinit(&calendar);
        made_capacity_deinit(&capacity);
}

Test(preemption, an_update_of_the_borrower_goes_on_borrowing) {
        Calendar calendar = { .default_uplink = "eth0" };
        Capacity capacity = made_capacity(1000, 1000, 100);
        Allocation *v, *p = preempt(&calendar, &capacity, PREEMPT_MODE_SUSPEND, &v);

        cr_assert_not_null(p);
        made_hold(&calendar, &(Made){ "w", "t", 100, 1000, .cpu = 100, .mode = PREEMPT_MODE_SUSPEND });
        p = made_apply(&calendar, &capacity, 0,
                        made_allocation(&(Made){ "p", "u", 200, 300, .cpu = 800, .priority = 5 }));
        cr_assert_not_null(p, "it is what it was");
        cr_expect_leq(made_level(&calendar, RESOURCE_CPU, 250), 1000);
        calendar_deinit(&calendar);
        made_capacity_deinit(&capacity);
}

Test(preemption, who_takes_the_place_of_a_borrower_may_borrow) {
        Calendar calendar = { .default_uplink = "eth0" };
        Capacity capacity = made_capacity(1000, 1000, 100);
        Allocation *v, *p = preempt(&calendar, &capacity, PREEMPT_MODE_SUSPEND, &v);
        _cleanup_allocation_ Allocation *request =
                        made_allocation(&(Made){ "q", "u", 200, 300, .cpu = 800, .priority = 5 });
        Allocation *leaving[] = { p, NULL };
        Verdict verdict;

        cr_assert_eq(admission_check(&calendar, &capacity, 0, &request, 1, leaving, &verdict), 0);
        cr_expect(verdict.fits, "%s", verdict.failure.message);
        cr_expect_eq(made_level(&calendar, RESOURCE_CPU, 250), 1000, "and a question leaves all as it was");
        verdict_deinit(&verdict);
        calendar_deinit(&calendar);
        made_capacity_deinit(&capacity);
}

Test(preemption, a_smaller_lender_lends_no_more_than_it_has) {
        Calendar calendar = { .default_uplink = "eth0" };
        Capacity capacity = made_capacity(1000, 1000, 100);

        made_hold(&calendar, &(Made){ "v", "t", 100, 1000, .cpu = 800, .mode = PREEMPT_MODE_SUSPEND });
        cr_assert_not_null(made_apply(&calendar, &capacity, 0,
                        made_allocation(&(Made){ "p", "u", 200, 300, .cpu = 600, .priority = 5 })));
        cr_assert_not_null(made_apply(&calendar, &capacity, 0,
                        made_allocation(&(Made){ "q", "u", 200, 300, .cpu = 400, .priority = 5 })));
        (void) made_apply(&calendar, &capacity, 0,
                        made_allocation(&(Made){
                                        "v", "t", 100, 1000, .cpu = 400, .mode = PREEMPT_MODE_SUSPEND }));
        (void) made_apply(
                        &calendar, &capacity, 0, made_allocation(&(Made){ "w", "t", 100, 1000, .cpu = 400 }));
        for (uint64_t at = 150; at < 1000; at += 50)
                cr_expect_leq(made_level(&calendar, RESOURCE_CPU, at), 1000, "at %lu", at);
        calendar_deinit(&calendar);
        made_capacity_deinit(&capacity);
}

Test(preemption, a_clock_that_comes_back_finds_the_loans) {
        Calendar calendar = { .default_uplink = "eth0", .irrevocable_waits = true };
        Capacity capacity = made_capacity(1000, 1000, 100);
        Allocation *v, *p = preempt(&calendar, &capacity, PREEMPT_MODE_SUSPEND, &v);

        made_advance(&calendar, &(Instant){ 250, 1 }, false, NULL);
        made_advance(&calendar, &(Instant){ 500000, 2 }, true, NULL);
        cr_assert_eq(p->state, ALLOCATION_ENDED);
        made_advance(&calendar, &(Instant){ 260, 3 }, true, NULL);
        cr_expect_eq(p->state, ALLOCATION_ACTIVE);
        cr_expect_eq(v->state, ALLOCATION_SUSPENDED);
        cr_expect_eq(made_level(&calendar, RESOURCE_CPU, 260), 1000);
        calendar_deinit(&calendar);
        made_capacity_deinit(&capacity);
}

Test(preemption, nobody_gives_way_for_what_a_drain_keeps_from_beginning) {
        Calendar calendar = { .default_uplink = "eth0" };
        Capacity capacity = made_capacity(1000, 1000, 100);
        Allocation *v, *p = preempt(&calendar, &capacity, PREEMPT_MODE_CANCEL, &v);

        made_advance(&calendar, &(Instant){ 150, 1 }, false, NULL);
        calendar.draining = true;
        made_advance(&calendar, &(Instant){ 210, 2 }, true, NULL);
        cr_expect_eq(p->state, ALLOCATION_PENDING);
        cr_expect_eq(v->state, ALLOCATION_ACTIVE);
        calendar_deinit(&calendar);
        made_capacity_deinit(&capacity);
}

Test(preemption, loans_are_restored_as_they_were_whatever_their_order) {
        Calendar calendar = { .default_uplink = "eth0" };
        Allocation *v = made_hold(
                        &calendar, &(Made){ "v", "t", 0, 30, .cpu = 800, .mode = PREEMPT_MODE_SUSPEND });
        Allocation *a = made_hold(&calendar, &(Made){ "a", "u", 0, 30, .cpu = 500, .priority = 5 });
        Allocation *z = made_hold(&calendar, &(Made){ "z", "u", 0, 30, .cpu = 300, .priority = 5 });
        const SavedLoan loans[] = {
                { a, { .from = v, .kind = RESOURCE_CPU, .window = { 0, 10 }, .amount = 500 } },
                { a, { .from = v, .kind = RESOURCE_CPU, .window = { 20, 30 }, .amount = 500 } },
                { z, { .from = v, .kind = RESOURCE_CPU, .window = { 0, 30 }, .amount = 300 } },
        };
        SavedLoan *saved;
        size_t n;

        for (size_t i = 0; i < ELEMENTSOF(loans); i++)
                cr_assert_eq(calendar_lend(&calendar, loans[i].to, &loans[i].loan), 0);
        cr_assert_eq(calendar_save_loans(&calendar, &saved, &n), 0);
        cr_assert_eq(n, 3);
        cr_assert_eq(calendar_restore_loans(&calendar, saved, n), 0);
        cr_expect_eq(made_level(&calendar, RESOURCE_CPU, 5), 800);
        cr_expect_eq(made_level(&calendar, RESOURCE_CPU, 15), 1300);
        free(saved);
        calendar_deinit(&calendar);
}

/* Windows that recur come within the horizon day by day: the borrower goes on borrowing, and nobody is short.
 */
Test(preemption, what_recurs_preempts_again) {
        const uint64_t day = 86400ULL * 1000000;
        Calendar calendar = { .default_uplink = "eth0", .horizon_usec = 3 * day };
        Capacity capacity = made_capacity(1000, 1000, 100);
        Allocation *v = made_hold(&calendar,
                        &(Made){ "v", "t", day, UINT64_MAX, .cpu = 800, .mode = PREEMPT_MODE_SUSPEND });
        Allocation *p = made_allocation(&(Made){ "p", "u", 0, UINT64_MAX, .cpu = 800, .priority = 5 });
        _cleanup_failure_ Failure failure = FAILURE_NULL;

        p->start_given = false;
        p->recurrence_text = strdup("daily");
        p->duration_usec = day / 4;
        cr_assert_eq(allocation_accept(p,
                                     &(Acceptance){ .now_usec = day,
                                                     .boottime_usec = day,
                                                     .horizon_usec = 3 * day },
                                     &failure),
                        0, "%s", failure.message);
        cr_assert_not_null(made_apply(&calendar, &capacity, day, p));
        for (uint64_t hour = 0; hour < 24 * 10; hour++) {
                const Instant now = { day + hour * (day / 24) + 1, day + hour };
                const ResourceKind kind = RESOURCE_CPU;

                made_advance(&calendar, &now, false, NULL);
                cr_assert_eq(admission_rearrange(&calendar, &capacity, now.utc_usec), 0);
                made_advance(&calendar, &now, false, NULL);
                cr_assert_eq(v->state, hour % 24 < 6 ? ALLOCATION_SUSPENDED : ALLOCATION_ACTIVE, "hour %lu",
                                hour);
                cr_assert_leq(timeline_peak(calendar_reserved(&calendar, kind, ""), now.utc_usec, UINT64_MAX),
                                1000, "hour %lu", hour);
        }
        calendar_deinit(&calendar);
        made_capacity_deinit(&capacity);
}

Test(preemption, loans_are_kept_as_texts) {
        Calendar calendar = { .default_uplink = "eth0" };
        Capacity capacity = made_capacity(1000, 1000, 100);
        Allocation *v, *p = preempt(&calendar, &capacity, PREEMPT_MODE_SUSPEND, &v);
        char **texts;

        cr_assert_eq(allocation_format_loans(p, &texts), 0);
        cr_assert_not_null(texts);
        cr_expect_str_eq(texts[0], "v cpu 200 300 600");
        calendar_take_back(&calendar, p, NULL);
        cr_expect_eq(made_level(&calendar, RESOURCE_CPU, 250), 1600);
        p->loan_texts = texts;
        cr_assert_eq(calendar_link_loans(&calendar), 0);
        cr_expect_eq(made_level(&calendar, RESOURCE_CPU, 250), 1000);
        cr_expect_null(p->loan_texts);
        calendar_deinit(&calendar);
        made_capacity_deinit(&capacity);
}

/* What is short in many steps, each as the one before, is one loan; and who does not change it goes unasked.
 */
Test(preemption, steps_that_come_to_the_same_are_one_loan) {
        Calendar calendar = { .default_uplink = "eth0" };
        Capacity capacity = made_capacity(1000, 1000, 100);
        Allocation *p;

        made_hold(&calendar, &(Made){ "v", "t", 0, 100, .cpu = 500, .mode = PREEMPT_MODE_SUSPEND });
        made_hold(&calendar, &(Made){ "w", "t", 0, 100, .cpu = 150 });
        for (unsigned i = 0; i < 20; i++) {
                char id[8];

                snprintf(id, sizeof(id), "x%u", i);
                made_hold(&calendar, &(Made){ id, "t", 5 * i, 5 * i + 5, .cpu = 50 });
        }
        p = made_apply(&calendar, &capacity, 0,
                        made_allocation(&(Made){ "p", "u", 0, 100, .cpu = 800, .priority = 5 }));
        cr_assert_not_null(p);
        cr_expect_eq(p->n_loans, 1, "all that v has, all the time");
        calendar_deinit(&calendar);
        made_capacity_deinit(&capacity);
}

#define LENDERS 200
#define CPU_SEC_MAX 10.0 /* it was minutes while each lender asked all others for all of the window */

/* They overlap, and begin and end at 400 instants; the most of them turn out not to be needed, or in part. */
Test(preemption, many_lenders_are_soon_found, .timeout = 60) {
        Calendar calendar = { .default_uplink = "eth0" };
        Capacity capacity = made_capacity(1000, 1000, 100);
        clock_t begin;
        Allocation *p;
        unsigned seed = 7;

        for (unsigned i = 0; i < LENDERS; i++) {
                uint64_t start = (uint64_t) rand_r(&seed) % (3 * LENDERS);
                char id[8];

                snprintf(id, sizeof(id), "v%u", i);
                made_hold(&calendar,
                                &(Made){ id, "t", start,
                                                start + LENDERS + (uint64_t) rand_r(&seed) % (2 * LENDERS),
                                                .cpu = 2 + (uint64_t) rand_r(&seed) % 8,
                                                .priority = rand_r(&seed) % 4,
                                                .mode = PREEMPT_MODE_SUSPEND });
        }
        begin = clock();
        p = made_apply(&calendar, &capacity, 0,
                        made_allocation(&(Made){ "p", "u", 0, 4 * LENDERS, .cpu = 900, .priority = 9 }));
        cr_expect_lt((double) (clock() - begin) / CLOCKS_PER_SEC, CPU_SEC_MAX);
        cr_assert_not_null(p);
        cr_expect_gt(p->n_loans, LENDERS);
        calendar_deinit(&calendar);
        made_capacity_deinit(&capacity);
}

static Made random_made(unsigned *seed, const char *id) {
        uint64_t start = (uint64_t) rand_r(seed) % 50;

        return (Made){ id, "t", start, start + 1 + (uint64_t) rand_r(seed) % 20,
                .cpu = (uint64_t) rand_r(seed) % 8 * 100, .memory = (uint64_t) rand_r(seed) % 4 * 100,
                .priority = rand_r(seed) % 4, .mode = (PreemptMode) (rand_r(seed) % PREEMPT_MODE_MAX) };
}

static void expect_within(const Calendar *calendar, const Capacity *capacity, int round) {
        const ResourceKind kinds[] = { RESOURCE_CPU, RESOURCE_MEMORY };

        for (size_t k = 0; k < 2; k++) {
                const Timeline *timeline = calendar_reserved(calendar, kinds[k], "");
                uint64_t total = resource_set_get(&capacity->total, kinds[k], "")->limit;

                for (uint64_t at = 0; timeline && at < 80; at++) {
                        uint64_t level = made_level(calendar, kinds[k], at);

                        cr_assert_leq(level, total, "round %d: %lu at %lu", round, level, at);
                        cr_assert_eq(level, timeline_level(timeline, at), "round %d at %lu", round, at);
                }
        }
}

static bool fits_at(Calendar *calendar, const Capacity *capacity, const Made *made, uint64_t start) {
        Made moved = *made;
        _cleanup_allocation_ Allocation *request = NULL;
        Verdict verdict;
        bool fits;

        moved.end = start + made->end - made->start;
        moved.start = start;
        request = made_allocation(&moved);
        cr_assert_eq(admission_check(calendar, capacity, 0, &request, 1, NULL, &verdict), 0);
        fits = verdict.fits;
        verdict_deinit(&verdict);
        return fits;
}

/* It fits there, and nowhere before. An update of one that lends may fit before, while it goes on lending:
 * that is no offer. */
static void expect_offer(Calendar *calendar, const Capacity *capacity, const Made *made, uint64_t offer) {
        const Allocation *held = calendar_find(calendar, made->id);
        uint64_t first = made->start;

        cr_assert(fits_at(calendar, capacity, made, offer), "%s at %lu", made->id, offer);
        while (!fits_at(calendar, capacity, made, first))
                first++;
        if (!held || held->n_borrowers == 0)
                cr_assert_eq(offer, first, "%s at %lu, but it fits at %lu", made->id, offer, first);
}

/* Requests, updates and releases at random: never over capacity, whoever lends to whom; and a counter-offer
 * is the first start at which it fits. */
Test(preemption, at_no_instant_is_more_reserved_than_there_is) {
        unsigned seed = 11;
        int preempted = 0, offered = 0;

        for (int round = 0; round < 60; round++) {
                Calendar calendar = { .default_uplink = "eth0" };
                Capacity capacity = made_capacity(1000, 1000, 100);

                for (int step = 0; step < 60; step++) {
                        char id[8];
                        Made made;

                        snprintf(id, sizeof id, "a%d", rand_r(&seed) % 25);
                        made = random_made(&seed, id);
                        if (rand_r(&seed) % 4 == 0)
                                allocation_free(calendar_take(&calendar, id));
                        else {
                                Allocation *request = made_allocation(&made);
                                Verdict verdict;

                                cr_assert_eq(admission_check(&calendar, &capacity, 0, &request, 1, NULL,
                                                             &verdict),
                                                0);
                                if (!verdict.fits) {
                                        expect_offer(&calendar, &capacity, &made, verdict.earliest_usec);
                                        offered++;
                                }
                                preempted += verdict.n_loans > 0;
                                verdict_deinit(&verdict);
                                (void) made_apply(&calendar, &capacity, 0, request);
                        }
                        expect_within(&calendar, &capacity, round);
                }
                calendar_deinit(&calendar);
                made_capacity_deinit(&capacity);
        }
        cr_expect_gt(preempted, 100);
        cr_expect_gt(offered, 100);
}
