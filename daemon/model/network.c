/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "network.h"

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
