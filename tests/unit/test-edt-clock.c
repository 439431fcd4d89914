/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The pacer's arithmetic in simulated time: what senders get of a link who offer more than it takes, or keep
 * a few packets under way. What departs is kept in steps of a millisecond, so that any window can be summed
 * up.
 */

#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/edt-pacer.h"

#include "bpf/edt-clock.h"

#define MBIT 125000ULL /* bytes a second */
#define STEP_NSEC 1000000ULL
#define STEPS 3000U
#define END_NSEC (STEPS * STEP_NSEC)
#define BEGIN_NSEC (1000 * EDT_NSEC) /* clocks do not begin at 0 */
#define SENDERS_MAX 256U
#define WINDOW_MAX 64U

typedef struct Sender {
        uint64_t floor, ceil; /* bytes a second */
        uint32_t level;
        uint32_t packet_bytes;
        uint64_t offered; /* bytes a second; 0: as many packets under way as `window` */
        uint32_t window;
        uint64_t from_nsec, until_nsec; /* 0: to the end */
        uint64_t asks_nsec;             /* of every other packet: to depart so much later than it comes */
        /* Of the simulation. */
        struct edt_class class;
        struct edt_state state;
        uint64_t next_nsec, underway[WINDOW_MAX];
        uint64_t sent, lost;
        uint64_t delay_max_nsec;
        uint64_t told, told_step; /* bytes that the class said it had sent, when that was last looked at */
        uint64_t departed[STEPS]; /* bytes, in each step */
} Sender;

static uint64_t departed(const Sender *sender, unsigned from, unsigned n) {
        uint64_t sum = 0;

        for (unsigned i = from; i < from + n; i++)
                sum += sender->departed[i];
        return sum;
}

static void begin(Sender *sender, uint64_t capacity) {
        uint64_t least = capacity / EDT_WEIGHT_PART;

        sender->class = (struct edt_class){ .floor_bytes = sender->floor,
                .ceil_bytes = sender->ceil,
                .weight_bytes = sender->floor > least ? sender->floor : least,
                .level = sender->level };
        sender->next_nsec = sender->from_nsec;
        if (sender->until_nsec == 0)
                sender->until_nsec = END_NSEC;
}

/* 7., once a step: what the class says it has sent is what has departed, up to a part of time early. */
static void check_told(Sender *sender, uint64_t now) {
        const unsigned step = (unsigned) (now / STEP_NSEC), early = (1U << EDT_PART_SHIFT) / STEP_NSEC + 2;
        __u64 waiting, packets;
        uint64_t told;

        if (step == sender->told_step || step + early > STEPS)
                return;
        sender->told_step = step;
        edt_waiting(&sender->state, BEGIN_NSEC + now, &waiting, &packets);
        told = sender->state.bytes - waiting;
        cr_assert_geq(told, sender->told, "at %u ms it fell", step);
        cr_assert(told >= departed(sender, 0, step) &&
                                        told <= departed(sender, 0,
                                                                step + early < STEPS ? step + early : STEPS),
                        "at %u ms it said %" PRIu64, step, told);
        cr_assert_eq(waiting, packets * sender->packet_bytes);
        sender->told = told;
}

