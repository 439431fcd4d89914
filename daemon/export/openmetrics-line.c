/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "openmetrics-line.h"

#include <string.h>

/* The braces, a bound, a value. */
#define LINE_ROOM (2 * TEXT_NUMBER_SIZE + 16)

void family_begin(Family *family, Text *text) {
        if (family->n_name > 0)
                return;
        family->n_name = strlen(family->name);
        family->n_suffix = strlen(family->suffix);
        text_append(text, "# TYPE ");
        text_append(text, family->name);
        text_append(text, " ");
        text_append(text, family->type);
        if (family->scale->unit) {
                text_append(text, "\n# UNIT ");
                text_append(text, family->name);
                text_append(text, " ");
                text_append(text, family->scale->unit);
        }
        text_append(text, "\n# HELP ");
        text_append(text, family->name);
        text_append(text, " ");
        text_append_escaped(text, family->help);
        text_append(text, "\n");
}

/* What one line takes at most. */
static size_t line_size(const Family *family, size_t n_suffix, const Labels *labels) {
        return family->n_name + n_suffix + labels->n + (labels->more ? strlen(labels->more) : 0) + LINE_ROOM;
}

/* Up to the brace that ends the labels. */
static char *put_labels(
                char *p, const Family *family, const char *suffix, size_t n_suffix, const Labels *labels) {
        p = mempcpy(p, family->name, family->n_name);
        p = mempcpy(p, suffix, n_suffix);
        *p++ = '{';
        p = mempcpy(p, labels->text, labels->n);
        return labels->more ? stpcpy(p, labels->more) : p;
}

static char *put_scaled(char *p, const Scale *scale, uint64_t value) {
        if (scale->divisor == 1)
                return text_put_number(p, value);
        return text_put_decimal(
                        p, value / scale->divisor, value % scale->divisor * scale->factor, scale->places);
}

static char *put_value(char *p, const Scale *scale, uint64_t value) {
        p = put_scaled(mempcpy(p, "} ", 2), scale, value);
        *p++ = '\n';
        return p;
}

void family_append(Family *family, Text *text, const Labels *labels, uint64_t value) {
        char *p;

        family_begin(family, text);
        p = text_reserve(text, line_size(family, family->n_suffix, labels));
        if (!p)
                return;
        p = put_labels(p, family, family->suffix, family->n_suffix, labels);
        text_end(text, put_value(p, family->scale, value));
}

void family_append_word(Family *family, Text *text, const Labels *labels, const char *word) {
        char *p;

        family_begin(family, text);
        p = text_reserve(text, line_size(family, family->n_suffix, labels));
        if (!p)
                return;
        text_end(text, put_labels(p, family, family->suffix, family->n_suffix, labels));
        text_append(text, "} ");
        text_append(text, word);
        text_append(text, "\n");
}

Bounds bounds_of(const Scale *scale) {
        Bounds bounds = {};

        for (size_t i = 0; i < BUCKETS_TOLD; i++) {
                uint64_t bound = histogram_bound_nsec(2 * i + 1);
                char *begin = bounds.text[i], *p = stpcpy(begin, ",le=\"");

                p = bound == UINT64_MAX ? stpcpy(p, "+Inf") : put_scaled(p, scale, bound);
                p = stpcpy(p, "\"} ");
                bounds.n[i] = (size_t) (p - begin);
        }
        return bounds;
}

/* All of it in one piece, and what its buckets have in common is copied from the first of them. */
void family_append_histogram(Family *family, Text *text, const Labels *labels, const Bounds *bounds,
                const Histogram *histogram) {
        static const char of_bucket[] = "_bucket", of_count[] = "_count", of_sum[] = "_sum";
        const char *first;
        uint64_t count = 0;
        size_t n_common;
        char *p;

        family_begin(family, text);
        first = p = text_reserve(text, (BUCKETS_TOLD + 2) * line_size(family, strlen(of_bucket), labels));
        if (!p)
                return;
        p = put_labels(p, family, of_bucket, strlen(of_bucket), labels);
        n_common = (size_t) (p - first);
        for (size_t i = 0; i < BUCKETS_TOLD; i++) {
                count += histogram->bucket[2 * i] + histogram->bucket[2 * i + 1];
                if (i > 0)
                        p = mempcpy(p, first, n_common);
                memcpy(p, bounds->text[i], sizeof(bounds->text[i])); /* of one size for all: no call */
                p = text_put_number(p + bounds->n[i], count);
                *p++ = '\n';
        }
        p = put_labels(p, family, of_count, strlen(of_count), labels);
        p = text_put_number(mempcpy(p, "} ", 2), count);
        *p++ = '\n';
        p = put_labels(p, family, of_sum, strlen(of_sum), labels);
        text_end(text, put_value(p, family->scale, histogram->sum_nsec));
}
