/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Differences of counters over time. Pure; clocks are its callers'. */

#include "rates.h"

#include "util/cleanup.h"
#include "variant.h"

#include <string.h>

/* The rates that are told under another name than their counter's. */
static const struct {
        Metric metric;
        const char *name;
} renamed[] = {
        { METRIC_CPU_TIME, "cpu" },
        { METRIC_NET_EGRESS_BYTES, "net.egress" },
        { METRIC_NET_INGRESS_BYTES, "net.ingress" },
};

static const char *rate_name(Metric metric) {
        for (size_t i = 0; i < ELEMENTSOF(renamed); i++)
                if (renamed[i].metric == metric)
                        return renamed[i].name;

        return metric_info(metric)->name;
}

bool rate_is_bits(Metric metric) {
        const MetricInfo *info = metric_info(metric);

        return info->unit == METRIC_UNIT_BYTES && strncmp(info->name, "net.", strlen("net.")) == 0;
}

bool rate_between(Metric metric, const Sample *before, const Sample *after, uint64_t elapsed_usec,
                uint64_t *ret) {
        const MetricInfo *info = metric_info(metric);
        const double scale = info->unit == METRIC_UNIT_NSEC ? 1e-6 : rate_is_bits(metric) ? 8 : 1;
        uint64_t from, to;

        if (!info->counter || !before || !after || !sample_has(before, metric) ||
                        !sample_has(after, metric) || elapsed_usec == 0)
                return false;

        from = before->value[metric];
        to = after->value[metric];
        if (to < from)
                return false;

        *ret = (uint64_t) ((double) (to - from) * scale * 1e6 / (double) elapsed_usec + 0.5);
        return true;
}

json_t *rates_new(const Sample *before, const Sample *after, uint64_t elapsed_usec) {
        json_t *rates = json_object();
        uint64_t value;

        for (Metric metric = 0; metric < METRIC_MAX; metric++)
                if (rate_between(metric, before, after, elapsed_usec, &value))
                        json_object_set_new(rates, rate_name(metric), variant_u64_new(value));

        return rates;
}
