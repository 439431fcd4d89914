/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Two processes of a group that take turns on one CPU: each round trip is two switches. What it costs is the
 * CPU time of both, as the kernel charges it, so that who else runs on the machine costs nothing but caches.
 */

#include "group.h"

typedef enum PingPongKind {
        PING_PONG_PIPE, /* a byte through a pipe and one back */
        PING_PONG_TCP,  /* a request and a response of 64 bytes over loopback, on a connection of its own */
} PingPongKind;

/* ns of CPU time a round trip, of `pairs` pairs at once, one a CPU from 0 on. */
double ping_pong_nsec(PingPongKind kind, const BenchGroup *group, unsigned pairs, unsigned round_trips);
