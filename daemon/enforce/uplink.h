/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One uplink's egress: an HTB tree of ours at its root, or fq with a program that says when each packet
 * departs (uplink-edt.h). Observes, compares and changes; what should be there is the caller's NetPlan. A
 * root qdisc that is not ours and not the kernel's default is never touched unasked: -EBUSY. Which packet is
 * of which class is not decided here (net-class.h).
 *
 * All happens in the network namespace in which uplink_new() was called.
 */

#include "model/feature.h"
#include "model/network.h"

/* "HG": our mark. The same handle on every uplink, so that one skb->priority finds the class on any. */
#define UPLINK_HTB_MAJOR 0x4847U
#define UPLINK_HANDLE (UPLINK_HTB_MAJOR << 16) /* of a root qdisc of ours */

/* The minor of a slot's class; its handle and skb->priority are UPLINK_HTB_MAJOR << 16 | minor. */
#define UPLINK_MINOR_ROOT 1U
#define UPLINK_MINOR_SLOT_BASE 0x10U
#define UPLINK_CLASSID(slot) (UPLINK_HTB_MAJOR << 16 | (UPLINK_MINOR_SLOT_BASE + (slot)))

typedef struct Uplink Uplink;

/* One difference: "class 4847:12", as it is and as the plan has it. */
typedef void (*UplinkDifference)(const char *key, const char *have, const char *want, void *userdata);

typedef struct UplinkOptions {
        const char *ifname;
        const char *keep_dir; /* a directory on disk, for as long: where a root qdisc that was taken over is
                                 kept */
        bool take_over;       /* a root qdisc that is not ours is kept, and ours put in its place */
        NetDiscipline discipline;
        uint64_t capacity_bps;  /* that a discipline is chosen by */
        const char *pin_dir;    /* as in edt-pacer.h; NULL: by HTB alone */
        uint32_t guarded_slots; /* whose floods its classifier is to drop, from 0 on; 0: it has none */
} UplinkOptions;

/*
 * Opens netlink, looks the interface up (-ENODEV). Adds "net.egress@<name>" to `features`; where that is not
 * available (a foreign root qdisc, no HTB, no fq where that was asked for, no privilege), uplink_apply()
 * fails until it is. Changes nothing.
 */
int uplink_new(const UplinkOptions *options, FeatureSet *features, Uplink **ret);
/* Whether that capacity asks for the other discipline than uplink_new() was called for, where the capacity is
 * to say: it is to be freed and opened again. */
bool uplink_is_outgrown(const Uplink *uplink, uint64_t capacity_bps);
/* For sentences: "HTB". */
const char *uplink_how(const Uplink *uplink);
/* Why HTB is in force although the capacity asked for times of departure: they could not be. It is so until
 * it is opened again. NULL: nothing of the kind. */
const char *uplink_fallback(const Uplink *uplink);
/* Frees what we hold; what is in the kernel stays, shaping. */
Uplink *uplink_free(Uplink *uplink);
DEFINE_CLEANUP(Uplink *, uplink_free);

/* Of an uplink that HTB shapes, for its classifier: net-class.h. Negative: there is none. */
int uplink_floods_fd(const Uplink *uplink);
const char *uplink_name(const Uplink *uplink);
/* The link's speed in bit/s from the kernel; -EOPNOTSUPP where it has none (virtio). veth says 10 Gbit/s. */
int uplink_speed(const char *ifname, uint64_t *ret_bps);

/* Why the last call failed, in words; "" where there are none beside the error. Good until the next call. */
const char *uplink_words(const Uplink *uplink);

/*
 * Makes the tree what the plan says: one dump, the difference, one batch of messages, in htb_tree_diff()'s
 * order. A queue that is too full to be made shorter without loss is put off. Writes nothing where nothing
 * differs; `ret_changes` counts messages (may be NULL). The interface is looked up by its name again: one
 * that was replugged gets a new tree. -EINVAL: the plan has no capacity, no class for SLOT_DEFAULT, or slots
 * that do not ascend. -EBUSY: a foreign root qdisc, or one that could not be put back as it is, or another
 * discipline of ours in which somebody put a qdisc. A class that a foreign filter points to can't go: -EBUSY
 * too, once all else is done.
 */
int uplink_apply(Uplink *uplink, const NetPlan *plan, unsigned *ret_changes);

/*
 * The same from a plan that was read back here and that nobody is known to have changed since, with no look
 * at any class but those that differ: a message each. 1 where the kernel said of each that it is as planned;
 * 0 where they were too many to ask, and uplink_observe() is to be. Any error: uplink_apply() is the way.
 */
int uplink_change(Uplink *uplink, const NetPlan *from, const NetPlan *to, unsigned *ret_changes);

/* Looks, as uplink_apply() does, and tells what it would change: how many; the first eight are told. Changes
 * nothing. A queue that was put off there is no difference. -ENODEV: there is no such interface. */
int uplink_compare(Uplink *uplink, const NetPlan *plan, UplinkDifference tell, void *userdata);
/* Whether that saw one of these that has room by now: uplink_apply() makes it shorter. */
bool uplink_has_room(const Uplink *uplink);
/* The netlink port that our changes come from, as the kernel names it to who listens for changes. */
uint32_t uplink_port(const Uplink *uplink);

/*
 * The classes as the kernel has them, by slot; rates in the kernel's rounding. No capacity and no classes
 * where our tree is not there. The caller frees classes with free(); `uplink` is the name we hold. 1 where
 * the tree, queues in its classes too, is not what `expected` (or NULL) says, in words.
 */
int uplink_observe(Uplink *uplink, const NetPlan *expected, NetPlan *ret);
/* What that gives where the kernel holds the plan, without a look. */
int uplink_expect(const Uplink *uplink, const NetPlan *plan, NetPlan *ret);
/* One dump of the classes, and where their queues drop what they took, one of qdiscs. -ENOENT: our tree is
 * not there. Counters begin at 0 with the class. */
int uplink_read_stats(Uplink *uplink, NetStats *ret);
/* Whether that would tell what classes counted that may be no more: to be read now, as nobody can later. */
bool uplink_keeps_stats(const Uplink *uplink);
/* Before uplink_free(), for who reads the same classes on by another Uplink: what was not told yet, with
 * nothing that waits. `ret` of no classes: nothing. */
void uplink_part(Uplink *uplink, NetStats *ret);
/* `stats` behind what `kept` has, which it takes, where both are of one interface. -ENOMEM; else `stats` has
 * both, and `kept` nothing. */
int net_stats_add_kept(NetStats *kept, NetStats *stats);
void net_stats_deinit(NetStats *stats);
#define _cleanup_net_stats_ _cleanup_(net_stats_deinit)

/* Pins again what somebody unpinned; HTB has none. */
void uplink_keep_pins(
                const Uplink *uplink, void (*tell)(const char *name, int r, void *userdata), void *userdata);

/* Takes our tree away, and nothing else; what it took the place of comes back, else the kernel's default
 * qdisc. Success where there is none of ours. */
int uplink_release(Uplink *uplink);
