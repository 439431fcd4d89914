/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One uplink's egress: an HTB tree of ours at its root, and a BPF program that classes the packets which come without
 * a class. Observes, compares and changes; what should be there is the caller's NetPlan. A root qdisc that is not ours
 * and not the kernel's default is never touched: -EBUSY.
 */

#include "model/feature.h"
#include "model/network.h"

/* "HG": our mark. The same handle on every uplink, so that one skb->priority finds the class on any. */
#define UPLINK_HTB_MAJOR 0x4847U

/* The minor of a slot's class; its handle and skb->priority are UPLINK_HTB_MAJOR << 16 | minor. */
#define UPLINK_MINOR_ROOT 1U
#define UPLINK_MINOR_SLOT_BASE 0x10U
#define UPLINK_CLASSID(slot) (UPLINK_HTB_MAJOR << 16 | (UPLINK_MINOR_SLOT_BASE + (slot)))

typedef struct Uplink Uplink;

/* Opens netlink, looks the interface up (-ENODEV). Adds "net.egress@<name>" to `features`. Changes nothing. */
int uplink_new(const char *ifname, FeatureSet *features, Uplink **ret);
/* Frees what we hold; what is in the kernel stays, shaping. */
Uplink *uplink_free(Uplink *uplink);
DEFINE_CLEANUP(Uplink *, uplink_free);

const char *uplink_name(const Uplink *uplink);
/* The link's speed in bit/s from the kernel; -EOPNOTSUPP where it has none (veth, virtio). */
int uplink_speed(const Uplink *uplink, uint64_t *ret_bps);

/*
 * Makes the tree what the plan says: one dump, the difference, one batch of messages, with more given before any is
 * taken. Writes nothing where nothing differs; `ret_changes` counts messages (may be NULL).
 */
int uplink_apply(Uplink *uplink, const NetPlan *plan, unsigned *ret_changes);

/* The classes as the kernel has them; rates in the kernel's rounding. The caller frees classes with free(). */
int uplink_observe(Uplink *uplink, NetPlan *ret);
/* One dump. The caller frees `ret_stats`. */
int uplink_read_stats(Uplink *uplink, NetClassStats **ret_stats, size_t *ret_n);

/* Takes our tree and our program away, and nothing else; the kernel's default qdisc comes back. */
int uplink_release(Uplink *uplink);
