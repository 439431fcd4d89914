/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a tenant uses per second, from two readings of its Usage. */

#include <jansson.h>
#include <stdint.h>

#define RATE_UNKNOWN UINT64_MAX

/*
 * RATE_UNKNOWN: the kernel does not count it, there is no earlier reading, no time between, or a counter went
 * back (a new boot, or a new tenant of that id).
 */
typedef struct Rates {
        uint64_t cpu_millicores;
        uint64_t wait_millicores; /* runnable without a CPU: ms a second */
        uint64_t egress_bps;
        uint64_t ingress_bps;
} Rates;

/* `before` may be NULL. */
Rates rates_between(const json_t *before, const json_t *after, uint64_t elapsed_usec);
