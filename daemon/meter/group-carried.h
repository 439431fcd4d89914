/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a slot keeps of the kernel's own counters, which live and die with a group: a slot's figure is what
 * its groups have counted since they came to it, and what those that are gone had counted until then. A row a
 * group, pinned, so that a restart goes on from it. It reads no kernel counter.
 */

#include "bpf/pin.h"
#include "model/sample.h"
#include "util/cleanup.h"

#include <stdbool.h>

typedef struct GroupCarried GroupCarried;

typedef struct GroupCarriedOptions {
        const char *pin_dir; /* as in meter.h */
        const char *rows_name,
                        *gone_name; /* of the tables and their pins: another where the counters are others */
        const Metric *counters;     /* those of the samples that are counters; must live as long */
        size_t n_counters;          /* at most GROUP_CARRIED_COUNTERS_MAX */
        uint32_t slots, places;
        /* A counter that falls lost a part of what it sums (a device went, with its line, and nobody told),
         * and has the rest still; else it began anew (its controller was taken away and given again). */
        bool falls_by_parts;
} GroupCarriedOptions;
#define GROUP_CARRIED_COUNTERS_MAX 16

int group_carried_new(const GroupCarriedOptions *options, GroupCarried **ret);
GroupCarried *group_carried_free(GroupCarried *carried);
DEFINE_CLEANUP(GroupCarried *, group_carried_free);

void group_carried_keep_pins(const GroupCarried *carried, const char *pin_dir, PinTell tell, void *userdata);

/*
 * The group's row, as it was left or new. `adopted`: what a new one has counted up to its first note is not
 * the slot's. -ENOSPC: every row is a living group's.
 */
int group_carried_place(
                GroupCarried *carried, uint32_t slot, uint64_t group_id, bool adopted, uint32_t *ret_place);
/* The group's counters will show so much less than they would have: a part of what they sum is gone. */
void group_carried_lose(GroupCarried *carried, uint32_t place, const Sample *lost);
/* What the group's counters show now. */
void group_carried_note(GroupCarried *carried, uint32_t place, const Sample *now);
/* Puts the slot's figures of those counters that are in `present`, as a Sample has it. */
void group_carried_sum(const GroupCarried *carried, uint32_t slot, uint64_t present, Sample *sample);
/* The group's row, where it has one of the slot's. */
bool group_carried_find(const GroupCarried *carried, uint32_t slot, uint64_t group_id, uint32_t *ret_place);
/* What the group alone has counted for its slot, of each of the counters; false: it has no row there. */
bool group_carried_read(const GroupCarried *carried, uint32_t slot, uint64_t group_id, uint64_t *ret);
/* The counters of the row's group began at 0 again; what they had counted up to the last note stays its. */
void group_carried_begin_anew(GroupCarried *carried, uint32_t place);
/* The group is its slot's no longer; what it counted up to the last note stays. */
void group_carried_leave(GroupCarried *carried, uint64_t group_id);
/* The same of every group. */
void group_carried_leave_all(GroupCarried *carried);
/* Whether some row is of a group with an id below that. */
bool group_carried_has_below(const GroupCarried *carried, uint64_t group_id);
/* Begins the slot anew. */
void group_carried_clear(GroupCarried *carried, uint32_t slot);
