/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Which block devices there are, from /proc/partitions and sysfs: whole ones that have a size. It opens no
 * device.
 */

#include "model/block-device.h"

/* /proc/partitions: another text where any came, went or changed its size. `root`: "" but in tests. The
 * caller frees. */
int block_devices_text(const char *root, char **ret);
/*
 * Those of that text, in its order; their policies IO_POLICY_NONE, or IO_POLICY_BFQ where that is their
 * scheduler. One that went meanwhile is left out. The caller frees.
 */
int block_devices_read(const char *root, const char *text, BlockDevice **ret, size_t *ret_n);

/* The next line of /proc/partitions from *text on: number and name. False: there is none. */
bool block_devices_next(const char **text, BlockDevice *ret);
/* Whether a queue/scheduler, "none mq-deadline [bfq]", has chosen that one. */
bool scheduler_is(const char *text, const char *name);
