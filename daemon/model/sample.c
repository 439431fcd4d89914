/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table of metrics. How each is read is daemon/meter's; how it is printed, daemon/export's. */

#include "sample.h"

#include <assert.h>
#include <stddef.h>

static const MetricInfo metric_table[METRIC_MAX] = {
        [METRIC_CPU_TIME] = { "cpu.time", "headgate_cpu_time_seconds", METRIC_UNIT_NSEC, true,
                        "Time on a CPU." },
        [METRIC_CPU_WAIT] = { "cpu.wait", "headgate_cpu_wait_seconds", METRIC_UNIT_NSEC, true,
                        "Time on a run queue without a CPU." },
        [METRIC_CPU_SWITCHES] = { "cpu.switches", "headgate_cpu_switches", METRIC_UNIT_NONE, true,
                        "Times a task was given a CPU." },
        [METRIC_CPU_THROTTLED] = { "cpu.throttled", "headgate_cpu_throttled_seconds", METRIC_UNIT_NSEC, true,
                        "Time that run queues were held by the CPU limit." },
        [METRIC_MEMORY_CURRENT] = { "memory.current", "headgate_memory_current_bytes", METRIC_UNIT_BYTES,
                        false, "Memory charged now." },
        [METRIC_MEMORY_PEAK] = { "memory.peak", "headgate_memory_peak_bytes", METRIC_UNIT_BYTES, false,
                        "Most memory ever charged." },
        [METRIC_MEMORY_OOM_KILLS] = { "memory.oom-kills", "headgate_memory_oom_kills", METRIC_UNIT_NONE, true,
                        "Processes killed for want of memory." },
        [METRIC_NET_EGRESS_BYTES] = { "net.egress.bytes", "headgate_net_egress_bytes", METRIC_UNIT_BYTES,
                        true, "IP bytes sent, those that a queue dropped later included." },
        [METRIC_NET_EGRESS_PACKETS] = { "net.egress.packets", "headgate_net_egress_packets", METRIC_UNIT_NONE,
                        true, "IP packets sent, those that a queue dropped later included." },
        [METRIC_NET_INGRESS_BYTES] = { "net.ingress.bytes", "headgate_net_ingress_bytes", METRIC_UNIT_BYTES,
                        true, "IP bytes received." },
        [METRIC_NET_INGRESS_PACKETS] = { "net.ingress.packets", "headgate_net_ingress_packets",
                        METRIC_UNIT_NONE, true, "IP packets received." },
};

const MetricInfo *metric_info(Metric metric) {
        assert(metric < METRIC_MAX);
        return &metric_table[metric];
}
