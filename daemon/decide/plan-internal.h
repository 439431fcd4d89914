/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the plan's files alone. */

#include "plan.h"

/* Where each tenant's processes run, and who has CPUs alone. -ENOMEM. */
int plan_place(const PlanInput *input, Plan *plan);
