/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by admission's files and preemption.c alone. */

#include "admission.h"

typedef struct AdmissionInput {
        Calendar *calendar;
        const Capacity *capacity;
        uint64_t now_usec;
        Allocation *const *requests; /* all that are judged together: none of them gives way to another */
        size_t n_requests;
} AdmissionInput;

/* What can be reserved of the resource, by its target in the calendar. */
uint64_t admission_total(const Capacity *capacity, ResourceKind kind, const char *target);
/* Whether the request, which is in the timelines, is short of nothing. */
bool admission_fits(const AdmissionInput *input, const Allocation *request);

/* Has others lend to the request what it is short of. False, and no loans, where that is not enough. */
int preemption_try(const AdmissionInput *input, Allocation *request, bool *ret_fits);
/* Has everyone whom it could preempt lend all that they could, whenever, to a probe in its place: for a
 * search over time. */
int preemption_lend_all(const AdmissionInput *input, const Allocation *request, Allocation *probe);

/* admission-placement.c */
/* Before it is counted: `held` is what it replaces, or NULL. 0 also where it is to have CPUs and there are
 * too few. */
int admission_choose_cpus(const AdmissionInput *input, Allocation *request, const Allocation *held);
bool admission_lacks_choice(const Allocation *request);
/* Whether the CPUs and nodes that it names are part of this node, online or not. */
bool admission_placement_exists(const AdmissionInput *input, const Allocation *request);
/* Whether what it names is here: 0, or as allocation_validate(). */
int admission_judge_placement(const AdmissionInput *input, const Allocation *request, Verdict *verdict);
/* Of one without the CPUs that it should have had: how many whole ones there are. */
int admission_note_no_choice(const AdmissionInput *input, const Allocation *request, Verdict *verdict);
