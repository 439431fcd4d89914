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
        [METRIC_CPU_PREEMPTIONS] = { "cpu.preemptions", "headgate_cpu_preemptions", METRIC_UNIT_NONE, true,
                        "Times a CPU was taken from a task that wanted to go on." },
        [METRIC_CPU_MIGRATIONS] = { "cpu.migrations", "headgate_cpu_migrations", METRIC_UNIT_NONE, true,
                        "Times a task was moved to another CPU." },
        [METRIC_CPU_THROTTLED] = { "cpu.throttled", "headgate_cpu_throttled_seconds", METRIC_UNIT_NSEC, true,
                        "Time that run queues were held by the CPU limit." },
        [METRIC_CPU_PRESSURE] = { "cpu.pressure", "headgate_cpu_pressure_seconds", METRIC_UNIT_NSEC, true,
                        "Time in which some task waited for a CPU." },
        [METRIC_MEMORY_CURRENT] = { "memory.current", "headgate_memory_current_bytes", METRIC_UNIT_BYTES,
                        false, "Memory charged now." },
        [METRIC_MEMORY_PEAK] = { "memory.peak", "headgate_memory_peak_bytes", METRIC_UNIT_BYTES, false,
                        "Most memory ever charged." },
        [METRIC_MEMORY_ANON] = { "memory.anon", "headgate_memory_anon_bytes", METRIC_UNIT_BYTES, false,
                        "Memory of processes that no file is behind." },
        [METRIC_MEMORY_FILE] = { "memory.file", "headgate_memory_file_bytes", METRIC_UNIT_BYTES, false,
                        "Page cache, tmpfs and shared memory included." },
        [METRIC_MEMORY_KERNEL] = { "memory.kernel", "headgate_memory_kernel_bytes", METRIC_UNIT_BYTES, false,
                        "Memory that the kernel holds for it." },
        [METRIC_MEMORY_SWAP] = { "memory.swap", "headgate_memory_swap_bytes", METRIC_UNIT_BYTES, false,
                        "Memory that is swapped out." },
        [METRIC_MEMORY_FAULTS] = { "memory.faults", "headgate_memory_faults", METRIC_UNIT_NONE, true,
                        "Page faults, major ones included." },
        [METRIC_MEMORY_MAJOR_FAULTS] = { "memory.major-faults", "headgate_memory_major_faults",
                        METRIC_UNIT_NONE, true, "Page faults that waited for a device." },
        [METRIC_MEMORY_REFAULTS] = { "memory.refaults", "headgate_memory_refaults", METRIC_UNIT_NONE, true,
                        "Pages that came back soon after they were reclaimed." },
        [METRIC_MEMORY_RECLAIMED] = { "memory.reclaimed", "headgate_memory_reclaimed_bytes",
                        METRIC_UNIT_BYTES, true, "Memory that reclaim took." },
        [METRIC_MEMORY_OOM_KILLS] = { "memory.oom-kills", "headgate_memory_oom_kills", METRIC_UNIT_NONE, true,
                        "Processes killed for want of memory." },
        [METRIC_MEMORY_PRESSURE] = { "memory.pressure", "headgate_memory_pressure_seconds", METRIC_UNIT_NSEC,
                        true, "Time in which some task waited for memory." },
        [METRIC_MEMORY_STALL] = { "memory.stall", "headgate_memory_stall_seconds", METRIC_UNIT_NSEC, true,
                        "Time in which all tasks waited for memory." },
        [METRIC_IO_READ_BYTES] = { "io.read.bytes", "headgate_io_read_bytes", METRIC_UNIT_BYTES, true,
                        "Bytes read from block devices." },
        [METRIC_IO_WRITE_BYTES] = { "io.write.bytes", "headgate_io_write_bytes", METRIC_UNIT_BYTES, true,
                        "Bytes written to block devices." },
        [METRIC_IO_READ_OPERATIONS] = { "io.read.operations", "headgate_io_read_operations", METRIC_UNIT_NONE,
                        true, "Reads from block devices." },
        [METRIC_IO_WRITE_OPERATIONS] = { "io.write.operations", "headgate_io_write_operations",
                        METRIC_UNIT_NONE, true, "Writes to block devices." },
        [METRIC_IO_PRESSURE] = { "io.pressure", "headgate_io_pressure_seconds", METRIC_UNIT_NSEC, true,
                        "Time in which some task waited for block devices." },
        [METRIC_IO_STALL] = { "io.stall", "headgate_io_stall_seconds", METRIC_UNIT_NSEC, true,
                        "Time in which all tasks waited for block devices." },
        [METRIC_NET_EGRESS_BYTES] = { "net.egress.bytes", "headgate_net_egress_bytes", METRIC_UNIT_BYTES,
                        true, "IP bytes sent, those that a queue dropped later included." },
        [METRIC_NET_EGRESS_PACKETS] = { "net.egress.packets", "headgate_net_egress_packets", METRIC_UNIT_NONE,
                        true, "IP packets sent, those that a queue dropped later included." },
        [METRIC_NET_EGRESS_WIRE_BYTES] = { "net.egress.wire-bytes", "headgate_net_egress_wire_bytes",
                        METRIC_UNIT_BYTES, true,
                        "Bytes that its classes at the uplinks sent, headers of the link included." },
        [METRIC_NET_EGRESS_WIRE_PACKETS] = { "net.egress.wire-packets", "headgate_net_egress_wire_packets",
                        METRIC_UNIT_NONE, true, "Packets that its classes at the uplinks sent." },
        [METRIC_NET_EGRESS_DROPS] = { "net.egress.drops", "headgate_net_egress_drops", METRIC_UNIT_NONE, true,
                        "Packets that the queues of its classes dropped." },
        [METRIC_NET_EGRESS_OVERLIMITS] = { "net.egress.overlimits", "headgate_net_egress_overlimits",
                        METRIC_UNIT_NONE, true, "Times that a class had to wait for its ceiling." },
        [METRIC_NET_EGRESS_BORROWED] = { "net.egress.borrowed", "headgate_net_egress_borrowed",
                        METRIC_UNIT_NONE, true, "Packets sent above the floor." },
        [METRIC_NET_EGRESS_BACKLOG] = { "net.egress.backlog", "headgate_net_egress_backlog_bytes",
                        METRIC_UNIT_BYTES, false, "Bytes that wait in its classes." },
        [METRIC_NET_EGRESS_BACKLOG_PACKETS] = { "net.egress.backlog-packets",
                        "headgate_net_egress_backlog_packets", METRIC_UNIT_NONE, false,
                        "Packets that wait in its classes." },
        [METRIC_NET_INGRESS_BYTES] = { "net.ingress.bytes", "headgate_net_ingress_bytes", METRIC_UNIT_BYTES,
                        true, "IP bytes received." },
        [METRIC_NET_INGRESS_PACKETS] = { "net.ingress.packets", "headgate_net_ingress_packets",
                        METRIC_UNIT_NONE, true, "IP packets received." },
        [METRIC_NET_LOCAL_EGRESS_BYTES] = { "net.local.egress.bytes", "headgate_net_local_egress_bytes",
                        METRIC_UNIT_BYTES, true, "IP bytes sent to who is on this node, too." },
        [METRIC_NET_LOCAL_EGRESS_PACKETS] = { "net.local.egress.packets", "headgate_net_local_egress_packets",
                        METRIC_UNIT_NONE, true, "IP packets sent to who is on this node, too." },
        [METRIC_NET_LOCAL_INGRESS_BYTES] = { "net.local.ingress.bytes", "headgate_net_local_ingress_bytes",
                        METRIC_UNIT_BYTES, true, "IP bytes received from who is on this node, too." },
        [METRIC_NET_LOCAL_INGRESS_PACKETS] = { "net.local.ingress.packets",
                        "headgate_net_local_ingress_packets", METRIC_UNIT_NONE, true,
                        "IP packets received from who is on this node, too." },
        [METRIC_NET_TCP_CONNECTS] = { "net.tcp.connects", "headgate_net_tcp_connects", METRIC_UNIT_NONE, true,
                        "TCP connections that it began and that were established." },
        [METRIC_NET_TCP_ACCEPTS] = { "net.tcp.accepts", "headgate_net_tcp_accepts", METRIC_UNIT_NONE, true,
                        "TCP connections that others began with it and that were established." },
        [METRIC_NET_TCP_FAILED] = { "net.tcp.failed", "headgate_net_tcp_failed", METRIC_UNIT_NONE, true,
                        "TCP connections that it began and that were not established, refused ones "
                        "included." },
        [METRIC_NET_TCP_REFUSED] = { "net.tcp.refused", "headgate_net_tcp_refused", METRIC_UNIT_NONE, true,
                        "TCP connections that it began and that were refused." },
        [METRIC_NET_TCP_RESETS] = { "net.tcp.resets", "headgate_net_tcp_resets", METRIC_UNIT_NONE, true,
                        "Established TCP connections that the other end reset." },
        [METRIC_NET_TCP_RETRANSMITS] = { "net.tcp.retransmits", "headgate_net_tcp_retransmits",
                        METRIC_UNIT_NONE, true, "TCP segments sent again." },
};

static const DurationInfo duration_table[DURATION_MAX] = {
        [DURATION_CPU_WAIT] = { "cpu.wait", "headgate_cpu_wait_duration_seconds",
                        "How long tasks were on a run queue before they were given a CPU." },
        [DURATION_NET_TCP_RTT] = { "net.tcp.rtt", "headgate_net_tcp_rtt_seconds",
                        "Smoothed round trip time of TCP connections, once a round trip." },
        [DURATION_NET_EGRESS_DELAY] = { "net.egress.delay", "headgate_net_egress_delay_seconds",
                        "How long packets were in the queue of an uplink." },
};

const MetricInfo *metric_info(Metric metric) {
        assert(metric < METRIC_MAX);
        return &metric_table[metric];
}

const DurationInfo *duration_info(Duration duration) {
        assert(duration < DURATION_MAX);
        return &duration_table[duration];
}
