/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Aligned tables. Knows text and widths, not what the text is about; does not wrap and does not cut.
 */

#include "table.h"

#include "util/printable.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

typedef struct Cell {
        char *text; /* owned */
        TableStyle style;
} Cell;

struct Table {
        const char **titles; /* owned, the strings are not */
        size_t n_columns;
        size_t n_shown; /* of the columns, from the left */
        size_t *widths; /* owned, one a column */
        Cell *cells;    /* owned, row by row */
        size_t n, n_allocated;
        int error;
};

static const char *title_text(const char *title) {
        return title[0] == '>' ? title + 1 : title;
}

/* Characters, not bytes: what is not a continuation byte of UTF-8 begins one. */
static size_t text_width(const char *text) {
        size_t width = 0;

        for (; *text; text++)
                width += ((unsigned char) *text & 0xc0) != 0x80;

        return width;
}

int table_new(const char *const *titles, Table **ret) {
        _cleanup_table_ Table *table = calloc(1, sizeof(*table));

        if (!table)
                return -ENOMEM;

        while (titles[table->n_columns])
                table->n_columns++;
        table->n_shown = table->n_columns;

        table->titles = calloc(table->n_columns, sizeof(*table->titles));
        table->widths = calloc(table->n_columns, sizeof(*table->widths));
        if (!table->titles || !table->widths)
                return -ENOMEM;

        for (size_t i = 0; i < table->n_columns; i++) {
                table->titles[i] = titles[i];
                table->widths[i] = text_width(title_text(titles[i]));
        }

        *ret = TAKE_PTR(table);
        return 0;
}

Table *table_free(Table *table) {
        if (!table)
                return NULL;

        for (size_t i = 0; i < table->n; i++)
                free(table->cells[i].text);

        free(table->cells);
        free(table->titles);
        free(table->widths);
        free(table);
        return NULL;
}

static void table_take(Table *table, TableStyle style, char *text) {
        size_t column, width;

        if (!text)
                table->error = -ENOMEM;

        if (!table->error && table->n == table->n_allocated) {
                size_t n = table->n_allocated ? 2 * table->n_allocated : 64;
                Cell *cells = reallocarray(table->cells, n, sizeof(*cells));

                if (cells) {
                        table->cells = cells;
                        table->n_allocated = n;
                } else
                        table->error = -ENOMEM;
        }

        if (table->error) {
                free(text);
                return;
        }

        make_printable(text);
        column = table->n % table->n_columns;
        width = text_width(text);
        if (width > table->widths[column])
                table->widths[column] = width;
        table->cells[table->n++] = (Cell){ text, style };
}

void table_add(Table *table, const char *text) {
        table_take(table, TABLE_PLAIN, strdup(text));
}

void table_add_styled(Table *table, TableStyle style, const char *text) {
        table_take(table, style, strdup(text));
}

void table_addf(Table *table, const char *format, ...) {
        char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);

        table_take(table, TABLE_PLAIN, text);
}

size_t table_rows(const Table *table) {
        return table->n / table->n_columns;
}

void table_narrow(Table *table, size_t width) {
        size_t used = table->widths[0], n = 1;

        for (; n < table->n_columns && used + 2 + table->widths[n] <= width; n++)
                used += 2 + table->widths[n];

        table->n_shown = n;
}

/* The heading where `row` is SIZE_MAX. */
static void write_row(const Table *table, size_t row, bool color, FILE *f) {
        static const char *const escapes[] = {
                [TABLE_PLAIN] = "",
                [TABLE_GOOD] = "\033[32m",
                [TABLE_WARNING] = "\033[33m",
                [TABLE_BAD] = "\033[1;31m",
        };
        size_t pending = 0;

        for (size_t i = 0; i < table->n_shown; i++) {
                const Cell *cell = row == SIZE_MAX ? NULL : &table->cells[row * table->n_columns + i];
                const char *text = cell ? cell->text : title_text(table->titles[i]);
                const char *escape = cell && color ? escapes[cell->style] : "";
                size_t blank = table->widths[i] - text_width(text);
                bool right = table->titles[i][0] == '>';

                /* Blanks wait until something follows them, so that no line ends in any. */
                if (i > 0)
                        pending += 2;
                if (right)
                        pending += blank;
                if (*text) {
                        fprintf(f, "%*s%s%s%s", (int) pending, "", escape, text, *escape ? "\033[0m" : "");
                        pending = 0;
                }
                if (!right)
                        pending += blank;
        }
}

int table_format_row(const Table *table, size_t row, bool color, char **ret) {
        _cleanup_free_ char *line = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&line, &size);

        if (!f)
                return -ENOMEM;

        write_row(table, row, color, f);
        if (fclose(f) != 0)
                return -ENOMEM;

        *ret = TAKE_PTR(line);
        return 0;
}

static bool table_has_heading(const Table *table) {
        for (size_t i = 0; i < table->n_columns; i++)
                if (*title_text(table->titles[i]))
                        return true;

        return false;
}

int table_print(const Table *table, FILE *f, const char *indent, bool legend, bool color) {
        size_t first = legend && table_has_heading(table) ? SIZE_MAX : 0;

        if (table->error)
                return table->error;

        for (size_t row = first; row == SIZE_MAX || row < table_rows(table); row++) {
                fputs(indent, f);
                write_row(table, row, color, f);
                fputc('\n', f);
        }

        return 0;
}
