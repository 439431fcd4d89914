/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What was delivered of what was promised: sums over the intervals between two samples of a tenant. Each
 * figure is defined in headgate-metering(7); this is that page as a function. It decides nothing.
 */

#include "resource.h"
#include "sample.h"

typedef enum DeliveryFigure {
        DELIVERY_OBSERVED,   /* ns: the intervals that the others are of */
        DELIVERY_CPU_WANTED, /* ns in which tasks ran or waited for a CPU */
        DELIVERY_CPU_DENIED, /* ns of waiting, in intervals in which it used less than it reserved */
        DELIVERY_CPU_OWED,   /* ns of CPU time that it waited for, and would have been within its reserve */
        DELIVERY_MEMORY_DENIED, /* ns in which memory was taken from it though it held less than it reserved
                                 */
        DELIVERY_IO_DENIED, /* ns of waiting for IO, in intervals in which it moved less than it reserved */
        DELIVERY_NET_EGRESS_DROPS,  /* packets dropped in intervals in which it sent less than it reserved */
        DELIVERY_NET_INGRESS_DROPS, /* the same of what came in */
        DELIVERY_FIGURE_MAX,
} DeliveryFigure;

typedef struct DeliveryFigureInfo {
        const char *name;   /* "cpu.denied": D-Bus, JSON, headgatectl */
        const char *family; /* "headgate_delivered_cpu_denied_seconds" */
        MetricUnit unit;
        const char *help;
} DeliveryFigureInfo;
const DeliveryFigureInfo *delivery_figure_info(DeliveryFigure figure);

typedef struct Delivery {
        uint64_t present; /* bit (1ULL << DeliveryFigure): something of it was reserved, and could be read */
        uint64_t value[DELIVERY_FIGURE_MAX];
} Delivery;

typedef enum DeliveryFloor {
        DELIVERY_FLOOR_CPU,        /* millicores */
        DELIVERY_FLOOR_MEMORY,     /* bytes */
        DELIVERY_FLOOR_IO_READ,    /* bytes/s, as the next */
        DELIVERY_FLOOR_IO_WRITE,   /* of all devices together */
        DELIVERY_FLOOR_NET_EGRESS, /* bit/s, of all uplinks together */
        DELIVERY_FLOOR_NET_INGRESS,
        DELIVERY_FLOOR_MAX,
} DeliveryFloor;

/* What is asked of a Sample. */
typedef enum DeliveryInput {
        DELIVERY_INPUT_CPU_TIME,
        DELIVERY_INPUT_CPU_WAIT,
        DELIVERY_INPUT_CPU_PRESSURE,
        DELIVERY_INPUT_CPU_THROTTLED,
        DELIVERY_INPUT_MEMORY_RECLAIMED,
        DELIVERY_INPUT_MEMORY_LIMIT_HITS,
        DELIVERY_INPUT_IO_READ_BYTES,
        DELIVERY_INPUT_IO_WRITE_BYTES,
        DELIVERY_INPUT_IO_PRESSURE,
        DELIVERY_INPUT_NET_EGRESS_WIRE_BYTES,
        DELIVERY_INPUT_NET_EGRESS_DROPS,
        DELIVERY_INPUT_NET_INGRESS_WIRE_BYTES,
        DELIVERY_INPUT_NET_INGRESS_DROPS,
        DELIVERY_INPUT_COUNTERS, /* so many; what follows is a gauge */
        DELIVERY_INPUT_MEMORY_CURRENT = DELIVERY_INPUT_COUNTERS,
        DELIVERY_INPUT_MAX,
} DeliveryInput;

/* What a tenant had used, and what was reserved for it, at one instant. */
typedef struct DeliveryReading {
        uint64_t monotonic_nsec; /* without the time that the node slept; 0: there is none */
        uint64_t floor[DELIVERY_FLOOR_MAX];
        uint32_t present; /* bit (1U << DeliveryInput): value[DeliveryInput] was read; else it is 0 */
        uint64_t value[DELIVERY_INPUT_MAX];
        bool in_step; /* what is read from files was read with this sample; else whenever it had its turn */
        bool limited; /* delivery_follow()'s: by the tenant's own limit, of what may be told as reclaimed next
                       */
        uint64_t waiting_nsec; /* delivery_follow()'s: what was told of waits that cpu.wait has not got yet */
} DeliveryReading;

DeliveryReading delivery_read(uint64_t monotonic_nsec, const Sample *usage);
/* Adds what one allocation reserves. */
void delivery_promise(DeliveryReading *reading, const ResourceSet *resources);
/* Adds to what was sent what links took of each packet beside what its class counts of it. */
void delivery_add_overhead(DeliveryReading *reading, uint64_t bytes);
/*
 * Once an interval, however many are told of it: what of it the next ones must know. cpu.wait has a wait when
 * it ends, which can be many intervals after it began: meanwhile cpu.pressure says that some task waits, and
 * what it said is not told again. What a limit makes the kernel reclaim can be read later than that the limit
 * was hit. False: there is nothing to add, as it is not known what was promised all through it (the promise
 * is another one at its end), or a counter went back.
 */
bool delivery_follow(const DeliveryReading *before, DeliveryReading *after);
/* Adds the interval between the two, where the one followed the other. */
void delivery_add(Delivery *sum, const DeliveryReading *before, const DeliveryReading *after);
