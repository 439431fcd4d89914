/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the model does of an Apply, admission_check() and calendar_put() of one request, beside 100, 1,000 and
 * 10,000 held allocations: spread over a week, ten minutes to a day each, many at a time, of four resources.
 * Its peer asks the plain list: at the request's start and at each start within its window, the sum over all.
 * Then a request that fits nowhere in that week, so that its EarliestStart is sought through all of it; the
 * list is asked for each instant at which something ends. Both must answer the same, or the bench ends. Last,
 * how it grows: less than what is held.
 *
 * Usage: bench-calendar ROUNDS
 */

#include "bench.h"

#include "decide/admission.h"

#include <inttypes.h>
#include <string.h>

#define MINUTE_USEC (60 * 1000000ULL)
#define DAY_USEC (24 * 60 * MINUTE_USEC)
#define WEEK_USEC (7 * DAY_USEC)
#define EPOCH_USEC (20000 * DAY_USEC)
#define GOAL_MSEC 2
#define WARM_UP 10
#define SEARCHES_OF_LIST 5 /* a second each, where it is long */

static const struct {
        ResourceKind kind;
        const char *target;
        uint64_t reserved_max;
} resources[] = {
        { RESOURCE_CPU, "", 1000 },
        { RESOURCE_MEMORY, "", 1 << 30 },
        { RESOURCE_NET_EGRESS, "eth0", 100000000 },
        { RESOURCE_NET_EGRESS, "eth1", 100000000 },
};
enum { N_RESOURCES = ELEMENTSOF(resources) };

typedef struct Lease {
        uint64_t start_usec, end_usec, reserved[N_RESOURCES];
} Lease;

/* The same leases twice: as a calendar, and as a list. */
typedef struct Held {
        Calendar calendar;
        Capacity capacity;
        Lease *leases;
        uint64_t *ends; /* ascending */
        size_t n;
        uint64_t span_usec, total[N_RESOURCES];
        unsigned seed;
} Held;

static uint64_t draw(unsigned *seed, uint64_t below) {
        return ((uint64_t) rand_r(seed) << 31 | (uint64_t) rand_r(seed)) % below;
}

static Lease draw_lease(Held *held) {
        Lease lease = { .start_usec = EPOCH_USEC + draw(&held->seed, held->span_usec) };

        lease.end_usec = lease.start_usec + ((10 * MINUTE_USEC) << draw(&held->seed, 8)) +
                         draw(&held->seed, 10 * MINUTE_USEC);
        for (size_t i = 0; i < N_RESOURCES; i++)
                lease.reserved[i] = 1 + draw(&held->seed, resources[i].reserved_max);
        return lease;
}

static Allocation *allocation_of(const Lease *lease, size_t number) {
        Allocation *allocation;
        int r = allocation_new(&allocation);

        if (r < 0 || asprintf(&allocation->id, "bench-%zu", number) < 0 ||
                        asprintf(&allocation->tenant_id, "tenant-%zu", number % 100) < 0)
                bench_fail("out of memory");
        allocation->start_usec = lease->start_usec;
        allocation->end_usec = lease->end_usec;
        allocation->window =
                        (Window){ lease->start_usec, lease->end_usec }; /* as allocation_accept() gives it */
        for (size_t i = 0; i < N_RESOURCES; i++)
                bench_check(resource_set_put(&allocation->resources, resources[i].kind, resources[i].target,
                                            (Amount){ lease->reserved[i], UNLIMITED }),
                                NULL, "a resource");
        return allocation;
}

static void put(Held *held, Allocation *allocation) {
        Allocation *replaced;

        bench_check(calendar_put(&held->calendar, allocation, &replaced), NULL, "calendar_put");
        if (replaced)
                bench_fail("%s was there", replaced->id);
}

static int compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return (x > y) - (x < y);
}

