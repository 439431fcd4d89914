/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/slot-figures.h"

#include <criterion/criterion.h>

#define SLOTS 3U

static SlotFigures *figures;
static uint64_t known; /* as of the last read_slot() */

static void make(void) {
        static const Metric gauges[] = { METRIC_MEMORY_CURRENT, METRIC_MEMORY_PEAK };

        cr_assert_eq(slot_figures_new(gauges, 2, SLOTS, &figures), 0);
}

static void end(void) {
        slot_figures_free(figures);
}

TestSuite(slot_figures, .init = make, .fini = end);

static Sample shown(uint64_t current, uint64_t faults) {
        Sample now = {};

        sample_put(&now, METRIC_MEMORY_CURRENT, current);
        sample_put(&now, METRIC_MEMORY_FAULTS, faults);
        return now;
}

static Sample read_slot(uint32_t slot) {
        Sample sample = {};

        known = slot_figures_read(figures, slot, &sample);
        return sample;
}

Test(slot_figures, gauges_add_up) {
        Sample now = shown(5, 100), sample;

        slot_figures_add(figures, 1, &now);
        slot_figures_add(figures, 1, &now);
        sample = read_slot(1);
        cr_expect_eq(known, now.present);
        cr_expect_eq(sample.value[METRIC_MEMORY_CURRENT], 10);
        cr_expect_not(sample_has(&sample, METRIC_MEMORY_FAULTS), "counters are another's to put");
        cr_expect_not(sample_has(&sample, METRIC_MEMORY_PEAK));
}

Test(slot_figures, each_slot_for_itself) {
        Sample now = shown(5, 100);

        slot_figures_add(figures, 1, &now);
        (void) read_slot(0);
        cr_expect_eq(known, 0);
        cr_expect_eq(read_slot(2).present, 0);
        cr_expect_eq(known, 0);
        slot_figures_add(figures, 2, &now);
        slot_figures_clear(figures, 2);
        cr_expect_eq(read_slot(2).present, 0);
        cr_expect_eq(read_slot(1).value[METRIC_MEMORY_CURRENT], 5);
}

Test(slot_figures, emptied_it_is_known_still) {
        Sample now = shown(5, 100), sample;

        slot_figures_add(figures, 1, &now);
        slot_figures_empty(figures, 1);
        sample = read_slot(1);
        cr_expect_eq(known, now.present);
        cr_expect_eq(sample.value[METRIC_MEMORY_CURRENT], 0);
        cr_expect(sample_has(&sample, METRIC_MEMORY_CURRENT));
}

/* What others have read of it stays. */
Test(slot_figures, beside_others) {
        Sample now = shown(5, 100), sample = {};

        sample_put(&sample, METRIC_CPU_TIME, 77);
        slot_figures_add(figures, 1, &now);
        slot_figures_read(figures, 1, &sample);
        cr_expect_eq(sample.value[METRIC_CPU_TIME], 77);
        cr_expect(sample_has(&sample, METRIC_CPU_TIME));
}
