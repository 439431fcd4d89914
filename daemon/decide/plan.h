/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * All that should hold on this node at one instant: a pure function of the calendar as it stands now, and of
 * capacity.
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

typedef struct TenantPlan {
        const Tenant *tenant;      /* the node's */
        const CalendarTenant *own; /* its allocations, the calendar's; NULL: none */
        bool residual;
        bool observed; /* what follows would be, and is not to be written; but for to_be_opened */
        bool frozen;   /* after its end, or while all that it has is suspended */
        bool killed;   /* its processes, now */
        ResourceSet share;
        Settings settings;
        const Placement *placement; /* the plan's; NULL: anywhere */
        bool guarded; /* it may open `devices`, and those that do no harm; else as if we were not there */
        DeviceSet devices; /* of all its current allocations */
        LimitSet limits;
} TenantPlan;

#define CPU_WEIGHT_MAX 10000U /* Documentation/admin-guide/cgroup-v2.rst */

typedef struct Plan {
        TenantPlan *tenants; /* owned; in the node's order */
        size_t n_tenants;
        Settings parent;
        uint64_t parent_weight; /* what keeps its children's floors of CPU; the kernel takes CPU_WEIGHT_MAX at
                                   most */
        NetPlan *uplinks;       /* owned; in the input's order */
        size_t n_uplinks;
        Placement *placements; /* owned; NULL while nobody names CPUs or NUMA nodes */
        CpuSet alone;          /* CPUs that a tenant has alone: theirs is the parent's to give */
} Plan;

#define PLAN_NULL \
        {}

int plan_make(const PlanInput *input, Plan *ret);
/* The class that the tenant has, or while it is observed would have, on one of the input's uplinks. */
NetClass plan_net_class(const UplinkCapacity *uplink, const TenantPlan *tenant);
/* plan-devices.c: `guarded` and `devices` of the plan's tenant. */
int plan_make_devices(const PlanInput *input, TenantPlan *plan);
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
} GroupState;

/*
 * What the tenant's share is in truth, from settings and classes as read back. An amount is the share's own
 * where the kernel holds what was planned, so that only differences differ. Resources that cannot be read
 * back are absent.
 */
int plan_effective(const PlanInput *input, const TenantPlan *plan, const GroupState *state,
                const NetPlan *observed_uplinks, const NetPlan *planned_uplinks, size_t n_uplinks,
                ResourceSet *ret);
