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

/* How many have ever been noted of all slots. As long as it is the same, nobody else is known of a slot. */
uint64_t oom_meter_count(const OomMeter *meter);
/* Those that are still known, by the clocks as they are now. */
OomVictims oom_meter_read(const OomMeter *meter, uint32_t slot);
void oom_meter_clear(OomMeter *meter, uint32_t slot);
