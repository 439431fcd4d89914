/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The classes that one uplink carries, or should carry. A tenant's class is found by its slot: the number
 * that also names its row in the meter's table. Slots 0 and 1 are not tenants.
 */

#include "resource.h"
#include "sample.h"

#include <stdbool.h>

#define SLOT_DEFAULT 0U /* all that has no class of its own: ssh lives here */
#define SLOT_CONTROL 1U /* telemetry and scheduler traffic */
#define SLOT_FIRST 2U   /* the first that a tenant may have */

/* How an uplink holds its classes to what they may. */
typedef enum NetDiscipline {
        NET_DISCIPLINE_HTB,
        NET_DISCIPLINE_EDT,  /* earliest departure time */
        NET_DISCIPLINE_AUTO, /* by the link's speed */
} NetDiscipline;

typedef struct NetClass {
        uint32_t slot;
        uint8_t priority;   /* who borrows first: 0 control, 1 tenants and default, 2 best-effort tenants */
        uint64_t floor_bps; /* bit/s guaranteed; 0: none, which with HTB is a 20,000th of the capacity */
        uint64_t ceil_bps;  /* bit/s never exceeded; at most the link's capacity */
} NetClass;

bool net_class_equal(const NetClass *a, const NetClass *b);

typedef struct NetPlan {
        const char *uplink;    /* name of the interface that carries them; not owned */
        uint64_t capacity_bps; /* bit/s of the root class */
        NetClass *classes;     /* owned, ordered by slot */
        size_t n_classes;
        uint16_t overhead_bytes; /* that the link adds to each packet, and rates are to count */
} NetPlan;

/* Of the same link: all but the classes. */
bool net_plan_same_link(const NetPlan *a, const NetPlan *b);
bool net_plan_equal(const NetPlan *a, const NetPlan *b);
/* Where the slot's class is, or would be. */
size_t net_plan_search(const NetPlan *plan, uint32_t slot, bool *ret_found);
/* NULL: it has no class of the slot. */
const NetClass *net_plan_find_class(const NetPlan *plan, uint32_t slot);

typedef struct NetClassStats {
        uint32_t slot;
        bool anew;               /* we made it since the last reading: its counters began at 0 */
        uint64_t bytes, packets; /* sent, with headers of the link, without the overhead that rates count */
        uint64_t drops;          /* by the class, the queue in it, or as of a flood before */
        uint64_t overlimits;     /* times it had to wait for its ceiling; of the pacer, packets that waited */
        uint64_t borrowed;       /* packets that went above its floor; what HTB segments later is one */
        uint64_t backlog_bytes, backlog_packets;
} NetClassStats;

/* Whose metrics they are: net.egress's or net.ingress's. */
typedef enum ClassWay {
        CLASS_WAY_OUT,
        CLASS_WAY_IN,
        CLASS_WAY_MAX,
} ClassWay;

/* What of a class is told: the counters, then the gauges. */
#define NET_CLASS_COUNTERS 5U
#define NET_CLASS_PACKETS 1U /* which of them are packets */
#define NET_CLASS_GAUGES 2U
#define NET_CLASS_FIGURES (NET_CLASS_COUNTERS + NET_CLASS_GAUGES)
const Metric *net_class_metrics(ClassWay way);
/* The values of these. */
void net_class_values(const NetClassStats *stats, uint64_t ret[static NET_CLASS_FIGURES]);

/* One reading of an uplink. */
typedef struct NetStats {
        const char *uplink;     /* its name, not owned; the IFB's classes are its, too */
        int ifindex;            /* of the interface that has the name now; 0: not read */
        NetClassStats *classes; /* owned, ordered by slot; those that have gone since before all others */
        size_t n;
} NetStats;
