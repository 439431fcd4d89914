/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What this node's kernel and system can do, found by probing at start. What is missing degrades that feature
 * alone, and says so in words: D-Bus `Features`, `headgatectl doctor`.
 */

#include "util/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct Feature {
        char *name; /* owned; "cpu.limit", "meter.cpu", "net.egress@eth0" */
        bool available;
        char *words; /* owned; how it is done, or why it is not and what that means */
} Feature;

typedef struct FeatureSet {
        Feature *entries; /* owned, in the order of probing; one of each name */
        size_t n;
} FeatureSet;

#define FEATURE_SET_NULL \
        { NULL, 0 }

/* Adds, or replaces what had the same name. */
int feature_set_put(FeatureSet *set, const char *name, bool available, const char *format, ...)
                _printf_(4, 5);
const Feature *feature_set_get(const FeatureSet *set, const char *name);
void feature_set_deinit(FeatureSet *set);
