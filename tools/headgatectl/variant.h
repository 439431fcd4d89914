/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * D-Bus values as JSON, under the rules of the design: numbers are integers, UINT64_MAX is "max". The verbs
 * read these for their tables and print them for --json, so that both say the same.
 */

#include "util/cleanup.h"

#include <jansson.h>
#include <systemd/sd-bus.h>

DEFINE_CLEANUP(json_t *, json_decref);
#define _cleanup_json_ _cleanup_(json_decref_p)
DEFINE_CLEANUP(sd_bus_message *, sd_bus_message_unref);
#define _cleanup_bus_message_ _cleanup_(sd_bus_message_unref_p)

/*
 * Reads the one complete value that `m` stands at, variants unwrapped: a dictionary becomes an object, an
 * array or a structure an array. -EOPNOTSUPP for a dictionary whose keys are not strings.
 */
int variant_read(sd_bus_message *m, json_t **ret);

/* An integer; "max" for UINT64_MAX; other numbers that JSON's integers cannot hold (2^63 and above) as a
 * string. */
json_t *variant_u64_new(uint64_t value);
/* The reverse, 0 for what is no such number. */
uint64_t variant_u64_value(const json_t *value);

/* What is absent, or of another type, is "", 0 or an empty array: properties of an older headgated. */
const char *variant_get_string(const json_t *object, const char *name);
uint64_t variant_get_u64(const json_t *object, const char *name);
