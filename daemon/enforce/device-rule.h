/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Devices by name to rules by number, as the guard in the kernel takes them: for the nodes and drivers that
 * there are now.
 */

#include "model/device.h"
#include "util/cleanup.h"

struct device_rules; /* bpf/device-guard.h */

typedef struct DeviceNumber {
        DeviceKind kind; /* character or block */
        uint32_t major, minor;
} DeviceNumber;

/* What there is of devices: device_lookup_open(), or a test's. */
typedef struct DeviceLookup {
        char *drivers; /* owned; as /proc/devices has them */
        /* The device behind a path: -ENOENT, -ENODEV for what is no device node, -EACCES for what is hidden.
         */
        int (*find_node)(const char *path, DeviceNumber *ret);
        /* Whether the kernel has such a device now. */
        bool (*has_number)(const DeviceNumber *number);
} DeviceLookup;

int device_lookup_open(DeviceLookup *ret);
void device_lookup_close(DeviceLookup *lookup);
#define _cleanup_device_lookup_ _cleanup_(device_lookup_close)

/*
 * The rules of a guard that lets the devices through, and those that every guard does: null, zero, full,
 * random, urandom, tty, ptmx, the pseudo terminals, and what stands for an inaccessible device. Names that
 * mean nothing now, and those for which there is no room, are left out: each a sentence of `problems` (a
 * strv), for people. 1 where there was no room for one; -ENOMEM.
 */
int device_rules_make(const DeviceLookup *lookup, const DeviceSet *devices, struct device_rules **ret,
                char ***problems);
/* Those that not every guard has, for people: "c 195:0 rw, b 8:* r"; "none". */
int device_rules_format(const struct device_rules *rules, char **ret);
/* As much of them as counts. */
bool device_rules_equal(const struct device_rules *a, const struct device_rules *b);
struct device_rules *device_rules_free(struct device_rules *rules);
DEFINE_CLEANUP(struct device_rules *, device_rules_free);
#define _cleanup_device_rules_ _cleanup_(device_rules_free_p)
