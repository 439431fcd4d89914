/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What three tenants get of a loaded link, out and in: floors, the rest in proportion, all of it to the
 * others within a second when one stops, and a ceiling over any second. Over TCP and UDP, one flow and 64,
 * IPv4 and IPv6; from this machine's kernel, both ways at once in namespaces of their own. A machine that
 * stands still for some milliseconds spoils a measure, which is taken anew, and no promise. But that a
 * ceiling is never exceeded is so in each of them: no late timer and no late reading makes it more.
 *
 * And that what drops a tenant's flood before its queue spares its other flows.
 */

#include "shaped.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define ATTEMPTS 10U

/* What each offers, of UDP: more than it will ever get. */
static const uint64_t offered[TENANTS] = { 120 * MBPS, 90 * MBPS, 80 * MBPS };

typedef struct Case {
        const char *name;
        LoadKind kind;
        unsigned flows;
} Case;

static const Case cases[] = {
        { "UDP over IPv4, 1 flow", LOAD_UDP4, 1 },
        { "UDP over IPv4, 64 flows", LOAD_UDP4, 64 },
        { "UDP over IPv6, 1 flow", LOAD_UDP6, 1 },
        { "UDP over IPv6, 64 flows", LOAD_UDP6, 64 },
        { "TCP over IPv4, 1 flow", LOAD_TCP4, 1 },
        { "TCP over IPv4, 64 flows", LOAD_TCP4, 64 },
        { "TCP over IPv6, 1 flow", LOAD_TCP6, 1 },
        { "TCP over IPv6, 64 flows", LOAD_TCP6, 64 },
};

static bool is_ipv6(const Case *c) {
        return c->kind == LOAD_UDP6 || c->kind == LOAD_TCP6;
}

static bool is_datagrams(const Case *c) {
        return c->kind == LOAD_UDP4 || c->kind == LOAD_UDP6;
}

/* Both ways, with what was read of each. */
typedef struct Ways {
        Shaped *shaped[WAY_MAX];
        Readings readings[WAY_MAX];
} Ways;

/* When what happened, by the clock of the readings. */
typedef struct Phases {
        uint64_t begin;
        uint64_t stopped; /* the second */
        uint64_t gone;    /* is what it had sent */
        uint64_t alone;   /* the third is, and nothing of the others is left */
        uint64_t end;
} Phases;

static void read_ways(Ways *ways) {
        for (Way way = 0; way < WAY_MAX; way++)
                shaped_read(ways->shaped[way], &ways->readings[way]);
}

/* What is measured is what happens in a given time. */
static void read_until(Ways *ways, uint64_t usec) {
        const struct timespec step = { .tv_nsec = 4000000 };

        while (now_usec() < usec) {
                read_ways(ways);
                nanosleep(&step, NULL);
        }
        read_ways(ways);
}

static bool is_waiting(const Ways *ways, size_t tenant) {
        bool waiting = false;

        for (Way way = 0; way < WAY_MAX; way++)
                waiting = waiting || ways->readings[way].at[ways->readings[way].n - 1].waiting[tenant];
        return waiting;
}

/* Until what the tenant had sent before it stopped has gone; read all along. */
static void read_until_empty(Ways *ways, size_t tenant) {
        uint64_t end = now_usec() + 10 * USEC_PER_SEC;

        do
                read_until(ways, now_usec() + 1);
        while (is_waiting(ways, tenant) && now_usec() < end);
        cr_assert_not(is_waiting(ways, tenant), "what had stopped goes on");
}

static void stop(Load *loads[WAY_MAX][TENANTS], size_t tenant) {
        for (Way way = 0; way < WAY_MAX; way++)
                loads[way][tenant] = load_free(loads[way][tenant]);
}

static void measure(Ways *ways, const Case *c, Phases *ret) {
        Load *loads[WAY_MAX][TENANTS];

        for (Way way = 0; way < WAY_MAX; way++) {
                ways->readings[way].n = 0;
                for (size_t i = 0; i < TENANTS; i++)
                        loads[way][i] = shaped_load(ways->shaped[way], i, c->kind, c->flows, offered[i]);
        }
        ret->begin = now_usec();
        read_until(ways, ret->begin + 1300000);
        ret->stopped = now_usec();
        stop(loads, SECOND);
        read_until_empty(ways, SECOND);
        ret->gone = now_usec();
        read_until(ways, ret->gone + 1000000);
        stop(loads, FIRST);
        read_until_empty(ways, FIRST);
        ret->alone = now_usec();
        read_until(ways, ret->alone + 1050000);
        ret->end = now_usec();
        stop(loads, THIRD);
        read_until_empty(ways, THIRD);
}

typedef struct Rates {
        double mbps[TENANTS];
        unsigned loaded; /* percent of the time */
} Rates;

#define ONE(tenant) (1U << (tenant))
#define ALL (ONE(FIRST) | ONE(SECOND) | ONE(THIRD))

