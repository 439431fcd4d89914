/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Model values to and from D-Bus messages, by the model's tables. Pure: reads and writes messages, asks no
 * one. */

#include "model/allocation.h"

#include <systemd/sd-bus.h>

#define CODEC_REQUESTS_MAX 10000U

/*
 * Reads aa{sv}: 0 with the list (the caller frees each and the array), negative where the message is broken,
 * or a FailureCode that names the key: unknown, twice, of the wrong type, or with a value out of its choices.
 */
int codec_read_requests(
                sd_bus_message *message, Allocation ***ret_requests, size_t *ret_n, Failure *ret_failure);
void codec_requests_free(Allocation **requests, size_t n);

/* One key's value, in the key's signature. */
int codec_append_key(sd_bus_message *message, const Allocation *allocation, const AllocationKey *key);

/* a{s(tt)} and a{st}. */
int codec_append_amounts(sd_bus_message *message, const ResourceSet *set);
