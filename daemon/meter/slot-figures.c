/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/slot-figures.h"

#include <stdlib.h>
#include <string.h>

struct SlotFigures {
        const Metric *metrics;
        size_t n_metrics;
        uint64_t mask;   /* of the metrics, as in a Sample */
        uint64_t rows[]; /* [slot][1 + metric]: what is present, as in a Sample, and how much */
};

static uint64_t *row_of(SlotFigures *figures, uint32_t slot) {
        return figures->rows + slot * (1 + figures->n_metrics);
}

int slot_figures_new(const Metric *metrics, size_t n_metrics, uint32_t slots, SlotFigures **ret) {
        SlotFigures *figures = calloc(1, sizeof(*figures) + slots * (1 + n_metrics) * sizeof(uint64_t));

        if (!figures)
                return -ENOMEM;
        figures->metrics = metrics;
        figures->n_metrics = n_metrics;
        for (size_t i = 0; i < n_metrics; i++)
                figures->mask |= 1ULL << metrics[i];
        *ret = figures;
        return 0;
}

SlotFigures *slot_figures_free(SlotFigures *figures) {
        free(figures);
        return NULL;
}

void slot_figures_clear(SlotFigures *figures, uint32_t slot) {
        memset(row_of(figures, slot), 0, (1 + figures->n_metrics) * sizeof(uint64_t));
}

void slot_figures_empty(SlotFigures *figures, uint32_t slot) {
        memset(row_of(figures, slot) + 1, 0, figures->n_metrics * sizeof(uint64_t));
}

void slot_figures_add(SlotFigures *figures, uint32_t slot, const Sample *now) {
        uint64_t *row = row_of(figures, slot);

        row[0] |= now->present;
        for (size_t i = 0; i < figures->n_metrics; i++)
                if (sample_has(now, figures->metrics[i]))
                        row[1 + i] += now->value[figures->metrics[i]];
}

uint64_t slot_figures_read(const SlotFigures *figures, uint32_t slot, Sample *sample) {
        const Metric *metrics = figures->metrics;
        const size_t n = figures->n_metrics;
        const uint64_t *row = figures->rows + slot * (1 + n);

        if (row[0] == 0)
                return 0;
        /* The values of those that are not known, too: they mean nothing. */
        for (size_t i = 0; i < n; i++)
                sample->value[metrics[i]] = row[1 + i];
        sample->present |= row[0] & figures->mask;
        return row[0];
}
