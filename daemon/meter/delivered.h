/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What was delivered of each allocation, kept as the counters are: in a table that is pinned, so that neither
 * a restart nor a kill -9 loses a sum. No program adds to it; it is written in place.
 */

#include "bpf/pin.h"
#include "model/delivery.h"
#include "model/identifier.h"
#include "util/cleanup.h"

typedef struct Delivered Delivered;

/* `rows`: the most allocations that are kept. */
int delivered_new(const char *pin_dir, uint32_t rows, Delivered **ret);
Delivered *delivered_free(Delivered *delivered); /* what is pinned stays */
DEFINE_CLEANUP(Delivered *, delivered_free);

void delivered_keep_pins(const Delivered *delivered, const char *pin_dir, PinTell tell, void *userdata);

/* What is asked, and told, of those whose sums are kept. */
typedef struct DeliveredOwners {
        /* When it ended, µs; 0: it has no use for a sum; UINT64_MAX: it has not ended. */
        uint64_t (*ended_usec)(const char *id, void *userdata);
        /* It has none any more. */
        void (*lost)(const char *id, void *userdata);
        void *userdata;
} DeliveredOwners;

/*
 * The sum of the allocation as it started at `since_usec`; one of zeroes where there was none, or one of
 * another start. Where there is no room, those without a use for theirs give way, or else who ended longest
 * ago. NULL: none has ended.
 */
Delivery *delivered_find(
                Delivered *delivered, const char *id, uint64_t since_usec, const DeliveredOwners *owners);

typedef void (*DeliveredFound)(const char *id, uint64_t since_usec, Delivery *sum, void *userdata);
/* All that are kept. */
void delivered_each(Delivered *delivered, DeliveredFound found, void *userdata);
