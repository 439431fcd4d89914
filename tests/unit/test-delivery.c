/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Each figure of headgate-metering(7), case by case: intervals of one second. */

#include "model/delivery.h"

#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <inttypes.h>

#define SECOND 1000000000ULL
#define MSEC 1000000ULL

/* What is reserved, and what the counters are at the end of the interval; at its beginning each is BASE. */
#define BASE 1000000000000ULL
#define ABSENT UINT64_MAX

typedef struct Case {
        const char *name;
        const char *reserved_name; /* "cpu" */
        uint64_t reserved;
        struct {
                Metric metric;
                uint64_t growth; /* of a gauge: its value */
        } usage[4];
        uint64_t expected[DELIVERY_FIGURE_MAX]; /* ABSENT: not told */
} Case;

#define CPU(time, wait)                       \
        {                                     \
                { METRIC_CPU_TIME, time }, {  \
                        METRIC_CPU_WAIT, wait \
                }                             \
        }
#define LIMITED(time, wait, throttled)                                  \
        {                                                               \
                { METRIC_CPU_TIME, time }, { METRIC_CPU_WAIT, wait }, { \
                        METRIC_CPU_THROTTLED, throttled                 \
                }                                                       \
        }
#define MEMORY(current, reclaimed, hits)                                                      \
        {                                                                                     \
                { METRIC_MEMORY_CURRENT, current }, { METRIC_MEMORY_RECLAIMED, reclaimed }, { \
                        METRIC_MEMORY_LIMIT_HITS, hits                                        \
                }                                                                             \
        }
#define IO(read, waited)                                                        \
        {                                                                       \
                { METRIC_IO_READ_BYTES, read }, { METRIC_IO_WRITE_BYTES, 0 }, { \
                        METRIC_IO_PRESSURE, waited                              \
                }                                                               \
        }
#define NET(bytes, drops)                                  \
        {                                                  \
                { METRIC_NET_EGRESS_WIRE_BYTES, bytes }, { \
                        METRIC_NET_EGRESS_DROPS, drops     \
                }                                          \
        }
#define NET_IN(bytes, drops)                                \
        {                                                   \
                { METRIC_NET_INGRESS_WIRE_BYTES, bytes }, { \
                        METRIC_NET_INGRESS_DROPS, drops     \
                }                                           \
        }

#define TOLD_CPU(wanted, denied, owed) \
        { SECOND, wanted, denied, owed, ABSENT, ABSENT, ABSENT, ABSENT }
#define TOLD_MEMORY(denied) \
        { SECOND, ABSENT, ABSENT, ABSENT, denied, ABSENT, ABSENT, ABSENT }
#define TOLD_IO(denied) \
        { SECOND, ABSENT, ABSENT, ABSENT, ABSENT, denied, ABSENT, ABSENT }
#define TOLD_NET(drops) \
        { SECOND, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, drops, ABSENT }
#define TOLD_NET_IN(drops) \
        { SECOND, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, drops }
#define TOLD_NOTHING \
        { SECOND, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT }

