/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A list in the order of probing; tens of entries, so a search is a walk. */

#include "feature.h"

#include <stdarg.h>
#include <string.h>

static Feature *feature_find(const FeatureSet *set, const char *name) {
        for (size_t i = 0; i < set->n; i++)
                if (strcmp(set->entries[i].name, name) == 0)
                        return &set->entries[i];
        return NULL;
}

int feature_set_put(FeatureSet *set, const char *name, bool available, const char *format, ...) {
        _cleanup_free_ char *words = NULL, *own_name = NULL;
        Feature *feature, *entries;
        va_list args;
        int r;

        va_start(args, format);
        r = vasprintf(&words, format, args);
        va_end(args);
        if (r < 0) {
                words = NULL;
                return -ENOMEM;
        }
        feature = feature_find(set, name);
        if (feature) {
                free(feature->words);
                feature->words = TAKE_PTR(words);
                feature->available = available;
                return 0;
        }
        own_name = strdup(name);
        if (!own_name)
                return -ENOMEM;
        entries = reallocarray(set->entries, set->n + 1, sizeof(Feature));
        if (!entries)
                return -ENOMEM;
        entries[set->n++] = (Feature){ TAKE_PTR(own_name), available, TAKE_PTR(words) };
        set->entries = entries;
        return 0;
}

const Feature *feature_set_get(const FeatureSet *set, const char *name) {
        return feature_find(set, name);
}

void feature_set_deinit(FeatureSet *set) {
        for (size_t i = 0; i < set->n; i++) {
                free(set->entries[i].name);
                free(set->entries[i].words);
        }
        free(set->entries);
        *set = (FeatureSet) FEATURE_SET_NULL;
}
