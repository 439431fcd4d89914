/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "network.h"

#include "sorted.h"

#include <string.h>

bool net_class_equal(const NetClass *a, const NetClass *b) {
        return a->slot == b->slot && a->priority == b->priority && a->floor_bps == b->floor_bps &&
               a->ceil_bps == b->ceil_bps;
}

bool net_plan_same_link(const NetPlan *a, const NetPlan *b) {
        return a->capacity_bps == b->capacity_bps && a->overhead_bytes == b->overhead_bytes;
}

bool net_plan_equal(const NetPlan *a, const NetPlan *b) {
        if (!net_plan_same_link(a, b) || a->n_classes != b->n_classes)
                return false;
        for (size_t i = 0; i < a->n_classes; i++)
                if (!net_class_equal(&a->classes[i], &b->classes[i]))
                        return false;
        return true;
}

static int compare_slot(const void *entry, const void *key) {
        const uint32_t slot = ((const NetClass *) entry)->slot, wanted = *(const uint32_t *) key;

        return (slot > wanted) - (slot < wanted);
}

size_t net_plan_search(const NetPlan *plan, uint32_t slot, bool *ret_found) {
        return sorted_search(
                        plan->classes, plan->n_classes, sizeof(NetClass), &slot, compare_slot, ret_found);
}

const NetClass *net_plan_find_class(const NetPlan *plan, uint32_t slot) {
        bool found;
        const size_t i = net_plan_search(plan, slot, &found);

        return found ? &plan->classes[i] : NULL;
}

const Metric *net_class_metrics(ClassWay way) {
        static const Metric metrics[CLASS_WAY_MAX][NET_CLASS_FIGURES] = {
                [CLASS_WAY_OUT] = { METRIC_NET_EGRESS_WIRE_BYTES, METRIC_NET_EGRESS_WIRE_PACKETS,
                                METRIC_NET_EGRESS_DROPS, METRIC_NET_EGRESS_OVERLIMITS,
                                METRIC_NET_EGRESS_BORROWED, METRIC_NET_EGRESS_BACKLOG,
                                METRIC_NET_EGRESS_BACKLOG_PACKETS },
                [CLASS_WAY_IN] = { METRIC_NET_INGRESS_WIRE_BYTES, METRIC_NET_INGRESS_WIRE_PACKETS,
                                METRIC_NET_INGRESS_DROPS, METRIC_NET_INGRESS_OVERLIMITS,
                                METRIC_NET_INGRESS_BORROWED, METRIC_NET_INGRESS_BACKLOG,
                                METRIC_NET_INGRESS_BACKLOG_PACKETS },
        };

        return metrics[way];
}

void net_class_values(const NetClassStats *stats, uint64_t ret[static NET_CLASS_FIGURES]) {
        const uint64_t values[NET_CLASS_FIGURES] = { stats->bytes, stats->packets, stats->drops,
                stats->overlimits, stats->borrowed, stats->backlog_bytes, stats->backlog_packets };

        memcpy(ret, values, sizeof(values));
}
