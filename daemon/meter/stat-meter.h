/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the kernel counts of each tenant and tells in files alone (group-stat.h), for tenants in turns:
 * reading them all at every sample would cost more than all other meters together. Nothing is lost in
 * between, the kernel counts on; a figure is as old as its tenant's last turn.
 */

#include "bpf/pin.h"
#include "model/sample.h"
#include "util/cleanup.h"

typedef struct StatMeter StatMeter;

/* `pin_dir` as in meter.h; `places`: the most groups of all slots together. */
int stat_meter_new(const char *pin_dir, uint32_t slots, uint32_t places, StatMeter **ret);
StatMeter *stat_meter_free(StatMeter *meter);
DEFINE_CLEANUP(StatMeter *, stat_meter_free);

/* Holds the group's directory, by a descriptor of its own. Several groups of one slot add up; `adopted` as in
 * meter/group-iter.h. */
int stat_meter_add(StatMeter *meter, uint32_t slot, int group_fd, uint64_t group_id, bool adopted);
void stat_meter_remove(StatMeter *meter, uint64_t group_id);

/* Reads the slots whose turn it is: `groups` groups, or so many more as the last slot has; SIZE_MAX: all. */
void stat_meter_run(StatMeter *meter, size_t groups);
/* How many there are to read. */
size_t stat_meter_groups(const StatMeter *meter);
/* The slot's turn out of turn. */
void stat_meter_run_slot(StatMeter *meter, uint32_t slot);
/* As of the slot's last turn. */
void stat_meter_read(const StatMeter *meter, uint32_t slot, Sample *sample);
void stat_meter_clear(StatMeter *meter, uint32_t slot);

void stat_meter_keep_pins(const StatMeter *meter, const char *pin_dir, PinTell tell, void *userdata);
