/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/slot-figures.h"

#include <stdlib.h>
#include <string.h>

struct SlotFigures {
        const Metric *gauges;
        size_t n_gauges;
        uint64_t rows[]; /* [slot][1 + gauge]: what is present, as in a Sample, and the gauges */
};

static uint64_t *row_of(SlotFigures *figures, uint32_t slot) {
        return figures->rows + slot * (1 + figures->n_gauges);
}

int slot_figures_new(const Metric *gauges, size_t n_gauges, uint32_t slots, SlotFigures **ret) {
        SlotFigures *figures = calloc(1, sizeof(*figures) + slots * (1 + n_gauges) * sizeof(uint64_t));

        if (!figures)
                return -ENOMEM;
        figures->gauges = gauges;
        figures->n_gauges = n_gauges;
        *ret = figures;
        return 0;
}

SlotFigures *slot_figures_free(SlotFigures *figures) {
        free(figures);
        return NULL;
}

void slot_figures_clear(SlotFigures *figures, uint32_t slot) {
        memset(row_of(figures, slot), 0, (1 + figures->n_gauges) * sizeof(uint64_t));
}

void slot_figures_empty(SlotFigures *figures, uint32_t slot) {
        memset(row_of(figures, slot) + 1, 0, figures->n_gauges * sizeof(uint64_t));
}

void slot_figures_add(SlotFigures *figures, uint32_t slot, const Sample *now) {
        uint64_t *row = row_of(figures, slot);

        row[0] |= now->present;
        for (size_t i = 0; i < figures->n_gauges; i++)
                if (sample_has(now, figures->gauges[i]))
                        row[1 + i] += now->value[figures->gauges[i]];
}

uint64_t slot_figures_read(const SlotFigures *figures, uint32_t slot, Sample *sample) {
        const uint64_t *row = figures->rows + slot * (1 + figures->n_gauges);

        for (size_t i = 0; i < figures->n_gauges; i++)
                if (row[0] & 1ULL << figures->gauges[i])
                        sample_put(sample, figures->gauges[i], row[1 + i]);
        return row[0];
}
