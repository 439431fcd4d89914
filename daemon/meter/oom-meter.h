/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whom the kernel killed last of each tenant for want of memory, noted by bpf/oom-meter.bpf.c. */

#include "bpf/pin.h"
#include "model/oom-victim.h"
#include "util/cleanup.h"

typedef struct OomMeter OomMeter;

/* Arguments as sched_meter_new()'s. */
int oom_meter_new(const char *pin_dir, uint32_t slots, int groups_fd, OomMeter **ret);
/* What is pinned goes on. */
OomMeter *oom_meter_free(OomMeter *meter);
DEFINE_CLEANUP(OomMeter *, oom_meter_free);

void oom_meter_keep_pins(const OomMeter *meter, const char *pin_dir, PinTell tell, void *userdata);

/* Those that are still known, by the clocks as they are now. */
OomVictims oom_meter_read(OomMeter *meter, uint32_t slot);
/* After the last of those that are read one after another, as block_meter_rest(). */
void oom_meter_rest(OomMeter *meter);
void oom_meter_clear(OomMeter *meter, uint32_t slot);
