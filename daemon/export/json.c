/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Prints the samples of a node as one JSON object on one line, under the names that D-Bus `Usage` has.
 * Integers only. What was not read is absent, never 0. It opens nothing and sends nothing.
 *
 * As it goes, without a tree of it: of a thousand tenants that is eighty thousand values, some ten megabytes.
 */

#include "json.h"

#include "util/strv.h"

#include <stdint.h>
#include <string.h>

/* An object or a list that is being printed. */
typedef struct Members {
        Text *text;
        bool any;
} Members;

static void append_escaped(Text *text, unsigned char c) {
        static const char shorts[][3] = { ['\b'] = "\\b",
                ['\t'] = "\\t",
                ['\n'] = "\\n",
                ['\f'] = "\\f",
                ['\r'] = "\\r",
                ['"'] = "\\\"",
                ['\\'] = "\\\\" };
        char code[8];

        snprintf(code, sizeof(code), "\\u%04X", c);
        text_append(text, c < ELEMENTSOF(shorts) && *shorts[c] ? shorts[c] : code);
}

static void append_string(Text *text, const char *s) {
        text_append(text, "\"");
        for (const char *plain = s;; s++) {
                const unsigned char c = (unsigned char) *s;

                if (c >= ' ' && c != '"' && c != '\\')
                        continue;
                text_append_bytes(text, plain, (size_t) (s - plain));
                if (c == '\0')
                        break;
                append_escaped(text, c);
                plain = s + 1;
        }
        text_append(text, "\"");
}

/* Readers' integers are signed: 2^63 ns of CPU time are 292 years of a CPU, and stop there. */
static char *put_number(char *p, uint64_t value) {
        return text_put_number(p, value > INT64_MAX ? INT64_MAX : value);
}

static void append_number(Text *text, uint64_t value) {
        char *p = text_reserve(text, TEXT_NUMBER_SIZE);

        if (p)
                text_end(text, put_number(p, value));
}

static void separate(Members *members) {
        if (members->any)
                text_append(members->text, ",");
        members->any = true;
}

static void append_key(Members *members, const char *name) {
        separate(members);
        append_string(members->text, name);
        text_append(members->text, ":");
}

/* `name` is one of ours: nothing in it is to be escaped. In one piece, as most of a page is such. */
static void append_member(Members *members, const char *name, uint64_t value) {
        const size_t n = strlen(name);
        char *p;

        separate(members);
        p = text_reserve(members->text, n + TEXT_NUMBER_SIZE);
        if (!p)
                return;
        *p++ = '"';
        p = mempcpy(mempcpy(p, name, n), "\":", 2);
        text_end(members->text, put_number(p, value));
}

static Members begin(Text *text, const char *brace) {
        text_append(text, brace);
        return (Members){ text, false };
}

static Members begin_object(Members *members, const char *name) {
        append_key(members, name);
        return begin(members->text, "{");
}

/* "cpu.wait.histogram": the counts alone. */
static void append_histogram(Members *usage, const char *name, const Histogram *histogram) {
        char key[BLOCK_LATENCY_NAME_SIZE + sizeof(".histogram")];
        char *p;

        snprintf(key, sizeof(key), "%s.histogram", name);
        append_key(usage, key);
        p = text_reserve(usage->text, HISTOGRAM_BUCKETS * TEXT_NUMBER_SIZE);
        if (!p)
                return;
        for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
                *p++ = i == 0 ? '[' : ',';
                p = put_number(p, histogram->bucket[i]);
        }
        *p++ = ']';
        text_end(usage->text, p);
}

/* "io.read.latency@8:0.histogram" */
static void append_latencies(Members *usage, const BlockLatencies *latencies) {
        for (size_t i = 0; i < latencies->n; i++) {
                char name[BLOCK_LATENCY_NAME_SIZE];

                append_histogram(usage, block_latency_name(&latencies->entries[i], name),
                                &latencies->entries[i].histogram);
        }
}

/* "net.egress.wire-bytes@eth0" */
static void append_uplinks(Members *usage, const UplinkUsages *uplinks) {
        for (size_t i = 0; i < uplinks->n; i++)
                for (Metric metric = 0; metric < METRIC_MAX; metric++) {
                        const UplinkUsage *uplink = &uplinks->entries[i];
                        char name[UPLINK_USAGE_NAME_SIZE];
                        uint64_t value;

                        if (!uplink_usage_read(uplink, metric, &value))
                                continue;

                        append_key(usage, uplink_usage_name(uplink, metric, name));
                        append_number(usage->text, value);
                }
}

