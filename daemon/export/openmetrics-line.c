/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "openmetrics-line.h"

#include <string.h>

/* The braces, a bound, a value. */
#define LINE_ROOM (2 * TEXT_NUMBER_SIZE + 16)

void family_begin(Family *family, Text *text) {
        if (family->n_name > 0)
                return;
        family->n_name = strlen(family->name);
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

/* Up to the brace that ends the labels; NULL where there is no memory. */
static char *put_labels(Family *family, Text *text, const char *suffix, const Labels *labels) {
        size_t n_suffix = strlen(suffix), n_more = labels->more ? strlen(labels->more) : 0;
        char *p;

        family_begin(family, text);
        p = text_reserve(text, family->n_name + n_suffix + labels->n + n_more + LINE_ROOM);
        if (!p)
                return NULL;
        p = mempcpy(p, family->name, family->n_name);
        p = mempcpy(p, suffix, n_suffix);
        *p++ = '{';
        p = mempcpy(p, labels->text, labels->n);
        return n_more > 0 ? mempcpy(p, labels->more, n_more) : p;
}

static char *put_scaled(char *p, const Scale *scale, uint64_t value) {
        if (scale->divisor == 1)
                return text_put_number(p, value);
        return text_put_decimal(
                        p, value / scale->divisor, value % scale->divisor * scale->factor, scale->places);
}

static void append_value(
                Family *family, Text *text, const char *suffix, const Labels *labels, uint64_t value) {
        char *p = put_labels(family, text, suffix, labels);

        if (!p)
                return;
        p = put_scaled(mempcpy(p, "} ", 2), family->scale, value);
        *p++ = '\n';
        text_end(text, p);
}

void family_append(Family *family, Text *text, const Labels *labels, uint64_t value) {
        append_value(family, text, family->suffix, labels, value);
}

void family_append_word(Family *family, Text *text, const Labels *labels, const char *word) {
        char *p = put_labels(family, text, family->suffix, labels);

        if (!p)
                return;
        text_end(text, p);
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

void family_append_histogram(Family *family, Text *text, const Labels *labels, const Bounds *bounds,
                const Histogram *histogram) {
        uint64_t count = 0;
        char *p;

        for (size_t i = 0; i < BUCKETS_TOLD; i++) {
                count += histogram->bucket[2 * i] + histogram->bucket[2 * i + 1];
                p = put_labels(family, text, "_bucket", labels);
                if (!p)
                        return;
                p = mempcpy(p, bounds->text[i], bounds->n[i]);
                p = text_put_number(p, count);
                *p++ = '\n';
                text_end(text, p);
        }
        p = put_labels(family, text, "_count", labels);
        if (!p)
                return;
        p = text_put_number(mempcpy(p, "} ", 2), count);
        *p++ = '\n';
        text_end(text, p);
        append_value(family, text, "_sum", labels, histogram->sum_nsec);
}
