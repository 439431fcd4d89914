/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a meter knows of each slot until its next turn: which figures there are, and how much its gauges are.
 * As small as that: a Sample a slot and meter is a megabyte of a thousand tenants, most of it never written.
 * Its counters are meter/group-carried.h's to keep.
 */

#include "model/sample.h"
#include "util/cleanup.h"

typedef struct SlotFigures SlotFigures;

/* `gauges` must live as long. */
int slot_figures_new(const Metric *gauges, size_t n_gauges, uint32_t slots, SlotFigures **ret);
SlotFigures *slot_figures_free(SlotFigures *figures);

/* Nothing is known of the slot. */
void slot_figures_clear(SlotFigures *figures, uint32_t slot);
/* Its gauges are 0, and what is known stays known. */
void slot_figures_empty(SlotFigures *figures, uint32_t slot);
/* What one of the slot's groups shows: gauges add up. */
void slot_figures_add(SlotFigures *figures, uint32_t slot, const Sample *now);
/* Puts the gauges, and gives what is known of the slot, as a Sample has it. */
uint64_t slot_figures_read(const SlotFigures *figures, uint32_t slot, Sample *sample);