/* One packet at `now`, and when the sender's next comes. */
static void send_one(struct edt_link *link, Sender *sender, uint64_t now) {
        const uint64_t clock = BEGIN_NSEC + now;
        struct edt_verdict verdict = edt_pass(&sender->class, &sender->state,
                        edt_rate(&sender->class, link->multiplier[sender->level]), link->clock, clock,
                        sender->packet_bytes, 1, 0,
                        sender->asks_nsec && sender->sent % 2 ? clock + sender->asks_nsec : 0);
        uint64_t departure;

        edt_charge(link, sender->level, clock, sender->packet_bytes, &verdict);
        if (!verdict.departure) {
                sender->lost++;
                /* TCP backs off a little; others go on. */
                sender->next_nsec = now + (sender->offered ? edt_time(sender->packet_bytes, sender->offered)
                                                           : 1000000);
                return;
        }
        departure = verdict.departure - BEGIN_NSEC;
        if (departure - now > sender->delay_max_nsec)
                sender->delay_max_nsec = departure - now;
        if (departure / STEP_NSEC < STEPS)
                sender->departed[departure / STEP_NSEC] += sender->packet_bytes;
        if (sender->offered)
                sender->next_nsec = now + edt_time(sender->packet_bytes, sender->offered);
        else {
                uint64_t oldest;

                sender->underway[sender->sent % sender->window] = departure;
                oldest = sender->underway[(sender->sent + 1) % sender->window];
                /* The next comes when the oldest has gone, and the sender has noticed. */
                sender->next_nsec = (oldest > now ? oldest : now) + 5000;
        }
        sender->sent++;
}

static void simulate(uint64_t capacity, uint64_t multiplier, Sender *senders, size_t n) {
        struct edt_link link = { .capacity_bytes = capacity,
                .epoch = BEGIN_NSEC,
                .multiplier = { EDT_MULTIPLIER_ONE, multiplier, multiplier } };

        for (size_t i = 0; i < n; i++)
                begin(&senders[i], capacity);
        for (;;) {
                Sender *first = NULL;

                for (size_t i = 0; i < n; i++)
                        if (senders[i].next_nsec < senders[i].until_nsec &&
                                        (!first || senders[i].next_nsec < first->next_nsec))
                                first = &senders[i];
                if (!first)
                        break;
                check_told(first, first->next_nsec);
                send_one(&link, first, first->next_nsec);
        }
}

/* More than `capacity` for `window` steps and the horizon, anywhere. */
static bool exceeds(const Sender *senders, size_t n, uint64_t rate, uint64_t slack_nsec, unsigned window) {
        for (unsigned i = 0; i + window <= STEPS; i += window / 4) {
                uint64_t sum = 0;

                for (size_t k = 0; k < n; k++)
                        sum += departed(&senders[k], i, window);
                if (sum > rate * (window * STEP_NSEC + slack_nsec) / EDT_NSEC + 2 * 65536)
                        return true;
        }
        return false;
}

static Sender *make(const Sender *template, size_t n) {
        Sender *senders = calloc(n, sizeof(Sender));

        cr_assert(senders);
        memcpy(senders, template, n * sizeof(Sender));
        return senders;
}

static void expect_rate(
                const char *name, const Sender *sender, unsigned from, uint64_t want, unsigned percent) {
        uint64_t have = departed(sender, from, 1000);

        cr_expect(have >= want * (100 - percent) / 100 && have <= want * (100 + percent) / 100,
                        "%s: %" PRIu64 " bytes/s, not %" PRIu64, name, have, want);
}

#define FLOOD(floor_mbit, ceil_mbit, bytes, offered_mbit)                                          \
        {                                                                                          \
                .floor = (floor_mbit) *MBIT, .ceil = (ceil_mbit) *MBIT, .level = EDT_LEVEL_TENANT, \
                .packet_bytes = (bytes), .offered = (offered_mbit) *MBIT                           \
        }
#define WINDOW(floor_mbit, ceil_mbit, bytes, n)                                                    \
        {                                                                                          \
                .floor = (floor_mbit) *MBIT, .ceil = (ceil_mbit) *MBIT, .level = EDT_LEVEL_TENANT, \
                .packet_bytes = (bytes), .window = (n)                                             \
        }

