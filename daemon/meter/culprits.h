/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Who made whom wait: for each pair of slots, how long tasks of the one were queued while the other had the
 * CPU. Counted by bpf/sched-meter.bpf.c; here are its tables, and what they say.
 */

#include "bpf/pin.h"

/* Pairs that are told apart; of those that meet when all are taken the victim is known alone. */
#define CULPRIT_PAIRS 8192U

/* The culprit of what nobody had who is a tenant, and of what is longer ago than is known. */
#define CULPRIT_SYSTEM 0U
#define CULPRIT_UNKNOWN UINT32_MAX

typedef struct Culprits {
        Table pairs, histories;
        uint32_t n_cpus;
} Culprits;

#define CULPRITS_NULL \
        { TABLE_NULL, TABLE_NULL, 0 }

/* `pin_dir` as in meter.h. Opened by an earlier run with another layout, they begin anew. */
int culprits_open(const char *pin_dir, uint32_t n_cpus, Culprits *ret);
void culprits_close(Culprits *culprits); /* what is pinned goes on counting */
void culprits_unpin(const char *pin_dir);

/* Calls back with every pair, in no order; of those that come or go meanwhile perhaps not. */
typedef void (*CulpritFound)(uint32_t victim, uint32_t culprit, uint64_t nsec, void *userdata);
int culprits_each(const Culprits *culprits, CulpritFound found, void *userdata);
/* Forgets these slots, as victims and as culprits, in one walk. `leaving`: [slots]. */
void culprits_clear(Culprits *culprits, const bool *leaving, uint32_t slots);
