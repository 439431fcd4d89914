/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A table for people: rows of cells, columns as wide as their widest cell, two spaces between. What a cell
 * may not hold on a terminal (control characters, from wherever they came) becomes '?'.
 */

#include "util/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct Table Table;

typedef enum TableStyle {
        TABLE_PLAIN,
        TABLE_GOOD,
        TABLE_WARNING,
        TABLE_BAD,
} TableStyle;

/*
 * The strings of `titles`, which end with NULL, are kept by reference; one that begins with '>' is of a
 * column aligned right. With `titles` of empty strings the table has no heading.
 */
int table_new(const char *const *titles, Table **ret);
Table *table_free(Table *table);
DEFINE_CLEANUP(Table *, table_free);
#define _cleanup_table_ _cleanup_(table_free_p)

/*
 * Sets the next cell, row by row. The first error is kept, the cells after it are dropped, and table_print()
 * returns it: callers need not look at each cell.
 */
void table_add(Table *table, const char *text);
void table_addf(Table *table, const char *format, ...) _printf_(2, 3);
void table_add_styled(Table *table, TableStyle style, const char *text);

size_t table_rows(const Table *table);

/* From now on shows only as many columns, from the left, as fit into `width` characters; the first always. */
void table_narrow(Table *table, size_t width);

/* One line without its newline and without trailing blanks; row (size_t) -1 is the heading. To be freed. */
int table_format_row(const Table *table, size_t row, bool color, char **ret);

/* The heading (where it has one and `legend` is set) and all rows, each after `indent`. */
int table_print(const Table *table, FILE *f, const char *indent, bool legend, bool color);
