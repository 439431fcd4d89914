/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What an allocation claims of the node over its windows: the one door to the timelines. Admission,
 * preemption and shortage ask for claims, never for what a request names; who gives requests something else
 * to reserve says here what it claims.
 */

#include "calendar.h"

/*
 * The claims of an allocation, each once: kind, the target by which the calendar sums, and .reserved; what
 * reserves nothing claims nothing. The caller deinits.
 */
int allocation_claims(const Calendar *calendar, const Allocation *allocation, ResourceSet *ret);

/* Whether an entry of Resources, as it was asked for, is part of that claim. */
bool resource_claims(const Calendar *calendar, const Resource *entry, const Resource *claim);
/* The entry of the allocation's Resources that makes the claim, the first where there are two: NULL where
 * none of them does. */
const Resource *allocation_claim_entry(
                const Calendar *calendar, const Allocation *allocation, const Resource *claim);
/* The claim by the name that the request gave it; of several devices, that of the device. */
Resource allocation_claim_name(const Calendar *calendar, const Allocation *allocation, const Resource *claim);
/* How much the allocation claims of it; 0 where it does not. */
uint64_t allocation_claim(const Allocation *allocation, ResourceKind kind, const char *target);
