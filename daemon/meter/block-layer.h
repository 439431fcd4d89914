/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Which block devices are layers: over others (device-mapper, md, bcache), or over a file (loop). What goes
 * through one is counted once more below, and there alone it has become traffic of a disk.
 */

#include <stdbool.h>
#include <stddef.h>

/* As /sys/dev/block has it now: up to four files. */
bool block_is_layer(unsigned major, unsigned minor);

/* What was asked of devices in one turn over many groups, all of whose io.stat name the same ones. */
typedef struct BlockLayers {
        struct BlockAnswer *answers; /* owned */
        size_t n;
        size_t next; /* where the next question is likely to be answered: groups name them in one order */
} BlockLayers;
void block_layers_deinit(BlockLayers *layers);

/* From here on each device is looked at anew: a number may be another's by now. */
void block_layers_forget(BlockLayers *layers);

/* A StatDeviceIsLayer (stat-text.h) over a BlockLayers. Without memory the device is looked at each time. */
bool block_layers_have(unsigned major, unsigned minor, void *layers);
