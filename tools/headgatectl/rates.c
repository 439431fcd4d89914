/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Differences of counters over time. Pure; clocks are its callers'. */

#include "rates.h"

#include "variant.h"

/* The growth of a counter times `scale` per second. */
static uint64_t rate(const json_t *before, const json_t *after, const char *name, double scale,
                uint64_t elapsed_usec) {
        const json_t *a = json_object_get(before, name), *b = json_object_get(after, name);
        uint64_t from = variant_u64_value(a), to = variant_u64_value(b);

        if (!a || !b || to < from || elapsed_usec == 0)
                return RATE_UNKNOWN;

        return (uint64_t) ((double) (to - from) * scale * 1e6 / (double) elapsed_usec + 0.5);
}

Rates rates_between(const json_t *before, const json_t *after, uint64_t elapsed_usec) {
        /* ns a second to thousandths of a CPU; bytes to bits. */
        return (Rates){
                .cpu_millicores = rate(before, after, "cpu.time", 1e-6, elapsed_usec),
                .wait_millicores = rate(before, after, "cpu.wait", 1e-6, elapsed_usec),
                .egress_bps = rate(before, after, "net.egress.bytes", 8, elapsed_usec),
                .ingress_bps = rate(before, after, "net.ingress.bytes", 8, elapsed_usec),
        };
}
