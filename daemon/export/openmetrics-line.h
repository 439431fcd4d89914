/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The lines that OpenMetrics is made of: a family's head, and its samples. A page has tens of lines for each
 * tenant, and what they have in common is reckoned once. */

#include "export/text.h"
#include "model/histogram.h"

#include <stdbool.h>

/* How one of our integers becomes a number in base units. */
typedef struct Scale {
        const char *unit; /* the family's suffix; NULL: a count */
        uint64_t divisor;
        uint64_t factor; /* makes a remainder of the division a decimal fraction of `places` digits */
        unsigned places;
} Scale;

typedef struct Family {
        const char *name; /* with its unit, without what the type appends */
        const char *type;
        const char *suffix; /* what the type appends to the name of a sample */
        const Scale *scale;
        const char *help;
        size_t n_name;   /* its length; 0: not begun */
        size_t n_suffix; /* of `suffix`, once it is begun */
} Family;

/* What stands between the braces, escaped. */
typedef struct Labels {
        const char *text;
        size_t n;
        const char *more; /* NULL, or a comma and what only some lines have */
} Labels;

/* The head is printed with the first sample: a family without samples is absent. */
void family_begin(Family *family, Text *text);
void family_append(Family *family, Text *text, const Labels *labels, uint64_t value);
/* As family_append(), of a value that is no number of ours. */
void family_append_word(Family *family, Text *text, const Labels *labels, const char *word);

/* Where the buckets end that are told, as labels. */
#define BUCKETS_TOLD (HISTOGRAM_BUCKETS / 2)
typedef struct Bounds {
        char text[BUCKETS_TOLD][TEXT_NUMBER_SIZE];
        size_t n[BUCKETS_TOLD];
} Bounds;

Bounds bounds_of(const Scale *scale);
/* Of a histogram's family: cumulative, and every second bucket: a page has such rows for each tenant. */
void family_append_histogram(Family *family, Text *text, const Labels *labels, const Bounds *bounds,
                const Histogram *histogram);
