/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the files of the stem alone: what is known of each uplink, and the steps that several take. */

#include "uplinks.h"

#include "decide/overrun.h"
#include "enforce/net-ingress.h"

/* One way of an uplink: what goes out, on the interface itself, or what comes in, on an IFB. */
typedef struct UplinkHold {
        const ConfigUplink *config;
        ResourceKind kind;         /* RESOURCE_NET_EGRESS, or RESOURCE_NET_INGRESS */
        const char *device;        /* the uplink's name, or its IFB's; NULL: that one is not there */
        unsigned ifindex;          /* of the interface that had this name when it was last looked for */
        bool was_there;            /* at some time, and open */
        uint64_t capacity_bps;     /* when it was last looked for */
        Uplink *uplink;            /* NULL while it is absent or has no known capacity */
        NetClassifier *classifier; /* of what goes out; NULL where there is none */
        bool classifier_due;       /* it could not be attached, and what was in the way may have gone */
        NetIngress *ingress;       /* of what comes in; NULL where the uplink is not there */
        Overrun overrun;           /* of that */
        int error;                 /* of the last apply */
        char words[256];           /* and why, in words */
        bool news;                 /* of these two, not yet taken */
        NetPlan applied;           /* the plan that last went through; no classes: look again */
        bool read_back;            /* and was found there */
        bool told_fallback;        /* uplink_fallback() of the open one */
        NetStats left;             /* what one that is closed by now had counted and not told */
} UplinkHold;

struct Uplinks {
        const char *pin_dir, *keep_dir;
        const Config *config;
        UplinkHold holds[UPLINK_PLANS_MAX];
        size_t n_holds;
        UplinkCapacity capacity[UPLINK_PLANS_MAX]; /* of those that are there, in the plan's order */
        UplinkHold *planned[UPLINK_PLANS_MAX];     /* the hold of each of these */
        size_t n_planned;
        Table addresses; /* of network namespaces; not open until it is needed */
        NetLocal *local; /* NULL: not opened, or not to be had */
        bool local_tried, local_due;
        bool former_released; /* or tried to be, which is once a run */
};

/* Of its uplink, in the configuration. */
uint32_t uplink_hold_index(const Uplinks *uplinks, const UplinkHold *hold);

/* uplinks-follow.c */
/* Opens its device, which is there, and says how it is held. Changes nothing in the kernel. */
int uplink_hold_open(const Uplinks *uplinks, UplinkHold *hold, uint64_t capacity_bps, FeatureSet *features);

/* uplinks-former.c */
void uplinks_release_former(const Uplinks *uplinks);

/* uplinks-problems.c */
/* The outcome of an apply or of its read-back: said where it is another than before; `why` may be NULL. After
 * an error all is looked at again. */
void uplink_hold_note(UplinkHold *hold, int error, const char *why, FeatureSet *features);
/* Says, too, where it holds by another discipline than was asked for. */
void uplink_hold_note_fallback(UplinkHold *hold, FeatureSet *features);

/* uplinks-namespaces.c */
/* The map of addresses in network namespaces, made when it is first asked for; negative: there is none. */
int uplinks_addresses_fd(Uplinks *uplinks);
