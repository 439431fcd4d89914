/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Counters and gauges of one tenant at one instant, and the names under which they leave the node.
 * One table (sample.c): a new meter is a row there and a place that sets it.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef enum Metric {
        METRIC_CPU_TIME,            /* ns on a CPU */
        METRIC_CPU_WAIT,            /* ns runnable on a run queue without a CPU */
        METRIC_CPU_SWITCHES,        /* times a task of the tenant was given a CPU */
        METRIC_CPU_PREEMPTIONS,     /* times the CPU was taken from one that wanted to go on */
        METRIC_CPU_MIGRATIONS,      /* times a task was moved to another CPU */
        METRIC_CPU_THROTTLED,       /* ns that run queues of the group were held by cpu.max */
        METRIC_CPU_PRESSURE,        /* ns in which some task waited for a CPU (pressure's "some") */
        METRIC_MEMORY_CURRENT,      /* bytes */
        METRIC_MEMORY_PEAK,         /* bytes: of each group, since it was made, in sum */
        METRIC_MEMORY_ANON,         /* bytes */
        METRIC_MEMORY_FILE,         /* bytes: page cache, tmpfs and shared memory included */
        METRIC_MEMORY_KERNEL,       /* bytes */
        METRIC_MEMORY_SWAP,         /* bytes that are swapped out */
        METRIC_MEMORY_FAULTS,       /* page faults, major ones included */
        METRIC_MEMORY_MAJOR_FAULTS, /* those that waited for a device */
        METRIC_MEMORY_REFAULTS,     /* pages that were reclaimed too early: they came back at once */
        METRIC_MEMORY_RECLAIMED,    /* bytes taken from it by reclaim */
        METRIC_MEMORY_LIMIT_HITS,   /* times it came to a limit of memory, its own or one below */
        METRIC_MEMORY_OOM_KILLS,    /* processes killed for memory */
        METRIC_MEMORY_PRESSURE,     /* ns in which some task waited for memory */
        METRIC_MEMORY_STALL,        /* ns in which all of its tasks did (pressure's "full") */
        METRIC_IO_READ_BYTES, /* from block devices; each byte once, however many layers it came through */
        METRIC_IO_WRITE_BYTES,
        METRIC_IO_READ_OPERATIONS,
        METRIC_IO_WRITE_OPERATIONS,
        METRIC_IO_PRESSURE,      /* ns in which some task waited for io */
        METRIC_IO_STALL,         /* ns in which all of its tasks did */
        METRIC_NET_EGRESS_BYTES, /* IP bytes sent, before any queue dropped them */
        METRIC_NET_EGRESS_PACKETS,
        METRIC_NET_EGRESS_WIRE_BYTES, /* sent by its classes at the uplinks, headers of the link included */
        METRIC_NET_EGRESS_WIRE_PACKETS,
        METRIC_NET_EGRESS_DROPS,           /* packets; by the queues of these classes, and no other */
        METRIC_NET_EGRESS_OVERLIMITS,      /* times that a class had to wait, or packets (network.h) */
        METRIC_NET_EGRESS_BORROWED,        /* packets that it sent above its floor (network.h) */
        METRIC_NET_EGRESS_BACKLOG,         /* bytes that wait in these classes */
        METRIC_NET_EGRESS_BACKLOG_PACKETS, /* packets; one that is to be segmented counts once */
        METRIC_NET_INGRESS_BYTES,
        METRIC_NET_INGRESS_PACKETS,
        METRIC_NET_INGRESS_WIRE_BYTES, /* and these as of egress, by the classes of what came in at uplinks */
        METRIC_NET_INGRESS_WIRE_PACKETS,
        METRIC_NET_INGRESS_DROPS,
        METRIC_NET_INGRESS_OVERLIMITS,
        METRIC_NET_INGRESS_BORROWED,
        METRIC_NET_INGRESS_BACKLOG,
        METRIC_NET_INGRESS_BACKLOG_PACKETS,
        METRIC_NET_LOCAL_EGRESS_BYTES, /* IP bytes sent that stayed on the node: in none of those above */
        METRIC_NET_LOCAL_EGRESS_PACKETS,
        METRIC_NET_LOCAL_INGRESS_BYTES,
        METRIC_NET_LOCAL_INGRESS_PACKETS,
        METRIC_NET_TCP_CONNECTS,    /* connections that it began, established */
        METRIC_NET_TCP_ACCEPTS,     /* connections that others began with it, established */
        METRIC_NET_TCP_FAILED,      /* connections that it began and that never were, refused ones included */
        METRIC_NET_TCP_REFUSED,     /* those of them that the other end, or who stands before it, refused */
        METRIC_NET_TCP_RESETS,      /* established connections that the other end reset */
        METRIC_NET_TCP_RETRANSMITS, /* segments; without answers to a SYN, which are no socket's yet */
        METRIC_NET_TCP_SOCKETS, /* open now, in whichever state, those that wait to be accepted included */
        METRIC_NET_TCP_ESTABLISHED, /* those of them that are connected */
        METRIC_NET_UDP_SOCKETS,     /* open now */
        METRIC_MAX,
        METRIC_INVALID = -EINVAL,
} Metric;

/* A mask of metrics is one word wherever there is one. */
_Static_assert(METRIC_MAX <= 64, "a bit of a mask for each metric");

typedef enum MetricUnit {
        METRIC_UNIT_NONE, /* a count */
        METRIC_UNIT_BYTES,
        METRIC_UNIT_NSEC, /* leaves the node as seconds where a format has base units */
} MetricUnit;

typedef struct MetricInfo {
        const char *name;   /* "cpu.time": D-Bus, JSON, headgatectl, ledger */
        const char *family; /* "headgate_cpu_time_seconds": OpenMetrics family, with its unit, without
                               "_total" */
        MetricUnit unit;
        bool counter;     /* monotone within one boot and one tenant; else a gauge */
        const char *help; /* one sentence for people */
} MetricInfo;

const MetricInfo *metric_info(Metric metric);

/* What is told of durations one by one: a histogram each, which is no part of a sample (node.h). */
typedef enum Duration {
        DURATION_CPU_WAIT, /* of cpu.wait: one for each time that a task was given a CPU after it had waited
                            */
        DURATION_NET_TCP_RTT,      /* TCP's smoothed round trip time, once a round trip */
        DURATION_NET_EGRESS_DELAY, /* a packet's time in the uplink's queue; of the control class alone */
        DURATION_MAX,
} Duration;

typedef struct DurationInfo {
        const char *name;   /* "cpu.wait": D-Bus, JSON, headgatectl */
        const char *family; /* "headgate_cpu_wait_duration_seconds" */
        const char *help;
} DurationInfo;

const DurationInfo *duration_info(Duration duration);

typedef struct Sample {
        uint64_t present; /* bit (1ULL << Metric): value[Metric] was read. What the kernel lacks is absent,
                             never 0 */
        uint64_t value[METRIC_MAX]; /* of no meaning where it is not present */
} Sample;

/* Nothing is present. What was there is left: to zero it costs more than to read the meters does. */
static inline void sample_begin(Sample *sample) {
        sample->present = 0;
}

static inline bool sample_has(const Sample *sample, Metric metric) {
        return sample->present & (1ULL << metric);
}

static inline void sample_put(Sample *sample, Metric metric, uint64_t value) {
        sample->present |= 1ULL << metric;
        sample->value[metric] = value;
}

/* For what several groups have together. */
static inline void sample_add(Sample *sample, Metric metric, uint64_t value) {
        sample_put(sample, metric, (sample_has(sample, metric) ? sample->value[metric] : 0) + value);
}