/* Two tenants with floors of 30 and 60 of 100 Mbit/s: the rest is shared in proportion. */
Test(edt_clock, floors_and_the_rest_in_proportion) {
        static const struct {
                const char *name;
                uint64_t unit; /* of 1/100 of the link */
                Sender senders[2];
        } cases[] = {
                { "floods", 1, { FLOOD(30, 100, 1514, 1000), FLOOD(60, 100, 1514, 1000) } },
                { "small packets", 1, { FLOOD(30, 100, 64, 300), FLOOD(60, 100, 1514, 1000) } },
                { "two windows", 1, { WINDOW(30, 100, 1514, 3), WINDOW(60, 100, 1514, 3) } },
                { "many flows against one", 1, { WINDOW(30, 100, 1514, 64), WINDOW(60, 100, 1514, 3) } },
                { "a flood against a window", 1, { FLOOD(30, 100, 1514, 1000), WINDOW(60, 100, 1514, 3) } },
                { "large packets of a fast link", 250,
                                { FLOOD(7500, 25000, 65226, 100000), WINDOW(15000, 25000, 65226, 4) } },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                Sender *senders = make(cases[i].senders, 2);
                uint64_t capacity = 100 * cases[i].unit * MBIT;

                simulate(capacity, EDT_MULTIPLIER_ONE, senders, 2);
                expect_rate(cases[i].name, &senders[0], 1000, capacity / 3, 4);
                expect_rate(cases[i].name, &senders[1], 1000, capacity / 3 * 2, 4);
                cr_expect_not(exceeds(senders, 2, capacity, EDT_HORIZON_NSEC, 100), "%s", cases[i].name);
                free(senders);
        }
}

Test(edt_clock, who_stops_leaves_all_to_the_other) {
        Sender *senders = make((Sender[]){ FLOOD(30, 100, 1514, 1000), WINDOW(60, 100, 1514, 3) }, 2);

        senders[0].until_nsec = EDT_NSEC;
        senders[1].from_nsec = EDT_NSEC / 2;
        simulate(100 * MBIT, EDT_MULTIPLIER_ONE, senders, 2);
        cr_expect_geq(departed(&senders[0], 100, 300), 100 * MBIT * 3 / 10 * 95 / 100);
        cr_expect_geq(departed(&senders[1], 600, 300), 60 * MBIT * 3 / 10 * 95 / 100);
        cr_expect_geq(departed(&senders[1], 1500, 1000), 100 * MBIT * 95 / 100);
        free(senders);
}

Test(edt_clock, a_ceiling_is_never_exceeded) {
        static const Sender cases[] = { FLOOD(0, 20, 1514, 1000), FLOOD(10, 20, 64, 300),
                FLOOD(1, 20, 65226, 1000), WINDOW(10, 20, 1514, 64), FLOOD(20, 20, 1514, 1000) };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                Sender *sender = make(&cases[i], 1);

                simulate(1000 * MBIT, EDT_MULTIPLIER_MAX, sender, 1);
                for (unsigned from = 0; from + 1000 <= STEPS; from += 50)
                        cr_expect_leq(departed(sender, from, 1000), 20 * MBIT * 102 / 100 + 65226, "case %zu",
                                        i);
                cr_expect_geq(departed(sender, 1000, 1000), 20 * MBIT * 96 / 100, "case %zu", i);
                free(sender);
        }
}

/* All that one has for nothing must be given back at once when others come, how many these may be; and the
 * control class waits for none of it. */
/* Said of each packet when it departs (check_told()); the others do not wait with those that asked. What asks
 * for too late asks for nothing. */