/* Of each resource as much as they need, and what one more may ask for. */
static Held hold(size_t n, uint64_t span_usec) {
        Held held = { .n = n, .span_usec = span_usec, .seed = 7 };

        strcpy(held.calendar.default_uplink, "eth0");
        held.capacity.default_uplink = held.calendar.default_uplink;
        held.leases = bench_new(Lease, n);
        held.ends = bench_new(uint64_t, n);
        for (size_t i = 0; i < n; i++) {
                held.leases[i] = draw_lease(&held);
                held.ends[i] = held.leases[i].end_usec;
                put(&held, allocation_of(&held.leases[i], i));
        }
        qsort(held.ends, n, sizeof(*held.ends), compare);
        for (size_t i = 0; i < N_RESOURCES; i++) {
                const Timeline *timeline =
                                calendar_reserved(&held.calendar, resources[i].kind, resources[i].target);

                held.total[i] = timeline_peak(timeline, 0, UINT64_MAX) + resources[i].reserved_max;
                bench_check(resource_set_put(&held.capacity.total, resources[i].kind, resources[i].target,
                                            (Amount){ 0, held.total[i] }),
                                NULL, "the capacity");
        }
        return held;
}

static void held_deinit(Held *held) {
        calendar_deinit(&held->calendar);
        resource_set_deinit(&held->capacity.total);
        free(held->leases);
        free(held->ends);
}
#define _cleanup_held_ _cleanup_(held_deinit)

static bool list_fits_at(const Held *held, const Lease *request, uint64_t at_usec) {
        uint64_t sum[N_RESOURCES] = {};

        for (size_t i = 0; i < held->n; i++)
                if (held->leases[i].start_usec <= at_usec && at_usec < held->leases[i].end_usec)
                        for (size_t k = 0; k < N_RESOURCES; k++)
                                sum[k] += held->leases[i].reserved[k];
        for (size_t k = 0; k < N_RESOURCES; k++)
                if (sum[k] + request->reserved[k] > held->total[k])
                        return false;
        return true;
}

static bool list_fits(const Held *held, const Lease *request, uint64_t start_usec) {
        uint64_t end_usec = start_usec + (request->end_usec - request->start_usec);

        if (!list_fits_at(held, request, start_usec))
                return false;
        for (size_t i = 0; i < held->n; i++)
                if (held->leases[i].start_usec > start_usec && held->leases[i].start_usec < end_usec &&
                                !list_fits_at(held, request, held->leases[i].start_usec))
                        return false;
        return true;
}

static uint64_t list_earliest(const Held *held, const Lease *request) {
        if (list_fits(held, request, request->start_usec))
                return request->start_usec;
        for (size_t i = 0; i < held->n; i++)
                if (held->ends[i] > request->start_usec && list_fits(held, request, held->ends[i]))
                        return held->ends[i];
        return UINT64_MAX;
}

typedef struct Times {
        uint64_t *ours, *peer;
        size_t n_ours, n_peer;
} Times;

static void times_deinit(Times *times) {
        free(times->ours);
        free(times->peer);
}
#define _cleanup_times_ _cleanup_(times_deinit)

static Times times_new(size_t n) {
        return (Times){ bench_new(uint64_t, n), bench_new(uint64_t, n), 0, 0 };
}

/* Each request fits, is put, and taken out again. */
static void measure_apply(Held *held, size_t rounds, Times *times) {
        for (size_t round = 0; round < WARM_UP + rounds; round++) {
                Lease lease = draw_lease(held);
                Allocation *request = allocation_of(&lease, held->n + round);
                Verdict verdict;
                uint64_t begin, between, end;
                bool fits;
                int r;

                begin = bench_now_nsec();
                r = admission_check(
                                &held->calendar, &held->capacity, EPOCH_USEC, &request, 1, NULL, &verdict);
                if (r >= 0 && verdict.fits)
                        put(held, request);
                between = bench_now_nsec();
                fits = list_fits(held, &lease, lease.start_usec);
                end = bench_now_nsec();
                bench_check(r, NULL, "admission_check");
                if (!verdict.fits || !fits)
                        bench_fail("%s fits by the calendar: %d, by the list: %d", request->id, verdict.fits,
                                        fits);
                allocation_free(calendar_take(&held->calendar, request->id));
                verdict_deinit(&verdict);
                if (round >= WARM_UP) {
                        times->ours[times->n_ours++] = between - begin;
                        times->peer[times->n_peer++] = end - between;
                }
        }
}

