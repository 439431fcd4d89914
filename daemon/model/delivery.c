/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See delivery.h, and headgate-metering(7) for why each is what it is. */

#include "delivery.h"

#include <assert.h>
#include <string.h>

static const DeliveryFigureInfo figure_table[DELIVERY_FIGURE_MAX] = {
        [DELIVERY_OBSERVED] = { "observed", "headgate_delivered_observed_seconds", METRIC_UNIT_NSEC,
                        "Time over which delivery was measured." },
        [DELIVERY_CPU_WANTED] = { "cpu.wanted", "headgate_delivered_cpu_wanted_seconds", METRIC_UNIT_NSEC,
                        "Time in which tasks ran or waited for a CPU." },
        [DELIVERY_CPU_DENIED] = { "cpu.denied", "headgate_delivered_cpu_denied_seconds", METRIC_UNIT_NSEC,
                        "Time of waiting for a CPU while less was used than is reserved." },
        [DELIVERY_CPU_OWED] = { "cpu.owed", "headgate_delivered_cpu_owed_seconds", METRIC_UNIT_NSEC,
                        "CPU time that was waited for and would have been within what is reserved." },
        [DELIVERY_MEMORY_DENIED] = { "memory.denied", "headgate_delivered_memory_denied_seconds",
                        METRIC_UNIT_NSEC,
                        "Time in which memory was reclaimed though less was held than is reserved." },
        [DELIVERY_IO_DENIED] = { "io.denied", "headgate_delivered_io_denied_seconds", METRIC_UNIT_NSEC,
                        "Time of waiting for block devices while less was moved than is reserved." },
        [DELIVERY_NET_EGRESS_DROPS] = { "net.egress.denied-drops",
                        "headgate_delivered_net_egress_denied_drops", METRIC_UNIT_NONE,
                        "Packets dropped while less was sent than is reserved." },
        [DELIVERY_NET_INGRESS_DROPS] = { "net.ingress.denied-drops",
                        "headgate_delivered_net_ingress_denied_drops", METRIC_UNIT_NONE,
                        "Packets of what came in that were dropped while less was let in than is reserved." },
};

const DeliveryFigureInfo *delivery_figure_info(DeliveryFigure figure) {
        assert(figure < DELIVERY_FIGURE_MAX);
        return &figure_table[figure];
}

static const ResourceKind floor_kinds[DELIVERY_FLOOR_MAX] = {
        [DELIVERY_FLOOR_CPU] = RESOURCE_CPU,
        [DELIVERY_FLOOR_MEMORY] = RESOURCE_MEMORY,
        [DELIVERY_FLOOR_IO_READ] = RESOURCE_IO_READ,
        [DELIVERY_FLOOR_IO_WRITE] = RESOURCE_IO_WRITE,
        [DELIVERY_FLOOR_NET_EGRESS] = RESOURCE_NET_EGRESS,
        [DELIVERY_FLOOR_NET_INGRESS] = RESOURCE_NET_INGRESS,
};

static const Metric input_metrics[DELIVERY_INPUT_MAX] = {
        [DELIVERY_INPUT_CPU_TIME] = METRIC_CPU_TIME,
        [DELIVERY_INPUT_CPU_WAIT] = METRIC_CPU_WAIT,
        [DELIVERY_INPUT_CPU_PRESSURE] = METRIC_CPU_PRESSURE,
        [DELIVERY_INPUT_CPU_THROTTLED] = METRIC_CPU_THROTTLED,
        [DELIVERY_INPUT_MEMORY_CURRENT] = METRIC_MEMORY_CURRENT,
        [DELIVERY_INPUT_MEMORY_RECLAIMED] = METRIC_MEMORY_RECLAIMED,
        [DELIVERY_INPUT_MEMORY_LIMIT_HITS] = METRIC_MEMORY_LIMIT_HITS,
        [DELIVERY_INPUT_IO_READ_BYTES] = METRIC_IO_READ_BYTES,
        [DELIVERY_INPUT_IO_WRITE_BYTES] = METRIC_IO_WRITE_BYTES,
        [DELIVERY_INPUT_IO_PRESSURE] = METRIC_IO_PRESSURE,
        [DELIVERY_INPUT_NET_EGRESS_WIRE_BYTES] = METRIC_NET_EGRESS_WIRE_BYTES,
        [DELIVERY_INPUT_NET_EGRESS_DROPS] = METRIC_NET_EGRESS_DROPS,
        [DELIVERY_INPUT_NET_INGRESS_WIRE_BYTES] = METRIC_NET_INGRESS_WIRE_BYTES,
        [DELIVERY_INPUT_NET_INGRESS_DROPS] = METRIC_NET_INGRESS_DROPS,
};

