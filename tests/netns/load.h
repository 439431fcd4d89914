/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Traffic across a Pair, of many flows of one class: a thread that sends and one that takes. And a probe:
 * single packets, and how long the kernel had each. A failure fails the test.
 */

#include "bpf/host.h"
#include "pair.h"

#include <stddef.h>
#include <stdint.h>

typedef enum LoadKind { LOAD_UDP4, LOAD_UDP6, LOAD_TCP4, LOAD_TCP6 } LoadKind;

typedef struct Load Load;

typedef struct LoadOptions {
        LoadKind kind;
        unsigned flows; /* to consecutive sockets at one port */
        uint16_t port;
        uint64_t bps;                  /* of UDP, in all; TCP is sent as it likes */
        uint32_t class_id;             /* of what is sent */
        const TestGroup *comes_in_for; /* the node takes, in this group, and the peer sends; NULL: the node
                                          sends */
} LoadOptions;

/* The process is in the group for a moment. */
Load *load_new(const Pair *pair, const LoadOptions *options);
/* What TCP has not sent by now is never sent. */
Load *load_free(Load *load);

#define PROBE_BYTES_MAX 1400U
typedef struct Probe Probe;
/* Of packets with so many bytes, PROBE_BYTES_MAX at most. */
Probe *probe_new(const Pair *pair, uint16_t port, uint32_t class_id, uint32_t bytes);
Probe *probe_free(Probe *probe);
/* Sends so many packets of UDP, two each millisecond, each when the one before has come or 2 s have passed.
 * How many came, and for each how long it was from when the kernel had it before any queue to when it came to
 * the other end. */
size_t probe_run(Probe *probe, unsigned n, uint64_t *ret_nsec);
/* Sends so many without waiting for any, so many bits a second; how many came, once none has for a second. */
size_t probe_stream(Probe *probe, unsigned n, uint64_t bps);
