/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the plan's files alone. */

#include "plan.h"

/* Where each tenant's processes run, and who has CPUs alone. -ENOMEM. */
int plan_place(const PlanInput *input, Plan *plan);
#define IO_WEIGHT_DEFAULT 100U
#define IO_WEIGHT_MAX 10000U /* Documentation/admin-guide/cgroup-v2.rst */

uint64_t plan_clamp(uint64_t value, uint64_t low, uint64_t high);
/* value · multiplier / divisor without overflow between; 0 where the divisor is. */
uint64_t plan_scale(uint64_t value, uint64_t multiplier, uint64_t divisor);

/* plan-limits.c: what is held by device, from the share; and io.weight, which is its default. */
int plan_make_limits(const PlanInput *input, TenantPlan *plan);
/* The largest part of any device that the share reserves, in ten thousandths. */
uint64_t plan_io_fraction(const PlanInput *input, const ResourceSet *share);
/* The entry's amount as it is in truth, where it is of a resource that is held by device; false: it cannot be
 * read back. */
bool plan_effective_limit(const PlanInput *input, const TenantPlan *plan, const GroupState *state,
                const Resource *entry, Amount *ret);
