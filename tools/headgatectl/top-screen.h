/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The terminal of 'top': a title, a table, keys. The one place that knows ncurses. */

#include "table.h"

#include <stdint.h>

typedef struct TopScreen TopScreen;

typedef enum TopKey {
        TOP_KEY_NEXT,   /* the time is over, or was cut short */
        TOP_KEY_LETTER, /* of some meaning; or none, where only the size has changed */
        TOP_KEY_QUIT,
} TopKey;

/* NULL where the terminal cannot do it. */
TopScreen *top_screen_open(void);
void top_screen_close(TopScreen *screen);

/* Of the terminal, as it is now. */
size_t top_screen_lines(void);
/* `trouble` may be NULL. Columns that the terminal is too narrow for are dropped from the right. */
int top_screen_draw(
                TopScreen *screen, const char *title, const char *trouble, const char *chosen, Table *table);
/* With TOP_KEY_LETTER, *ret_letter is what was typed, the arrows to the left and right being '<' and '>', or
 * '\0'. */
TopKey top_screen_wait(TopScreen *screen, uint64_t usec, char *ret_letter);
