/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Prints the samples of a node as one JSON object on one line, under the names that D-Bus `Usage` has.
 * Integers only. What was not read is absent, never 0. It opens nothing and sends nothing.
 */

#include "json.h"

#include "util/strv.h"

#include <jansson.h>
#include <stdint.h>
#include <string.h>

static inline void json_cleanup(json_t **p) {
        json_decref(*p);
}
#define _cleanup_json_ _cleanup_(json_cleanup)

/* jansson's integers are signed: 2^63 ns of CPU time are 292 years of a CPU, and stop there. */
static json_t *json_from_u64(uint64_t value) {
        return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t) value);
}

/* "cpu.wait.histogram": the counts alone. */
static int set_histogram(json_t *object, const char *name, const Histogram *histogram) {
        _cleanup_json_ json_t *buckets = json_array();
        _cleanup_free_ char *key = NULL;

        for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
                if (json_array_append_new(buckets, json_from_u64(histogram->bucket[i])) < 0)
                        return -ENOMEM;
        if (asprintf(&key, "%s.histogram", name) < 0)
                return -ENOMEM;
        return json_object_set(object, key, buckets) < 0 ? -ENOMEM : 0;
}

/* "io.read.latency@8:0.histogram" */
static int set_latencies(json_t *object, const BlockLatencies *latencies) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < latencies->n; i++) {
                char name[BLOCK_LATENCY_NAME_SIZE];

                r = set_histogram(object, block_latency_name(&latencies->entries[i], name),
                                &latencies->entries[i].histogram);
        }
        return r;
}

/* "net.egress.wire-bytes@eth0" */
static int set_uplinks(json_t *object, const UplinkUsages *uplinks) {
        for (size_t i = 0; i < uplinks->n; i++)
                for (Metric metric = 0; metric < METRIC_MAX; metric++) {
                        const UplinkUsage *usage = &uplinks->entries[i];
                        char name[UPLINK_USAGE_NAME_SIZE];
                        uint64_t value;

                        if (uplink_usage_read(usage, metric, &value) &&
                                        json_object_set_new(object, uplink_usage_name(usage, metric, name),
                                                        json_from_u64(value)) < 0)
                                return -ENOMEM;
                }
        return 0;
}

static int set_victims(json_t *object, const OomVictims *victims) {
        _cleanup_json_ json_t *list = json_array();

        if (!victims)
                return 0;
        for (size_t i = 0; i < victims->n; i++) {
                const OomVictim *victim = &victims->entries[i];
                json_t *entry = json_pack("{s:s, s:I, s:o, s:o}", "Name", victim->comm, "Pid",
                                (json_int_t) victim->pid, "Time", json_from_u64(victim->time_usec),
                                "PeakBytes", json_from_u64(victim->peak_bytes));

                if (json_array_append_new(list, entry) < 0)
                        return -ENOMEM;
        }
        return json_object_set(object, "memory.oom-victims", list) < 0 ? -ENOMEM : 0;
}

/* Of a tenant, or with NULL of the control class. */
static int json_from_usage(const Node *node, const Tenant *tenant, json_t **ret) {
        const Sample *sample = tenant ? &tenant->usage : &node->control;
        _cleanup_json_ json_t *object = json_object();

        for (Metric metric = 0; metric < METRIC_MAX; metric++) {
                if (!sample_has(sample, metric))
                        continue;
                if (json_object_set_new(object, metric_info(metric)->name,
                                    json_from_u64(sample->value[metric])) < 0)
                        return -ENOMEM;
        }
        if (!object)
                return -ENOMEM;
        for (Duration duration = 0; duration < DURATION_MAX; duration++) {
                Histogram histogram;
                int r = node_read_duration(node, tenant, duration, &histogram)
                                        ? set_histogram(object, duration_info(duration)->name, &histogram)
                                        : 0;

                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(object);
        return 0;
}

/* Of each allocation of which something was. */
static int json_from_delivered(const Node *node, char *const *only_tenants, json_t **ret) {
        _cleanup_json_ json_t *object = json_object();

        for (size_t i = 0; i < node->calendar.n; i++) {
                const Allocation *allocation = node->calendar.allocations[i];
                _cleanup_json_ json_t *figures = NULL;

                if (!allocation->delivered || !allocation->delivered->present ||
                                (only_tenants && !strv_contains(only_tenants, allocation->tenant_id)))
                        continue;
                figures = json_object();
                for (DeliveryFigure figure = 0; figure < DELIVERY_FIGURE_MAX; figure++)
                        if (allocation->delivered->present & 1ULL << figure &&
                                        json_object_set_new(figures, delivery_figure_info(figure)->name,
                                                        json_from_u64(allocation->delivered->value[figure])) <
                                                        0)
                                return -ENOMEM;
                if (json_object_set(object, allocation->id, figures) < 0)
                        return -ENOMEM;
        }
        if (!object)
                return -ENOMEM;
        *ret = TAKE_PTR(object);
        return 0;
}

int export_json(const Node *node, char *const *only_tenants, char **ret_text, size_t *ret_size) {
        _cleanup_json_ json_t *object = NULL, *delivered = NULL, *control = NULL, *tenants = json_object();
        _cleanup_free_ char *line = NULL;
        char *text;
        size_t n;
        int r;

        for (size_t i = 0; i < node->n_tenants; i++) {
                const Tenant *tenant = node->tenants[i];
                _cleanup_json_ json_t *usage = NULL;

                if (only_tenants && !strv_contains(only_tenants, tenant->id))
                        continue;
                r = json_from_usage(node, tenant, &usage);
                if (r >= 0)
                        r = set_uplinks(usage, &tenant->uplinks);
                if (r >= 0)
                        r = set_latencies(usage, &tenant->latencies);
                if (r >= 0)
                        r = set_victims(usage, tenant->victims);
                if (r < 0)
                        return r;
                if (json_object_set(tenants, tenant->id, usage) < 0)
                        return -ENOMEM;
        }
        object = json_pack("{s:s?, s:s?, s:o, s:O}", "NodeId", node->node_id, "BootId", node->boot_id, "Time",
                        json_from_u64(node->sampled_usec), "Tenants", tenants);
        if (!object)
                return -ENOMEM;
        r = json_from_delivered(node, only_tenants, &delivered);
        if (r < 0)
                return r;
        if (json_object_size(delivered) > 0 && json_object_set(object, "Delivered", delivered) < 0)
                return -ENOMEM;
        /* No tenant's users are told of it, nor anyone where there is no uplink. */
        r = only_tenants ? 0 : json_from_usage(node, /* tenant= */ NULL, &control);
        if (r < 0)
                return r;
        if (json_object_size(control) > 0 && json_object_set(object, "Control", control) < 0)
                return -ENOMEM;
        line = json_dumps(object, JSON_COMPACT);
        if (!line)
                return -ENOMEM;
        n = strlen(line);
        text = realloc(line, n + 2);
        if (!text)
                return -ENOMEM;
        line = NULL;
        memcpy(text + n, "\n", 2);
        *ret_text = text;
        *ret_size = n + 1;
        return 0;
}
