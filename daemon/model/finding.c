/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lists of texts with an owner. */

#include "finding.h"

#include <errno.h>
#include <string.h>

static void texts_free(char **const *texts, size_t n) {
        for (size_t i = 0; i < n; i++)
                free(*texts[i]);
}

int difference_list_add(DifferenceList *list, const char *tenant_id, const char *object, const char *name,
                const char *have, const char *want, const char *held_back) {
        const char *const texts[] = { tenant_id, object, name, have, want, held_back };
        Difference entry = {}, *entries;
        char **const copies[] = { &entry.tenant_id, &entry.object, &entry.name, &entry.have, &entry.want,
                &entry.held_back };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                *copies[i] = texts[i] ? strdup(texts[i]) : NULL;
                if (texts[i] && !*copies[i]) {
                        texts_free(copies, ELEMENTSOF(copies));
                        return -ENOMEM;
                }
        }
        entries = reallocarray(list->entries, list->n + 1, sizeof(Difference));
        if (!entries) {
                texts_free(copies, ELEMENTSOF(copies));
                return -ENOMEM;
        }
        list->entries = entries;
        list->entries[list->n++] = entry;
        return 0;
}

void difference_list_deinit(DifferenceList *list) {
        for (size_t i = 0; i < list->n; i++) {
                Difference *entry = &list->entries[i];
                char **const texts[] = { &entry->tenant_id, &entry->object, &entry->name, &entry->have,
                        &entry->want, &entry->held_back };

                texts_free(texts, ELEMENTSOF(texts));
        }
        free(list->entries);
        *list = (DifferenceList) DIFFERENCE_LIST_NULL;
}
