/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What one tenant's classes have counted on each uplink by itself, under names like
 * "net.egress.wire-bytes@eth0". Its counters go on over classes that come and go, and are together what the
 * tenant's sample has.
 */

#include "network.h"

/* Longest name, and its NUL. */
#define UPLINK_USAGE_NAME_SIZE (sizeof("net.ingress.backlog-packets@") + RESOURCE_TARGET_SIZE)

typedef struct UplinkUsage {
        char uplink[RESOURCE_TARGET_SIZE];
        bool known[CLASS_WAY_MAX];                         /* there was a class some time */
        uint64_t values[CLASS_WAY_MAX][NET_CLASS_FIGURES]; /* as net_class_metrics() */
} UplinkUsage;

typedef struct UplinkUsages {
        UplinkUsage *entries; /* owned; in the order in which they were met */
        size_t n;
} UplinkUsages;

/* The uplink's, an empty one where there was none. NULL: out of memory. It stands until the next. */
UplinkUsage *uplink_usages_get(UplinkUsages *usages, const char *uplink);
/* Before a sample: what it does not find is not known. */
void uplink_usages_forget(UplinkUsages *usages);
void uplink_usages_deinit(UplinkUsages *usages);

/* false: it is no class's metric, or there is no class. */
bool uplink_usage_read(const UplinkUsage *usage, Metric metric, uint64_t *ret);
const char *uplink_usage_name(
                const UplinkUsage *usage, Metric metric, char ret[static UPLINK_USAGE_NAME_SIZE]);
