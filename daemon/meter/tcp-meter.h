/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Each tenant's TCP connections, counted in the kernel by bpf/tcp-meter.bpf.c: one program for all, linked to
 * each group, whose slot is a value of that attachment. Links are pinned under a name that says which program
 * they run, and are found, kept or given another program by it.
 */

#include "bpf/pin.h"
#include "model/histogram.h"
#include "model/sample.h"
#include "util/cleanup.h"

typedef struct TcpMeter TcpMeter;

/* Links that are pinned go on; none is made. */
int tcp_meter_new(const char *pin_dir, uint32_t slots, TcpMeter **ret);
/* What is pinned goes on counting. */
TcpMeter *tcp_meter_free(TcpMeter *meter);
DEFINE_CLEANUP(TcpMeter *, tcp_meter_free);

/* Pinned links that were found. */
size_t tcp_meter_adopted(const TcpMeter *meter);

/* Idempotent. A group of another slot becomes one of this. */
int tcp_meter_attach(TcpMeter *meter, uint32_t slot, int group_fd, uint64_t group_id);
void tcp_meter_detach(TcpMeter *meter, uint64_t group_id);
/* As net_meter_detach_slots(). */
void tcp_meter_detach_slots(TcpMeter *meter, const bool *leaving);

/* Whether the group's link hangs on it. */
bool tcp_meter_holds(const TcpMeter *meter, uint64_t group_id);
void tcp_meter_keep_pins(const TcpMeter *meter, PinTell tell, void *userdata);

void tcp_meter_read(const TcpMeter *meter, uint32_t slot, Sample *sample);
/* What it reads is mapped with the first, until it rests. */
int tcp_meter_read_rtt(TcpMeter *meter, uint32_t slot, Histogram *ret);
void tcp_meter_rest(TcpMeter *meter);
void tcp_meter_clear(TcpMeter *meter, uint32_t slot);

/* Ends what an earlier run pinned: at the basic level nothing of this is counted. */
void tcp_meter_unpin(const char *pin_dir);