/* All that there is of everything: not before the last has ended. */
static void measure_search(Held *held, size_t rounds, Times *times) {
        for (size_t round = 0; round < WARM_UP + rounds; round++) {
                Lease lease = { .start_usec = EPOCH_USEC, .end_usec = EPOCH_USEC + DAY_USEC };
                _cleanup_allocation_ Allocation *request = NULL;
                Verdict verdict;
                uint64_t begin, taken;
                int r;

                memcpy(lease.reserved, held->total, sizeof(lease.reserved));
                request = allocation_of(&lease, held->n + round);
                begin = bench_now_nsec();
                r = admission_check(
                                &held->calendar, &held->capacity, EPOCH_USEC, &request, 1, NULL, &verdict);
                taken = bench_now_nsec() - begin;
                bench_check(r, NULL, "admission_check");
                if (round >= WARM_UP)
                        times->ours[times->n_ours++] = taken;
                if (times->n_peer < SEARCHES_OF_LIST) {
                        uint64_t earliest;

                        begin = bench_now_nsec();
                        earliest = list_earliest(held, &lease);
                        times->peer[times->n_peer++] = bench_now_nsec() - begin;
                        if (verdict.earliest_usec != earliest || earliest != held->ends[held->n - 1])
                                bench_fail("%s fits at %" PRIu64 " by the calendar, at %" PRIu64
                                           " by the list",
                                                request->id, verdict.earliest_usec, earliest);
                }
                verdict_deinit(&verdict);
        }
}

static double p50_msec(uint64_t *nsec, size_t n) {
        return (double) bench_percentile(nsec, n, 50) / 1e6;
}

static void report(const char *what, size_t n, const char *peer_name, Times *times) {
        _cleanup_free_ char *name = NULL, *note = NULL;

        if (asprintf(&name, "calendar, %zu held, %s, p50", n, what) < 0 ||
                        asprintf(&note, "p99 %.3g ms; %zu rounds, the peer %zu",
                                        (double) bench_percentile(times->ours, times->n_ours, 99) / 1e6,
                                        times->n_ours, times->n_peer) < 0)
                bench_fail("out of memory");
        bench_report(&(BenchFigure){
                        .name = name,
                        .unit = "ms",
                        .ours = p50_msec(times->ours, times->n_ours),
                        .peer_name = peer_name,
                        .peer = p50_msec(times->peer, times->n_peer),
                        .goal = GOAL_MSEC,
                        .note = note,
        });
}

/* Ours alone, of `n` over `span_usec`. */
static double measure_alone(size_t n, uint64_t span_usec, size_t rounds) {
        _cleanup_held_ Held held = hold(n, span_usec);
        _cleanup_times_ Times times = times_new(rounds);

        measure_apply(&held, rounds, &times);
        return p50_msec(times.ours, times.n_ours);
}

static void report_growth(const char *name, double ours, const char *peer_name, double peer,
                double times_as_many, const char *note) {
        bench_report(&(BenchFigure){ name, "ms", ours, peer_name, peer, times_as_many, true, note });
}

int main(int argc, char **argv) {
        static const size_t counts[] = { 100, 1000, 10000 };
        size_t rounds = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
        double p50[ELEMENTSOF(counts)];

        if (rounds < 10)
                bench_fail("usage: bench-calendar ROUNDS, at least 10");
        for (size_t i = 0; i < ELEMENTSOF(counts); i++) {
                _cleanup_held_ Held held = hold(counts[i], WEEK_USEC);
                _cleanup_times_ Times apply = times_new(rounds), search = times_new(rounds);

                measure_apply(&held, rounds, &apply);
                report("Apply", counts[i], "the list, at each edge", &apply);
                measure_search(&held, rounds, &search);
                report("EarliestStart", counts[i], "the list, from each end", &search);
                p50[i] = p50_msec(apply.ours, apply.n_ours);
        }
        report_growth("calendar, from 100 to 10000 held, Apply, p50", p50[2], "100 held", p50[0], 100,
                        "as many more in its window too");
        report_growth("calendar, from 1000 in a week to 10000 in ten, Apply, p50",
                        measure_alone(10000, 10 * WEEK_USEC, rounds), "1000 held",
                        measure_alone(1000, WEEK_USEC, rounds), 10, "as many in its window");
        return EXIT_SUCCESS;
}
