/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * All that should hold on this node at one instant: a pure function of the calendar as it stands now, and of
 * capacity. It can be kept, and is then made anew for those alone of whom something changed.
 */

#include "model/block-device.h"
#include "model/limit.h"
#include "model/node.h"
#include "model/placement.h"
#include "model/settings.h"
#include "model/topology.h"

typedef struct UplinkCapacity {
        ResourceKind kind; /* RESOURCE_NET_EGRESS, or RESOURCE_NET_INGRESS: each way is shaped by itself */
        const char *name;
        const char *device; /* on which its classes are: the uplink, or the IFB of what comes in there */
        bool is_default;    /* carries the resource without a target */
        uint64_t capacity_bps;
        uint16_t overhead_bytes; /* as in a NetPlan */
        uint64_t control_floor_bps, control_ceil_bps;
        uint64_t default_floor_bps;
} UplinkCapacity;

/* What a tenant has while none of its allocations is active: never nothing, never everything. */
typedef struct ResidualShare {
        uint64_t cpu_millicores;
        uint64_t memory_bytes; /* at least; its present memory where that is more */
        uint64_t tasks;
        uint64_t net_egress_bps, net_ingress_bps;
        uint64_t io_bytes; /* a second, of each block device, read and written alike */
} ResidualShare;

typedef struct PlanInput {
        const Node *node;        /* tenants and calendar, with their states as of now */
        uint64_t cpu_millicores; /* of the whole node */
        uint64_t sibling_weight; /* sum of cpu.weight beside our parent group */
        ResidualShare residual;
        const UplinkCapacity *uplinks;
        size_t n_uplinks;
        const Topology *topology;   /* NULL: not known, and nobody is placed */
        uint64_t io_sibling_weight; /* sum of io.weight there */
        const BlockDevice *block_devices;
        size_t n_block_devices;
        const ResourceSet *capacity; /* .limit of io.read@8:0: what the device can do, where that is known */
        const ResourceSet *targets;  /* as in Capacity, decide/admission.h */
        uint64_t cpu_burst_percent;  /* of a period's quota, that a tenant may save up */
        bool oom_group;              /* a tenant out of memory is killed whole */
        bool devices_closed;         /* every tenant is guarded */
} PlanInput;

/* What a tenant adds to the parent's own settings. */
typedef struct PlanFloors {
        uint64_t memory_min, memory_low;
        uint64_t cpu_millicores;
        uint64_t io_fraction; /* in ten thousandths */
} PlanFloors;

typedef struct TenantPlan {
        char *id;             /* owned; the tenant's, which may be gone while this is kept */
        const Tenant *tenant; /* the node's */
        uint32_t slot;
        bool residual;
        bool observed; /* what follows would be, and is not to be written; but for to_be_opened */
        bool frozen;   /* after its end, or while all that it has is suspended */
        bool doomed;   /* its processes are to be killed, once that may be: plan_kills() */
        ResourceSet share;
        Settings settings;
        PlanFloors floors;
        bool named;           /* it names CPUs or NUMA nodes, now */
        bool alone;           /* and has some alone */
        Placement *placement; /* owned; NULL: anywhere */
        bool guarded; /* it may open `devices`, and those that do no harm; else as if we were not there */
        DeviceSet devices; /* of all its current allocations */
        LimitSet limits;
        bool listed; /* by plan_remake(), while it works */
} TenantPlan;

#define CPU_WEIGHT_MAX 10000U /* Documentation/admin-guide/cgroup-v2.rst */

/* Sums over all tenants. What they reserve is far from what the wide ones hold. */
typedef struct PlanSums {
        unsigned __int128 memory_min, memory_low;
        uint64_t cpu_millicores, io_fraction;
        size_t n_named, n_alone;
} PlanSums;

typedef struct Plan {
        TenantPlan **tenants; /* owned; ordered by id, as the node's are */
        size_t n_tenants;
        PlanSums sums;
        bool kills_wait; /* what cannot be undone does */
        Settings parent;
        uint64_t parent_weight; /* what keeps its children's floors of CPU; the kernel takes CPU_WEIGHT_MAX at
                                   most */
        NetPlan *uplinks;       /* owned; in the input's order */
        size_t n_uplinks;
        bool placed;     /* somebody names CPUs or NUMA nodes */
        CpuSet taken[2]; /* CPUs and NUMA nodes that are had alone, by whomever */
        CpuSet alone;    /* CPUs that a tenant has alone: theirs is the parent's to give */
} Plan;

#define PLAN_NULL \
        {}

/* From nothing. */
int plan_make(const PlanInput *input, Plan *ret);

/* Some of a plan's tenants. */
typedef struct PlanList {
        TenantPlan **tenants; /* owned array of what is the plan's */
        size_t n;
} PlanList;

/*
 * Makes a plan anew for those who are marked in the calendar, and of the node what follows from theirs: it is
 * then what plan_make() makes. The input is the one with which it was made, but for the node and for what
 * weighs beside the parent. `ret_changed`, which the caller frees, are those that were made anew, or are
 * placed otherwise because of them. -ENOMEM: nothing is kept, and the next is from nothing.
 */
int plan_remake(const PlanInput *input, Plan *plan, PlanList *ret_changed);
/* Whether the tenant's processes are to be killed now. */
bool plan_kills(const Plan *plan, const TenantPlan *tenant);
const TenantPlan *plan_find(const Plan *plan, const char *tenant_id);
/* The class that the tenant has, or while it is observed would have, on one of the input's uplinks. */
NetClass plan_net_class(const UplinkCapacity *uplink, const TenantPlan *tenant);
/* plan-devices.c: `guarded` and `devices` of the plan's tenant. */
int plan_make_devices(const PlanInput *input, const CalendarTenant *own, TenantPlan *plan);
/* The file that holds a resource by device; LIMIT_FILE_INVALID: it is not held so. */
LimitFile plan_limit_file(ResourceKind kind);
void plan_deinit(Plan *plan);
#define _cleanup_plan_ _cleanup_(plan_deinit)

/* The settings of `desired` that `observed` lacks or has otherwise. A weight under an idle class does not
 * count. */
void settings_diff(const Settings *observed, const Settings *desired, Settings *ret_changes);
/*
 * In what order, among all groups: floors that become lower are taken before any that become higher are
 * given. The rest goes with what is given, or, where no floor is, with what is taken: most changes are one
 * write.
 */
void settings_split(
                const Settings *observed, const Settings *changes, Settings *ret_take, Settings *ret_give);

/* What was read back of a group. */
typedef struct GroupState {
        Settings settings;
        LimitSet limits;
        uint32_t limit_files; /* bits of the LimitFiles that it can have */
        int frozen;           /* negative errno: it cannot be told */
} GroupState;

/*
 * What the tenant's share is in truth, from settings and classes as read back. An amount is the share's own
 * where the kernel holds what was planned, so that only differences differ. Resources that cannot be read
 * back are absent.
 */
int plan_effective(const PlanInput *input, const TenantPlan *plan, const GroupState *state,
                const NetPlan *observed_uplinks, const NetPlan *planned_uplinks, size_t n_uplinks,
                ResourceSet *ret);
