/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* As strcmp(3): where the entry stands beside one with that key. */
typedef int (*SortedCompare)(const void *entry, const void *key);

/* Where the entry with that key stands among `n` of `size` bytes, which are in order and each once; where
 * there is none, where it would. NULL is an array of none. */
size_t sorted_search(const void *entries, size_t n, size_t size, const void *key, SortedCompare compare,
                bool *ret_found);
