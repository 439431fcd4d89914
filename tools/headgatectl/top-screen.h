/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The terminal of 'top': a title, a table, keys. The one place that knows ncurses. */

#include "table.h"

#include <stdint.h>

typedef struct TopScreen TopScreen;

typedef enum TopSort {
        TOP_SORT_CPU,
        TOP_SORT_MEMORY,
        TOP_SORT_NETWORK,
        TOP_SORT_NAME,
} TopSort;

typedef enum TopKey {
        TOP_KEY_NEXT, /* the time is over, or was cut short */
        TOP_KEY_REDRAW,
        TOP_KEY_QUIT,
} TopKey;

/* NULL where the terminal cannot do it. */
TopScreen *top_screen_open(void);
void top_screen_close(TopScreen *screen);

TopSort top_screen_sort(const TopScreen *screen);
int top_screen_draw(TopScreen *screen, const char *title, const char *trouble, const Table *table);
TopKey top_screen_wait(TopScreen *screen, uint64_t usec);
