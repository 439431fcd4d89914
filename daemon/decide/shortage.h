/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What no longer fits once the node has less than it had, or a window that recurs meets what was admitted
 * beyond its horizon: the allocations of least priority are marked with what is missing, and keep as much of
 * their floor as there is; all others have what they were promised.
 */

#include "admission.h"

/* `changed` is told each allocation whose `missing` is another now. */
int shortage_mark(Calendar *calendar, const Capacity *capacity, uint64_t now_usec,
                void (*changed)(Allocation *allocation, void *userdata), void *userdata);
