/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What no iterator of ours can read of a group, from its files: memory.stat, memory.swap.current, io.stat and
 * the three pressures. Some ten times as dear as all else that is sampled, so that the caller takes the
 * groups in turns.
 */

#include "meter/block-layer.h"
#include "meter/stat-text.h"
#include "model/sample.h"

typedef enum GroupStatFile {
        GROUP_STAT_MEMORY,
        GROUP_STAT_SWAP,
        GROUP_STAT_IO,
        GROUP_STAT_CPU_PRESSURE,
        GROUP_STAT_MEMORY_PRESSURE,
        GROUP_STAT_IO_PRESSURE,
        GROUP_STAT_FILE_MAX,
} GroupStatFile;

/* A group's directory and those of its files that were there, held open: to open one costs as much as to read
 * it. */
typedef struct GroupStat {
        int dir_fd;
        int files[GROUP_STAT_FILE_MAX]; /* -EBADF: not open */
        StatDevices devices;            /* as io.stat had them last */
} GroupStat;

/* Owns the directory from here on. */
GroupStat group_stat_open(int dir_fd);
void group_stat_close(GroupStat *stat);

/*
 * Adds to what stands in `sum`. A file that is not there leaves its figures absent; it may come, and go.
 * `lost`: what stood there of counters when they were read before and is in them no longer, as of a device
 * that is gone. `layers`: of the turn that this read is in.
 */
void group_stat_read(GroupStat *stat, BlockLayers *layers, Sample *sum, Sample *lost);
