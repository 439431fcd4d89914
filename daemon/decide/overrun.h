/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Whether more comes in at an uplink than is divided there: senders who do not slow down when packets are
 * delayed and lost. What queues at the other end of a link that is full cannot be divided here, so that what
 * is reserved of it is not kept for certain. Reads no clock.
 */

#include <stdbool.h>
#include <stdint.h>

/* Of a link that is full a little less than its speed arrives as packets; 95 % is what is to be divided. */
#define OVERRUN_PERCENT 102U
/* A look takes so long, and it takes two to say that it is another than before. */
#define OVERRUN_LOOK_USEC 1000000U

typedef struct Overrun {
        uint64_t since_usec; /* 0: there was no look yet */
        uint64_t bytes;      /* by then */
        bool differed;       /* the last look did from what is said */
        bool over;           /* what is said */
} Overrun;

/* All bytes that came in up to now: true where it says another than before. A counter that went back is
 * another interface's. */
bool overrun_note(Overrun *overrun, uint64_t now_usec, uint64_t bytes, uint64_t capacity_bps);