/*
 * From one instant to another; of datagrams over the time in which each of `senders` had some to send: on a
 * busy machine a sender may be kept from sending for longer than its queue lasts. (TCP sends by itself, and a
 * flow of it may have but one large packet, which leaves an empty queue.)
 */
static Rates rates_of(const Case *c, const Readings *readings, unsigned senders, uint64_t from_usec,
                uint64_t to_usec) {
        size_t from = readings_at(readings, from_usec), to = readings_at(readings, to_usec);
        uint64_t usec = 0, bytes[TENANTS] = {};
        Rates rates = {};

        for (size_t i = from; i < to; i++) {
                const Reading *a = &readings->at[i], *b = a + 1;
                bool full = true;

                for (size_t k = 0; k < TENANTS && is_datagrams(c); k++)
                        full = full && (!(senders & ONE(k)) || (a->waiting[k] && b->waiting[k]));
                if (!full)
                        continue;
                usec += b->usec - a->usec;
                for (size_t k = 0; k < TENANTS; k++)
                        bytes[k] += b->bytes[k] - a->bytes[k];
        }
        for (size_t k = 0; k < TENANTS && usec > 0; k++)
                rates.mbps[k] = (double) bytes[k] * 8 / (double) usec;
        if (usec > 0)
                rates.loaded = (unsigned) (100 * usec / (readings->at[to].usec - readings->at[from].usec));
        return rates;
}

#define TAKING_USEC 100000U

/* How long after the second stopped the others had nearly all for a tenth of a second, that one counted: what
 * of it was in its queue goes in that time, too. */
static double seconds_to_take(const Case *c, const Readings *readings, const Phases *phases, double all) {
        for (uint64_t at = phases->stopped; at + TAKING_USEC <= phases->stopped + USEC_PER_SEC;
                        at += TAKING_USEC / 20) {
                Rates rates = rates_of(c, readings, ONE(FIRST) | ONE(THIRD), at, at + TAKING_USEC);

                if (rates.mbps[FIRST] + rates.mbps[THIRD] >= 0.9 * all)
                        return (double) (at + TAKING_USEC - phases->stopped) / USEC_PER_SEC;
        }
        return INFINITY;
}

#define JUDGE(truth, ...)                                            \
        do {                                                         \
                if (!(truth) && !words[0])                           \
                        snprintf(words, sizeof(words), __VA_ARGS__); \
        } while (0)

/* What is wrong with it; "" where nothing is. Good until the next call. */
static const char *judge(const Case *c, Way way, const Readings *readings, const Phases *phases) {
        static char words[256];
        const Rates full = rates_of(c, readings, ALL, phases->begin + 500000, phases->stopped),
                    fewer = rates_of(c, readings, ONE(FIRST) | ONE(THIRD), phases->gone + 500000,
                                    phases->gone + 900000),
                    alone = rates_of(c, readings, ONE(THIRD), phases->alone, phases->end);
        const double *rates = full.mbps, others = fewer.mbps[FIRST] + fewer.mbps[THIRD],
                     all = rates[FIRST] + rates[SECOND] + rates[THIRD],
                     took = seconds_to_take(c, readings, phases, all);

        words[0] = '\0';
        fprintf(stderr,
                        "%s, %s: %.2f, %.2f and %.2f of 100 Mbit/s; the second stops, is gone in %.2f s, in "
                        "%.2f the "
                        "others have it, and then %.2f; the third alone: %.2f; loaded for %u, %u and %u %% "
                        "of "
                        "the time; no reading for %" PRIu64 " ms at most\n",
                        way == WAY_OUT ? "out" : "in", c->name, rates[FIRST], rates[SECOND], rates[THIRD],
                        (double) (phases->gone - phases->stopped) / USEC_PER_SEC, took, others,
                        alone.mbps[THIRD], full.loaded, fewer.loaded, alone.loaded,
                        readings_longest_gap_usec(readings, phases->begin, phases->end) / 1000);
        JUDGE(full.loaded >= 30 && fewer.loaded >= 30 && alone.loaded >= 30,
                        "loaded for %u, %u and %u %% of the time", full.loaded, fewer.loaded, alone.loaded);
        JUDGE(rates[FIRST] >= 30, "floor 30 had %.2f", rates[FIRST]);
        JUDGE(rates[SECOND] >= 60, "floor 60 had %.2f", rates[SECOND]);
        JUDGE(rates[THIRD] >= 5, "floor 5 had %.2f", rates[THIRD]);
        JUDGE(rates[SECOND] >= 1.88 * rates[FIRST] && rates[SECOND] <= 2.12 * rates[FIRST],
                        "floors 30 and 60 shared as %.2f and %.2f", rates[FIRST], rates[SECOND]);
        JUDGE(all < 100 * 1.02, "%.2f in all", all);
        JUDGE(took < 1, "the others did not have it within a second");
        JUDGE(others >= 0.9 * all, "the others had %.2f of %.2f, half a second later", others, all);
        JUDGE(alone.mbps[THIRD] > 60 * 0.85, "ceiling 60 let but %.2f through", alone.mbps[THIRD]);
        return words;
}

