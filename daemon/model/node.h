/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Everything the daemon knows of this node at one instant: what D-Bus shows and the formats print. The
 * manager alone writes it; api/ and export/ are given it const.
 */

#include "adoption.h"
#include "block-latency.h"
#include "calendar.h"
#include "drift.h"
#include "feature.h"
#include "histogram.h"
#include "network.h"
#include "oom-victim.h"
#include "sample.h"
#include "uplink-usage.h"

/* How long tasks of a tenant waited while another had their CPU. */
typedef struct Blame {
        const char *culprit; /* borrowed: a tenant's id, or one of BLAME_*, which are no ids */
        uint64_t nsec;
} Blame;
#define BLAME_SYSTEM "@system"   /* what runs on the node and is no tenant's */
#define BLAME_UNKNOWN "@unknown" /* longer ago than the node remembers */
#define BLAME_MORE "@more"       /* those whom the table of pairs had no more room for */

typedef struct Blames {
        Blame *entries; /* owned; the worst first */
        size_t n;
} Blames;

/* `culprit` must live as long: node_remove_tenant() takes its tenant out of everyone's. */
int blames_push(Blames *blames, const char *culprit, uint64_t nsec);
/* One entry for each name, and the worst first. */
void blames_sort(Blames *blames);
void blames_deinit(Blames *blames);

typedef struct Tenant {
        char *id;
        uint32_t slot;         /* its row in the meter and its class on every uplink */
        char *control_group;   /* below the cgroup mount, "/headgate.slice/…"; NULL until there is one */
        AdoptedGroups adopted; /* groups of others, whose use is its own */
        ResourceSet desired;   /* its share now */
        ResourceSet effective; /* the same as read back from the kernel */
        char *assigned_cpus;   /* where it runs, as read back: a list of CPUs; NULL before */
        bool residual;         /* no allocation is active */
        Sample usage;
        UplinkUsages uplinks;            /* where there are several; as of the last sample of all */
        BlockLatencies latencies;        /* as of the last sample of all */
        DeliveryReading delivery_before; /* up to where its allocations have been told what was delivered */
        OomVictims *victims;             /* owned; who was killed last for want of memory; NULL: nobody */
        Blames blames;                   /* as of when they were last asked for: with all, or alone */
        char **problems;                 /* sentences; empty when all that is desired is in force */
        char **remains; /* sentences; what processes that were attached left with their old groups: told with
                           its problems, but nothing that this node does not do */
        bool changed;   /* what D-Bus signals of it is not yet told: node_note_news() */
        bool listed;    /* among the node's news */
        bool untold;    /* it came with an Apply that may yet be refused: no one hears of it */
        bool failed;    /* something that this node can do was refused by the kernel or systemd */
        bool observed;  /* its Mode is observe: it is metered and counted, and nothing of it is enforced */
        bool is_kept;   /* it could not go for a unit in it without a process, and that was said */
        bool to_be_opened; /* since when it was enforced its limits still stand: they are taken off, once */
        uint64_t residual_memory_bytes; /* memory it had when it last became residual */
        /* What OnEnd left for its processes; none of it once an allocation is active again. */
        bool throttled; /* in the idle class */
        bool frozen;
        bool doomed; /* to be killed, and not yet known to be */
        /* An allocation that named Devices is over: what it had is not given back by leaving all open. */
        bool guarded;
} Tenant;

/* "enforce" or "observe", its Mode. -EINVAL: neither. */
const char *tenant_mode_to_string(bool observed);
int tenant_mode_from_string(const char *s, bool *ret_observed);

Tenant *tenant_free(Tenant *tenant);
DEFINE_CLEANUP(Tenant *, tenant_free);
#define _cleanup_tenant_ _cleanup_(tenant_free_p)

/* Histograms are read when they are asked for: they are more than all else that is kept of a tenant. */
typedef struct DurationSource {
        bool (*read)(void *userdata, const Tenant *tenant, Duration duration, Histogram *ret);
        void *userdata;
} DurationSource;

typedef enum NodeState { NODE_OK, NODE_DEGRADED, NODE_DRAINING, NODE_STATE_MAX } NodeState;
const char *node_state_to_string(NodeState state);

typedef struct Node {
        char *node_id;
        char *boot_id; /* 32 hexadecimal digits */
        const char *version;
        NodeState state;
        ResourceSet capacity; /* .limit: what can be reserved in all; .reserved: what is reserved now */
        ResourceSet operator_capacity; /* .limit: the most that an operator lets be promised */
        FeatureSet features;
        Calendar calendar;
        char *drain_reason; /* NULL: it does not drain */
        bool clock_trusted; /* with what cannot be undone */
        Tenant **tenants;   /* owned, ordered by id */
        size_t n_tenants;
        size_t n_troubled; /* those that have problems */
        Tenant **news;     /* owned array of borrowed tenants: those that may be `changed` */
        size_t n_news;
        Sample control;           /* what the control class sent; no figures where there is no uplink */
        uint64_t sampled_usec;    /* UTC of the samples; 0 before the first */
        DurationSource durations; /* .read may be NULL */
        DriftLog drift;
} Node;

void node_deinit(Node *node);
Tenant *node_find_tenant(const Node *node, const char *id);
/* Takes a free slot, at most `slot_max`; -ENOSPC where there is none, -EEXIST where the tenant is there. */
int node_add_tenant(Node *node, const char *id, uint32_t slot_max, Tenant **ret);
void node_remove_tenant(Node *node, const char *id);
/* As of now, of a tenant, or with NULL of the control class. False: it is not counted. */
bool node_read_duration(const Node *node, const Tenant *tenant, Duration duration, Histogram *ret);
/* The tenant is changed, and listed. */
void node_note_news(Node *node, Tenant *tenant);
/* Those that are marked in the calendar and are here, one after another, some twice; NULL at the end.
 * `cursor` begins with 0. */
Tenant *node_next_marked(const Node *node, size_t *cursor);
