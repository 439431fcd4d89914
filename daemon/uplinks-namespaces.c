/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Veths into network namespaces, and the addresses behind them: what comes from there is told apart by its
 * sender, and what of it stays on the node is known.
 */

#include "uplinks-internal.h"

int uplinks_addresses_fd(Uplinks *uplinks) {
        if (uplinks->addresses.fd < 0)
                (void) net_addresses_open(uplinks->pin_dir, &uplinks->addresses);
        return uplinks->addresses.fd;
}

void uplinks_note_other(Uplinks *uplinks, const LinkChange *change) {
        if (!change->traffic || (uplinks->local && net_local_look_again_at(uplinks->local,
                                                                   (unsigned) change->ifindex)))
                uplinks->local_due = true;
}

void uplinks_look_again_at_others(Uplinks *uplinks) {
        if (uplinks->local)
                net_local_look_again(uplinks->local);
        uplinks->local_due = true;
}

void uplinks_follow_namespaces(
                Uplinks *uplinks, int groups_fd, int rows_fd, uint32_t slots, FeatureSet *features) {
        const char *names[CONFIG_UPLINKS_MAX];

        if (!uplinks->local_tried) {
                uplinks->local_tried = true;
                if (uplinks->config->n_uplinks > 0 && uplinks->config->namespaces) {
                        const NetLocalOptions options = { groups_fd, rows_fd, slots,
                                uplinks_addresses_fd(uplinks), uplinks->pin_dir };

                        (void) net_local_new(&options, features, &uplinks->local);
                } else
                        (void) net_local_remove(uplinks->pin_dir); /* of another configuration */
        }
        if (!uplinks->local || !uplinks->local_due)
                return;
        for (size_t i = 0; i < uplinks->config->n_uplinks; i++)
                names[i] = uplinks->config->uplinks[i].name;
        uplinks->local_due = net_local_follow(uplinks->local, names, uplinks->config->n_uplinks) < 0;
}
