/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the benches share: a clock, order statistics, D-Bus calls to the daemon measured, and the one line of
 * JSON that a figure is reported in. A bench exits 0 where it measured, whatever it measured; else it says
 * why it could not.
 */

#include "util/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#define NODE_NAME "org.headgate.Node1"
#define NODE_PATH "/org/headgate/Node1"
#define NODE_MANAGER "org.headgate.Node1.Manager"

/* CLOCK_MONOTONIC */
uint64_t bench_now_nsec(void);

/* Ends the program with one line on standard error. */
void bench_fail(const char *format, ...) _printf_(1, 2) __attribute__((__noreturn__));
/* The same where r, of `what`, is negative. `error` may be NULL. */
void bench_check(int r, const sd_bus_error *error, const char *what);

/* Zeroed memory for n of a type, or the end of the program. */
#define bench_new(type, n) ((type *) bench_allocate(n, sizeof(type)))
void *bench_allocate(size_t n, size_t size);

/* Of n values, which it sorts: p in percent, the nearest rank. */
uint64_t bench_percentile(uint64_t *values, size_t n, unsigned p);

/* "system" or an address. */
sd_bus *bench_connect(const char *bus);
/* The same of a peer socket. */
sd_bus *bench_connect_peer(const char *address);

/*
 * Applies one allocation "bench-<i>" of tenant "bench-<i>" for each i in [first, first + n), all in one call,
 * and returns when the daemon says that they hold. Without an end, burstable: the floor is what n such leave
 * room for.
 */
typedef struct BenchShare {
        uint64_t cpu_millicores[2];
        uint64_t memory_bytes[2];
        uint64_t tasks[2];
} BenchShare;
void bench_apply(sd_bus *bus, size_t first, size_t n, uint64_t generation, const BenchShare *share);
/* The same in two: the call is sent, and `answered` is true once the answer was taken. */
void bench_begin_apply(sd_bus *bus, size_t first, size_t n, uint64_t generation, const BenchShare *share,
                bool *answered);
void bench_end_apply(sd_bus *bus, const bool *answered);

/* The tenant's control group, as an absolute path. The caller frees. */
char *bench_control_group(sd_bus *bus, size_t tenant);

typedef struct BenchFigure {
        const char *name;
        const char *unit;
        double ours;
        const char *peer_name; /* NULL: there is none, `peer` and the ratio mean nothing */
        double peer;
        double goal;        /* at most this; 0: there is none */
        bool goal_of_ratio; /* `goal` is of ours / peer; else of ours */
        const char *note;   /* how sure the figure is, or NULL */
} BenchFigure;

void bench_report(const BenchFigure *figure);
