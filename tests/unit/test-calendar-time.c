/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The calendar under a clock that the test sets: it goes on, back, a year away, sleeps, and changes to
 * summer. */

#include "support/calendar-make.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#define SECOND 1000000ULL
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define YEAR (365 * DAY)

/* "2026-03-29T01:30:00Z" */
static uint64_t utc(const char *text) {
        struct tm tm = {};

        cr_assert_not_null(strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm), "%s", text);
        return (uint64_t) timegm(&tm) * SECOND;
}

static Allocation *hold_recurring(Calendar *calendar, const char *id, const char *expression,
                uint64_t duration, const Instant *now) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        Allocation *a = made_allocation(&(Made){ id, "t", 0, UINT64_MAX, .cpu = 10 }), *replaced;
        const Acceptance acceptance = { .now_usec = now->utc_usec,
                .boottime_usec = now->boottime_usec,
                .horizon_usec = calendar->horizon_usec };

        a->start_given = false;
        a->recurrence_text = strdup(expression);
        a->duration_usec = duration;
        cr_assert_eq(allocation_accept(a, &acceptance, &failure), 0, "%s", failure.message);
        cr_assert_eq(calendar_put(calendar, a, &replaced), 0);
        cr_assert_null(replaced);
        return a;
}

/* Steps to the next change, again and again; each is handed to `look`. */
static void run_until(Calendar *calendar, Instant *now, uint64_t until, size_t *changes) {
        for (;;) {
                uint64_t next;

                made_advance(calendar, now, false, changes);
                next = calendar_next_change(calendar, now);
                cr_assert_gt(next, now->utc_usec, "due for nothing");
                if (next > until)
                        next = until;
                now->boottime_usec += next - now->utc_usec;
                now->utc_usec = next;
                if (next == until)
                        return;
        }
}

/* Windows that recur, as somebody in that place would write them down: the local time meant, in UTC. */
static const struct {
        const char *name, *expression;
        uint64_t duration;
        const char *from;
        const char *windows[6]; /* starts; the last is NULL */
        const char *last_end;
} cases[] = {
        { "workdays", "Mon..Fri 09:00 Asia/Shanghai", 8 * HOUR, "2026-11-26T12:00:00Z",
                        { "2026-11-27T01:00:00Z", "2026-11-30T01:00:00Z", "2026-12-01T01:00:00Z" },
                        "2026-12-01T09:00:00Z" },
        { "now, within one", "*-*-* 09:00", 8 * HOUR, "2026-11-26T12:00:00Z",
                        { "2026-11-26T09:00:00Z", "2026-11-27T09:00:00Z" }, "2026-11-27T17:00:00Z" },
        { "over the gap of spring: the hour is what the clock shows", "*-*-* 09:00 Europe/Berlin", HOUR,
                        "2026-03-28T12:00:00Z", { "2026-03-29T07:00:00Z", "2026-03-30T07:00:00Z" },
                        "2026-03-30T08:00:00Z" },
        { "in the gap: no window that night", "*-*-* 02:30 Europe/Berlin", HOUR, "2026-03-28T12:00:00Z",
                        { "2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z" }, "2026-03-31T01:30:00Z" },
        { "in the fold: one window that night", "*-*-* 02:30 Europe/Berlin", HOUR, "2026-10-24T12:00:00Z",
                        { "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z" }, "2026-10-26T02:30:00Z" },
        { "a window that ends in the fold lasts as long as any", "*-*-* 01:30 Europe/Berlin", 2 * HOUR,
                        "2026-10-24T12:00:00Z", { "2026-10-24T23:30:00Z", "2026-10-26T00:30:00Z" },
                        "2026-10-26T02:30:00Z" },
        { "half an hour of summer", "*-*-* 02:15 Australia/Lord_Howe", 10 * MINUTE, "2026-10-03T00:00:00Z",
                        { "2026-10-04T15:15:00Z" }, "2026-10-04T15:25:00Z" },
        { "the last day of a leap February", "*-02~01 00:00", DAY, "2027-03-01T00:00:00Z",
                        { "2028-02-29T00:00:00Z" }, "2028-03-01T00:00:00Z" },
};

