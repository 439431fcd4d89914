/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the explain files alone: words that several of them use. */

#include "explain.h"

#include "util/words.h"

/* "max", or the number. */
void explain_print_amount(Words *words, uint64_t amount);
/* What of the entry, which is the allocation's own, counts in its tenant's share now. */
Amount explain_part_of(const Allocation *allocation, const Resource *entry);
/* Whether its tenant, frozen, does not hold what it has of it. */
bool explain_is_lent(const Allocation *allocation, ResourceKind kind);
/* Of the tenants, each that adds to a sum; `value_of` says how much. " = 64 (a) + 32 (b)". */
void explain_print_tenants(Words *words, const Plan *plan, uint64_t (*value_of)(const TenantPlan *tenant));
