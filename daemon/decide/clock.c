/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A clock is trusted once it is synchronised, or an operator has said so. It reads no clock. */

#include "clock.h"

bool clock_trust_begin(ClockTrust *trust, uint64_t utc_usec, uint64_t reached_usec) {
        trust->stepped = utc_usec < CLOCK_EPOCH_USEC ||
                         (utc_usec < reached_usec && reached_usec - utc_usec > CLOCK_STEP_MAX_USEC);
        return trust->stepped;
}

bool clock_trust_step(ClockTrust *trust, int64_t moved_usec) {
        if (moved_usec <= CLOCK_STEP_MAX_USEC && moved_usec >= -CLOCK_STEP_MAX_USEC)
                return false;
        trust->stepped = true;
        trust->accepted = false;
        return true;
}

void clock_trust_observe(ClockTrust *trust, bool synchronised) {
        trust->synchronised = synchronised;
        if (synchronised)
                trust->stepped = false;
}

void clock_trust_accept(ClockTrust *trust) {
        trust->stepped = false;
        trust->accepted = true;
}

bool clock_is_trusted(const ClockTrust *trust) {
        return !trust->stepped && (trust->synchronised || trust->accepted || !trust->sync_required);
}

const char *clock_trust_words(const ClockTrust *trust) {
        if (trust->stepped)
                return "the clock was set by more than a minute, or began too early: kills, releases and "
                       "preemptions wait until it is synchronised, or until 'headgatectl clock accept'";
        if (trust->synchronised)
                return "synchronised";
        if (trust->accepted)
                return "not synchronised; accepted by an operator";
        if (!trust->sync_required)
                return "not synchronised; the configuration does not ask for it";
        return "the clock is not synchronised: kills, releases and preemptions wait until it is, or until "
               "'headgatectl clock accept'";
}
