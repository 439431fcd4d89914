/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The views of 'top': which columns each has, and which view and order are chosen, by words or by keys. */

#include "model/sample.h"

#include <stdbool.h>
#include <stddef.h>

#define TOP_COLUMNS_MAX 20

typedef enum TopColumnKind {
        TOP_COLUMN_TENANT,
        TOP_COLUMN_STATE,
        TOP_COLUMN_PROBLEMS, /* how many */
        TOP_COLUMN_VALUE,    /* `metric` as it is */
        TOP_COLUMN_RATE,     /* its growth a second; of time, in percent */
        TOP_COLUMN_CPUS,     /* the same of CPU time, written as CPUs: to be held against a promise */
        TOP_COLUMN_LIMIT,    /* of `resource`, the limit that is in force */
        TOP_COLUMN_PROMISE,  /* of `resource`, reserved/limit as desired; its order is by what is reserved */
        TOP_COLUMN_DENIED,   /* of the CPU that it wanted, what it waited for within what is reserved */
        TOP_COLUMN_IN_FORCE, /* which of what the view's promises are about is not; its order, by how many */
} TopColumnKind;

typedef struct TopColumn {
        const char *title; /* as for table_new() */
        TopColumnKind kind;
        Metric metric;
        const char *resource; /* on all its targets together */
} TopColumn;

typedef struct TopView {
        const char *name;
        char key;
        size_t sort;                            /* the column by which it is ordered first */
        TopColumn columns[TOP_COLUMNS_MAX + 1]; /* ends with a NULL title; what matters least is last */
} TopView;

/* Ends with a NULL name; the first is what 'top' shows unasked. */
extern const TopView top_views[];

#define TOP_COLUMN_NAME_SIZE 24

/* The title in small letters without its unit, into `ret` of TOP_COLUMN_NAME_SIZE: "wait" for ">WAIT%". */
char *top_column_name(const TopColumn *column, char *ret);

typedef struct TopChoice {
        const TopView *view;
        size_t sort; /* among the view's columns */
        bool reverse;
} TopChoice;

/* By names, NULL being what is usual. Returns 0 or an exit code, having said what there is to choose from. */
int top_choose(const char *view, const char *sort, bool reverse, TopChoice *ret);

/* Of a key: a view's, 's' or '>' for the next column to sort by, '<' for the one before, 'r' to turn the
 * order round. Others change nothing. */
void top_choose_key(TopChoice *choice, char key);
