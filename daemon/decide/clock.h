/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Whether the clock may be trusted with what cannot be undone: kills, releases, preemptions. Shares follow it
 * all the same.
 */

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_STEP_MAX_USEC (60LL * 1000000) /* a longer step is doubted */
/* 2025-12-01: before any version of this. A machine whose clock has no battery begins in 1970, or when its
 * firmware or its systemd was built. */
#define CLOCK_EPOCH_USEC (1764547200ULL * 1000000)

typedef struct ClockTrust {
        bool sync_required; /* an unsynchronised clock is not believed: configuration */
        bool synchronised;  /* as the kernel says */
        bool stepped;  /* by more than a minute, and neither synchronised nor accepted since; or began so */
        bool accepted; /* by an operator; until the next such step */
} ClockTrust;

/* What it shows when a boot begins; `reached_usec` is what one that was trusted has shown before, 0 where
 * that is not known. True where it is more than a minute behind that, or behind CLOCK_EPOCH_USEC: it was not
 * set yet, which is doubted as a step is. */
bool clock_trust_begin(ClockTrust *trust, uint64_t utc_usec, uint64_t reached_usec);
/* UTC moved by so much against boot time. True where it is a step that is doubted. */
bool clock_trust_step(ClockTrust *trust, int64_t moved_usec);
void clock_trust_observe(ClockTrust *trust, bool synchronised);
void clock_trust_accept(ClockTrust *trust);
bool clock_is_trusted(const ClockTrust *trust);
/* In words, for `Features` and doctor. */
const char *clock_trust_words(const ClockTrust *trust);