Test(edt_clock, what_asks_for_later_is_sent_later) {
        static const struct {
                uint64_t asks, delay;
        } cases[] = {
                { 0, 0 },
                { 40000000, 40000000 },
                { EDT_ASKED_NSEC, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Sender senders[] = { { .floor = 10 * MBIT,
                                .ceil = 100 * MBIT,
                                .level = EDT_LEVEL_TENANT,
                                .packet_bytes = 1500,
                                .offered = 5 * MBIT,
                                .asks_nsec = cases[i].asks } };

                simulate(100 * MBIT, EDT_MULTIPLIER_ONE, senders, ELEMENTSOF(senders));
                cr_expect_eq(senders[0].delay_max_nsec, cases[i].delay);
                cr_expect_eq(senders[0].lost, 0);
        }
}

Test(edt_clock, the_link_is_never_exceeded) {
        Sender *senders = calloc(201, sizeof(Sender));

        cr_assert(senders);
        for (unsigned i = 0; i < 200; i++) {
                senders[i] = (Sender) FLOOD(0, 1000, 1514, 1000);
                senders[i].floor = 1000 * MBIT / 250;
                senders[i].from_nsec = i * 1000;
                senders[i].until_nsec = EDT_NSEC / 4;
        }
        senders[200] = (Sender){ .floor = MBIT,
                .ceil = 100 * MBIT,
                .level = EDT_LEVEL_CONTROL,
                .packet_bytes = 200,
                .offered = 2 * MBIT,
                .until_nsec = EDT_NSEC / 4 };
        simulate(1000 * MBIT, EDT_MULTIPLIER_MAX, senders, 201);
        cr_expect_not(exceeds(senders, 201, 1000 * MBIT, EDT_HORIZON_NSEC, 100));
        cr_expect_not(exceeds(senders, 201, 1000 * MBIT, EDT_HORIZON_NSEC, 20));
        cr_expect(senders[200].lost == 0 && senders[200].delay_max_nsec <= 10000,
                        "control: %" PRIu64 " lost, %" PRIu64 " ns", senders[200].lost,
                        senders[200].delay_max_nsec);
        for (unsigned i = 0; i < 200; i++)
                cr_expect_geq(departed(&senders[i], 100, 100), senders[i].floor / 10 * 95 / 100, "%u", i);
        free(senders);
}

Test(edt_clock, the_control_class_does_not_wait) {
        Sender *senders = make((Sender[]){ FLOOD(30, 100, 1514, 1000), FLOOD(60, 100, 1514, 1000),
                                               { .floor = MBIT,
                                                               .ceil = 10 * MBIT,
                                                               .level = EDT_LEVEL_CONTROL,
                                                               .packet_bytes = 200,
                                                               .offered = MBIT } },
                        3);

        simulate(100 * MBIT, EDT_MULTIPLIER_MAX, senders, 3);
        cr_expect_eq(senders[2].lost, 0);
        cr_expect_leq(senders[2].delay_max_nsec, 100000);
        cr_expect_not(exceeds(senders, 3, 100 * MBIT, EDT_HORIZON_NSEC, 100));
        free(senders);

        /* And is held to its ceiling. */
        senders = make((Sender[]){ { .floor = MBIT,
                                       .ceil = 10 * MBIT,
                                       .level = EDT_LEVEL_CONTROL,
                                       .packet_bytes = 1514,
                                       .offered = 1000 * MBIT } },
                        1);
        simulate(100 * MBIT, EDT_MULTIPLIER_ONE, senders, 1);
        expect_rate("control", senders, 1000, 10 * MBIT, 2);
        free(senders);
}

Test(edt_clock, best_effort_takes_what_is_left) {
        Sender *senders = make((Sender[]){ FLOOD(0, 100, 1514, 1000), FLOOD(30, 40, 1514, 1000) }, 2);

        senders[0].level = EDT_LEVEL_BEST_EFFORT;
        simulate(100 * MBIT, EDT_MULTIPLIER_ONE, senders, 2);
        expect_rate("tenant", &senders[1], 1000, 40 * MBIT, 4);
        expect_rate("best effort", &senders[0], 1000, 60 * MBIT, 6);
        free(senders);

        /* Of a full link, nearly nothing; and all of it as soon as it is free. */
        senders = make((Sender[]){ FLOOD(0, 100, 1514, 1000), FLOOD(30, 100, 1514, 1000) }, 2);
        senders[0].level = EDT_LEVEL_BEST_EFFORT;
        senders[1].until_nsec = 3 * EDT_NSEC / 2;
        simulate(100 * MBIT, EDT_MULTIPLIER_ONE, senders, 2);
        cr_expect_leq(departed(&senders[0], 500, 1000), 3 * MBIT);
        cr_expect_geq(departed(&senders[0], 2000, 1000), 95 * MBIT);
        free(senders);
}
