/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * CPUs and NUMA nodes of control groups: cpuset.cpus, cpuset.mems and partitions
 * (Documentation/admin-guide/cgroup-v2.rst, "Cpuset"). The controller is enabled when a group is first given
 * some, and not before: a node on which nobody is placed has none of it.
 */

#include "enforce/cgroup.h"
#include "model/placement.h"

#define PARTITION_TEXT_SIZE 96

typedef struct GroupPlacement {
        bool available;      /* the group has these files; else all that follows is empty */
        Placement placement; /* as written; .alone where it is a partition of its own that holds */
        CpuSet usable_cpus,
                        usable_nodes; /* where it runs in truth: what is online, and what others leave it */
        CpuSet alone;                 /* cpuset.cpus.exclusive */
        bool can_be_alone; /* this kernel knows partitions below a group that is none (Linux 6.7) */
        char partition[PARTITION_TEXT_SIZE]; /* "member", "root", or "root invalid (why)" */
} GroupPlacement;

int tenant_group_observe_placement(TenantGroup *group, GroupPlacement *ret);
int cgroup_parent_observe_placement(CgroupDriver *driver, GroupPlacement *ret);

/* cpuset.cpus and cpuset.mems; empty sets take them off. -EOPNOTSUPP: no cpuset controller here, and
 * something was to be written. A partition keeps its CPUs: unmake it first. */
int tenant_group_place(TenantGroup *group, const CpuSet *cpus, const CpuSet *nodes);
/*
 * Makes the group a partition of all of its CPUs, which the parent must have to give (cgroup_parent_give()),
 * or unmakes it where it is one. Success says only that it was asked for: what became of it stands in
 * .partition.
 */
int tenant_group_make_partition(TenantGroup *group, const CpuSet *cpus);
int tenant_group_unmake_partition(TenantGroup *group);
/* The CPUs that partitions below the parent may have: exactly these. */
int cgroup_parent_give(CgroupDriver *driver, const CpuSet *cpus);

/* Adds the features "cpuset" and "cpuset.exclusive", with words where they are missing. */
int cgroup_driver_put_placement_features(CgroupDriver *driver, FeatureSet *features);