static const Case cases[] = {
        { "idle", "cpu", 500, CPU(0, 0), TOLD_CPU(0, 0, 0) },
        { "it has all that it wants", "cpu", 500, CPU(300 * MSEC, 0), TOLD_CPU(300 * MSEC, 0, 0) },
        { "it waits within its share", "cpu", 500, CPU(200 * MSEC, 100 * MSEC),
                        TOLD_CPU(300 * MSEC, 100 * MSEC, 100 * MSEC) },
        { "it waits for more than it reserved", "cpu", 500, CPU(400 * MSEC, 300 * MSEC),
                        TOLD_CPU(700 * MSEC, 300 * MSEC, 100 * MSEC) },
        { "it waits with all of its share used", "cpu", 500, CPU(500 * MSEC, 500 * MSEC),
                        TOLD_CPU(SECOND, 0, 0) },
        { "just below its share", "cpu", 500, CPU(500 * MSEC - 1, 500 * MSEC),
                        TOLD_CPU(SECOND - 1, 500 * MSEC, 1) },
        { "many tasks wait", "cpu", 2000, CPU(100 * MSEC, 7 * SECOND),
                        TOLD_CPU(SECOND, SECOND, 1900 * MSEC) },
        { "its limit holds it, and the interval ends in a period", "cpu", 500,
                        LIMITED(450 * MSEC, 550 * MSEC, 550 * MSEC), TOLD_CPU(SECOND, 0, 0) },
        { "its limit held it once, and others the rest of the time", "cpu", 500,
                        LIMITED(150 * MSEC, 850 * MSEC, 50 * MSEC),
                        TOLD_CPU(SECOND, 800 * MSEC, 300 * MSEC) },
        { "its limit held it for longer than it waited", "cpu", 500,
                        LIMITED(100 * MSEC, 50 * MSEC, 100 * MSEC), TOLD_CPU(150 * MSEC, 0, 0) },
        { "a limit far above its share held many at once, and others the rest of the time", "cpu", 1000,
                        LIMITED(400 * MSEC, 15600 * MSEC, 1200 * MSEC),
                        TOLD_CPU(SECOND, SECOND, 500 * MSEC) },
        { "its limit is of less than a core's hundredth, and its period the longer", "cpu", 2,
                        LIMITED(1 * MSEC, 1996 * MSEC, 998 * MSEC), TOLD_CPU(SECOND, 0, 0) },
        { "so is its limit, and others have the CPU", "cpu", 2, LIMITED(MSEC - 1, 999 * MSEC, 9 * MSEC),
                        TOLD_CPU(SECOND - 1, 990 * MSEC, 1) },
        { "nothing is reserved", "cpu", 0, CPU(0, SECOND), TOLD_NOTHING },
        { "waits are not counted here", "cpu", 500, { { METRIC_CPU_TIME, 100 * MSEC } }, TOLD_NOTHING },

        { "below its floor, and nothing taken", "memory", 4096, MEMORY(1024, 0, 0), TOLD_MEMORY(0) },
        { "below its floor under reclaim", "memory", 4096, MEMORY(1024, 512, 0), TOLD_MEMORY(SECOND) },
        { "at its floor under reclaim", "memory", 4096, MEMORY(4096, 512, 0), TOLD_MEMORY(0) },
        { "its limit is as high as its floor, and it reads files", "memory", 4096, MEMORY(4000, 1 << 20, 7),
                        TOLD_MEMORY(0) },
        { "limits are not counted here", "memory", 4096,
                        { { METRIC_MEMORY_CURRENT, 1024 }, { METRIC_MEMORY_RECLAIMED, 512 } }, TOLD_NOTHING },

        { "it waits for less than its floor", "io.read", 1 << 20, IO(1 << 19, 300 * MSEC),
                        TOLD_IO(300 * MSEC) },
        { "it waits with its floor moved", "io.read", 1 << 20, IO(1 << 20, 300 * MSEC), TOLD_IO(0) },
        { "it waits for its own limit, a slice of it short", "io.read", 1000000, IO(900000, SECOND),
                        TOLD_IO(0) },
        { "more than a slice short", "io.read", 1000000, IO(899999, SECOND), TOLD_IO(SECOND) },
        { "what it reserves is of the other direction", "io.write", 1 << 20, IO(1 << 30, 300 * MSEC),
                        TOLD_IO(300 * MSEC) },
        { "of one device", "io.read@8:0", 1 << 20, IO(0, 2 * SECOND), TOLD_IO(SECOND) },

        { "drops below its floor", "net.egress", 8000000, NET(949999, 3), TOLD_NET(3) },
        { "drops a burst below its floor", "net.egress@eth1", 8000000, NET(950000, 3), TOLD_NET(0) },
        { "drops of what came in below its floor", "net.ingress", 8000000, NET_IN(949999, 3),
                        TOLD_NET_IN(3) },
        { "drops a burst below its floor of what comes in", "net.ingress@eth1", 8000000, NET_IN(950000, 3),
                        TOLD_NET_IN(0) },
        { "drops below a floor of which a burst is some packets", "net.egress", 80000,
                        NET(10000 - 4 * 1514 - 1, 3), TOLD_NET(3) },
        { "drops some packets below it", "net.egress", 80000, NET(10000 - 4 * 1514, 3), TOLD_NET(0) },
        { "what it sent is no floor of what comes in", "net.ingress", 8000, NET(0, 3), TOLD_NOTHING },
};