Test(calendar_time, windows_recur_by_the_clock_on_the_wall) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                Calendar calendar = { .default_uplink = "eth0", .horizon_usec = 14 * DAY };
                Instant now = { utc(cases[i].from), HOUR };
                Allocation *a = hold_recurring(&calendar, "a", cases[i].expression, cases[i].duration, &now);

                for (size_t k = 0; cases[i].windows[k]; k++) {
                        uint64_t start = utc(cases[i].windows[k]);

                        if (start > now.utc_usec)
                                run_until(&calendar, &now, start - 1, NULL);
                        cr_expect_eq(a->window.start_usec, start, "%s: window %zu begins %+" PRId64 " s away",
                                        cases[i].name, k,
                                        (int64_t) (a->window.start_usec - start) / (int64_t) SECOND);
                        if (start > now.utc_usec) {
                                cr_expect_eq(a->state, ALLOCATION_PENDING, "%s", cases[i].name);
                                now.utc_usec++;
                        }
                        made_advance(&calendar, &now, false, NULL);
                        cr_expect_eq(a->state, ALLOCATION_ACTIVE, "%s: window %zu", cases[i].name, k);
                        if (!cases[i].windows[k + 1])
                                cr_expect_eq(a->window.end_usec, utc(cases[i].last_end), "%s", cases[i].name);
                        run_until(&calendar, &now, a->window.end_usec, NULL);
                        made_advance(&calendar, &now, false, NULL);
                        cr_expect_eq(a->state, ALLOCATION_PENDING, "%s: after window %zu", cases[i].name, k);
                }
                calendar_deinit(&calendar);
        }
}

Test(calendar_time, windows_that_meet_are_one) {
        Calendar calendar = { .default_uplink = "eth0", .horizon_usec = 7 * DAY };
        Instant now = { utc("2026-11-26T12:00:00Z"), HOUR };
        Allocation *a = hold_recurring(&calendar, "a", "daily", DAY, &now);
        size_t changes = 0;

        cr_expect_geq(a->window.end_usec, now.utc_usec + 7 * DAY);
        run_until(&calendar, &now, now.utc_usec + 60 * DAY, &changes);
        cr_expect_eq(changes, 1, "it was never interrupted");
        cr_expect_eq(a->state, ALLOCATION_ACTIVE);
        calendar_deinit(&calendar);
}

Test(calendar_time, recurrence_ends_with_its_end) {
        Calendar calendar = { .default_uplink = "eth0", .horizon_usec = 7 * DAY };
        Instant now = { utc("2026-11-26T12:00:00Z"), HOUR };
        Allocation *a = hold_recurring(&calendar, "a", "hourly", 10 * MINUTE, &now);
        size_t changes = 0;

        a->end_usec = now.utc_usec + 3 * HOUR + 5 * MINUTE;
        cr_assert_eq(allocation_reckon_windows(a, now.utc_usec, calendar.horizon_usec), 1);
        run_until(&calendar, &now, now.utc_usec + DAY, &changes);
        cr_expect_eq(changes, 8, "four windows, the last cut short: %zu", changes);
        cr_expect_eq(a->state, ALLOCATION_ENDED);
        calendar_deinit(&calendar);
}

/* However many elapses an expression has, it is judged at once. */
Test(calendar_time, too_many_windows_are_refused) {
        const char *const expressions[] = { "*:*:*", "*:*:0/0.01", "*:*:0/0.000001" };

        for (size_t i = 0; i < ELEMENTSOF(expressions); i++) {
                _cleanup_allocation_ Allocation *a =
                                made_allocation(&(Made){ "a", "t", 0, UINT64_MAX, .cpu = 10 });
                _cleanup_failure_ Failure failure = FAILURE_NULL;

                a->recurrence_text = strdup(expressions[i]);
                a->duration_usec = 2 * SECOND;
                cr_expect_eq(allocation_accept(a, &(Acceptance){ .now_usec = YEAR, .horizon_usec = 14 * DAY },
                                             &failure),
                                FAILURE_LIMIT_EXCEEDED, "%s", expressions[i]);
                cr_expect_not_null(strstr(failure.message, "more than 10000 times"), "%s", failure.message);
        }
}

