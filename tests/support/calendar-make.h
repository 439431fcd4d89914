/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calendars by hand, and a clock by hand that drives them: for the tests of model/ and decide/. */

#include "decide/admission.h"

typedef struct Made {
        const char *id, *tenant;
        uint64_t start, end;
        uint64_t cpu, memory, net; /* reserved; the limits are the same */
        int priority;
        PreemptMode mode;
} Made;

/* Not in any calendar; it has its windows. */
Allocation *made_allocation(const Made *made);
/* In the calendar, unasked. */
Allocation *made_hold(Calendar *calendar, const Made *made);
/* Through admission: NULL where it was refused. Loans are lent as an Apply does. */
Allocation *made_apply(Calendar *calendar, const Capacity *capacity, uint64_t now_usec, Allocation *request);
/* All steps up to now; whatever is entered is counted in *changes where that is given. */
void made_advance(Calendar *calendar, const Instant *now, bool all, size_t *changes);
/* cpu, memory and the default uplink "eth0". */
Capacity made_capacity(uint64_t cpu, uint64_t memory, uint64_t net);
void made_capacity_deinit(Capacity *capacity);
/* The sum, instant by instant, of what those reserve that hold at it, less what they lend: by brute force. */
uint64_t made_level(const Calendar *calendar, ResourceKind kind, uint64_t at_usec);
