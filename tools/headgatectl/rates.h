/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a tenant uses per second, from two readings of its Usage. */

#include "model/sample.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The growth of a counter per second: of time in thousandths of a second (of a CPU's time: millicores), of
 * the network's bytes in bits, of all else as it is counted. False, and *ret as it was, where the metric is
 * no counter, the kernel does not count it, there is no earlier reading (either may be NULL), no time
 * between, or it went back (a new boot, or a new tenant of that id).
 */
bool rate_between(Metric metric, const Sample *before, const Sample *after, uint64_t elapsed_usec,
                uint64_t *ret);

/* Whether the rate is in bits. */
bool rate_is_bits(Metric metric);

/* All rates there are, by the metrics' names; only CPU time is "cpu", the network's are "net.egress" and
 * "net.ingress". */
json_t *rates_new(const Sample *before, const Sample *after, uint64_t elapsed_usec);
