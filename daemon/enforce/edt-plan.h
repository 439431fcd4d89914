/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a plan asks of the pacer (bpf/edt-pacer.h), as it is written to its map, and back. Opens no map.
 */

#include "model/network.h"

#include <linux/bpf.h>

#include "bpf/edt-pacer.h"

typedef struct EdtEntry {
        uint32_t slot;
        struct edt_class class;
} EdtEntry;

/* What NET_DISCIPLINE_AUTO means: times of departure from EDT_FROM_BPS on; a link that is held by them
 * already (`is_paced`) keeps them down to EDT_DOWN_TO_BPS, so that a bond of two legs that loses one for a
 * while does not change its discipline twice. */
#define EDT_FROM_BPS 20000000000ULL
#define EDT_DOWN_TO_BPS 10000000000ULL
bool edt_suits(bool is_paced, uint64_t capacity_bps);
/* And HTB, where they can't be put in force: whether this error, after some attempts, would be the same a
 * minute later. Any other may pass, as want of memory and a kernel that does not answer in time. */
bool edt_error_lasts(int error);

/* One a class of the plan, in its order; the caller frees. -EINVAL as in htb_tree_from_plan(). */
int edt_entries_from_plan(const NetPlan *plan, EdtEntry **ret, size_t *ret_n);
void edt_entry_to_model(const EdtEntry *entry, NetClass *ret);
/* There and back: the class as it is shown where the pacer has it. */
void edt_class_round(const NetPlan *plan, const NetClass *class, NetClass *ret);
bool edt_class_equal(const struct edt_class *a, const struct edt_class *b);

/* For people: "prio 1 rate 3000000bit ceil 5000000bit", as of a class of HTB; "none" for NULL. `ret` has
 * EDT_CLASS_TEXT_SIZE. */
#define EDT_CLASS_TEXT_SIZE 96
void edt_class_format(const struct edt_class *class, char *ret);
