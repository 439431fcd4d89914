/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Counters and gauges of one tenant at one instant, and the names under which they leave the node.
 * One table (sample.c): a new meter is a row there and a place that sets it.
 */

#include <stdbool.h>
#include <stdint.h>

typedef enum Metric {
        METRIC_CPU_TIME,         /* ns on a CPU */
        METRIC_CPU_WAIT,         /* ns runnable on a run queue without a CPU */
        METRIC_CPU_SWITCHES,     /* times a task of the tenant was given a CPU */
        METRIC_CPU_THROTTLED,    /* ns that run queues of the group were held by cpu.max */
        METRIC_MEMORY_CURRENT,   /* bytes */
        METRIC_MEMORY_PEAK,      /* bytes */
        METRIC_MEMORY_OOM_KILLS, /* processes killed for memory */
        METRIC_NET_EGRESS_BYTES, /* IP bytes sent, before any queue dropped them */
        METRIC_NET_EGRESS_PACKETS,
        METRIC_NET_INGRESS_BYTES,
        METRIC_NET_INGRESS_PACKETS,
        METRIC_MAX,
} Metric;

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

typedef struct Sample {
        uint32_t present; /* bit (1U << Metric): value[Metric] was read. What the kernel lacks is absent,
                             never 0 */
        uint64_t value[METRIC_MAX];
} Sample;

static inline bool sample_has(const Sample *sample, Metric metric) {
        return sample->present & (1U << metric);
}

static inline void sample_put(Sample *sample, Metric metric, uint64_t value) {
        sample->present |= 1U << metric;
        sample->value[metric] = value;
}