static DeliveryReading read_at(uint64_t monotonic_nsec, const Case *c, bool end) {
        _cleanup_resource_set_ ResourceSet resources = RESOURCE_SET_NULL;
        char target[RESOURCE_TARGET_SIZE];
        DeliveryReading reading;
        ResourceKind kind;
        Sample usage = {};

        for (size_t i = 0; i < ELEMENTSOF(c->usage); i++) {
                Metric metric = c->usage[i].metric;

                /* An entry of zeroes is none, unless it is the first. */
                if (i > 0 && metric == 0)
                        break;
                sample_put(&usage, metric,
                                (metric_info(metric)->counter ? BASE : 0) + (end ? c->usage[i].growth : 0));
        }
        reading = delivery_read(monotonic_nsec, &usage);
        cr_assert_eq(resource_parse_name(c->reserved_name, &kind, target), 0);
        cr_assert_eq(resource_set_put(&resources, kind, target, (Amount){ c->reserved, UNLIMITED }), 0);
        delivery_promise(&reading, &resources);
        return reading;
}

static void add_interval(Delivery *sum, const DeliveryReading *before, DeliveryReading *after) {
        if (delivery_follow(before, after))
                delivery_add(sum, before, after);
}

Test(delivery, one_interval) {
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Case *c = &cases[i];
                DeliveryReading before = read_at(5 * SECOND, c, false), after = read_at(6 * SECOND, c, true);
                Delivery sum = {};

                add_interval(&sum, &before, &after);
                for (DeliveryFigure figure = 0; figure < DELIVERY_FIGURE_MAX; figure++) {
                        uint64_t value = sum.present & 1ULL << figure ? sum.value[figure] : ABSENT;

                        cr_expect_eq(value, c->expected[figure], "%s: %s is %" PRIu64 ", expected %" PRIu64,
                                        c->name, delivery_figure_info(figure)->name, value,
                                        c->expected[figure]);
                }
        }
}

/* A class that is held to its floor by frames of 100 bytes, of which the link takes 24 more each. */
Test(delivery, what_the_link_takes_beside_the_frames) {
        static const Case held = { "", "net.egress", 8000000, NET(806451, 3), {} };
        DeliveryReading before = read_at(5 * SECOND, &held, false), after = read_at(6 * SECOND, &held, true);
        Delivery sum = {};

        delivery_add_overhead(&before, 24 * 1000000ULL);
        delivery_add_overhead(&after, 24 * (1000000ULL + 8064));
        add_interval(&sum, &before, &after);
        cr_expect_eq(sum.value[DELIVERY_NET_EGRESS_DROPS], 0);
        delivery_add_overhead(&before, 24 * 1000000ULL);
        delivery_add_overhead(&after, 24 * (1000000ULL - 8064));
        add_interval(&sum, &before, &after);
        cr_expect_eq(sum.value[DELIVERY_NET_EGRESS_DROPS], 3);
}

Test(delivery, what_does_not_count) {
        static const Case promised = { "", "cpu", 500, CPU(0, 100 * MSEC), {} };
        static const Case more = { "", "cpu", 600, CPU(0, 100 * MSEC), {} };
        struct {
                const char *name;
                DeliveryReading before, after;
        } none[] = {
                { "there is no reading before", {}, read_at(6 * SECOND, &promised, true) },
                { "no time has passed", read_at(6 * SECOND, &promised, false),
                                read_at(6 * SECOND, &promised, true) },
                { "another promise", read_at(5 * SECOND, &promised, false),
                                read_at(6 * SECOND, &more, true) },
                { "a counter that went back", read_at(5 * SECOND, &promised, true),
                                read_at(6 * SECOND, &promised, false) },
        };

        for (size_t i = 0; i < ELEMENTSOF(none); i++) {
                Delivery sum = {};

                add_interval(&sum, &none[i].before, &none[i].after);
                cr_expect_eq(sum.present, 0, "%s", none[i].name);
                cr_expect_eq(sum.value[DELIVERY_OBSERVED], 0, "%s", none[i].name);
        }
}