DeliveryReading delivery_read(uint64_t monotonic_nsec, const Sample *usage) {
        DeliveryReading reading = { .monotonic_nsec = monotonic_nsec };

        for (DeliveryInput i = 0; i < DELIVERY_INPUT_MAX; i++)
                if (sample_has(usage, input_metrics[i])) {
                        reading.present |= 1U << i;
                        reading.value[i] = usage->value[input_metrics[i]];
                }
        return reading;
}

void delivery_promise(DeliveryReading *reading, const ResourceSet *resources) {
        for (size_t i = 0; i < resources->n; i++)
                for (size_t k = 0; k < DELIVERY_FLOOR_MAX; k++)
                        if (resources->entries[i].kind == floor_kinds[k])
                                reading->floor[k] = amount_add(
                                                reading->floor[k], resources->entries[i].amount.reserved);
}

void delivery_add_overhead(DeliveryReading *reading, uint64_t bytes) {
        reading->value[DELIVERY_INPUT_NET_EGRESS_WIRE_BYTES] += bytes;
}

/* One interval, and what it adds to. */
typedef struct Interval {
        const DeliveryReading *before, *after;
        uint64_t nsec;
        Delivery *sum;
} Interval;

static bool has(const Interval *interval, DeliveryInput input) {
        return interval->before->present & interval->after->present & 1U << input;
}

/* What a counter grew by. */
static uint64_t growth(const Interval *interval, DeliveryInput input) {
        return interval->after->value[input] - interval->before->value[input];
}

static void add(const Interval *interval, DeliveryFigure figure, uint64_t value) {
        interval->sum->present |= 1ULL << figure;
        interval->sum->value[figure] += value;
}

/* What `per_second` makes in the interval. */
static uint64_t in_interval(const Interval *interval, uint64_t per_second) {
        unsigned __int128 product = (unsigned __int128) per_second * interval->nsec / 1000000000;

        return product > UINT64_MAX ? UINT64_MAX : (uint64_t) product;
}

/* How long some task waited, as the kernel says; 0 where that was not read at both ends. */
static uint64_t pressure_in(const Interval *interval) {
        return interval->before->in_step && interval->after->in_step &&
                                               has(interval, DELIVERY_INPUT_CPU_PRESSURE)
                               ? least(growth(interval, DELIVERY_INPUT_CPU_PRESSURE), interval->nsec)
                               : 0;
}

/* Of the waits that ended, what was not told while they lasted. */
static uint64_t rest_of_waits(const Interval *interval) {
        uint64_t waited = growth(interval, DELIVERY_INPUT_CPU_WAIT);

        return waited - least(waited, interval->before->waiting_nsec);
}

static uint64_t waited_in(const Interval *interval) {
        uint64_t rest = rest_of_waits(interval), pressure = pressure_in(interval);

        return rest > pressure ? rest : pressure;
}

/* For how long its own limit held it back. */
static uint64_t held_in(const Interval *interval) {
        return has(interval, DELIVERY_INPUT_CPU_THROTTLED) ? growth(interval, DELIVERY_INPUT_CPU_THROTTLED)
                                                           : 0;
}

/* What cpu.max is written with (cgroup-text.c): periods of this, and longer ones where a period's quota would
 * be below the least. */
#define LIMIT_PERIOD_NSEC 100000000ULL
#define LIMIT_QUOTA_MIN_NSEC 1000000ULL

/*
 * What counts as had of the CPU time that is reserved. A tenant that is held by a limit as high as that uses
 * now less in an interval and now more, as the limit's periods are not ours: by one period of it at most. For
 * more than that being held is no excuse: it is summed over run queues, and many are held at once by a limit
 * far above the reserve.
 */
