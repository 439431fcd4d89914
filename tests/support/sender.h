/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Traffic by sockets that are connected already, until it is told to stop, in a thread (netns/load.c) or in
 * a process of its own (system/flood.c). What becomes of it is not looked at, nor whether it was taken.
 */

#include <stdint.h>

typedef struct Sender {
        const int *sockets; /* flows, each in its turn */
        unsigned n;
        int stop; /* a descriptor: readable when it is to end */
} Sender;

/* As fast as TCP takes it. */
void sender_stream(const Sender *sender);

/* `bps` of datagrams of this size, some each tick of the clock; what a stalled machine was late with is
 * caught up with, but 50 ms of it at most. Ends by itself after `most` (0: does not). How many the kernel
 * took. */
uint64_t sender_datagrams(
                const Sender *sender, uint32_t bytes, uint64_t bps, uint64_t tick_nsec, uint64_t most);
