/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "uplink-usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

UplinkUsage *uplink_usages_get(UplinkUsages *usages, const char *uplink) {
        UplinkUsage *entries, *entry;

        for (size_t i = 0; i < usages->n; i++)
                if (strcmp(usages->entries[i].uplink, uplink) == 0)
                        return &usages->entries[i];
        entries = reallocarray(usages->entries, usages->n + 1, sizeof(UplinkUsage));
        if (!entries)
                return NULL;
        usages->entries = entries;
        entry = &entries[usages->n++];
        *entry = (UplinkUsage){};
        snprintf(entry->uplink, sizeof(entry->uplink), "%s", uplink);
        return entry;
}

void uplink_usages_forget(UplinkUsages *usages) {
        for (size_t i = 0; i < usages->n; i++) {
                memset(usages->entries[i].known, 0, sizeof(usages->entries[i].known));
                memset(usages->entries[i].values, 0, sizeof(usages->entries[i].values));
        }
}

void uplink_usages_deinit(UplinkUsages *usages) {
        free(usages->entries);
        *usages = (UplinkUsages){};
}

bool uplink_usage_read(const UplinkUsage *usage, Metric metric, uint64_t *ret) {
        for (ClassWay way = 0; way < CLASS_WAY_MAX; way++)
                for (size_t i = 0; usage->known[way] && i < NET_CLASS_FIGURES; i++)
                        if (net_class_metrics(way)[i] == metric) {
                                *ret = usage->values[way][i];
                                return true;
                        }
        return false;
}

const char *uplink_usage_name(
                const UplinkUsage *usage, Metric metric, char ret[static UPLINK_USAGE_NAME_SIZE]) {
        snprintf(ret, UPLINK_USAGE_NAME_SIZE, "%s@%s", metric_info(metric)->name, usage->uplink);
        return ret;
}
