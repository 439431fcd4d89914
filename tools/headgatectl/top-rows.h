/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The rows of 'top': what each cell of a view is, and their order. Where they come from is top-reading.h's.
 */

#include "table.h"
#include "top-views.h"

#include <jansson.h>
#include <stdint.h>

/* All borrowed. */
typedef struct TopRow {
        const char *id, *state;
        json_t *tenant;             /* its properties */
        const Sample *before, *now; /* NULL: not known */
        uint64_t elapsed_usec;      /* between the two */
        bool has_wanted; /* of CPU, over the present windows of its allocations; else nothing is told */
        uint64_t wanted_nsec, denied_nsec;
} TopRow;

/*
 * By the choice's column: numbers from the most, words from the first letter, or the other way round. What a
 * tenant does not have stands last either way, and equals by id.
 */
int top_rows_sort(TopRow *rows, size_t n, const TopChoice *choice);

int top_rows_table(const TopRow *rows, size_t n, const TopView *view, Table **ret);
