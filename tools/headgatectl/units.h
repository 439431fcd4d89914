/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Numbers as people read them. Each writes into `ret`, of UNITS_SIZE, and returns it. UINT64_MAX is "max". */

#include <errno.h>
#include <stdint.h>

#define UNITS_SIZE 64

/* How amounts of a resource are written. */
typedef enum Measure {
        MEASURE_PLAIN, /* a count; or a resource of a later version */
        MEASURE_CPU,
        MEASURE_BYTES, /* or bytes a second */
        MEASURE_BITS,  /* a second */
        MEASURE_MAX,
        MEASURE_INVALID = -EINVAL,
} Measure;

/* Of the resource named ("cpu", "net.egress@eth1"). */
Measure units_measure(const char *name);

/* 2000 is "2", 1500 is "1500m": as millicores are written elsewhere. */
char *units_format_millicores(uint64_t millicores, char *ret);
/* "512MiB", "1.5GiB": the largest unit that fits, with one decimal, rounded down, where that is not 0. */
char *units_format_bytes(uint64_t bytes, char *ret);
/* "100Mbit", by thousands, as tc(8) writes rates. */
char *units_format_bps(uint64_t bps, char *ret);
/* The two largest units: "2d3h", "1m30s", "1.5s", "250ms", "0s". */
char *units_format_usec(uint64_t usec, char *ret);
/* µs UTC in local time, "2026-11-22T10:00:00+08:00"; 0 is "-", UINT64_MAX is "never". */
char *units_format_time(uint64_t usec, char *ret);

/* Local time near `now`: "15:00", with the seconds where they are not 0; on another day "2026-11-25 15:00".
 */
char *units_format_near(uint64_t usec, uint64_t now_usec, char *ret);
/* The same, with the seconds always: "15:00:00". */
char *units_format_second(uint64_t usec, uint64_t now_usec, char *ret);

/* By the unit of the resource ("cpu", "net.egress@eth1") or metric ("cpu.time") named; the plain number
 * otherwise. */
char *units_format_resource(const char *name, uint64_t value, char *ret);
char *units_format_metric(const char *name, uint64_t value, char *ret);

/* "[#####---------------]", `width` wide without the brackets; `part` of `whole`, full where whole is 0 and
 * part not. */
#define UNITS_BAR_WIDTH 20
char *units_format_bar(uint64_t part, uint64_t whole, char *ret);
