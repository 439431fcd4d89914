/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What no iterator of ours can read of a group, from its files: memory.stat, memory.swap.current, io.stat and
 * the three pressures. Some ten times as dear as all else that is sampled, so that the caller takes the
 * groups in turns.
 */

#include "model/sample.h"

/* Adds to what stands in `sum`. A file that is not there leaves its figures absent. */
void group_stat_read(int group_fd, Sample *sum);

/* A StatDeviceIsLayer (stat-text.h): a device over others (device-mapper, md, bcache), or over a file (loop).
 * What goes through it is counted once more below, and there alone it has become traffic of a disk. */
bool group_stat_is_layer(unsigned major, unsigned minor, void *userdata);
