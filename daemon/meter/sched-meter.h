/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * CPU time, run-queue wait and switches, counted in the kernel by bpf/sched-meter.bpf.c: loads and pins it,
 * or adopts what is pinned. Which group is whose stands in the groups map, which is the caller's.
 */

#include "bpf/pin.h"
#include "meter/culprits.h"
#include "model/histogram.h"
#include "model/sample.h"
#include "util/cleanup.h"

typedef struct SchedMeter SchedMeter;

typedef struct SchedMeterOptions {
        const char *pin_dir; /* as in meter.h */
        uint32_t slots;
        int groups_fd;
        bool full; /* histograms and culprits too */
} SchedMeterOptions;

/* What counted until now is replaced without an event in between: another version's or level's, or one that
 * looked into other maps. */
int sched_meter_new(const SchedMeterOptions *options, SchedMeter **ret);
/* What is pinned goes on counting. */
SchedMeter *sched_meter_free(SchedMeter *meter);
DEFINE_CLEANUP(SchedMeter *, sched_meter_free);

void sched_meter_keep_pins(const SchedMeter *meter, const char *pin_dir, PinTell tell, void *userdata);

/* The program in the kernel was there before us. */
bool sched_meter_adopted(const SchedMeter *meter);
/* Moves between CPUs are counted. */
bool sched_meter_counts_migrations(const SchedMeter *meter);
/* What a task waited on a CPU's queue before it was taken to another's is counted, too. */
bool sched_meter_follows_waits(const SchedMeter *meter);
/* A task that moves is charged to its old group up to then, as the kernel does. */
bool sched_meter_splits_moves(const SchedMeter *meter);
/* At least up to about then, where it is the process's first thread. */
bool sched_meter_sees_moves(const SchedMeter *meter);

/* After every change of the groups map: from its return on, nothing is charged by what the map said before.
 */
void sched_meter_groups_changed(SchedMeter *meter);
/*
 * Charges what runs at this moment, so that it is in the next reads: one interrupt for each CPU that is busy.
 */
void sched_meter_settle(SchedMeter *meter);

void sched_meter_read(const SchedMeter *meter, uint32_t slot, Sample *sample);
/* What it reads is mapped with the first, until it rests. -EOPNOTSUPP at the basic level. */
int sched_meter_read_waits(SchedMeter *meter, uint32_t slot, Histogram *ret);
void sched_meter_rest(SchedMeter *meter);
/* As culprits_each(). -EOPNOTSUPP at the basic level. */
int sched_meter_each_culprit(const SchedMeter *meter, CulpritFound found, void *userdata);
/* Waited through the fault of those for whom there was no room among the pairs, ns. */
uint64_t sched_meter_read_unascribed(const SchedMeter *meter, uint32_t slot);
/* `leaving`: [slots]. */
void sched_meter_clear(SchedMeter *meter, const bool *leaving);
