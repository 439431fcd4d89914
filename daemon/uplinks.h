/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The configured uplinks, those of them that are there, and what of the plan holds on each: the reconciler's
 * network half. An uplink that cannot be shaped says why, and is tried again.
 */

#include "config.h"
#include "decide/plan.h"
#include "enforce/link-watch.h"
#include "enforce/net-class.h"
#include "enforce/net-local.h"
#include "enforce/uplink.h"
#include "model/feature.h"

/* Each configured uplink has at most two parts in a plan: what goes out, and what comes in. */
#define UPLINK_PLANS_MAX (2 * CONFIG_UPLINKS_MAX)

typedef struct Uplinks Uplinks;

/* All must live as long. `pin_dir` as in enforce/net-class.h, `keep_dir` as in enforce/uplink.h. Opens
 * nothing yet. */
int uplinks_new(const Config *config, const char *pin_dir, const char *keep_dir, Uplinks **ret);
Uplinks *uplinks_free(Uplinks *uplinks); /* what is in the kernel stays */
DEFINE_CLEANUP(Uplinks *, uplinks_free);

/* Told of an uplink that was there and is gone, came back, or is another under its name; `index` in the
 * configuration. */
typedef void (*UplinksTell)(uint32_t index, const char *have, const char *want, void *userdata);
/* First takes all that is ours off interfaces that an earlier configuration had as uplinks, and this one does
 * not. Opens those that have come (what comes in gets its IFB), closes those that went, and adds what can be
 * reserved of each to `total`: 1 where any came, went, is another under its name, or of another speed. Cheap
 * where none did. */
int uplinks_refresh(
                Uplinks *uplinks, FeatureSet *features, ResourceSet *total, UplinksTell tell, void *userdata);
/* Those that are there, for the plan; the uplinks' own, good until the next refresh. */
const UplinkCapacity *uplinks_capacity(const Uplinks *uplinks, size_t *ret_n);

/* The next apply believes nothing of what was applied before. */
void uplinks_look_again(Uplinks *uplinks);
void uplinks_look_again_at(Uplinks *uplinks, uint32_t index);
/* Compares what hangs on the index-th with what last went through there, where anything did. */
void uplinks_check(Uplinks *uplinks, uint32_t index, UplinkDifference tell, void *userdata);
/* Pins of the classifiers and the pacers: net_classifier_keep_pins(), uplink_keep_pins(). */
void uplinks_keep_pins(const Uplinks *uplinks, PinTell tell, void *userdata);
bool uplinks_is_verified(const Uplinks *uplinks, uint32_t index);
/* The uplink of ours that the change is of; false for one that we made, and for others' interfaces. */
bool uplinks_find(const Uplinks *uplinks, const LinkChange *change, uint32_t *ret_index);
/* Each that is planned otherwise than it last went through. `groups_fd` as in enforce/net-class.h; negative:
 * classifiers are left as they are; -EOPNOTSUPP: there will be none, and what takes them is not shaped. */
void uplinks_apply(Uplinks *uplinks, const NetPlan *plans, int groups_fd, FeatureSet *features,
                unsigned *changes);
/* As the kernel has them, in the plan's order; `ret` has UPLINK_PLANS_MAX, and the caller frees each one's
 * classes. */
void uplinks_observe(Uplinks *uplinks, NetPlan *ret);
/* The same after an apply: one that is not as it was applied has not gone through, and uplinks_problem() says
 * so. */
void uplinks_read_back(Uplinks *uplinks, FeatureSet *features, NetPlan *ret);
/* What the kernel counts on each of what goes out or of what comes in (RESOURCE_NET_EGRESS, _INGRESS), by its
 * place in the configuration: 0 as the ifindex of one that is not there, or not shaped. `ret` has
 * CONFIG_UPLINKS_MAX; the caller deinits each. */
void uplinks_read_stats(Uplinks *uplinks, ResourceKind kind, NetStats *ret);
/* Bytes that the uplink's rates count with each packet that goes out, whether or not it is there; 0 of one
 * that is not configured. */
uint64_t uplinks_overhead(const Uplinks *uplinks, const char *name);
/* Whether that would tell what classes counted that may be no more: to be read before their slots are
 * others', and before we end. */
bool uplinks_have_left(const Uplinks *uplinks);
/* Whether more comes in at any than is divided there (decide/overrun.h), by boot time: true where it is
 * another answer than before, of which uplinks_take_news() says so, too. To be asked every second or so. */
bool uplinks_look_for_overruns(Uplinks *uplinks, uint64_t boot_usec);
/* Of the i-th, where the share reserves some of it. */
bool uplinks_is_overrun(const Uplinks *uplinks, size_t i, const ResourceSet *share);
/* Whether uplinks_problem() says anything else since this was last asked. */
bool uplinks_take_news(Uplinks *uplinks);
/* Why the i-th could not be shaped when it was last tried; NULL where it could. */
const char *uplinks_refusal(const Uplinks *uplinks, size_t i);
/* Why the share, which names uplinks of the plan, is not shaped on the i-th: NULL where it is, or where it
 * names another. */
const char *uplinks_problem(const Uplinks *uplinks, size_t i, const ResourceSet *share);

/* Somebody changed what is none of an uplink: it may be, or be on, a veth into a network namespace. */
void uplinks_note_other(Uplinks *uplinks, const LinkChange *change);
/* Or may have: what was told is not known. */
void uplinks_look_again_at_others(Uplinks *uplinks);
/* What comes from such veths is told apart from now on, where the configuration has it so; cheap where none
 * came. As in NetLocalOptions. */
void uplinks_follow_namespaces(
                Uplinks *uplinks, int groups_fd, int rows_fd, uint32_t slots, FeatureSet *features);

/* Takes all that is ours off the uplinks, that of an earlier run or configuration too. */
void uplinks_release(Uplinks *uplinks);
