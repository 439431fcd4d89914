/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "overrun.h"

#define USEC_PER_SEC 1000000ULL

/* It takes less to be over where it is said to be. */
static bool is_over(const Overrun *overrun, uint64_t now_usec, uint64_t bytes, uint64_t capacity_bps) {
        const unsigned percent = overrun->over ? OVERRUN_CLEAR_PERCENT : OVERRUN_PERCENT;
        unsigned __int128 came = (unsigned __int128) (bytes - overrun->bytes) * 8 * USEC_PER_SEC * 100,
                          most = (unsigned __int128) capacity_bps * (now_usec - overrun->since_usec) *
                                 percent;

        return came > most;
}

bool overrun_note(Overrun *overrun, uint64_t now_usec, uint64_t bytes, uint64_t capacity_bps) {
        const bool is_first =
                        overrun->since_usec == 0 || bytes < overrun->bytes || now_usec < overrun->since_usec;
        bool differs;

        if (!is_first && now_usec - overrun->since_usec < OVERRUN_LOOK_USEC / 2)
                return false;
        differs = !is_first && is_over(overrun, now_usec, bytes, capacity_bps) != overrun->over;
        overrun->since_usec = now_usec;
        overrun->bytes = bytes;
        if (differs && overrun->differed) {
                overrun->over = !overrun->over;
                overrun->differed = false;
                return true;
        }
        overrun->differed = differs;
        return false;
}
