/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the kernel counts of each slot's classes, one way, on all uplinks together. Its counters begin at 0
 * with a class, and a class goes with its interface, its tree, or whoever deletes it; a slot's run on. It
 * asks no kernel: what was read of each uplink is given to it.
 */

#include "bpf/pin.h"
#include "model/network.h"
#include "model/sample.h"
#include "util/cleanup.h"

#include <stdbool.h>

#define CLASS_METER_LINKS_MAX 16

typedef struct ClassMeter ClassMeter;

/* `pin_dir` as in meter.h; `places`: the most classes of all slots and uplinks together. */
int class_meter_new(const char *pin_dir, ClassWay way, uint32_t slots, uint32_t places, ClassMeter **ret);
ClassMeter *class_meter_free(ClassMeter *meter);
DEFINE_CLEANUP(ClassMeter *, class_meter_free);

/* All below do nothing where there is no meter (NULL). */

/* The slot is somebody's from here on; others' classes are not counted. SLOT_DEFAULT and SLOT_CONTROL always
 * are. */
void class_meter_add(ClassMeter *meter, uint32_t slot);
/*
 * One reading of each uplink; with an ifindex of 0: not read. A class
 * that was there before its slot was added, and that no earlier run counted, begins with what it shows. More
 * classes than there are places: those are not counted.
 */
void class_meter_run(ClassMeter *meter, const NetStats *links, size_t n);
/* As of the last run. */
void class_meter_read(const ClassMeter *meter, uint32_t slot, Sample *sample);
/*
 * The name of the uplink of that number, below CLASS_METER_LINKS_MAX; NULL: there is none. Those that were
 * read once are among them as long as there are numbers for all, whether or not they are read still.
 */
const char *class_meter_uplink(const ClassMeter *meter, size_t uplink);
/* What of the slot's counters is that uplink's: in the order of net_class_metrics(). All uplinks' together
 * are what class_meter_read() gives, but for what was counted before they were told apart, or at one that has
 * no number any more. false: the slot had no class there. */
bool class_meter_read_uplink(const ClassMeter *meter, size_t uplink, uint32_t slot,
                uint64_t ret[static NET_CLASS_COUNTERS]);
/* Nobody's again, and begun anew. */
void class_meter_clear(ClassMeter *meter, uint32_t slot);

void class_meter_keep_pins(const ClassMeter *meter, const char *pin_dir, PinTell tell, void *userdata);
/* Forgets what was counted that way. */
void class_meter_unpin(const char *pin_dir, ClassWay way);
