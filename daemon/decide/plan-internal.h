/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the plan's files alone. */

#include "plan.h"

/* plan-keep.c: one more of those that changed. Room was made for all. */
void plan_list(PlanList *list, TenantPlan *tenant);

/* plan.c: all of a tenant that follows from its own allocations alone. */
int plan_make_tenant(const PlanInput *input, TenantPlan *plan);
void tenant_plan_deinit(TenantPlan *plan);

/* plan-placement.c: `named` and `alone` of a tenant. */
void plan_look_at_names(const CalendarTenant *own, TenantPlan *plan);
/* Where those of the list run, or where somebody came to have other CPUs alone, everyone; and who has CPUs
 * alone. Who is placed otherwise is listed. -ENOMEM. */
int plan_place(const PlanInput *input, Plan *plan, PlanList *list);

#define CPU_WEIGHT_DEFAULT 100U
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
