/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The program that paces an uplink (bpf/edt-pacer.bpf.c) and its maps: one of each an interface, at clsact
 * egress behind the one that gives packets their class. The maps are pinned, so that what was promised and
 * counted is found again. It knows no qdisc, and no plan.
 */

#include "bpf/pin.h"
#include "enforce/edt-plan.h"
#include "util/cleanup.h"

typedef struct EdtPacer EdtPacer;

/* Opens the interface's maps, or makes them. `pin_dir`: our directory on bpffs; what it has of interfaces
 * that are gone goes. */
int edt_pacer_new(const char *pin_dir, unsigned ifindex, EdtPacer **ret);
/* What is pinned of the interface, to be read alone; -ENOENT. */
int edt_pacer_open(const char *pin_dir, unsigned ifindex, EdtPacer **ret);
/* What is pinned goes on. */
EdtPacer *edt_pacer_free(EdtPacer *program);
DEFINE_CLEANUP(EdtPacer *, edt_pacer_free);

/* Has this very program at its place on the interface: 1 where it was not there, and is now. Where it can't
 * be there, -EBUSY as there is what another has put there, why is in `ret_words` (static). */
int edt_pacer_attach(EdtPacer *program, const char **ret_words);
bool edt_pacer_is_attached(const EdtPacer *program);

/* Once it is attached. */
void edt_pacer_keep_pins(const EdtPacer *program, PinTell tell, void *userdata);

/* Makes the maps so: how many places of them changed is added to `changes`. What loses comes before what
 * gains, so that nothing is promised twice. */
int edt_pacer_set(EdtPacer *program, uint64_t capacity_bytes, uint32_t overhead_bytes,
                const EdtEntry *entries, size_t n, unsigned *changes);
/* The same of classes alone, from what was read back here, with no look at any but those that differ: these
 * are read back. -ESTALE: one is not as it was put. */
int edt_pacer_change(EdtPacer *program, const EdtEntry *have, size_t n_have, const EdtEntry *want, size_t n,
                unsigned *changes);
/* As the maps have it, by slot; the caller frees. A capacity of 0: nothing is paced. */
int edt_pacer_get(const EdtPacer *program, uint64_t *ret_capacity_bytes, EdtEntry **ret, size_t *ret_n);
/* By slot; the caller frees. */
int edt_pacer_read_stats(EdtPacer *program, NetClassStats **ret, size_t *ret_n);

/* Takes program and maps away; the hook stays for whoever made it. Of an interface that has none: success. */
int edt_pacer_remove(const char *pin_dir, unsigned ifindex);
/* What is pinned of interfaces that are no more, too. */
void edt_pacer_unpin(const char *pin_dir);
