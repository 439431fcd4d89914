/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the kernel counted on each uplink, as one reading of the interface that has the name: also what those
 * that are closed by now had counted and nobody read.
 */

#include "uplinks-internal.h"

/* What is left of another interface of the name is told by itself, before anything of this one. */
static void hold_read_stats(UplinkHold *hold, NetStats *ret) {
        const bool is_another = hold->left.n > 0 && (unsigned) hold->left.ifindex != hold->ifindex;
        NetStats stats = {};

        if (!hold->uplink || is_another || uplink_read_stats(hold->uplink, &stats) < 0 ||
                        net_stats_add_kept(&hold->left, &stats) < 0) {
                net_stats_deinit(&stats);
                stats = hold->left;
                hold->left = (NetStats){};
        }
        *ret = stats;
        ret->uplink = hold->config->name;
}

void uplinks_read_stats(Uplinks *uplinks, ResourceKind kind, NetStats *ret) {
        for (size_t i = 0; i < uplinks->n_holds; i++) {
                UplinkHold *hold = &uplinks->holds[i];

                if (hold->kind == kind)
                        hold_read_stats(hold, &ret[uplink_hold_index(uplinks, hold)]);
        }
}

bool uplinks_have_left(const Uplinks *uplinks) {
        for (size_t i = 0; i < uplinks->n_holds; i++) {
                const UplinkHold *hold = &uplinks->holds[i];

                if (hold->left.n > 0 || (hold->uplink && uplink_keeps_stats(hold->uplink)))
                        return true;
        }
        return false;
}