static void expect_ceiling_held(const Case *c, Way way, const Readings *readings) {
        const double most = readings_most_in_a_second(readings, THIRD);

        fprintf(stderr, "%s, %s: the third had %.3f at most in a second\n", way == WAY_OUT ? "out" : "in",
                        c->name, most);
        cr_assert(most <= 60 * 1.02, "%s, %s: ceiling 60 let %.3f through in a second",
                        way == WAY_OUT ? "out" : "in", c->name, most);
}

static void deinit_ways(Ways **ways) {
        for (Way way = 0; way < WAY_MAX; way++)
                shaped_free((*ways)->shaped[way]);
        free(*ways);
}

Test(shares, floors_and_ceilings_hold, .init = host_init, .fini = host_deinit) {
        _cleanup_(deinit_ways) Ways *ways = calloc(1, sizeof(Ways));

        cr_assert_not_null(ways);
        (void) setpriority(PRIO_PROCESS, 0, -20); /* and the senders, which else starve beside others' work */
        for (Way way = 0; way < WAY_MAX; way++)
                ways->shaped[way] = shaped_new(way);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                bool good[WAY_MAX] = {};

                if (is_ipv6(&cases[i]) && !ways->shaped[WAY_OUT]->has_ipv6) {
                        fprintf(stderr, "%s: left out, this kernel has no IPv6\n", cases[i].name);
                        continue;
                }
                for (unsigned attempt = 1; !good[WAY_OUT] || !good[WAY_IN]; attempt++) {
                        Phases phases;

                        measure(ways, &cases[i], &phases);
                        for (Way way = 0; way < WAY_MAX; way++)
                                expect_ceiling_held(&cases[i], way, &ways->readings[way]);
                        for (Way way = 0; way < WAY_MAX; way++) {
                                const char *words = judge(&cases[i], way, &ways->readings[way], &phases);

                                good[way] = good[way] || !words[0];
                                if (words[0])
                                        fprintf(stderr, "attempt %u: %s\n", attempt, words);
                                cr_assert(good[way] || attempt < ATTEMPTS, "%s, %s: %s",
                                                way == WAY_OUT ? "out" : "in", cases[i].name, words);
                        }
                }
        }
}

#define LIGHT_PACKETS 500U
#define LIGHT_BPS (5 * MBPS)

/* Of the tenant's class, all that was sent and dropped up to now. */
static NetClassStats read_class(const Shaped *shaped, size_t tenant) {
        _cleanup_net_stats_ NetStats stats = {};

        cr_assert_eq(setns(shaped->pair.node, CLONE_NEWNET), 0);
        cr_assert_eq(uplink_read_stats(shaped->uplink, &stats), 0);
        return stats.classes[SLOT_FIRST + tenant];
}

/* It loses nothing before its queue. A queue that keeps flows apart takes nothing from it, either; a FIFO has
 * an eighth more to take than it sends, and drops of each flow: of this one four or less, as the flood comes
 * in bursts, each millisecond. A queue's length for the class as a whole would take 80, between the bursts.
 * The flood's flows are in some of the buckets that flows are told apart by: whose port brings it into one of
 * these tries another. So does who had no flood beside it, three times what is sent, on a busy machine. */
Test(shares, a_tenants_light_flow_beside_its_own_flood) {
        _cleanup_shaped_ Shaped *shaped = shaped_new(WAY_OUT);
        _cleanup_free_ char *queues = run("tc qdisc show dev " UPLINK);
        const size_t least = strstr(queues, "codel") ? LIGHT_PACKETS : LIGHT_PACKETS - LIGHT_PACKETS / 20;
        bool good = false;

        (void) setpriority(PRIO_PROCESS, 0, -20);
        for (uint16_t port = 6000; port < 6000 + ATTEMPTS && !good; port++) {
                Load *flood = shaped_load(shaped, FIRST, LOAD_UDP4, 8, 10 * shaped->link.capacity_bps);
                Probe *light = probe_new(
                                &shaped->pair, port, UPLINK_CLASSID(SLOT_FIRST + FIRST), PROBE_BYTES_MAX);
                const NetClassStats before = read_class(shaped, FIRST);
                size_t came = probe_stream(light, LIGHT_PACKETS, LIGHT_BPS);
                const NetClassStats after = read_class(shaped, FIRST);
                const uint64_t sent = after.packets - before.packets, dropped = after.drops - before.drops;

                probe_free(light);
                load_free(flood);
                fprintf(stderr, "of a light flow %zu of %u came, of its class %lu of %lu packets\n", came,
                                LIGHT_PACKETS, sent, sent + dropped);
                good = came >= least && dropped >= 2 * sent;
        }
        cr_expect(good);
}
