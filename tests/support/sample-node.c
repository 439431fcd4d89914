/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One node built by hand, for tests of all that prints one. Values are chosen where formats get them wrong.
 */

#include "sample-node.h"

static Resource alpha_desired[] = {
        { RESOURCE_CPU, "", { 1500, 2000 } },
        { RESOURCE_MEMORY, "", { 1073741824, 2147483648 } },
        { RESOURCE_SWAP, "", { 0, 0 } },
        { RESOURCE_TASKS, "", { 0, 512 } },
        { RESOURCE_NET_EGRESS, "", { 10000000, 20000001 } }, /* not a whole number of bytes/s */
        { RESOURCE_NET_EGRESS, "eth1", { 8, 1000000000 } },
};

static Resource beta_desired[] = {
        { RESOURCE_CPU, "", { 1, UNLIMITED } },
        { RESOURCE_MEMORY, "", { 0, UNLIMITED } },
        { RESOURCE_TASKS, "", { 0, UNLIMITED } },
};

static char *beta_problems[] = { (char *) "memory: limit wanted max, is 4096", (char *) "cpu: no controller",
        NULL };

#define READ(metric) (1ULL << (metric))

static Blame alpha_blames[] = { { "beta-2", 999999999 }, { BLAME_SYSTEM, 7 } };

static BlockLatency alpha_latencies[] = {
        { .device = "8:0", .histogram = { { [7] = 2, [10] = 1 }, 1500000 } },
        { .device = "8:0", .write = true, .histogram = { { [12] = 4 }, 12000000 } },
        { .device = "259:1", .histogram = { { [3] = 1 }, 9000 } },
};

static OomVictims alpha_victims = {
        { { "postgres", 4711, 1767225599000000, 3 << 20 }, { "sh", 42, 1767225598000000, 4096 } }, 2
};

static UplinkUsage alpha_uplinks[] = {
        { .uplink = "eth0", .known = { true, true }, .values = { { 1042, 1, 2, 0, 0, 3126, 3 }, { 66 } } },
        { .uplink = "eth1", .known = { true }, .values = { { 0, 0, 0, 4, 5 } } },
};

static Tenant alpha = {
        .id = (char *) "alpha",
        .slot = SLOT_FIRST,
        .desired = { alpha_desired, ELEMENTSOF(alpha_desired) },
        .latencies = { alpha_latencies, ELEMENTSOF(alpha_latencies) },
        .uplinks = { alpha_uplinks, ELEMENTSOF(alpha_uplinks) },
        .victims = &alpha_victims,
        .blames = { alpha_blames, ELEMENTSOF(alpha_blames) },
        .usage = {
                .present = READ(METRIC_MAX) - 1,
                .value = {
                        [METRIC_CPU_TIME] = 12345678901234567, /* more digits than a double has */
                        [METRIC_CPU_WAIT] = 1,
                        [METRIC_CPU_SWITCHES] = 42,
                        [METRIC_CPU_THROTTLED] = 1500000000,
                        [METRIC_MEMORY_CURRENT] = 4096,
                        [METRIC_MEMORY_PEAK] = 9223372036854775807,
                        [METRIC_MEMORY_FAULTS] = 1000000,
                        [METRIC_MEMORY_RECLAIMED] = 8192,
                        [METRIC_MEMORY_LIMIT_HITS] = 12,
                        [METRIC_MEMORY_OOM_KILLS] = 3,
                        [METRIC_MEMORY_PRESSURE] = 1000,
                        [METRIC_IO_READ_BYTES] = 512,
                        [METRIC_NET_EGRESS_BYTES] = 18446744073709551615U,
                        [METRIC_NET_EGRESS_PACKETS] = 1000000007,
                        [METRIC_NET_INGRESS_BYTES] = 10,
                        [METRIC_NET_INGRESS_PACKETS] = 1,
                        [METRIC_NET_TCP_CONNECTS] = 7,
                        [METRIC_NET_TCP_RETRANSMITS] = 2,
                        [METRIC_NET_TCP_SOCKETS] = 5,
                        [METRIC_NET_TCP_ESTABLISHED] = 3,
                        [METRIC_NET_UDP_SOCKETS] = 4,
                },
        },
};

static Tenant beta = {
        .id = (char *) "beta-2",
        .slot = SLOT_FIRST + 1,
        .desired = { beta_desired, ELEMENTSOF(beta_desired) },
        .problems = beta_problems,
        .usage = {
                .present = READ(METRIC_CPU_TIME) | READ(METRIC_MEMORY_CURRENT) | READ(METRIC_NET_EGRESS_BYTES),
                .value = {
                        [METRIC_CPU_TIME] = 3000000000, /* whole seconds */
                        [METRIC_MEMORY_CURRENT] = 0,
                        [METRIC_NET_EGRESS_BYTES] = 0,
                },
        },
};

static Tenant gamma_tenant = { .id = (char *) "gamma", .slot = SLOT_FIRST + 2, .residual = true };

static Tenant *tenants[] = { &alpha, &beta, &gamma_tenant };

/* The first tenant's, and the control class's. */
static bool read_duration(void *userdata, const Tenant *tenant, Duration duration, Histogram *ret) {
        static const Histogram histograms[DURATION_MAX] = {
                [DURATION_CPU_WAIT] = { { 5, 0, 1, [HISTOGRAM_BUCKETS - 1] = 1 }, 1 },
                [DURATION_NET_TCP_RTT] = { { [15] = 3, [16] = 1 }, 120000001 },
                [DURATION_NET_EGRESS_DELAY] = { { 64, [11] = 1 }, 1500001 },
        };

        *ret = histograms[duration];
        return tenant == (duration == DURATION_NET_EGRESS_DELAY ? NULL : &alpha);
}

static const Node node = {
        .node_id = (char *) "no\"de\\1\n二",
        .boot_id = (char *) "0123456789abcdef0123456789abcdef",
        .version = "0.1.0",
        .state = NODE_DEGRADED,
        .tenants = tenants,
        .n_tenants = ELEMENTSOF(tenants),
        .control = {
                .present = READ(METRIC_NET_EGRESS_BYTES) | READ(METRIC_NET_EGRESS_PACKETS),
                .value = { [METRIC_NET_EGRESS_BYTES] = 4321, [METRIC_NET_EGRESS_PACKETS] = 65 },
        },
        .durations = { read_duration },
        .sampled_usec = 1767225600000100,
};

const Node *sample_node(void) {
        return &node;
}
