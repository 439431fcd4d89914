/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the kernel itself counts of each tenant: memory, OOM kills, throttled time. One pass of an iterator
 * over all groups below our parent (bpf/group-iter.bpf.c) and one over each group elsewhere; from files where
 * that can't be.
 *
 * A group that is made anew begins at 0 in the kernel. The slot's counters don't: meter/group-carried.h.
 */

#include "bpf/pin.h"
#include "model/sample.h"
#include "util/cleanup.h"

typedef struct GroupIter GroupIter;

/*
 * `places`: the most groups. Without `in_kernel` files are read. `root`: see MeterOptions. `cpu_time`:
 * cpu.time too, which only the files give: they are read then in any case.
 */
int group_iter_new(const char *pin_dir, uint32_t slots, uint32_t places, bool in_kernel, const char *root,
                bool cpu_time, GroupIter **ret);
GroupIter *group_iter_free(GroupIter *iter);
DEFINE_CLEANUP(GroupIter *, group_iter_free);

/* False: files are read. */
bool group_iter_in_kernel(const GroupIter *iter);

/* `adopted`: what it has counted by its first run, unless it had one under an earlier daemon, is not its
 * slot's.
 */
int group_iter_add(GroupIter *iter, uint32_t slot, const char *group_path, int group_fd, uint64_t group_id,
                bool adopted);
/* What it had counted at the last run, or when it was removed, stays its slot's. */
void group_iter_remove(GroupIter *iter, uint64_t group_id);

void group_iter_keep_pins(const GroupIter *iter, const char *pin_dir, PinTell tell, void *userdata);

int group_iter_run(GroupIter *iter);
/* The slot's groups alone. */
int group_iter_run_slot(GroupIter *iter, uint32_t slot);
/* As of the last run. */
void group_iter_read(const GroupIter *iter, uint32_t slot, Sample *sample);
/* The id of the slot's own group, where the kernel's last pass met it alive; 0: ask the group. */
uint64_t group_iter_seen(const GroupIter *iter, uint32_t slot);
void group_iter_clear(GroupIter *iter, uint32_t slot);