Test(delivery, intervals_add_up) {
        static const Case c = { "", "cpu", 500, CPU(200 * MSEC, 100 * MSEC), {} };
        Delivery sum = {};

        for (size_t i = 0; i < 3; i++) {
                DeliveryReading before = read_at((5 + i) * SECOND, &c, false),
                                after = read_at((6 + i) * SECOND, &c, true);

                add_interval(&sum, &before, &after);
        }
        cr_expect_eq(sum.value[DELIVERY_OBSERVED], 3 * SECOND);
        cr_expect_eq(sum.value[DELIVERY_CPU_DENIED], 300 * MSEC);
        cr_expect_eq(sum.value[DELIVERY_CPU_OWED], 300 * MSEC);
}

#define LONG_WAIT_INTERVALS 5

/* A wait is counted when it ends; while it lasts the kernel says that somebody waits. */
static const struct {
        const char *name;
        bool out_of_step;
        uint64_t pressure[LONG_WAIT_INTERVALS], waited[LONG_WAIT_INTERVALS]; /* ms, of each interval */
        uint64_t denied[LONG_WAIT_INTERVALS]; /* and what is to be told of it */
        size_t promise_changes;               /* in the interval of this number, from 1 */
} long_waits[] = {
        { "none", false, { 0 }, { 0 }, { 0 } },
        { "short ones", false, { 400, 400, 0, 0, 0 }, { 400, 400, 0, 0, 0 }, { 400, 400, 0, 0, 0 } },
        { "one of three seconds", false, { 0, 500, 1000, 1000, 500 }, { 0, 0, 0, 0, 3000 },
                        { 0, 500, 1000, 1000, 500 } },
        { "one that ends as an interval begins", false, { 1000, 1000, 10, 0, 0 }, { 0, 0, 2010, 0, 0 },
                        { 1000, 1000, 10, 0, 0 } },
        { "the next one follows at once", false, { 1000, 1000, 1000, 1000, 1000 }, { 0, 1900, 0, 1900, 900 },
                        { 1000, 1000, 1000, 1000, 1000 } },
        { "of one task among some that run", false, { 500, 500, 500, 0, 0 }, { 1000, 1000, 1000, 0, 0 },
                        { 1000, 1000, 1000, 0, 0 } },
        { "of three tasks", false, { 1000, 1000, 0, 0, 0 }, { 0, 6000, 0, 100, 0 },
                        { 1000, 1000, 0, 100, 0 } },
        { "nobody waits any more", false, { 300, 0, 0, 0, 0 }, { 0, 0, 0, 200, 0 }, { 300, 0, 0, 200, 0 } },
        { "files are read in turns", true, { 0, 0, 3000, 0, 0 }, { 100, 100, 100, 100, 100 },
                        { 100, 100, 100, 100, 100 } },
        { "one that lasts while the promise changes", false, { 1000, 1000, 1000, 10, 0 },
                        { 0, 0, 0, 3010, 0 }, { 1000, 0, 1000, 10, 0 }, 2 },
};

Test(delivery, waits_longer_than_an_interval) {
        for (size_t i = 0; i < ELEMENTSOF(long_waits); i++) {
                static const Case idle = { "", "cpu", 500, CPU(0, 0), {} };
                DeliveryReading before = read_at(SECOND, &idle, false);

                before.in_step = !long_waits[i].out_of_step;
                before.present |= 1U << DELIVERY_INPUT_CPU_PRESSURE;
                for (size_t k = 0; k < LONG_WAIT_INTERVALS; k++) {
                        DeliveryReading after = before;
                        Delivery sum = {};

                        after.monotonic_nsec += SECOND;
                        if (k + 1 == long_waits[i].promise_changes)
                                after.floor[DELIVERY_FLOOR_CPU] += 100;
                        after.value[DELIVERY_INPUT_CPU_PRESSURE] += long_waits[i].pressure[k] * MSEC;
                        after.value[DELIVERY_INPUT_CPU_WAIT] += long_waits[i].waited[k] * MSEC;
                        add_interval(&sum, &before, &after);
                        cr_expect_eq(sum.value[DELIVERY_CPU_DENIED], long_waits[i].denied[k] * MSEC,
                                        "%s, interval %zu: %" PRIu64 " ms", long_waits[i].name, k,
                                        (uint64_t) (sum.value[DELIVERY_CPU_DENIED] / MSEC));
                        cr_expect_eq(sum.value[DELIVERY_CPU_WANTED], sum.value[DELIVERY_CPU_DENIED], "%s",
                                        long_waits[i].name);
                        before = after;
                }
        }
}

