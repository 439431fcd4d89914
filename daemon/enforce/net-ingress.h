/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What comes in at an interface is queued, too: in an IFB of ours, on which an HTB tree then stands as on any
 * interface (uplink.h). One tc filter at the interface's clsact ingress (bpf/net-ingress.bpf.c) finds the
 * tenant whose socket a packet is for, and sends it there; from there it goes on as if it came in just now.
 *
 * Why a queue and not a policer at the tenant's groups: a queue delays where a policer drops. Of a class of
 * 20 Mbit/s, TCP got 19.2 to 19.6 through a queue, and 10 to 20 through a policer, by the depth of its
 * bucket: one that is deep enough for TCP is too deep for a ceiling that holds over any second. And a queue
 * has floors, and lends what is idle, by what HTB does already.
 */

#include "util/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct NetIngress NetIngress;

/*
 * Makes the IFB of the interface where there is none, and brings it up; takes away those of interfaces that
 * are no more. -ENODEV: no such interface. -EOPNOTSUPP: this kernel has no IFB. -EBUSY: an interface of
 * another kind has its name. `pin_dir`: our directory on bpffs, or NULL for nothing pinned.
 */
int net_ingress_new(const char *ifname, const char *pin_dir, NetIngress **ret);
/* Leaves what is in the kernel. */
NetIngress *net_ingress_free(NetIngress *ingress);
DEFINE_CLEANUP(NetIngress *, net_ingress_free);

/* Whether the interface that has the name is still that one, and its IFB there. */
bool net_ingress_stands(const NetIngress *ingress);
/* The IFB's name, "hg-in-3" of the interface with the index 3. */
const char *net_ingress_device(const NetIngress *ingress);

/*
 * Sends what comes in there. The interface has a clsact already (net-class.h). `groups_fd`: the meter's map
 * of cgroup id to slot; `addresses_fd`: net_addresses_open(). Writes nothing where all of it is so already.
 * `ret_words`: what could not be done.
 */
int net_ingress_attach(NetIngress *ingress, int groups_fd, int addresses_fd, const char **ret_words);
/* Whether our filter still sends to our IFB, and that is up. */
bool net_ingress_alive(const NetIngress *ingress);

/* What came in at the interface since it is there: bytes, whatever became of them. */
int net_ingress_arrived(const NetIngress *ingress, uint64_t *ret_bytes);

/* Filter, IFB and pin of the interface, those of an earlier run too; nothing where there are none. */
int net_ingress_remove(const char *ifname, const char *pin_dir);