static uint64_t had_in(const Interval *interval, uint64_t used, uint64_t reserved) {
        uint64_t held = held_in(interval), of_a_period;

        if (held == 0)
                return used;
        of_a_period = (uint64_t) ((unsigned __int128) reserved * LIMIT_PERIOD_NSEC / interval->nsec);
        if (of_a_period < LIMIT_QUOTA_MIN_NSEC)
                of_a_period = LIMIT_QUOTA_MIN_NSEC;
        return used + least(held, of_a_period);
}

static void add_cpu(const Interval *interval) {
        /* A core is 10^9 ns a second. */
        uint64_t reserved = in_interval(interval, interval->after->floor[DELIVERY_FLOOR_CPU] * 1000000);
        uint64_t used, had, waited;

        if (reserved == 0 || !has(interval, DELIVERY_INPUT_CPU_TIME) ||
                        !has(interval, DELIVERY_INPUT_CPU_WAIT))
                return;
        used = growth(interval, DELIVERY_INPUT_CPU_TIME);
        had = had_in(interval, used, reserved);
        waited = waited_in(interval);
        add(interval, DELIVERY_CPU_WANTED, least(used + waited, interval->nsec));
        waited -= least(waited, held_in(interval));
        add(interval, DELIVERY_CPU_DENIED, had < reserved ? least(waited, interval->nsec) : 0);
        add(interval, DELIVERY_CPU_OWED, had < reserved ? least(waited, reserved - had) : 0);
}

static bool hit_limit(const Interval *interval) {
        return has(interval, DELIVERY_INPUT_MEMORY_LIMIT_HITS) &&
               growth(interval, DELIVERY_INPUT_MEMORY_LIMIT_HITS) > 0;
}

/* In step what was reclaimed is read an interval later at most; else at the next turn, which is over when it
 * has grown. */
static bool is_limited(const Interval *interval) {
        bool turn_over = interval->after->in_step ||
                         (has(interval, DELIVERY_INPUT_MEMORY_RECLAIMED) &&
                                         growth(interval, DELIVERY_INPUT_MEMORY_RECLAIMED) > 0);

        return hit_limit(interval) || (interval->before->limited && !turn_over);
}

static void add_memory(const Interval *interval) {
        uint64_t reserved = interval->after->floor[DELIVERY_FLOOR_MEMORY];
        bool denied;

        if (reserved == 0 || !has(interval, DELIVERY_INPUT_MEMORY_CURRENT) ||
                        !has(interval, DELIVERY_INPUT_MEMORY_RECLAIMED) ||
                        !has(interval, DELIVERY_INPUT_MEMORY_LIMIT_HITS))
                return;
        denied = growth(interval, DELIVERY_INPUT_MEMORY_RECLAIMED) > 0 &&
                 interval->after->value[DELIVERY_INPUT_MEMORY_CURRENT] < reserved &&
                 !interval->before->limited && !hit_limit(interval);
        add(interval, DELIVERY_MEMORY_DENIED, denied ? interval->nsec : 0);
}

/* A device's limit lets through what is of a slice at a time (block/blk-throttle.c, of disks that rotate; of
 * others it is shorter): by one of it who is held to just what is reserved may seem to have had less. */
#define IO_SLICE_NSEC 100000000ULL

static uint64_t io_slice(uint64_t reserved_per_second) {
        return (uint64_t) ((unsigned __int128) reserved_per_second * IO_SLICE_NSEC / 1000000000);
}

static void add_io(const Interval *interval) {
        static const struct {
                DeliveryFloor floor;
                DeliveryInput input;
        } directions[] = {
                { DELIVERY_FLOOR_IO_READ, DELIVERY_INPUT_IO_READ_BYTES },
                { DELIVERY_FLOOR_IO_WRITE, DELIVERY_INPUT_IO_WRITE_BYTES },
        };
        bool reserved = false, within = true;

        for (size_t i = 0; i < ELEMENTSOF(directions); i++) {
                uint64_t floor = interval->after->floor[directions[i].floor], had;

                if (floor == 0 || !has(interval, directions[i].input))
                        continue;
                reserved = true;
                had = amount_add(growth(interval, directions[i].input), io_slice(floor));
                within = within && had < in_interval(interval, floor);
        }
        if (reserved && has(interval, DELIVERY_INPUT_IO_PRESSURE))
                add(interval, DELIVERY_IO_DENIED,
                                within ? least(growth(interval, DELIVERY_INPUT_IO_PRESSURE), interval->nsec)
                                       : 0);
}