Test(calendar_time, a_jump_past_all_windows_ends_it_and_back_it_goes_on) {
        Calendar calendar = { .default_uplink = "eth0", .horizon_usec = 2 * DAY };
        Instant now = { utc("2026-11-26T12:00:00Z"), HOUR };
        Allocation *a = hold_recurring(&calendar, "a", "hourly", 30 * MINUTE, &now);

        a->end_usec = now.utc_usec + 2 * DAY;
        cr_assert_eq(allocation_reckon_windows(a, now.utc_usec, calendar.horizon_usec), 1);
        made_advance(&calendar, &now, true, NULL);
        cr_expect_eq(a->state, ALLOCATION_ACTIVE);
        now.utc_usec += YEAR;
        made_advance(&calendar, &now, true, NULL);
        cr_expect_eq(a->state, ALLOCATION_ENDED);
        now.utc_usec -= YEAR;
        made_advance(&calendar, &now, true, NULL);
        cr_expect_eq(a->state, ALLOCATION_ACTIVE);
        calendar_deinit(&calendar);
}

Test(calendar_time, ten_thousand_windows_a_day) {
        Calendar calendar = { .default_uplink = "eth0", .horizon_usec = DAY };
        Instant now = { utc("2026-11-26T00:00:00Z") + 1, HOUR };
        size_t changes = 0;
        char id[16];

        for (int i = 0; i < 105; i++) {
                char expression[32];

                snprintf(id, sizeof id, "a%03d", i);
                snprintf(expression, sizeof expression, "*:%d/15:%d", i % 15, i % 60);
                hold_recurring(&calendar, id, expression, 5 * MINUTE, &now);
        }
        run_until(&calendar, &now, now.utc_usec + DAY, &changes);
        cr_expect_geq(changes, 2 * 10000, "%zu", changes);
        for (size_t i = 0; i < calendar.n; i++)
                cr_expect_eq(calendar_state_at(&calendar, calendar.allocations[i], &now),
                                calendar.allocations[i]->state);
        calendar_deinit(&calendar);
}

/* --- the clock is set --- */

static AllocationState expected(const Allocation *a, uint64_t at) {
        if (!a->recurrence)
                return at < a->start_usec ? ALLOCATION_PENDING
                       : at < a->end_usec ? ALLOCATION_ACTIVE
                                          : ALLOCATION_ENDED;
        return at % HOUR < a->duration_usec ? ALLOCATION_ACTIVE : ALLOCATION_PENDING; /* all are hourly */
}

static void expect_all(const Calendar *calendar, const Instant *now, const char *what) {
        for (size_t i = 0; i < calendar->n; i++) {
                const Allocation *a = calendar->allocations[i];

                cr_assert_eq(a->state, expected(a, now->utc_usec), "%s: %s is %s", what, a->id,
                                allocation_state_to_string(a->state));
        }
}

/* What is active is a function of the instant, however one came there. */
Test(calendar_time, states_follow_wherever_the_clock_is_set) {
        static const int64_t steps[] = { SECOND, -(int64_t) SECOND, YEAR, -(int64_t) YEAR, HOUR,
                -(int64_t) HOUR };
        Calendar calendar = { .default_uplink = "eth0", .horizon_usec = 2 * DAY };
        Instant now = { utc("2026-11-26T12:00:00Z"), HOUR };
        unsigned seed = 31;
        char id[16];

        for (int i = 0; i < 100; i++) {
                uint64_t start = now.utc_usec - DAY + (uint64_t) rand_r(&seed) % 96 * 30 * MINUTE;

                snprintf(id, sizeof id, "a%03d", i);
                made_hold(&calendar, &(Made){ id, "t", start,
                                                     start + (1 + (uint64_t) rand_r(&seed) % 9) * 15 * MINUTE,
                                                     .cpu = 10 });
        }
        for (int i = 0; i < 20; i++) {
                snprintf(id, sizeof id, "r%03d", i);
                hold_recurring(&calendar, id, "hourly", (1 + (uint64_t) rand_r(&seed) % 50) * MINUTE, &now);
        }
        for (int i = 0; i < 400; i++) {
                char what[64];

                if (rand_r(&seed) % 3 == 0) { /* the clock is set */
                        int64_t step = steps[(size_t) rand_r(&seed) % ELEMENTSOF(steps)];

                        now.utc_usec = (uint64_t) ((int64_t) now.utc_usec + step);
                        snprintf(what, sizeof what, "round %d, set by %" PRId64 " s", i,
                                        step / (int64_t) SECOND);
                        made_advance(&calendar, &now, true, NULL);
                } else { /* time goes by; a long while is a sleep */
                        uint64_t by = (uint64_t) rand_r(&seed) % (rand_r(&seed) % 2 ? 90 * MINUTE : SECOND);

                        now.utc_usec += by;
                        now.boottime_usec += by;
                        snprintf(what, sizeof what, "round %d, %" PRIu64 " s later", i,
                                        (uint64_t) (by / SECOND));
                        made_advance(&calendar, &now, false, NULL);
                }
                expect_all(&calendar, &now, what);
        }
        calendar_deinit(&calendar);
}

