/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Of an uplink that HTB shapes, what its classifier needs to drop packets of a flood before they come to the
 * tree's lock (bpf/flood-guard.bpf.h), and what it dropped: a pinned table for each interface, by slot, which
 * the classifier is loaded with. It knows neither tree nor classifier.
 */

#include "bpf/pin.h"

typedef struct FloodGuard {
        unsigned ifindex; /* 0: none is open, and all below do nothing */
        uint32_t slots;
        Table table;
        char name[PIN_NAME_SIZE];
} FloodGuard;

#define FLOOD_GUARD_NULL \
        { .table = TABLE_NULL }

/* The interface's, as it was left, or one that guards nothing. `pin_dir` as in bpf/pin.h; what it has of
 * interfaces that are gone goes. */
int flood_guard_open(FloodGuard *guard, const char *pin_dir, unsigned ifindex, uint32_t slots);
/* What is pinned goes on. */
void flood_guard_close(FloodGuard *guard);
/* Nothing is dropped from now on; what was is still told. */
void flood_guard_rest(FloodGuard *guard);
/* Nothing is guarded any more, by whatever has the interface's table, and it goes. */
void flood_guard_remove(FloodGuard *guard, const char *pin_dir, unsigned ifindex, uint32_t slots);
/* What is pinned of interfaces that are no more, too. */
void flood_guard_unpin(const char *pin_dir);
void flood_guard_keep_pin(const FloodGuard *guard, const char *pin_dir, PinTell tell, void *userdata);

/* For the classifier; negative: there is none. */
int flood_guard_fd(const FloodGuard *guard);

/* A class with such a ceiling, bytes a second, that never has more than `queue_bytes` waiting. A class that
 * was not told of is the default one. */
#define FLOOD_GUARD_NEVER UINT64_MAX /* nobody knows how much: nothing of it is dropped */
void flood_guard_set(FloodGuard *guard, uint32_t slot, uint64_t ceil_bytes, uint64_t queue_bytes);
/* The class is new, or gone: not told of, and nothing was dropped. */
void flood_guard_forget(FloodGuard *guard, uint32_t slot);
/* Whether it was told of, with a length. */
bool flood_guard_has(const FloodGuard *guard, uint32_t slot);
/* Packets that were dropped of the class. */
uint64_t flood_guard_drops(const FloodGuard *guard, uint32_t slot);
