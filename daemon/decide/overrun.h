/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Whether more comes in at an uplink than is divided there: senders who do not slow down when packets are
 * delayed and lost. What queues at the other end of a link that is full cannot be divided here, so that what
 * is reserved of it is not kept for certain. Reads no clock.
 */

#include <stdbool.h>
#include <stdint.h>

/* Of a link that is full a little less than its speed arrives as packets; 95 % is what is to be divided. What
 * arrives from senders who do slow down is what is let through and the little that tells them to: it is over
 * from more than the first on, until it is no more than the second. */
#define OVERRUN_PERCENT 102U
#define OVERRUN_CLEAR_PERCENT 101U
/* One is looked at so often. A timer is late at times: a look takes half of it at least, and it takes two to
 * say that it is another than before. */
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
