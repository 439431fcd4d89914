/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Arrays in order, searched by halves. It moves nothing, and knows nothing of what is in them. */

#include "sorted.h"

size_t sorted_search(const void *entries, size_t n, size_t size, const void *key, SortedCompare compare,
                bool *ret_found) {
        size_t low = 0, high = n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = compare((const char *) entries + middle * size, key);

                if (order == 0) {
                        *ret_found = true;
                        return middle;
                }
                if (order < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        *ret_found = false;
        return low;
}
