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

/* Whether there is still an allocation of the id. */
typedef bool (*DeliveredLives)(const char *id, void *userdata);
/*
 * The sum of the allocation and the window that begins then; one of zeroes where there was none, or another
 * window's. NULL: there is no room, and none of those that have it is gone. Good until its allocation is.
 */
Delivery *delivered_find(Delivered *delivered, const char *id, uint64_t window_start_usec,
                DeliveredLives lives, void *userdata);