#define LIMITED_INTERVALS 6

/* What the tenant's own limit has reclaimed can be read later than that it was hit. */
static const struct {
        const char *name;
        bool out_of_step;
        uint64_t hits[LIMITED_INTERVALS], reclaimed[LIMITED_INTERVALS]; /* in each interval */
        bool denied[LIMITED_INTERVALS];
} limited[] = {
        { "by others", false, { 0 }, { 1, 1, 0, 1, 0, 0 }, { 1, 1, 0, 1, 0, 0 } },
        { "by its limit", false, { 5, 5, 5, 5, 5, 5 }, { 9, 9, 9, 9, 9, 9 }, { 0 } },
        { "by its limit, which has not found anything before the interval ends", false, { 1, 0, 0, 0, 0, 0 },
                        { 0, 9, 0, 0, 0, 0 }, { 0 } },
        { "by its limit, and later by others", false, { 1, 0, 0, 0, 0, 0 }, { 9, 0, 9, 0, 0, 0 },
                        { 0, 0, 1, 0, 0, 0 } },
        { "its limit found nothing, and later others did", false, { 1, 0, 0, 0, 0, 0 }, { 0, 0, 0, 9, 0, 0 },
                        { 0, 0, 0, 1, 0, 0 } },
        { "read in turns", true, { 0, 1, 0, 0, 0, 0 }, { 0, 0, 0, 9, 0, 9 }, { 0, 0, 0, 0, 0, 1 } },
        { "read in turns, and hit between two readings of one sample", true, { 0, 1, 0, 0, 0, 0 },
                        { 0, 9, 0, 0, 9, 0 }, { 0 } },
};

Test(delivery, reclaimed_by_its_own_limit) {
        for (size_t i = 0; i < ELEMENTSOF(limited); i++) {
                static const Case below = { "", "memory", 4096, MEMORY(1024, 0, 0), {} };
                DeliveryReading before = read_at(SECOND, &below, true);

                before.in_step = !limited[i].out_of_step;
                for (size_t k = 0; k < LIMITED_INTERVALS; k++) {
                        DeliveryReading after = before;
                        Delivery sum = {};

                        after.monotonic_nsec += SECOND;
                        after.value[DELIVERY_INPUT_MEMORY_LIMIT_HITS] += limited[i].hits[k];
                        after.value[DELIVERY_INPUT_MEMORY_RECLAIMED] += limited[i].reclaimed[k] * 4096;
                        add_interval(&sum, &before, &after);
                        cr_expect_eq(sum.value[DELIVERY_MEMORY_DENIED], limited[i].denied[k] ? SECOND : 0,
                                        "%s, interval %zu", limited[i].name, k);
                        before = after;
                }
        }
}

Test(delivery, allocations_add_up) {
        static const Case c = { "", "cpu", 500, CPU(200 * MSEC, 100 * MSEC), {} };
        DeliveryReading reading = read_at(SECOND, &c, false);
        Resource entries[] = {
                { .kind = RESOURCE_CPU, .amount = { 250, 300 } },
                { .kind = RESOURCE_NET_EGRESS, .target = "eth1", .amount = { 10, 20 } },
                { .kind = RESOURCE_NET_EGRESS, .target = "eth2", .amount = { 5, 20 } },
        };

        delivery_promise(&reading, &(ResourceSet){ entries, ELEMENTSOF(entries) });
        cr_expect_eq(reading.floor[DELIVERY_FLOOR_CPU], 750);
        cr_expect_eq(reading.floor[DELIVERY_FLOOR_NET_EGRESS], 15);
}
