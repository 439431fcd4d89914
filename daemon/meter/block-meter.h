/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How long each tenant's reads and writes of each block device take, counted by bpf/block-meter.bpf.c.
 * Devices that are over others are left out, so that a request is told once.
 */

#include "bpf/pin.h"
#include "model/block-latency.h"
#include "util/cleanup.h"

/* Devices that are told apart; those that come after are told together. */
#define BLOCK_METER_DEVICES 15

typedef struct BlockMeter BlockMeter;

/* Arguments as sched_meter_new()'s. */
int block_meter_new(const char *pin_dir, uint32_t slots, int groups_fd, BlockMeter **ret);
/* What is pinned goes on counting. */
BlockMeter *block_meter_free(BlockMeter *meter);
DEFINE_CLEANUP(BlockMeter *, block_meter_free);

void block_meter_keep_pins(const BlockMeter *meter, const char *pin_dir, PinTell tell, void *userdata);

/* Adds an entry for each device and direction that the slot used. */
int block_meter_read(BlockMeter *meter, uint32_t slot, BlockLatencies *ret);
/* To be called after the last of those that are read one after another: what was mapped for them is half a
 * megabyte a device of a thousand slots. */
void block_meter_rest(BlockMeter *meter);
void block_meter_clear(BlockMeter *meter, uint32_t slot);

/* As tcp_meter_unpin(). */
void block_meter_unpin(const char *pin_dir);
