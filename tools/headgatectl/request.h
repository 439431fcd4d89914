/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Allocations as people and schedulers write them, JSON, to what Apply and Check take, aa{sv}. */

#include "model/failure.h"

#include <jansson.h>
#include <systemd/sd-bus.h>

/* More than this is no list of allocations: a message of D-Bus ends at 128 MiB. */
#define REQUEST_SIZE_MAX (64U << 20)

/*
 * Parses `text`, one object or a list of objects, to a list of objects. `name` is the file's, for the
 * sentence: "FILE:LINE:COLUMN: what is wrong". Returns 0, -ENOMEM, or FAILURE_INVALID_ALLOCATION.
 */
int request_parse(const char *name, const char *text, size_t size, json_t **ret, Failure *ret_failure);

/*
 * Appends the list as aa{sv}, each key by its signature in allocation_keys[]. Keys that are not there go as
 * they are, so that it is headgated that refuses them. Returns 0, a negative errno, or
 * FAILURE_INVALID_ALLOCATION for a value whose JSON type cannot be the key's; the message is then half built,
 * not to be sent.
 */
int request_append(sd_bus_message *m, const json_t *requests, Failure *ret_failure);
