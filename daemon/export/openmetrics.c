/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Prints what a node knows as OpenMetrics 1.0 text (https://prometheus.io/docs/specs/om/open_metrics_spec/):
 * the samples of metric_info()'s table, and beside them what each tenant was promised, so that one query
 * divides use by promise. Integers only: a nanosecond counter leaves as the exact decimal number of seconds.
 * It carries no timestamps (a scraper would lose its staleness handling); when the samples were read is a
 * gauge. What was not read is absent, never 0. It opens nothing and sends nothing.
 */

#include "openmetrics.h"

#include "util/strv.h"

#include <stdint.h>
#include <string.h>

/* Bytes that grow. The first error stays and makes all further appending void, so that it is looked at once.
 */
typedef struct Text {
        char *data; /* owned */
        size_t n, allocated;
        int error; /* 0 or negative errno */
} Text;

#define TEXT_NULL \
        { NULL, 0, 0, 0 }

static void text_deinit(Text *text) {
        free(text->data);
        *text = (Text) TEXT_NULL;
}
#define _cleanup_text_ _cleanup_(text_deinit)

static void text_append_bytes(Text *text, const char *bytes, size_t n) {
        if (text->error < 0)
                return;
        /* Always one more than asked for: what is handed out ends in a NUL that does not count. */
        if (text->allocated - text->n <= n) {
                size_t allocated = (text->n + n + 1) * 2;
                char *data = realloc(text->data, allocated);

                if (!data) {
                        text->error = -ENOMEM;
                        return;
                }
                text->data = data;
                text->allocated = allocated;
        }
        memcpy(text->data + text->n, bytes, n);
        text->n += n;
        text->data[text->n] = '\0';
}

static void text_append(Text *text, const char *s) {
        text_append_bytes(text, s, strlen(s));
}

/* Label values and HELP texts escape the same three characters. */
static void text_append_escaped(Text *text, const char *s) {
        while (s && *s) {
                size_t n = strcspn(s, "\\\"\n");

                text_append_bytes(text, s, n);
                s += n;
                if (!*s)
                        return;
                text_append(text, *s == '\n' ? "\\n" : *s == '"' ? "\\\"" : "\\\\");
                s++;
        }
}

static void text_append_number(Text *text, uint64_t value) {
        char digits[20], *p = digits + sizeof(digits);

        do {
                *--p = (char) ('0' + value % 10);
                value /= 10;
        } while (value > 0);
        text_append_bytes(text, p, (size_t) (digits + sizeof(digits) - p));
}

/* `whole`, and after a point `fraction` in `places` digits, of which the last zeros are left out. */
static void text_append_decimal(Text *text, uint64_t whole, uint64_t fraction, unsigned places) {
        char digits[20];
        size_t n = places;

        text_append_number(text, whole);
        if (fraction == 0)
                return;
        while (fraction % 10 == 0) {
                fraction /= 10;
                n--;
        }
        for (size_t i = n; i > 0; i--, fraction /= 10)
                digits[i - 1] = (char) ('0' + fraction % 10);
        text_append(text, ".");
        text_append_bytes(text, digits, n);
}

/* How one of our integers becomes a number in base units. */
typedef struct Scale {
        const char *unit; /* the family's suffix; NULL: a count */
        uint64_t divisor;
        uint64_t factor; /* makes a remainder of the division a decimal fraction of `places` digits */
        unsigned places;
} Scale;

static const Scale scale_count = { NULL, 1, 1, 0 };
static const Scale scale_bytes = { "bytes", 1, 1, 0 };
static const Scale scale_nsec = { "seconds", 1000000000, 1, 9 };
static const Scale scale_usec = { "seconds", 1000000, 1, 6 };
static const Scale scale_millicores = { "cores", 1000, 1, 3 };
static const Scale scale_rate = { "bytes_per_second", 1, 1, 0 };
static const Scale scale_operations = { "operations_per_second", 1, 1, 0 };
static const Scale scale_bits = { "bytes_per_second", 8, 125, 3 };

static void text_append_scaled(Text *text, const Scale *scale, uint64_t value) {
        text_append_decimal(
                        text, value / scale->divisor, value % scale->divisor * scale->factor, scale->places);
}

typedef struct Family {
        const char *name; /* with its unit, without what the type appends */
        const char *type;
        const char *suffix; /* what the type appends to the name of a sample */
        const Scale *scale;
        const char *help;
        bool begun; /* its head is printed with its first sample: a family without samples is absent */
} Family;

static void family_begin(Family *family, Text *text) {
        if (family->begun)
                return;
        family->begun = true;
        text_append(text, "# TYPE ");
        text_append(text, family->name);
        text_append(text, " ");
        text_append(text, family->type);
        if (family->scale->unit) {
                text_append(text, "\n# UNIT ");
                text_append(text, family->name);
                text_append(text, " ");
                text_append(text, family->scale->unit);
        }
        text_append(text, "\n# HELP ");
        text_append(text, family->name);
        text_append(text, " ");
        text_append_escaped(text, family->help);
        text_append(text, "\n");
}

/* The label that names what a resource's target is. */
static const char *target_label(ResourceTarget target) {
        return target == TARGET_UPLINK ? "uplink" : target == TARGET_MISC ? "resource" : "device";
}

/* What the entry's name has behind its '@', as a label. */
static void append_target(Text *text, const Resource *entry) {
        if (!entry || !*entry->target)
                return;
        text_append(text, ",");
        text_append(text, target_label(resource_info(entry->kind)->target));
        text_append(text, "=\"");
        text_append_escaped(text, entry->target);
        text_append(text, "\"");
}

/* Everything of a sample's line before its value. `tenant` and `entry` may be NULL. */
static void family_append_labels(
                Family *family, Text *text, const Node *node, const char *tenant, const Resource *entry) {
        family_begin(family, text);
        text_append(text, family->name);
        text_append(text, family->suffix);
        text_append(text, "{");
        if (tenant) {
                text_append(text, "tenant=\"");
                text_append_escaped(text, tenant);
                text_append(text, "\",");
        }
        text_append(text, "node=\"");
        text_append_escaped(text, node->node_id);
        text_append(text, "\"");
        append_target(text, entry);
        text_append(text, "} ");
}

static void append_node(Text *text, const Node *node) {
        Family sampled = { "headgate_sample_timestamp_seconds", "gauge", "", &scale_usec,
                "When the samples were read, in UTC since 1970.", false };
        Family degraded = { "headgate_node_degraded", "gauge", "", &scale_count,
                "1 where a part of what this node should do is not in force or not available, else 0.",
                false };

        text_append(text, "# TYPE headgate_node info\n# HELP headgate_node This node and what runs on it.\n"
                          "headgate_node_info{node=\"");
        text_append_escaped(text, node->node_id);
        text_append(text, "\",version=\"");
        text_append_escaped(text, node->version);
        text_append(text, "\",boot_id=\"");
        text_append_escaped(text, node->boot_id);
        text_append(text, "\"} 1\n");

        family_append_labels(&degraded, text, node, NULL, NULL);
        text_append(text, node->state == NODE_OK ? "0\n" : "1\n");

        if (node->sampled_usec == 0)
                return;
        family_append_labels(&sampled, text, node, NULL, NULL);
        text_append_scaled(text, sampled.scale, node->sampled_usec);
        text_append(text, "\n");
}

/* What was changed behind our back, by cause. */
static void append_drift(Text *text, const Node *node) {
        Family families[] = {
                { "headgate_drift_found", "counter", "_total", &scale_count,
                                "Settings, classes and pins found otherwise than they were left.", false },
                { "headgate_drift_repaired", "counter", "_total", &scale_count,
                                "Those of them that were put back.", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(families); i++)
                for (DriftCause cause = 0; cause < DRIFT_CAUSE_MAX; cause++) {
                        const struct DriftCount *count = &node->drift.counts[cause];

                        family_begin(&families[i], text);
                        text_append(text, families[i].name);
                        text_append(text, "_total{node=\"");
                        text_append_escaped(text, node->node_id);
                        text_append(text, "\",cause=\"");
                        text_append(text, drift_cause_to_string(cause));
                        text_append(text, "\"} ");
                        text_append_number(text, i == 0 ? count->found : count->repaired);
                        text_append(text, "\n");
                }
}

static bool is_shown(const Tenant *tenant, char *const *only_tenants) {
        return !only_tenants || strv_contains(only_tenants, tenant->id);
}

static Family metric_family(const MetricInfo *info, const char *name) {
        return (Family){ name, info->counter ? "counter" : "gauge", info->counter ? "_total" : "",
                info->unit == METRIC_UNIT_NSEC    ? &scale_nsec
                : info->unit == METRIC_UNIT_BYTES ? &scale_bytes
                                                  : &scale_count,
                info->help, false };
}

static void append_metric(Text *text, const Node *node, char *const *only_tenants, Metric metric) {
        const MetricInfo *info = metric_info(metric);
        Family family = metric_family(info, info->family);

        for (size_t i = 0; i < node->n_tenants; i++) {
                const Tenant *tenant = node->tenants[i];

                if (!is_shown(tenant, only_tenants) || !sample_has(&tenant->usage, metric))
                        continue;
                family_append_labels(&family, text, node, tenant->id, NULL);
                text_append_scaled(text, family.scale, tenant->usage.value[metric]);
                text_append(text, "\n");
        }
}

/* Cumulative, as the format has it; bounds in seconds. Every second bound: a page has such rows for each
 * tenant. `tenant_id`: NULL for what is no tenant's. `entry` as above. */
static void append_buckets(Text *text, const Node *node, const char *tenant_id, const Resource *entry,
                const Histogram *histogram, Family *family) {
        uint64_t count = 0;

        for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
                count += histogram->bucket[i];
                if (i % 2 == 0)
                        continue;
                family_begin(family, text);
                text_append(text, family->name);
                text_append(text, "_bucket{");
                if (tenant_id) {
                        text_append(text, "tenant=\"");
                        text_append_escaped(text, tenant_id);
                        text_append(text, "\",");
                }
                text_append(text, "node=\"");
                text_append_escaped(text, node->node_id);
                text_append(text, "\"");
                append_target(text, entry);
                text_append(text, ",le=\"");
                if (i + 1 < HISTOGRAM_BUCKETS)
                        text_append_scaled(text, family->scale, histogram_bound_nsec(i));
                else
                        text_append(text, "+Inf");
                text_append(text, "\"} ");
                text_append_number(text, count);
                text_append(text, "\n");
        }
}

static void append_histogram(Text *text, const Node *node, const char *tenant_id, const Resource *entry,
                const Histogram *histogram, Family *family) {
        append_buckets(text, node, tenant_id, entry, histogram, family);
        family->suffix = "_count";
        family_append_labels(family, text, node, tenant_id, entry);
        text_append_number(text, histogram_count(histogram));
        family->suffix = "_sum";
        text_append(text, "\n");
        family_append_labels(family, text, node, tenant_id, entry);
        text_append_scaled(text, family->scale, histogram->sum_nsec);
        text_append(text, "\n");
}

static void append_histograms(Text *text, const Node *node, char *const *only_tenants, Duration duration) {
        const DurationInfo *info = duration_info(duration);
        Family family = { info->family, "histogram", "", &scale_nsec, info->help, false };

        for (size_t i = 0; i < node->n_tenants; i++) {
                const Tenant *tenant = node->tenants[i];
                const Histogram *histogram = &tenant->usage.duration[duration];

                if (!is_shown(tenant, only_tenants) || !sample_has_duration(&tenant->usage, duration))
                        continue;
                append_histogram(text, node, tenant->id, NULL, histogram, &family);
        }
}

/* One direction of all devices: what the families are of. */
static void append_latencies(Text *text, const Node *node, char *const *only_tenants, bool write) {
        Family family = { write ? "headgate_io_write_latency_seconds" : "headgate_io_read_latency_seconds",
                "histogram", "", &scale_nsec,
                write ? "How long writes to block devices took." : "How long reads from block devices took.",
                false };

        for (size_t i = 0; i < node->n_tenants; i++) {
                const Tenant *tenant = node->tenants[i];

                for (size_t k = 0; is_shown(tenant, only_tenants) && k < tenant->latencies.n; k++) {
                        const BlockLatency *latency = &tenant->latencies.entries[k];
                        Resource device = { .kind = RESOURCE_IO_READ };

                        if (latency->write != write)
                                continue;
                        snprintf(device.target, sizeof(device.target), "%s", latency->device);
                        append_histogram(text, node, tenant->id, &device, &latency->histogram, &family);
                }
        }
}

/* What the control class sends is no tenant's, and is of families of its own. */
static void append_control(Text *text, const Node *node) {
        static const char ours[] = "headgate_", control[] = "headgate_control_";
        char name[128];

        for (Metric metric = 0; metric < METRIC_MAX; metric++) {
                const MetricInfo *info = metric_info(metric);
                Family family = metric_family(info, name);

                if (!sample_has(&node->control, metric))
                        continue;
                snprintf(name, sizeof(name), "%s%s", control, info->family + strlen(ours));
                family_append_labels(&family, text, node, NULL, NULL);
                text_append_scaled(text, family.scale, node->control.value[metric]);
                text_append(text, "\n");
        }
        for (Duration duration = 0; duration < DURATION_MAX; duration++) {
                const DurationInfo *info = duration_info(duration);
                Family family = { name, "histogram", "", &scale_nsec, info->help, false };

                if (!sample_has_duration(&node->control, duration))
                        continue;
                snprintf(name, sizeof(name), "%s%s", control, info->family + strlen(ours));
                append_histogram(text, node, NULL, NULL, &node->control.duration[duration], &family);
        }
}

/* Not to a tenant's own users: it names other tenants. */
static void append_culprits(Text *text, const Node *node) {
        Family family = { "headgate_cpu_wait_culprit_seconds", "counter", "_total", &scale_nsec,
                "Time that tasks of the tenant were queued while the culprit had their CPU.", false };

        for (size_t i = 0; i < node->n_tenants; i++)
                for (size_t k = 0; k < node->tenants[i]->blames.n; k++) {
                        const Blame *blame = &node->tenants[i]->blames.entries[k];

                        family_begin(&family, text);
                        text_append(text, "headgate_cpu_wait_culprit_seconds_total{tenant=\"");
                        text_append_escaped(text, node->tenants[i]->id);
                        text_append(text, "\",node=\"");
                        text_append_escaped(text, node->node_id);
                        text_append(text, "\",culprit=\"");
                        text_append_escaped(text, blame->culprit);
                        text_append(text, "\"} ");
                        text_append_scaled(text, family.scale, blame->nsec);
                        text_append(text, "\n");
                }
}

/* What a tenant's share is now. No family for what a resource cannot promise: swap and tasks have only a
 * limit. */
static const struct Promise {
        ResourceKind kind;
        const char *reserved_family; /* NULL: a limit alone */
        const char *limit_family;
        const Scale *scale;
        const char *reserved_help;
        const char *limit_help;
} promises[] = {
        { RESOURCE_CPU, "headgate_cpu_reserved_cores", "headgate_cpu_limit_cores", &scale_millicores,
                        "CPUs guaranteed now.", "CPUs never exceeded now." },
        { RESOURCE_MEMORY, "headgate_memory_reserved_bytes", "headgate_memory_limit_bytes", &scale_bytes,
                        "Memory guaranteed now.", "Memory never exceeded now." },
        { RESOURCE_SWAP, NULL, "headgate_swap_limit_bytes", &scale_bytes, NULL, "Swap never exceeded now." },
        { RESOURCE_TASKS, NULL, "headgate_tasks_limit", &scale_count, NULL, "Tasks never exceeded now." },
        { RESOURCE_NET_EGRESS, "headgate_net_egress_reserved_bytes_per_second",
                        "headgate_net_egress_limit_bytes_per_second", &scale_bits,
                        "Rate of sending guaranteed now; without the label uplink, on the default uplink.",
                        "Rate of sending never exceeded now; without the label uplink, on the default "
                        "uplink." },
        { RESOURCE_NET_INGRESS, "headgate_net_ingress_reserved_bytes_per_second",
                        "headgate_net_ingress_limit_bytes_per_second", &scale_bits,
                        "Rate of receiving guaranteed now; without the label uplink, on the default uplink.",
                        "Rate of receiving never exceeded now; without the label uplink, on the default "
                        "uplink." },
        { RESOURCE_IO_READ, "headgate_io_read_reserved_bytes_per_second",
                        "headgate_io_read_limit_bytes_per_second", &scale_rate,
                        "Rate of reading guaranteed now; without the label device, on each block device.",
                        "Rate of reading never exceeded now; without the label device, on each block "
                        "device." },
        { RESOURCE_IO_WRITE, "headgate_io_write_reserved_bytes_per_second",
                        "headgate_io_write_limit_bytes_per_second", &scale_rate,
                        "Rate of writing guaranteed now; without the label device, on each block device.",
                        "Rate of writing never exceeded now; without the label device, on each block "
                        "device." },
        { RESOURCE_IOPS_READ, NULL, "headgate_io_read_limit_operations_per_second", &scale_operations, NULL,
                        "Reads never exceeded now; without the label device, on each block device." },
        { RESOURCE_IOPS_WRITE, NULL, "headgate_io_write_limit_operations_per_second", &scale_operations, NULL,
                        "Writes never exceeded now; without the label device, on each block device." },
        { RESOURCE_HUGETLB_2M, NULL, "headgate_hugetlb_2m_limit_bytes", &scale_bytes, NULL,
                        "Memory in pages of 2 MiB never exceeded now." },
        { RESOURCE_HUGETLB_1G, NULL, "headgate_hugetlb_1g_limit_bytes", &scale_bytes, NULL,
                        "Memory in pages of 1 GiB never exceeded now." },
        { RESOURCE_RDMA_HANDLES, NULL, "headgate_rdma_handles_limit", &scale_count, NULL,
                        "RDMA handles never exceeded now." },
        { RESOURCE_RDMA_OBJECTS, NULL, "headgate_rdma_objects_limit", &scale_count, NULL,
                        "RDMA objects never exceeded now." },
        { RESOURCE_MISC, NULL, "headgate_misc_limit", &scale_count, NULL,
                        "What the misc controller counts, never exceeded now." },
};

static void append_promise(Text *text, const Node *node, char *const *only_tenants,
                const struct Promise *promise, bool limit) {
        Family family = { limit ? promise->limit_family : promise->reserved_family, "gauge", "",
                promise->scale, limit ? promise->limit_help : promise->reserved_help, false };

        for (size_t i = 0; i < node->n_tenants; i++) {
                const Tenant *tenant = node->tenants[i];

                if (!is_shown(tenant, only_tenants))
                        continue;
                for (size_t j = 0; j < tenant->desired.n; j++) {
                        const Resource *entry = &tenant->desired.entries[j];
                        uint64_t value = limit ? entry->amount.limit : entry->amount.reserved;

                        if (entry->kind != promise->kind)
                                continue;
                        family_append_labels(&family, text, node, tenant->id, entry);
                        if (value == UNLIMITED)
                                text_append(text, "+Inf");
                        else
                                text_append_scaled(text, family.scale, value);
                        text_append(text, "\n");
                }
        }
}

/* Of allocations whose promise is not over. */
static void append_delivered(Text *text, const Node *node, char *const *only_tenants, DeliveryFigure figure) {
        const DeliveryFigureInfo *info = delivery_figure_info(figure);
        Family family = { info->family, "counter", "_total",
                info->unit == METRIC_UNIT_NSEC ? &scale_nsec : &scale_count, info->help, false };

        for (size_t i = 0; i < node->calendar.n; i++) {
                const Allocation *allocation = node->calendar.allocations[i];
                const Delivery *delivered = allocation->delivered;

                if (!delivered || !(delivered->present & 1ULL << figure) ||
                                !allocation_is_current(allocation) ||
                                (only_tenants && !strv_contains(only_tenants, allocation->tenant_id)))
                        continue;
                family_begin(&family, text);
                text_append(text, family.name);
                text_append(text, "_total{tenant=\"");
                text_append_escaped(text, allocation->tenant_id);
                text_append(text, "\",node=\"");
                text_append_escaped(text, node->node_id);
                text_append(text, "\",allocation=\"");
                text_append_escaped(text, allocation->id);
                text_append(text, "\"} ");
                text_append_scaled(text, family.scale, delivered->value[figure]);
                text_append(text, "\n");
        }
}

static void append_problems(Text *text, const Node *node, char *const *only_tenants) {
        Family family = { "headgate_tenant_problems", "gauge", "", &scale_count,
                "Reasons why not all that the tenant should have is in force.", false };

        for (size_t i = 0; i < node->n_tenants; i++) {
                const Tenant *tenant = node->tenants[i];
                size_t n = 0;

                if (!is_shown(tenant, only_tenants))
                        continue;
                while (tenant->problems && tenant->problems[n])
                        n++;
                family_append_labels(&family, text, node, tenant->id, NULL);
                text_append_number(text, n);
                text_append(text, "\n");
        }
}

int export_openmetrics(const Node *node, char *const *only_tenants, char **ret_text, size_t *ret_size) {
        _cleanup_text_ Text text = TEXT_NULL;

        append_node(&text, node);
        if (!only_tenants)
                append_drift(&text, node);
        for (Metric metric = 0; metric < METRIC_MAX; metric++)
                append_metric(&text, node, only_tenants, metric);
        for (Duration duration = 0; duration < DURATION_MAX; duration++)
                append_histograms(&text, node, only_tenants, duration);
        append_latencies(&text, node, only_tenants, /* write= */ false);
        append_latencies(&text, node, only_tenants, /* write= */ true);
        if (!only_tenants) {
                append_culprits(&text, node);
                append_control(&text, node);
        }
        for (size_t i = 0; i < ELEMENTSOF(promises); i++) {
                if (promises[i].reserved_family)
                        append_promise(&text, node, only_tenants, &promises[i], /* limit= */ false);
                append_promise(&text, node, only_tenants, &promises[i], /* limit= */ true);
        }
        for (DeliveryFigure figure = 0; figure < DELIVERY_FIGURE_MAX; figure++)
                append_delivered(&text, node, only_tenants, figure);
        append_problems(&text, node, only_tenants);
        text_append(&text, "# EOF\n");

        if (text.error < 0)
                return text.error;
        *ret_size = text.n;
        *ret_text = TAKE_PTR(text.data);
        return 0;
}