static void append_victims(Members *usage, const OomVictims *victims) {
        Members list;

        if (!victims)
                return;
        append_key(usage, "memory.oom-victims");
        list = begin(usage->text, "[");
        for (size_t i = 0; i < victims->n; i++) {
                const OomVictim *victim = &victims->entries[i];
                Members entry;

                separate(&list);
                entry = begin(list.text, "{");
                append_key(&entry, "Name");
                append_string(entry.text, victim->comm);
                append_member(&entry, "Pid", victim->pid);
                append_member(&entry, "Time", victim->time_usec);
                append_member(&entry, "PeakBytes", victim->peak_bytes);
                text_append(entry.text, "}");
        }
        text_append(usage->text, "]");
}

/* Of a tenant, or with NULL of the control class. */
static void append_usage(Members *usage, const Node *node, const Tenant *tenant) {
        const Sample *sample = tenant ? &tenant->usage : &node->control;

        for (Metric metric = 0; metric < METRIC_MAX; metric++)
                if (sample_has(sample, metric))
                        append_member(usage, metric_info(metric)->name, sample->value[metric]);
        for (Duration duration = 0; duration < DURATION_MAX; duration++) {
                Histogram histogram;

                if (node_read_duration(node, tenant, duration, &histogram))
                        append_histogram(usage, duration_info(duration)->name, &histogram);
        }
}

static void append_tenants(Members *node_members, const Node *node, char *const *only_tenants) {
        Members tenants = begin_object(node_members, "Tenants");

        for (size_t i = 0; i < node->n_tenants; i++) {
                const Tenant *tenant = node->tenants[i];
                Members usage;

                if (only_tenants && !strv_contains(only_tenants, tenant->id))
                        continue;
                usage = begin_object(&tenants, tenant->id);
                append_usage(&usage, node, tenant);
                append_uplinks(&usage, &tenant->uplinks);
                append_latencies(&usage, &tenant->latencies);
                append_victims(&usage, tenant->victims);
                text_append(usage.text, "}");
        }
        text_append(tenants.text, "}");
}

/* Of each allocation of which something was; no object of none. */
static void append_delivered(Members *node_members, const Node *node, char *const *only_tenants) {
        Members delivered = { node_members->text, false };

        for (size_t i = 0; i < node->calendar.n; i++) {
                const Allocation *allocation = node->calendar.allocations[i];
                Members figures;

                if (!allocation->delivered || !allocation->delivered->present ||
                                (only_tenants && !strv_contains(only_tenants, allocation->tenant_id)))
                        continue;
                if (!delivered.any)
                        delivered = begin_object(node_members, "Delivered");
                figures = begin_object(&delivered, allocation->id);
                for (DeliveryFigure figure = 0; figure < DELIVERY_FIGURE_MAX; figure++)
                        if (allocation->delivered->present & 1ULL << figure)
                                append_member(&figures, delivery_figure_info(figure)->name,
                                                allocation->delivered->value[figure]);
                text_append(figures.text, "}");
        }
        if (delivered.any)
                text_append(delivered.text, "}");
}

/* Whose tasks had the CPU while a tenant's waited. */
static void append_culprits(Members *node_members, const Node *node) {
        Members culprits = { node_members->text, false };

        for (size_t i = 0; i < node->n_tenants; i++) {
                const Blames *blames = &node->tenants[i]->blames;
                Members of_tenant;

                if (blames->n == 0)
                        continue;
                if (!culprits.any)
                        culprits = begin_object(node_members, "Culprits");
                of_tenant = begin_object(&culprits, node->tenants[i]->id);
                for (size_t k = 0; k < blames->n; k++)
                        append_member(&of_tenant, blames->entries[k].culprit, blames->entries[k].nsec);
                text_append(of_tenant.text, "}");
        }
        if (culprits.any)
                text_append(culprits.text, "}");
}

static void append_id(Members *members, const char *name, const char *id) {
        append_key(members, name);
        if (id)
                append_string(members->text, id);
        else
                text_append(members->text, "null");
}

static bool has_control(const Node *node) {
        bool has = node->control.present;

        for (Duration duration = 0; !has && duration < DURATION_MAX; duration++) {
                Histogram histogram;

                has = node_read_duration(node, /* tenant= */ NULL, duration, &histogram);
        }
        return has;
}

int export_json(const Node *node, char *const *only_tenants, Text *text) {
        Members members = begin(text, "{"), control;

        append_id(&members, "NodeId", node->node_id);
        append_id(&members, "BootId", node->boot_id);
        append_member(&members, "Time", node->sampled_usec);
        append_tenants(&members, node, only_tenants);
        append_delivered(&members, node, only_tenants);
        /* To a tenant's own users not: it names other tenants. */
        if (!only_tenants)
                append_culprits(&members, node);
        /* No tenant's users are told of it, nor anyone where there is no uplink. */
        if (!only_tenants && has_control(node)) {
                control = begin_object(&members, "Control");
                append_usage(&control, node, /* tenant= */ NULL);
                text_append(control.text, "}");
        }
        text_append(text, "}\n");
        return text_flush(text);
}
