/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lists of entries that are nothing but texts. */

#include "finding.h"

#include <errno.h>
#include <string.h>

/* An entry is an array of so many texts. */
#define DIFFERENCE_TEXTS 6
#define EXPLANATION_TEXTS 4
_Static_assert(sizeof(Difference) == DIFFERENCE_TEXTS * sizeof(char *), "it has nothing but texts");
_Static_assert(sizeof(Explanation) == EXPLANATION_TEXTS * sizeof(char *), "it has nothing but texts");

static void texts_free(char **texts, size_t n) {
        for (size_t i = 0; i < n; i++)
                free(texts[i]);
}

/* The n entries and, behind them, a copy of one more; NULL: no memory, and they are as they were. */
static void *texts_append(void *entries, size_t n, const char *const *texts, size_t n_texts) {
        const size_t size = n_texts * sizeof(char *);
        char *copies[DIFFERENCE_TEXTS] = {}, *grown = NULL;
        bool complete = true;

        for (size_t i = 0; i < n_texts; i++) {
                copies[i] = texts[i] ? strdup(texts[i]) : NULL;
                complete = complete && (copies[i] || !texts[i]);
        }
        if (complete)
                grown = reallocarray(entries, n + 1, size);
        if (!grown) {
                texts_free(copies, n_texts);
                return NULL;
        }
        memcpy(grown + n * size, copies, size);
        return grown;
}

/* As a D-Bus message has it: an a{sv}, which begins with 8, of entries aligned to 8 of a name, 8 characters
 * at most, and a text, with what stands before and behind each. */
static size_t difference_bytes(const char *const *texts) {
        size_t n = 8;

        for (size_t i = 0; i < DIFFERENCE_TEXTS; i++)
                n += (16 + 4 + (texts[i] ? strlen(texts[i]) : 0) + 1 + 7) & ~(size_t) 7;
        return n;
}

int difference_list_add(DifferenceList *list, const char *tenant_id, const char *object, const char *name,
                const char *have, const char *want, const char *held_back) {
        const char *const texts[DIFFERENCE_TEXTS] = { tenant_id, object, name, have, want, held_back };
        const size_t bytes = list->bytes + difference_bytes(texts);
        Difference *entries;

        if (bytes > DIFFERENCE_LIST_BYTES_MAX)
                return -EOVERFLOW;
        entries = texts_append(list->entries, list->n, texts, DIFFERENCE_TEXTS);
        if (!entries)
                return -ENOMEM;
        list->bytes = bytes;
        list->entries = entries;
        list->n++;
        return 0;
}

void difference_list_deinit(DifferenceList *list) {
        texts_free((char **) list->entries, list->n * DIFFERENCE_TEXTS);
        free(list->entries);
        *list = (DifferenceList) DIFFERENCE_LIST_NULL;
}

int explanation_list_add(ExplanationList *list, const char *name, const char *value, const char *in_force,
                const char *why) {
        const char *const texts[EXPLANATION_TEXTS] = { name, value, in_force, why };

        Explanation *entries = texts_append(list->entries, list->n, texts, EXPLANATION_TEXTS);

        if (!entries)
                return -ENOMEM;
        list->entries = entries;
        list->n++;
        return 0;
}

void explanation_list_deinit(ExplanationList *list) {
        texts_free((char **) list->entries, list->n * EXPLANATION_TEXTS);
        free(list->entries);
        *list = (ExplanationList) EXPLANATION_LIST_NULL;
}
