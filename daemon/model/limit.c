/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A few lines a device: a search is a walk. It knows no file's text. */

#include "limit.h"

#include <string.h>

static const LimitLine no_limit = { .values = { UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED } };

static int line_order(const LimitLine *line, LimitFile file, const char *target) {
        return line->file != file ? (int) line->file - (int) file : strcmp(line->target, target);
}

/* The line's index, or where it would have to be put. */
static size_t search(const LimitSet *set, LimitFile file, const char *target, bool *ret_found) {
        size_t i = 0;

        while (i < set->n && line_order(&set->lines[i], file, target) < 0)
                i++;
        *ret_found = i < set->n && line_order(&set->lines[i], file, target) == 0;
        return i;
}

uint64_t limit_set_get(const LimitSet *set, LimitFile file, const char *target, size_t column) {
        bool found;
        size_t i = search(set, file, target, &found);

        return found ? set->lines[i].values[column] : UNLIMITED;
}

static bool says_nothing(const LimitLine *line) {
        return memcmp(line->values, no_limit.values, sizeof no_limit.values) == 0;
}

static int insert(LimitSet *set, size_t i, LimitFile file, const char *target) {
        LimitLine *lines;

        if (strlen(target) >= RESOURCE_TARGET_SIZE)
                return -ENAMETOOLONG;
        lines = reallocarray(set->lines, set->n + 1, sizeof(LimitLine));
        if (!lines)
                return -ENOMEM;
        memmove(lines + i + 1, lines + i, (set->n - i) * sizeof(LimitLine));
        lines[i] = no_limit;
        lines[i].file = file;
        strcpy(lines[i].target, target);
        set->lines = lines;
        set->n++;
        return 0;
}

int limit_set_put(LimitSet *set, LimitFile file, const char *target, size_t column, uint64_t value) {
        bool found;
        size_t i = search(set, file, target, &found);

        if (!found) {
                int r = value == UNLIMITED ? 0 : insert(set, i, file, target);

                if (r < 0 || value == UNLIMITED)
                        return r;
        }
        set->lines[i].values[column] = value;
        if (says_nothing(&set->lines[i])) {
                set->n--;
                memmove(set->lines + i, set->lines + i + 1, (set->n - i) * sizeof(LimitLine));
        }
        return 0;
}

int limit_set_copy(const LimitSet *set, LimitSet *ret) {
        LimitLine *lines = NULL;

        if (set->n > 0) {
                lines = reallocarray(NULL, set->n, sizeof(LimitLine));
                if (!lines)
                        return -ENOMEM;
                memcpy(lines, set->lines, set->n * sizeof(LimitLine));
        }
        *ret = (LimitSet){ lines, set->n };
        return 0;
}

static bool line_equal(const LimitLine *a, const LimitLine *b) {
        return line_order(a, b->file, b->target) == 0 && memcmp(a->values, b->values, sizeof a->values) == 0;
}

bool limit_set_equal(const LimitSet *a, const LimitSet *b) {
        bool equal = a->n == b->n;

        for (size_t i = 0; equal && i < a->n; i++)
                equal = line_equal(&a->lines[i], &b->lines[i]);
        return equal;
}

void limit_set_deinit(LimitSet *set) {
        free(set->lines);
        *set = (LimitSet) LIMIT_SET_NULL;
}

int limit_set_diff(const LimitSet *observed, const LimitSet *desired, uint32_t files, LimitLine **ret,
                size_t *ret_n) {
        LimitLine *changes = calloc(observed->n + desired->n + 1, sizeof(LimitLine));
        size_t n = 0, i = 0, k = 0;

        if (!changes)
                return -ENOMEM;
        while (i < observed->n || k < desired->n) {
                const LimitLine *have = i < observed->n ? &observed->lines[i] : NULL,
                                *want = k < desired->n ? &desired->lines[k] : NULL;
                int order = !have ? 1 : !want ? -1 : line_order(have, want->file, want->target);

                if (order < 0) { /* there, and should not be */
                        changes[n] = *have;
                        memcpy(changes[n].values, no_limit.values, sizeof no_limit.values);
                } else
                        changes[n] = *want;
                if (order != 0 || !line_equal(have, want))
                        n += (files >> changes[n].file) & 1;
                i += order <= 0;
                k += order >= 0;
        }
        *ret = changes;
        *ret_n = n;
        return 0;
}
