/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * io.cost, which divides a device by io.weight: a setting of the whole node, in the hierarchy's own root. It
 * is turned on where the configuration asks for it, with what the device can do as its model, and what
 * somebody else set up is left alone.
 */

#include "enforce/cgroup.h"

typedef struct IoCostModel {
        const char *number;               /* of the device, "8:0" */
        uint64_t read_bytes, write_bytes; /* a second */
} IoCostModel;

/* The text of io.cost.qos; -ENOENT where the kernel has none, or our mount is not the whole hierarchy. The
 * caller frees. */
int io_cost_read(const CgroupDriver *driver, char **ret_qos);
/* Turns it on where it is off: 1 where it was. */
int io_cost_enable(const CgroupDriver *driver, const IoCostModel *model);
/* Turns it off again, if what is there is what io_cost_enable() wrote. */
int io_cost_disable(const CgroupDriver *driver, const IoCostModel *model);

/* Whether the device is divided, by the text of io.cost.qos. */
bool io_cost_is_on(const char *qos, const char *number);
/* Whether qos and model are ours: our marks, and this model. */
bool io_cost_is_ours(const char *qos, const char *model_text, const IoCostModel *model);
#define IO_COST_TEXT_SIZE 256
void io_cost_format_qos(const IoCostModel *model, bool on, char *ret);
void io_cost_format_model(const IoCostModel *model, char *ret);
