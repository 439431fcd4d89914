/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Differences of counters over time. Pure; clocks are its callers'. */

#include "rates.h"

#include "variant.h"

/* The growth of a counter times `scale` per second. False where it went back: a new boot, or a new tenant of
 * that id. */
static bool rate(const json_t *before, const json_t *after, const char *name, double scale,
                double elapsed_usec, uint64_t *ret) {
        uint64_t a = variant_get_u64(before, name), b = variant_get_u64(after, name);

        if (b < a)
                return false;

        *ret = (uint64_t) ((double) (b - a) * scale * 1e6 / elapsed_usec + 0.5);
        return true;
}

Rates rates_between(const json_t *before, const json_t *after, uint64_t elapsed_usec) {
        double elapsed = (double) elapsed_usec;
        Rates rates = {};

        if (!before || elapsed_usec == 0)
                return rates;

        /* ns a second to thousandths of a CPU; bytes to bits. */
        rates.known = rate(before, after, "cpu.time", 1e-6, elapsed, &rates.cpu_millicores) &&
                      rate(before, after, "cpu.wait", 1e-6, elapsed, &rates.wait_millicores) &&
                      rate(before, after, "net.egress.bytes", 8, elapsed, &rates.egress_bps) &&
                      rate(before, after, "net.ingress.bytes", 8, elapsed, &rates.ingress_bps);

        return rates.known ? rates : (Rates){};
}
