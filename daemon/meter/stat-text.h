/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The texts of a group's own counters, without a file being opened (Documentation/admin-guide/cgroup-v2.rst,
 * Documentation/accounting/psi.rst). A key that is not there leaves its figure absent; lines that are not of
 * the file's form are passed over.
 */

#include "model/sample.h"

/* memory.stat: what it has of memory.*; pages that count in pages there leave as bytes. */
void stat_text_add_memory(const char *text, uint64_t page_bytes, Sample *sum);

/* A pressure file's totals, in ns, of its lines "some" and "full"; METRIC_INVALID where a line is not wanted.
 */
void stat_text_add_pressure(const char *text, Metric some, Metric full, Sample *sum);

/* Whether the bytes of a block device are another's too, which counts them (a file, or a device below it). */
typedef bool (*StatDeviceIsLayer)(unsigned major, unsigned minor, void *userdata);

/* What io.stat had of a device: of METRIC_IO_READ_BYTES to METRIC_IO_WRITE_OPERATIONS, in that order. */
#define STAT_DEVICE_VALUES (METRIC_IO_WRITE_OPERATIONS - METRIC_IO_READ_BYTES + 1)
typedef struct StatDevice {
        unsigned major, minor;
        uint64_t value[STAT_DEVICE_VALUES];
} StatDevice;
typedef struct StatDevices {
        StatDevice *entries; /* owned */
        size_t n;
} StatDevices;
void stat_devices_deinit(StatDevices *devices);

/*
 * io.stat, without such devices; an empty file is 0 of everything. `is_layer` may be NULL: none is.
 * `devices`: those of the text before, and then of this one. What those had that are gone, or have begun
 * anew, is added to `lost`: so much of the sum is no longer in it. Where there is no memory for them nothing
 * is remembered.
 */
void stat_text_add_io(const char *text, StatDeviceIsLayer is_layer, void *userdata, StatDevices *devices,
                Sample *sum, Sample *lost);
