/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a meter knows of each slot until its next turn: which figures there are, and how much some of them
 * are: its gauges, and of a meter whose turns are far apart its counters, too. As small as that: a Sample a
 * slot and meter is a megabyte of a thousand tenants, most of it never written. What groups counted is
 * meter/group-carried.h's to keep.
 */

#include "model/sample.h"
#include "util/cleanup.h"

typedef struct SlotFigures SlotFigures;

/* `metrics` must live as long. */
int slot_figures_new(const Metric *metrics, size_t n_metrics, uint32_t slots, SlotFigures **ret);
SlotFigures *slot_figures_free(SlotFigures *figures);

/* Nothing is known of the slot. */
void slot_figures_clear(SlotFigures *figures, uint32_t slot);
/* They are 0, and what is known stays known. */
void slot_figures_empty(SlotFigures *figures, uint32_t slot);
/* What one of the slot's groups shows: it adds up. */
void slot_figures_add(SlotFigures *figures, uint32_t slot, const Sample *now);
/* Puts the figures, and gives what is known of the slot, as a Sample has it. No other meter may put these. */
uint64_t slot_figures_read(const SlotFigures *figures, uint32_t slot, Sample *sample);
