/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Guards of devices: one program (bpf/device-guard.bpf.c) at each guarded control group, held by a pinned
 * link, and the group's rules, which the kernel keeps with it. Both outlive us. A group is any one on the
 * cgroup2 mount, ours or adopted, and a slot may have several.
 */

#include "bpf/pin.h"
#include "enforce/device-rule.h"
#include "model/feature.h"

typedef struct DeviceGuard DeviceGuard;

/*
 * Loads the program and takes up what is pinned in "devices" below `pin_dir` (NULL: nothing is pinned, and
 * the guards end with this process). Adds "devices" to `features` either way; -EOPNOTSUPP where the kernel
 * cannot.
 */
int device_guard_new(const char *pin_dir, FeatureSet *features, DeviceGuard **ret);
/* What is pinned stays. */
DeviceGuard *device_guard_free(DeviceGuard *guard);
DEFINE_CLEANUP(DeviceGuard *, device_guard_free);

/*
 * Read from the kernel: these rules, and no others, are in force at the group, by the program of this
 * version, and everything that keeps them is pinned.
 */
bool device_guard_holds(
                DeviceGuard *guard, uint32_t slot, uint64_t group_id, const struct device_rules *rules);
/* The rules that are in force at the group, by our program; -ENOENT: none are. */
int device_guard_get(DeviceGuard *guard, uint32_t slot, uint64_t group_id, struct device_rules **ret);
/*
 * Makes them hold: an open sees the old rules or the new ones, and no moment is without. -ENOENT: the group
 * is gone; -EPERM: another's program above it allows none below.
 */
int device_guard_put(DeviceGuard *guard, uint32_t slot, int group_fd, uint64_t group_id,
                const struct device_rules *rules);
/* Whether any group of the slot has a guard, in force or not. */
bool device_guard_has_slot(const DeviceGuard *guard, uint32_t slot);
/* The group is as if we had not been there: 1; 0: it was not guarded. */
int device_guard_remove(DeviceGuard *guard, uint64_t group_id);
void device_guard_remove_slot(DeviceGuard *guard, uint32_t slot);
/* Forgets the guards of groups that are gone: a pin outlives what it pins, by some time after the group. */
void device_guard_sweep(DeviceGuard *guard);
/* Pins of guards that hold, and of their rules, as pin_keep(). */
void device_guard_keep_pins(const DeviceGuard *guard, PinTell tell, void *userdata);
/* NULL: nothing is pinned. */
const char *device_guard_pin_dir(const DeviceGuard *guard);
/* All of them, and the directory. */
int device_guard_release(DeviceGuard *guard);
