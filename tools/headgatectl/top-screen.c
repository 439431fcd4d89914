/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ncurses for 'top'. Draws what it is given and tells keys; reads no counters. */

#include "top-screen.h"

#include <curses.h>
#include <stdint.h>

struct TopScreen {
        SCREEN *terminal;
        TopSort sort;
};

TopScreen *top_screen_open(void) {
        TopScreen *screen = calloc(1, sizeof(*screen));

        if (!screen)
                return NULL;

        /* initscr() would end the process where it does not know the terminal. */
        screen->terminal = newterm(NULL, stdout, stdin);
        if (!screen->terminal) {
                free(screen);
                return NULL;
        }

        cbreak();
        noecho();
        keypad(stdscr, TRUE);
        curs_set(0);
        return screen;
}

void top_screen_close(TopScreen *screen) {
        if (!screen)
                return;

        endwin();
        delscreen(screen->terminal);
        free(screen);
}

TopSort top_screen_sort(const TopScreen *screen) {
        return screen->sort;
}

int top_screen_draw(TopScreen *screen, const char *title, const char *trouble, const Table *table) {
        int line = 0;

        erase();
        mvaddnstr(line++, 0, title, COLS);
        if (trouble) {
                attron(A_BOLD);
                mvaddnstr(line++, 0, trouble, COLS);
                attroff(A_BOLD);
        }
        line++;

        for (size_t row = SIZE_MAX; (row == SIZE_MAX || row < table_rows(table)) && line < LINES; row++) {
                _cleanup_free_ char *text = NULL;
                int r = table_format_row(table, row, /* color= */ false, &text);

                if (r < 0)
                        return r;

                if (row == SIZE_MAX)
                        attron(A_REVERSE);
                mvaddnstr(line++, 0, text, COLS);
                attroff(A_REVERSE);
        }

        refresh();
        return 0;
}

TopKey top_screen_wait(TopScreen *screen, uint64_t usec) {
        uint64_t msec = usec / 1000;

        timeout(msec < INT32_MAX ? (int) msec : INT32_MAX);
        switch (getch()) {
        case 'q':
        case 'Q':
                return TOP_KEY_QUIT;
        case 'c':
                screen->sort = TOP_SORT_CPU;
                return TOP_KEY_REDRAW;
        case 'm':
                screen->sort = TOP_SORT_MEMORY;
                return TOP_KEY_REDRAW;
        case 'n':
                screen->sort = TOP_SORT_NETWORK;
                return TOP_KEY_REDRAW;
        case 'p':
                screen->sort = TOP_SORT_NAME;
                return TOP_KEY_REDRAW;
        case ERR:
        case ' ':
                return TOP_KEY_NEXT;
        default: /* KEY_RESIZE too */
                return TOP_KEY_REDRAW;
        }
}
