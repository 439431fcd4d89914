/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What every tenant uses, read from our BPF tables and from the kernel's own counters. One table of counters,
 * mapped, a row a slot and CPU: a sample is a sum with no system call; what the kernel counts itself comes
 * from one pass of a cgroup iterator (or, where that does not load, from held files).
 *
 * A slot's counters run on while its tenant lives, whatever becomes of this process: maps and links are
 * pinned, and adopted at the next start.
 */

#include "bpf/pin.h"
#include "meter/class-meter.h"
#include "meter/culprits.h"
#include "meter/delivered.h"
#include "model/block-latency.h"
#include "model/feature.h"
#include "model/histogram.h"
#include "model/oom-victim.h"
#include "model/network.h"
#include "model/sample.h"

typedef struct Meter Meter;

typedef struct MeterOptions {
        const char *pin_dir; /* a directory of ours on bpffs, made if absent (0700); NULL: nothing is pinned
                              */
        uint32_t slots;      /* rows in the table; fixed for as long as the pin lives */
        const char *cgroup_root; /* absolute path of our parent group: the iterator goes through its children
                                  */
        uint32_t classid_base; /* skb->priority of slot 0; a slot's is this + slot. 0: packets are not classed
                                */
        uint32_t uplinks;      /* how many there are; of each, SLOT_CONTROL's class has its delay metered */
        bool ingress;          /* some of them shape what comes in */
        bool basic;            /* without histograms, without who made whom wait, without TCP */
} MeterOptions;

/* Adds "meter.cpu", "meter.network", "meter.memory" … to `features`; fails only where memory or arguments do.
 */
int meter_new(const MeterOptions *options, FeatureSet *features, Meter **ret);
Meter *meter_free(Meter *meter); /* pinned objects go on counting */
DEFINE_CLEANUP(Meter *, meter_free);

typedef enum MeterGroup {
        METER_GROUP_OWN,     /* all that the kernel has counted of it is its slot's */
        METER_GROUP_ADOPTED, /* what it counted before it was added is not */
} MeterGroup;

/*
 * Counts the group and all below it in `slot`, sets the class of its packets. Idempotent: what is attached to
 * this same group is left alone; a group made anew under the same name is attached again. `group_path` is
 * absolute. -EINVAL: slot 0, which is nobody's, or none of the table's. -EBUSY: another slot's group is above
 * or below this one; of the same slot that is fine, and counted once. On another error what does work goes
 * on, and a repeated call tries the rest again.
 */
int meter_add(Meter *meter, uint32_t slot, const char *group_path, int group_fd, uint64_t group_id,
                MeterGroup kind);
/*
 * Forgets one group; what it counted up to the last meter_refresh() stays in its slot. There is no other of
 * the slot below it.
 */
void meter_drop(Meter *meter, uint64_t group_id);
/*
 * Detaches and forgets every group of the slot, those from before a restart that were not added since among
 * them, and clears its row. Take the last sample before.
 */
int meter_remove(Meter *meter, uint32_t slot);
/* The same for several in one walk over what is kept. `leaving`: [slots], never 0. */
void meter_remove_slots(Meter *meter, const bool *leaving);

/*
 * One pass over the kernel's own counters (of those in files alone those whose turn it is, or all), and what
 * runs at this moment is charged; meter_read() then gives all of it without a system call. Call it after
 * moving processes that run: until then, or until they next leave their CPU, what they use is charged to
 * where they were.
 */
int meter_refresh(Meter *meter, bool all);
/* The same for one slot alone, of all that is kept of it, as its groups go. */
int meter_refresh_slot(Meter *meter, uint32_t slot);
/* No group's files wait for their turn. */
bool meter_reads_all_files(const Meter *meter);
/* What was just read of the uplinks' classes, as class_meter_run(); of what comes in, where there are some.
 */
void meter_note_classes(Meter *meter, ClassWay way, const NetStats *links, size_t n);
/* As class_meter_uplink() and class_meter_read_uplink(); a name first. */
const char *meter_uplink(const Meter *meter, ClassWay way, size_t uplink);
bool meter_read_uplink(const Meter *meter, ClassWay way, size_t uplink, uint32_t slot,
                uint64_t ret[static NET_CLASS_COUNTERS]);
/* -ENOENT: no group was added for the slot. What could not be counted is absent. */
int meter_read(const Meter *meter, uint32_t slot, Sample *ret);
/* The id of the slot's own group, where the last refresh met it in the kernel: it is not gone. 0: it may be.
 */
uint64_t meter_saw_group(const Meter *meter, uint32_t slot);

/* What the control class sent, whether or not a group is in it: of net.* alone. */
void meter_read_control(const Meter *meter, Sample *ret);
/* As of now; of SLOT_CONTROL its packets' delay alone. -EOPNOTSUPP: it is not counted. */
int meter_read_duration(const Meter *meter, uint32_t slot, Duration duration, Histogram *ret);

/* The tables, by their pins' names, whose counters began anew with this start, as they were of another layout
 * or of more slots: a gap in what was counted. NULL: all went on. The meter's. */
const char *meter_lost(const Meter *meter);
/* Counters went on from tables of another size with this start: what was added to those while they were
 * carried over, until each program is another, is in no figure. */
bool meter_carried(const Meter *meter);
/* Our directory of pins; NULL: nothing is pinned. The meter's. */
const char *meter_pin_dir(const Meter *meter);
/* Pins again what somebody unpinned, and tells of each. What the pins are of went on counting. */
void meter_keep_pins(const Meter *meter, PinTell tell, void *userdata);
/* The program that counted the group and no longer hangs on it, "net-meter"; NULL: all do that did. */
const char *meter_missing(const Meter *meter, uint64_t group_id);
/*
 * Sockets that the process has and that are counted and classed elsewhere than with the slot: it opened them
 * before it came there. -ESRCH: it has exited; -EOPNOTSUPP: this kernel does not tell.
 */
int meter_count_sockets(Meter *meter, uint32_t slot, int pidfd, unsigned *ret);
/* Who had the CPU while whose tasks waited, and how long that was. -EOPNOTSUPP at the basic level. */
int meter_each_culprit(const Meter *meter, CulpritFound found, void *userdata);
/* What the slot's tasks waited of which that is not known, as the table is full, ns. */
uint64_t meter_read_unascribed(const Meter *meter, uint32_t slot);

/* Adds to `ret` how long the slot's reads and writes of each device took. -EOPNOTSUPP: that is not told. */
int meter_read_latencies(const Meter *meter, uint32_t slot, BlockLatencies *ret);
/* To be called after the last slot of which these or a duration were read: it lets go of what is mapped for
 * them. */
void meter_rest(const Meter *meter);

/* As oom_meter_count(). */
uint64_t meter_count_victims(const Meter *meter);
/* Who of the slot was killed last for want of memory; none where that is not told. */
OomVictims meter_read_victims(const Meter *meter, uint32_t slot);

/* Whether what was delivered can be kept at all. */
bool meter_keeps_delivered(const Meter *meter);
/* As delivered_find() and delivered_each(). */
Delivery *meter_find_delivered(
                Meter *meter, const char *id, uint64_t since_usec, const DeliveredOwners *owners);
void meter_each_delivered(Meter *meter, DeliveredFound found, void *userdata);

/* The map of cgroup id (u64) to slot (u32), for the uplink's classifier; owned by the meter. -EBADF: none. */
int meter_groups_fd(const Meter *meter);
/* The table of what each slot sent and received; negative: there is none. The meter's own. */
int meter_net_rows_fd(const Meter *meter);

/* Removes every pin of ours and with it the programs: the end, at package removal. */
int meter_release(Meter *meter);