/* One way of the network. */
typedef struct NetworkWay {
        DeliveryFloor floor;
        DeliveryInput bytes, drops;
        DeliveryFigure figure;
} NetworkWay;

/* So much of its rate a class has at once (htb-tree.c, edt-clock.h), and some milliseconds that lie between
 * when classes are read and when the sample is taken. */
#define NETWORK_BURST_NSEC 50000000ULL
#define NETWORK_BURST_MIN_BYTES (4 * 1514ULL)

/* By how much who is held to just what is reserved may seem to have had less of it in an interval. */
static uint64_t network_burst(uint64_t reserved_bps) {
        uint64_t bytes = (uint64_t) ((unsigned __int128) reserved_bps * NETWORK_BURST_NSEC / 8000000000);

        return bytes > NETWORK_BURST_MIN_BYTES ? bytes : NETWORK_BURST_MIN_BYTES;
}

static void add_network(const Interval *interval, const NetworkWay *way) {
        uint64_t reserved_bps = interval->after->floor[way->floor];
        uint64_t reserved, had;

        if (reserved_bps == 0)
                return;
        reserved = in_interval(interval, reserved_bps) / 8;
        if (reserved == 0 || !has(interval, way->drops) || !has(interval, way->bytes))
                return;
        had = amount_add(growth(interval, way->bytes), network_burst(reserved_bps));
        add(interval, way->figure, had < reserved ? growth(interval, way->drops) : 0);
}

/* Of the same counters, and later. */
static bool follows(const DeliveryReading *before, const DeliveryReading *after) {
        if (before->monotonic_nsec == 0 || after->monotonic_nsec <= before->monotonic_nsec)
                return false;
        /* One that was not read was 0. */
        for (DeliveryInput input = 0; input < DELIVERY_INPUT_COUNTERS; input++)
                if (after->value[input] < before->value[input])
                        return false;
        return true;
}

/* Of the waits that last still, what was told. */
static uint64_t told_ahead(const Interval *interval) {
        const DeliveryReading *before = interval->before;
        uint64_t pressure, told;

        if (!has(interval, DELIVERY_INPUT_CPU_WAIT))
                return 0;
        pressure = pressure_in(interval);
        if (pressure == 0) /* nobody waits */
                return 0;
        told = before->waiting_nsec - least(before->waiting_nsec, growth(interval, DELIVERY_INPUT_CPU_WAIT));
        return told + pressure - least(pressure, rest_of_waits(interval));
}

bool delivery_follow(const DeliveryReading *before, DeliveryReading *after) {
        Interval interval = { before, after, after->monotonic_nsec - before->monotonic_nsec, NULL };
        bool is_one = follows(before, after);

        after->waiting_nsec = is_one ? told_ahead(&interval) : 0;
        after->limited = is_one && is_limited(&interval);
        return is_one && memcmp(before->floor, after->floor, sizeof(before->floor)) == 0;
}

static const NetworkWay network_ways[] = {
        { DELIVERY_FLOOR_NET_EGRESS, DELIVERY_INPUT_NET_EGRESS_WIRE_BYTES, DELIVERY_INPUT_NET_EGRESS_DROPS,
                        DELIVERY_NET_EGRESS_DROPS },
        { DELIVERY_FLOOR_NET_INGRESS, DELIVERY_INPUT_NET_INGRESS_WIRE_BYTES, DELIVERY_INPUT_NET_INGRESS_DROPS,
                        DELIVERY_NET_INGRESS_DROPS },
};

void delivery_add(Delivery *sum, const DeliveryReading *before, const DeliveryReading *after) {
        Interval interval = { before, after, after->monotonic_nsec - before->monotonic_nsec, sum };

        add(&interval, DELIVERY_OBSERVED, interval.nsec);
        add_cpu(&interval);
        add_memory(&interval);
        add_io(&interval);
        for (size_t i = 0; i < ELEMENTSOF(network_ways); i++)
                add_network(&interval, &network_ways[i]);
}
