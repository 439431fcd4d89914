/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The last chance of a packet to get its class: one tc egress program an uplink (bpf/net-class.bpf.c) looks
 * at packets whose skb->priority is not ours (packet sockets, sockets from before their process was attached)
 * and sets it by the sender's control group or, for none, leaves it to the default class. It also drops what
 * is of a flood. Beside other programs, never in their place.
 */

#include "bpf/pin.h"
#include "model/feature.h"

#include <stdint.h>

typedef struct NetClassifier NetClassifier;

/*
 * `groups_fd`: the meter's map of cgroup id to slot. `floods_fd`: flood-guard.h's table; negative: nothing is
 * dropped. `pin_dir`: our directory on bpffs, or NULL for nothing pinned. -EOPNOTSUPP where the kernel
 * cannot; adds "net.classify@<name>" to `features` either way.
 */
int net_classifier_new(const char *ifname, int groups_fd, int floods_fd, const char *pin_dir,
                FeatureSet *features, NetClassifier **ret);
/* Whether our program still hangs on the interface that has the name now, with this table. */
bool net_classifier_alive(NetClassifier *classifier, int floods_fd);
/* Pins again what somebody unpinned, and tells of each. */
void net_classifier_keep_pins(const NetClassifier *classifier, PinTell tell, void *userdata);
/* Leaves what is pinned attached. */
NetClassifier *net_classifier_free(NetClassifier *classifier);
DEFINE_CLEANUP(NetClassifier *, net_classifier_free);
/* Detaches and unpins ours alone. */
int net_classifier_release(NetClassifier *classifier);
/* The same of an interface by its name, where an earlier run attached it; nothing where there is none. */
int net_classifier_remove(const char *ifname, const char *pin_dir);
