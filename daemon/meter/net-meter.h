/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Bytes and packets of each tenant, counted in the kernel by bpf/net-meter.bpf.c, which also gives packets
 * their class: one program a slot and direction, linked to each of the slot's groups. Links are pinned under
 * a name that says what they are, and are found, kept, given another program or made anew by it.
 */

#include "bpf/pin.h"
#include "model/sample.h"
#include "util/cleanup.h"

typedef struct NetMeter NetMeter;

/* `classid_base`: the class of slot 0; 0 leaves packets without. Links that are pinned go on; none is made.
 */
int net_meter_new(const char *pin_dir, uint32_t slots, uint32_t classid_base, NetMeter **ret);
/* What is pinned goes on counting. */
NetMeter *net_meter_free(NetMeter *meter);
DEFINE_CLEANUP(NetMeter *, net_meter_free);

/* Whether a packet's route can be asked whom it is for; else what a namespace sends to a socket of the host's
 * over IPv4 counts as sent. */
bool net_meter_reads_kernel(const NetMeter *meter);

/* Pinned links that were found. */
size_t net_meter_adopted(const NetMeter *meter);

/* Idempotent. A link of the group for another slot becomes one for this. */
int net_meter_attach(NetMeter *meter, uint32_t slot, int group_fd, uint64_t group_id);
void net_meter_detach(NetMeter *meter, uint64_t group_id);
/* Every group of these slots, those that were adopted and not attached since among them. `leaving`: [slots].
 */
void net_meter_detach_slots(NetMeter *meter, const bool *leaving);

/* False where a link says that its group is gone, or where there is none. */
bool net_meter_group_lives(const NetMeter *meter, uint64_t group_id);

/* Whether both of the group's links hang on it. */
bool net_meter_holds(const NetMeter *meter, uint64_t group_id);
void net_meter_keep_pins(const NetMeter *meter, PinTell tell, void *userdata);

/* The table; the meter's own. */
int net_meter_rows_fd(const NetMeter *meter);

void net_meter_read(const NetMeter *meter, uint32_t slot, Sample *sample);
void net_meter_clear(NetMeter *meter, uint32_t slot);