/* --- leases and warnings --- */

static Allocation *hold_leased(Calendar *calendar, OnLeaseExpiry on_expiry) {
        Allocation *a = made_hold(calendar, &(Made){ "a", "t", 100, 100000, .cpu = 10 });

        a->lease_usec = 500;
        a->on_lease_expiry = on_expiry;
        allocation_renew(a, 100, 1000, 500);
        calendar_look_again(calendar, a);
        return a;
}

Test(calendar_time, a_lease_runs_on_boot_time_and_is_held) {
        Calendar calendar = { .default_uplink = "eth0" };
        Allocation *a = hold_leased(&calendar, ON_LEASE_EXPIRY_HOLD);

        made_advance(&calendar, &(Instant){ 200, 1100 }, false, NULL);
        cr_expect_eq(a->state, ALLOCATION_ACTIVE);
        cr_expect_eq(calendar_next_change(&calendar, &(Instant){ 200, 1100 }), 600,
                        "400 of the lease are left");
        made_advance(&calendar, &(Instant){ 90000, 1499 }, true, NULL);
        cr_expect_eq(a->state, ALLOCATION_ACTIVE, "whatever UTC says");
        made_advance(&calendar, &(Instant){ 90000, 1500 }, false, NULL);
        cr_expect_eq(a->state, ALLOCATION_HELD);
        allocation_renew(a, 90000, 1600, 500);
        calendar_look_again(&calendar, a);
        made_advance(&calendar, &(Instant){ 90000, 1600 }, false, NULL);
        cr_expect_eq(a->state, ALLOCATION_ACTIVE);
        cr_expect_eq(a->lease_expiry_usec, 90500);
        allocation_renew(a, 90000, 1600, 100);
        cr_expect_eq(a->lease_expiry_usec, 90500, "a renewal never shortens");
        made_advance(&calendar, &(Instant){ 99999, 2100 }, false, NULL);
        cr_expect_eq(a->state, ALLOCATION_HELD);
        made_advance(&calendar, &(Instant){ 100000, 2101 }, false, NULL);
        cr_expect_eq(a->state, ALLOCATION_ENDED, "what is held ends with its window");
        calendar_deinit(&calendar);
}

/* After a reboot with a clock that is years behind; one that is renewed meanwhile is certain, and stays. */
Test(calendar_time, a_lease_by_a_clock_that_is_wrong_is_reckoned_again) {
        Calendar calendar = { .default_uplink = "eth0" };
        Allocation *a = hold_leased(&calendar, ON_LEASE_EXPIRY_HOLD);

        allocation_reckon_lease(a, 10, 5, /* trusted= */ false);
        cr_expect_eq(a->lease_expiry_boottime_usec, 595);
        cr_expect(a->lease_by_utc);
        allocation_reckon_lease(a, 400, 7, /* trusted= */ true);
        cr_expect_eq(a->lease_expiry_boottime_usec, 207, "200 of it are left");
        cr_expect_not(a->lease_by_utc);
        allocation_reckon_lease(a, 10, 5, /* trusted= */ false);
        allocation_renew(a, 12, 7, 300);
        cr_expect_eq(a->lease_expiry_boottime_usec, 307);
        cr_expect_not(a->lease_by_utc);
        calendar_deinit(&calendar);
}

Test(calendar_time, a_lease_releases_unless_the_clock_is_doubted) {
        Calendar calendar = { .default_uplink = "eth0", .irrevocable_waits = true };
        Allocation *a = hold_leased(&calendar, ON_LEASE_EXPIRY_RELEASE);

        made_advance(&calendar, &(Instant){ 200, 1600 }, false, NULL);
        cr_expect_eq(a->state, ALLOCATION_HELD, "it waits, and says so");
        calendar.irrevocable_waits = false;
        made_advance(&calendar, &(Instant){ 300, 1700 }, true, NULL);
        cr_expect_eq(a->state, ALLOCATION_RELEASED);
        made_advance(&calendar, &(Instant){ 150, 1800 }, true, NULL);
        cr_expect_eq(a->state, ALLOCATION_RELEASED);
        calendar_deinit(&calendar);
}

