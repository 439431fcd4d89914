/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ncurses for 'top'. Draws what it is given and tells keys; reads no counters. */

#include "top-screen.h"

#include <curses.h>
#include <stdint.h>

struct TopScreen {
        SCREEN *terminal;
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

size_t top_screen_lines(void) {
        return LINES > 0 ? (size_t) LINES : 0;
}

int top_screen_draw(
                TopScreen *screen, const char *title, const char *trouble, const char *chosen, Table *table) {
        int line = 0;

        table_narrow(table, (size_t) COLS);
        erase();
        mvaddnstr(line++, 0, title, COLS);
        if (trouble) {
                attron(A_BOLD);
                mvaddnstr(line++, 0, trouble, COLS);
                attroff(A_BOLD);
        }
        mvaddnstr(line++, 0, chosen, COLS);

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

TopKey top_screen_wait(TopScreen *screen, uint64_t usec, char *ret_letter) {
        uint64_t msec = usec / 1000;
        int key;

        timeout(msec < INT32_MAX ? (int) msec : INT32_MAX);
        key = getch();
        switch (key) {
        case 'q':
        case 'Q':
                return TOP_KEY_QUIT;
        case ERR:
        case ' ':
                return TOP_KEY_NEXT;
        case KEY_LEFT:
                *ret_letter = '<';
                break;
        case KEY_RIGHT:
                *ret_letter = '>';
                break;
        default: /* KEY_RESIZE too */
                *ret_letter = key > 0 && key < 0x80 ? (char) key : '\0';
        }

        return TOP_KEY_LETTER;
}
