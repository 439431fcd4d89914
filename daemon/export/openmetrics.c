/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Prints what a node knows as OpenMetrics 1.0 text (https://prometheus.io/docs/specs/om/open_metrics_spec/):
 * the samples of metric_info()'s table, and beside them what each tenant was promised, so that one query
 * divides use by promise. Integers only: a nanosecond counter leaves as the exact decimal number of seconds.
 * It carries no timestamps (a scraper would lose its staleness handling); when the samples were read is a
 * gauge. What was not read is absent, never 0. It opens nothing and sends nothing.
 */

#include "openmetrics.h"

#include "export/openmetrics-line.h"
#include "util/strv.h"

#include <stdint.h>
#include <string.h>

static const Scale scale_count = { NULL, 1, 1, 0 };
static const Scale scale_bytes = { "bytes", 1, 1, 0 };
static const Scale scale_nsec = { "seconds", 1000000000, 1, 9 };
static const Scale scale_usec = { "seconds", 1000000, 1, 6 };
static const Scale scale_millicores = { "cores", 1000, 1, 3 };
static const Scale scale_rate = { "bytes_per_second", 1, 1, 0 };
static const Scale scale_operations = { "operations_per_second", 1, 1, 0 };
static const Scale scale_bits = { "bytes_per_second", 8, 125, 3 };

/* A tenant of those that are told of. Its masks stand here and are looked at for each family: the tenants
 * themselves are a megabyte, through which one family after another would go for what most of them lack. */
typedef struct Shown {
        const Tenant *tenant;
        Labels labels;     /* who it is, and of which node */
        uint64_t metrics;  /* bit (1ULL << Metric): its usage has it */
        uint64_t promises; /* bit (1ULL << ResourceKind): its share has some of it */
} Shown;
_Static_assert(RESOURCE_KIND_MAX <= 64, "a bit for each");

typedef struct Page {
        const Node *node;
        char *const *only_tenants; /* NULL: all */
        Text *text;
        Text names; /* what the labels are of */
        Labels of_node;
        Shown *shown; /* owned, [n_shown] */
        size_t n_shown;
        uint64_t metrics, promises; /* of any of these */
        bool of_uplinks;            /* of each uplink by itself there is something to tell */
} Page;

static void page_deinit(Page *page) {
        text_deinit(&page->names);
        free(page->shown);
}

static bool is_told(const Page *page, const char *tenant_id) {
        return !page->only_tenants || strv_contains(page->only_tenants, tenant_id);
}

/* `tenant_id`: NULL for what is no tenant's. */
static size_t append_names(Text *text, const Node *node, const char *tenant_id) {
        size_t before = text->n;

        if (tenant_id) {
                text_append(text, "tenant=\"");
                text_append_escaped(text, tenant_id);
                text_append(text, "\",");
        }
        text_append(text, "node=\"");
        text_append_escaped(text, node->node_id);
        text_append(text, "\"");
        return text->n - before;
}

static uint64_t promises_of(const ResourceSet *share) {
        uint64_t promises = 0;

        for (size_t i = 0; i < share->n; i++)
                promises |= 1ULL << share->entries[i].kind;
        return promises;
}

static int page_begin(Page *page) {
        const Node *node = page->node;
        const char *p;

        page->shown = calloc(node->n_tenants + 1, sizeof(Shown));
        if (!page->shown)
                return -ENOMEM;
        page->of_node.n = append_names(&page->names, node, NULL);
        for (size_t i = 0; i < node->n_tenants; i++) {
                const Tenant *tenant = node->tenants[i];

                if (is_told(page, tenant->id))
                        page->shown[page->n_shown++] = (Shown){
                                .tenant = tenant,
                                .labels.n = append_names(&page->names, node, tenant->id),
                                .metrics = tenant->usage.present,
                                .promises = promises_of(&tenant->desired),
                        };
        }
        if (page->names.error < 0)
                return page->names.error;
        /* Where they are: the text moves no more. */
        page->of_node.text = page->names.data;
        p = page->names.data + page->of_node.n;
        for (size_t i = 0; i < page->n_shown; p += page->shown[i++].labels.n) {
                page->shown[i].labels.text = p;
                page->metrics |= page->shown[i].metrics;
                page->promises |= page->shown[i].promises;
                page->of_uplinks |= page->shown[i].tenant->uplinks.n > 0;
        }
        return 0;
}

/* A page with a label of another's is none. */
static void page_take_error(Page *page, const Text *more) {
        if (more->error < 0)
                page->text->error = more->error;
}

/* `labels` with one more. The text is anew with each. */
static Labels labels_with(const Labels *labels, Text *more, const char *name, const char *value) {
        more->n = 0;
        text_append(more, ",");
        text_append(more, name);
        text_append(more, "=\"");
        text_append_escaped(more, value);
        text_append(more, "\"");
        return (Labels){ labels->text, labels->n, more->data };
}

/* The label that names what a resource's target is. */
static const char *target_label(ResourceTarget target) {
        return target == TARGET_UPLINK ? "uplink" : target == TARGET_MISC ? "resource" : "device";
}

/* With what the entry's name has behind its '@'. */
static Labels labels_with_target(const Labels *labels, Text *more, const Resource *entry) {
        return *entry->target ? labels_with(labels, more, target_label(resource_info(entry->kind)->target),
                                                entry->target)
                              : *labels;
}

static void append_node(Page *page) {
        const Node *node = page->node;
        Text *text = page->text;
        Family sampled = { "headgate_sample_timestamp_seconds", "gauge", "", &scale_usec,
                "When the samples were read, in UTC since 1970.", 0 };
        Family degraded = { "headgate_node_degraded", "gauge", "", &scale_count,
                "1 where a part of what this node should do is not in force or not available, else 0.", 0 };

        text_append(text, "# TYPE headgate_node info\n# HELP headgate_node This node and what runs on it.\n"
                          "headgate_node_info{node=\"");
        text_append_escaped(text, node->node_id);
        text_append(text, "\",version=\"");
        text_append_escaped(text, node->version);
        text_append(text, "\",boot_id=\"");
        text_append_escaped(text, node->boot_id);
        text_append(text, "\"} 1\n");

        family_append(&degraded, text, &page->of_node, node->state == NODE_OK ? 0 : 1);
        if (node->sampled_usec > 0)
                family_append(&sampled, text, &page->of_node, node->sampled_usec);
}

/* What was changed behind our back, by cause. */
static void append_drift(Page *page) {
        Family families[] = {
                { "headgate_drift_found", "counter", "_total", &scale_count,
                                "Settings, classes and pins found otherwise than they were left.", 0 },
                { "headgate_drift_repaired", "counter", "_total", &scale_count,
                                "Those of them that were put back.", 0 },
        };
        _cleanup_text_ Text more = TEXT_NULL;

        for (size_t i = 0; i < ELEMENTSOF(families); i++)
                for (DriftCause cause = 0; cause < DRIFT_CAUSE_MAX; cause++) {
                        const struct DriftCount *count = &page->node->drift.counts[cause];
                        Labels labels = labels_with(
                                        &page->of_node, &more, "cause", drift_cause_to_string(cause));

                        family_append(&families[i], page->text, &labels,
                                        i == 0 ? count->found : count->repaired);
                }
        page_take_error(page, &more);
}

static Family metric_family(const MetricInfo *info, const char *name) {
        return (Family){ name, info->counter ? "counter" : "gauge", info->counter ? "_total" : "",
                info->unit == METRIC_UNIT_NSEC    ? &scale_nsec
                : info->unit == METRIC_UNIT_BYTES ? &scale_bytes
                                                  : &scale_count,
                info->help, 0 };
}

static void append_metric(Page *page, Metric metric) {
        const MetricInfo *info = metric_info(metric);
        Family family = metric_family(info, info->family);

        if (!(page->metrics & 1ULL << metric))
                return;
        for (size_t i = 0; i < page->n_shown; i++) {
                const Shown *shown = &page->shown[i];

                if (shown->metrics & 1ULL << metric)
                        family_append(&family, page->text, &shown->labels,
                                        shown->tenant->usage.value[metric]);
        }
}

/* Of each uplink by itself: in a family of its own, or a sum over the other would count all twice. */
static void append_uplink_metric(Page *page, Metric metric) {
        static const char ours[] = "headgate_";
        const MetricInfo *info = metric_info(metric);
        char name[128];
        Family family = metric_family(info, name);
        _cleanup_text_ Text more = TEXT_NULL;

        snprintf(name, sizeof(name), "headgate_uplink_%s", info->family + strlen(ours));
        for (size_t i = 0; i < page->n_shown; i++) {
                const UplinkUsages *uplinks = &page->shown[i].tenant->uplinks;

                for (size_t k = 0; k < uplinks->n; k++) {
                        const UplinkUsage *usage = &uplinks->entries[k];
                        uint64_t value;
                        Labels labels;

                        if (!uplink_usage_read(usage, metric, &value))
                                continue;
                        labels = labels_with(&page->shown[i].labels, &more, "uplink", usage->uplink);
                        family_append(&family, page->text, &labels, value);
                }
        }
        page_take_error(page, &more);
}

static void append_histograms(Page *page, Duration duration) {
        const DurationInfo *info = duration_info(duration);
        Family family = { info->family, "histogram", "", &scale_nsec, info->help, 0 };
        const Bounds bounds = bounds_of(&scale_nsec);

        for (size_t i = 0; i < page->n_shown; i++) {
                Histogram histogram;

                if (node_read_duration(page->node, page->shown[i].tenant, duration, &histogram))
                        family_append_histogram(
                                        &family, page->text, &page->shown[i].labels, &bounds, &histogram);
        }
}

/* One direction of all devices: what the families are of. */
static void append_latencies(Page *page, bool write) {
        Family family = { write ? "headgate_io_write_latency_seconds" : "headgate_io_read_latency_seconds",
                "histogram", "", &scale_nsec,
                write ? "How long writes to block devices took." : "How long reads from block devices took.",
                0 };
        const Bounds bounds = bounds_of(&scale_nsec);
        _cleanup_text_ Text more = TEXT_NULL;

        for (size_t i = 0; i < page->n_shown; i++) {
                const BlockLatencies *latencies = &page->shown[i].tenant->latencies;

                for (size_t k = 0; k < latencies->n; k++) {
                        const BlockLatency *latency = &latencies->entries[k];
                        Labels labels;

                        if (latency->write != write)
                                continue;
                        labels = labels_with(&page->shown[i].labels, &more, "device", latency->device);
                        family_append_histogram(&family, page->text, &labels, &bounds, &latency->histogram);
                }
        }
        page_take_error(page, &more);
}

/* What the control class sends is no tenant's, and is of families of its own. */
static void append_control(Page *page) {
        static const char ours[] = "headgate_", control[] = "headgate_control_";
        const Sample *sample = &page->node->control;
        const Bounds bounds = bounds_of(&scale_nsec);
        char name[128];

        for (Metric metric = 0; metric < METRIC_MAX; metric++) {
                const MetricInfo *info = metric_info(metric);
                Family family = metric_family(info, name);

                if (!sample_has(sample, metric))
                        continue;
                snprintf(name, sizeof(name), "%s%s", control, info->family + strlen(ours));
                family_append(&family, page->text, &page->of_node, sample->value[metric]);
        }
        for (Duration duration = 0; duration < DURATION_MAX; duration++) {
                const DurationInfo *info = duration_info(duration);
                Family family = { name, "histogram", "", &scale_nsec, info->help, 0 };
                Histogram histogram;

                if (!node_read_duration(page->node, /* tenant= */ NULL, duration, &histogram))
                        continue;
                snprintf(name, sizeof(name), "%s%s", control, info->family + strlen(ours));
                family_append_histogram(&family, page->text, &page->of_node, &bounds, &histogram);
        }
}

/* Not to a tenant's own users: it names other tenants. */
static void append_culprits(Page *page) {
        Family family = { "headgate_cpu_wait_culprit_seconds", "counter", "_total", &scale_nsec,
                "Time that tasks of the tenant were queued while the culprit had their CPU.", 0 };
        _cleanup_text_ Text more = TEXT_NULL;

        for (size_t i = 0; i < page->n_shown; i++) {
                const Blames *blames = &page->shown[i].tenant->blames;

                for (size_t k = 0; k < blames->n; k++) {
                        const Blame *blame = &blames->entries[k];
                        Labels labels = labels_with(&page->shown[i].labels, &more, "culprit", blame->culprit);

                        family_append(&family, page->text, &labels, blame->nsec);
                }
        }
        page_take_error(page, &more);
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

static void append_promise(Page *page, const struct Promise *promise, bool limit) {
        Family family = { limit ? promise->limit_family : promise->reserved_family, "gauge", "",
                promise->scale, limit ? promise->limit_help : promise->reserved_help, 0 };
        _cleanup_text_ Text more = TEXT_NULL;

        if (!(page->promises & 1ULL << promise->kind))
                return;
        for (size_t i = 0; i < page->n_shown; i++) {
                const ResourceSet *desired = &page->shown[i].tenant->desired;

                if (!(page->shown[i].promises & 1ULL << promise->kind))
                        continue;
                for (size_t j = 0; j < desired->n; j++) {
                        const Resource *entry = &desired->entries[j];
                        uint64_t value = limit ? entry->amount.limit : entry->amount.reserved;
                        Labels labels;

                        if (entry->kind != promise->kind)
                                continue;
                        labels = labels_with_target(&page->shown[i].labels, &more, entry);
                        if (value == UNLIMITED)
                                family_append_word(&family, page->text, &labels, "+Inf");
                        else
                                family_append(&family, page->text, &labels, value);
                }
        }
}

/* Of allocations whose promise is not over. */
static void append_delivered(Page *page, DeliveryFigure figure) {
        const DeliveryFigureInfo *info = delivery_figure_info(figure);
        const Node *node = page->node;
        Family family = { info->family, "counter", "_total",
                info->unit == METRIC_UNIT_NSEC ? &scale_nsec : &scale_count, info->help, 0 };
        _cleanup_text_ Text names = TEXT_NULL, more = TEXT_NULL;

        for (size_t i = 0; i < node->calendar.n; i++) {
                const Allocation *allocation = node->calendar.allocations[i];
                const Delivery *delivered = allocation->delivered;
                Labels labels;

                if (!delivered || !(delivered->present & 1ULL << figure) ||
                                !allocation_is_current(allocation) || !is_told(page, allocation->tenant_id))
                        continue;
                names.n = 0;
                labels.n = append_names(&names, node, allocation->tenant_id);
                labels.text = names.data;
                labels = labels_with(&labels, &more, "allocation", allocation->id);
                family_append(&family, page->text, &labels, delivered->value[figure]);
        }
        page_take_error(page, &names);
        page_take_error(page, &more);
}

static void append_problems(Page *page) {
        Family family = { "headgate_tenant_problems", "gauge", "", &scale_count,
                "Reasons why not all that the tenant should have is in force.", 0 };

        for (size_t i = 0; i < page->n_shown; i++) {
                char **problems = page->shown[i].tenant->problems;
                size_t n = 0;

                while (problems && problems[n])
                        n++;
                family_append(&family, page->text, &page->shown[i].labels, n);
        }
}

static void append_all(Page *page) {
        append_node(page);
        if (!page->only_tenants)
                append_drift(page);
        for (Metric metric = 0; metric < METRIC_MAX; metric++)
                append_metric(page, metric);
        for (ClassWay way = 0; way < CLASS_WAY_MAX; way++)
                for (size_t i = 0; page->of_uplinks && i < NET_CLASS_FIGURES; i++)
                        append_uplink_metric(page, net_class_metrics(way)[i]);
        for (Duration duration = 0; duration < DURATION_MAX; duration++)
                append_histograms(page, duration);
        append_latencies(page, /* write= */ false);
        append_latencies(page, /* write= */ true);
        if (!page->only_tenants) {
                append_culprits(page);
                append_control(page);
        }
        for (size_t i = 0; i < ELEMENTSOF(promises); i++) {
                if (promises[i].reserved_family)
                        append_promise(page, &promises[i], /* limit= */ false);
                append_promise(page, &promises[i], /* limit= */ true);
        }
        for (DeliveryFigure figure = 0; figure < DELIVERY_FIGURE_MAX; figure++)
                append_delivered(page, figure);
        append_problems(page);
        text_append(page->text, "# EOF\n");
}

int export_openmetrics(const Node *node, char *const *only_tenants, Text *text) {
        _cleanup_(page_deinit) Page page = { .node = node, .only_tenants = only_tenants, .text = text };
        int r = page_begin(&page);

        if (r < 0)
                return r;
        append_all(&page);
        return text_flush(text);
}
