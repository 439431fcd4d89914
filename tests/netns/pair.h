/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Two network namespaces joined by a veth pair, for one test process: it lives in the node's, where UPLINK
 * is, and reaches into the peer's. Nothing of it is on the host, and it goes with the process. Commands are
 * iproute2's: a second opinion on what is in the kernel.
 */

#include "util/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

#define UPLINK "up0"

typedef struct Pair {
        int peer; /* the peer's namespace */
        int node;
} Pair;

/* Skips the running test, with words, where this process may not make namespaces. */
Pair pair_new(void);
/* With one queue at each end, as a link of 100 Mbit/s has; else there is one a CPU. */
Pair pair_new_single_queue(void);
void pair_close(Pair *pair);
#define _cleanup_pair_ _unused_ _cleanup_(pair_close)

/* Adds UPLINK and its peer, both up, with addresses and with neighbours that need no ARP. */
void pair_plug(const Pair *pair);

/* 2001:db8::1 and ::2 beside IPv4, with neighbours that need no discovery; false where the kernel has no
 * IPv6.
 */
bool pair_add_ipv6(const Pair *pair);

/* The output of a shell command in the node's namespace; the test fails where the command does. */
char *run(const char *format, ...) _printf_(1, 2);
/* The same with the lines sorted, as classes are shown in the order of a hash table. */
char *run_sorted(const char *command);
/* What tc shows of UPLINK: qdiscs, classes and filters, without counters. */
char *show_all(void);
/* tc's line for this class of ours, with all its parameters; "" where there is none. */
char *show_class(unsigned minor);

/* A UDP socket of the node, connected to this port of the peer, whose packets go to this class (0: none). */
int udp_sender(uint16_t port, uint32_t class_id);
/* A UDP socket of the peer. */
int udp_receiver(const Pair *pair, uint16_t port);

/* Counts what the kernel tells all listeners about qdiscs and classes: a change, whoever made it. */
int tc_listener(void);
unsigned tc_listener_count(int listener);
