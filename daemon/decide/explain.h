/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Why a planned value is what it is, in one sentence with its numbers: which allocations have what part in
 * it, and by which rule it follows from them. The same inputs as the plan's, and no value of its own. Each
 * gives the caller a text to free, or returns -ENOMEM.
 */

#include "admission.h"
#include "plan.h"

/* A resource of the tenant's share: reserved and limit. */
int explain_share(const PlanInput *input, const TenantPlan *plan, const Resource *entry, char **ret);
/* A setting of its control group, before the kernel's rounding; -EOPNOTSUPP: none that is planned here. */
int explain_setting(const PlanInput *input, const TenantPlan *plan, Setting setting, char **ret);
/* Whether its processes are frozen. */
int explain_frozen(const TenantPlan *plan, char **ret);
/* Its CPUs, or its NUMA nodes. */
int explain_placement(const PlanInput *input, const TenantPlan *plan, bool of_nodes, char **ret);
/* Its class on an uplink. */
int explain_class(const PlanInput *input, const TenantPlan *plan, const UplinkCapacity *uplink, char **ret);

/* A setting of the group above all tenants'. */
int explain_parent(const PlanInput *input, const Plan *plan, Setting setting, char **ret);
/* What can be reserved of a resource. `reserved` of it is, now. */
int explain_capacity(const Capacity *capacity, const Plan *plan, const Resource *entry, uint64_t reserved,
                char **ret);

/* An allocation's state, and what ends it. To who is no reader of the node an allocation of another tenant is
 * "another allocation". */
int explain_state(const Calendar *calendar, bool is_reader, const Allocation *allocation, char **ret);
/* What one of its resources adds to its tenant's share now. */
int explain_part(const Calendar *calendar, bool is_reader, const Allocation *allocation,
                const Resource *entry, char **ret);
int explain_qos_class(const Allocation *allocation, char **ret);