Test(calendar_time, a_drained_node_opens_no_window) {
        Calendar calendar = { .default_uplink = "eth0", .draining = true };
        Allocation *a = made_hold(&calendar, &(Made){ "a", "t", 100, 1000, .cpu = 10 });
        Allocation *b = made_hold(&calendar, &(Made){ "b", "t", 100, 300, .cpu = 10 });
        Allocation *runs = made_hold(&calendar, &(Made){ "c", "t", 10, 300, .cpu = 10 });

        runs->state = ALLOCATION_ACTIVE;
        made_advance(&calendar, &(Instant){ 200, 1 }, false, NULL);
        cr_expect_eq(a->state, ALLOCATION_PENDING);
        cr_expect_eq(runs->state, ALLOCATION_ACTIVE, "what runs goes on");
        made_advance(&calendar, &(Instant){ 400, 1 }, false, NULL);
        cr_expect_eq(runs->state, ALLOCATION_ENDED);
        cr_expect_eq(b->state, ALLOCATION_ENDED, "its window passed");
        calendar.draining = false;
        made_advance(&calendar, &(Instant){ 500, 1 }, true, NULL);
        cr_expect_eq(a->state, ALLOCATION_ACTIVE, "what is left of its window is its own");
        calendar_deinit(&calendar);
}

typedef struct Warned {
        Calendar *calendar;
        int times;
        uint64_t left_usec;
        int moves;
} Warned;

static void enter(Allocation *allocation, AllocationState state, const Instant *now, void *userdata) {
        cr_assert_eq(calendar_set_state(((Warned *) userdata)->calendar, allocation, state, now), 0);
}

static void warn(Allocation *allocation, uint64_t left_usec, void *userdata) {
        Warned *warned = userdata;

        warned->times++;
        warned->left_usec = left_usec;
}

static void move(Allocation *allocation, void *userdata) {
        ((Warned *) userdata)->moves++;
}

/* Windows that meet are one, whose end goes on as time does; a state that changes says itself where the
 * window is. */
Test(calendar_time, who_goes_by_a_window_is_told_that_it_moved) {
        Calendar calendar = { .default_uplink = "eth0", .horizon_usec = 7 * DAY };
        Instant now = { utc("2026-11-26T12:00:00Z"), HOUR };
        Allocation *a = hold_recurring(&calendar, "a", "daily", DAY, &now);
        const struct {
                int64_t hours;
                int moves;
        } looks[] = { { 0, 0 }, { 1, 0 }, { 24, 1 }, { 25, 1 }, { 49, 2 } };
        Warned told = { .calendar = &calendar };

        for (size_t i = 0; i < ELEMENTSOF(looks); i++) {
                Instant at = { now.utc_usec + (uint64_t) looks[i].hours * HOUR, now.boottime_usec + i };

                cr_assert_eq(calendar_advance(&calendar, &at, true, &(CalendarSteps){ enter, warn, move },
                                             &told),
                                0);
                cr_expect_eq(told.moves, looks[i].moves, "%" PRId64 " h: %d moves", looks[i].hours,
                                told.moves);
                cr_expect_geq(a->window.end_usec, at.utc_usec + 6 * DAY);
                cr_expect_eq(a->state, ALLOCATION_ACTIVE);
        }
        calendar_deinit(&calendar);
}

Test(calendar_time, an_end_is_warned_of_once) {
        Calendar calendar = { .default_uplink = "eth0" };
        Allocation *a = made_hold(&calendar, &(Made){ "a", "t", 100, 1000, .cpu = 10 });
        Warned warned = { .calendar = &calendar };
        const uint64_t looks[] = { 150, 699, 700, 701, 900, 1000 };

        a->warn_usec = 300;
        calendar_look_again(&calendar, a);
        for (size_t i = 0; i < ELEMENTSOF(looks); i++) {
                cr_assert_eq(calendar_advance(&calendar, &(Instant){ looks[i], 1 }, false,
                                             &(CalendarSteps){ enter, warn }, &warned),
                                0);
                cr_expect_eq(warned.times, looks[i] >= 700, "at %" PRIu64, looks[i]);
                if (looks[i] == 150)
                        cr_expect_eq(calendar_next_change(&calendar, &(Instant){ 150, 1 }), 700);
        }
        cr_expect_eq(warned.left_usec, 300);
        calendar_deinit(&calendar);
}
