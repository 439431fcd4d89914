/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Cells, each a word or a number, and tables of them. What is absent is "-" and never 0. Reads no clock and
 * asks headgated nothing.
 */

#include "top-rows.h"

#include "rates.h"
#include "units.h"
#include "variant.h"
#include "view.h"

#include <string.h>

/* Memory is rounded down to pages by the kernel, of which none here is larger. */
#define PAGE_BYTES_MAX 65536U

/* Whether it is the resource, on whichever target: "net.egress@eth1" is net.egress, too. */
static bool is_resource(const char *name, const char *resource) {
        size_t n = strlen(resource);

        return strncmp(name, resource, n) == 0 && (name[n] == '\0' || name[n] == '@');
}

/* Of a resource in Desired or Effective, reserved (part 0) or limit (1), all targets together. */
static bool sum_amounts(const json_t *amounts, const char *resource, size_t part, uint64_t *ret) {
        uint64_t sum = 0;
        bool found = false;
        const char *name;
        json_t *amount;

        json_object_foreach ((json_t *) amounts, name, amount) {
                if (!is_resource(name, resource))
                        continue;
                if (__builtin_add_overflow(sum, variant_u64_value(json_array_get(amount, part)), &sum))
                        sum = UINT64_MAX;
                found = true;
        }

        if (found)
                *ret = sum;
        return found;
}

static bool is_in_force(const char *name, const json_t *wanted, const json_t *have) {
        uint64_t limit = variant_u64_value(json_array_get(wanted, 1)),
                 have_limit = variant_u64_value(json_array_get(have, 1)),
                 slack = is_resource(name, "memory") && limit != UINT64_MAX ? PAGE_BYTES_MAX - 1 : 0;

        return json_equal(json_array_get(wanted, 0), json_array_get(have, 0)) && have_limit <= limit &&
               limit - have_limit <= slack;
}

/* Of what the view's promises are about, that which is desired and not in force. False where nothing of it is
 * desired. */
static bool list_not_in_force(const TopView *view, const json_t *tenant, json_t *list) {
        const json_t *desired = json_object_get(tenant, "Desired"),
                     *effective = json_object_get(tenant, "Effective");
        bool found = false;
        const char *name;
        json_t *amount;

        json_object_foreach ((json_t *) desired, name, amount)
                for (const TopColumn *column = view->columns; column->title; column++) {
                        if (column->kind != TOP_COLUMN_PROMISE || !is_resource(name, column->resource))
                                continue;
                        found = true;
                        if (!is_in_force(name, amount, json_object_get(effective, name)))
                                json_array_append_new(list, json_string(name));
                }

        return found;
}

/* The cell as a number, by which it is ordered; false: the tenant has none. */
static bool cell_number(const TopView *view, const TopColumn *column, const TopRow *row, uint64_t *ret) {
        _cleanup_json_ json_t *list = NULL;

        switch (column->kind) {
        case TOP_COLUMN_PROBLEMS:
                *ret = json_array_size(json_object_get(row->tenant, "Problems"));
                return true;
        case TOP_COLUMN_VALUE:
                if (!row->now || !sample_has(row->now, column->metric))
                        return false;
                *ret = row->now->value[column->metric];
                return true;
        case TOP_COLUMN_RATE:
        case TOP_COLUMN_CPUS:
                return rate_between(column->metric, row->before, row->now, row->elapsed_usec, ret);
        case TOP_COLUMN_LIMIT: /* one of nothing is none that we know of */
                return sum_amounts(json_object_get(row->tenant, "Effective"), column->resource, 1, ret) &&
                       *ret > 0;
        case TOP_COLUMN_PROMISE:
                return sum_amounts(json_object_get(row->tenant, "Desired"), column->resource, 0, ret);
        case TOP_COLUMN_DENIED: /* in permille */
                *ret = row->wanted_nsec == 0 ? 0
                                             : (uint64_t) ((unsigned __int128) row->denied_nsec * 1000 /
                                                               row->wanted_nsec);
                return row->has_wanted;
        case TOP_COLUMN_IN_FORCE:
                list = json_array();
                if (!list_not_in_force(view, row->tenant, list))
                        return false;
                *ret = json_array_size(list);
                return true;
        default:
                return false;
        }
}

/* The cell where it is a word; else NULL. */
static const char *cell_word(const TopColumn *column, const TopRow *row) {
        return column->kind == TOP_COLUMN_TENANT  ? row->id
               : column->kind == TOP_COLUMN_STATE ? row->state
                                                  : NULL;
}

static void add_rate(Table *table, Metric metric, uint64_t rate) {
        MetricUnit unit = metric_info(metric)->unit;
        char text[UNITS_SIZE];

        if (unit == METRIC_UNIT_NSEC)
                table_addf(table, "%.1f", (double) rate / 10);
        else if (rate_is_bits(metric))
                table_add(table, units_format_bps(rate, text));
        else if (unit == METRIC_UNIT_BYTES)
                table_add(table, units_format_bytes(rate, text));
        else
                table_addf(table, "%llu", (unsigned long long) rate);
}

static void add_promise(Table *table, const TopColumn *column, const TopRow *row, uint64_t reserved) {
        char reserved_text[UNITS_SIZE], limit_text[UNITS_SIZE];
        uint64_t limit = 0;

        sum_amounts(json_object_get(row->tenant, "Desired"), column->resource, 1, &limit);
        table_addf(table, "%s/%s", units_format_resource(column->resource, reserved, reserved_text),
                        units_format_resource(column->resource, limit, limit_text));
}

static void add_in_force(Table *table, const TopView *view, const TopRow *row) {
        _cleanup_json_ json_t *list = json_array(), *words = NULL;
        _cleanup_free_ char *names = NULL;

        list_not_in_force(view, row->tenant, list);
        if (json_array_size(list) == 0) {
                table_add_styled(table, TABLE_GOOD, "yes");
                return;
        }

        names = view_join(list);
        words = json_sprintf("not %s", names ?: "?");
        table_add_styled(table, TABLE_BAD, json_string_value(words) ?: "no");
}

static void add_number(Table *table, const TopView *view, const TopColumn *column, const TopRow *row,
                uint64_t number) {
        char text[UNITS_SIZE];

        switch (column->kind) {
        case TOP_COLUMN_RATE:
                add_rate(table, column->metric, number);
                break;
        case TOP_COLUMN_VALUE:
                table_add(table, units_format_metric(metric_info(column->metric)->name, number, text));
                break;
        case TOP_COLUMN_CPUS:
                table_add(table, units_format_millicores(number, text));
                break;
        case TOP_COLUMN_LIMIT:
                table_add(table, units_format_resource(column->resource, number, text));
                break;
        case TOP_COLUMN_PROMISE:
                add_promise(table, column, row, number);
                break;
        case TOP_COLUMN_DENIED:
                table_addf(table, "%.1f", (double) number / 10);
                break;
        case TOP_COLUMN_IN_FORCE:
                add_in_force(table, view, row);
                break;
        default:
                table_addf(table, "%llu", (unsigned long long) number);
        }
}

static void add_cell(Table *table, const TopView *view, const TopColumn *column, const TopRow *row) {
        const char *word = cell_word(column, row);
        uint64_t number;

        if (word)
                table_add_styled(table,
                                column->kind == TOP_COLUMN_STATE ? view_state_style(word) : TABLE_PLAIN,
                                word);
        else if (cell_number(view, column, row, &number))
                add_number(table, view, column, row, number);
        else
                table_add(table, "-");
}

int top_rows_table(const TopRow *rows, size_t n, const TopView *view, Table **ret) {
        const char *titles[TOP_COLUMNS_MAX + 1] = {};
        _cleanup_table_ Table *table = NULL;
        int r;

        for (size_t i = 0; view->columns[i].title; i++)
                titles[i] = view->columns[i].title;

        r = table_new(titles, &table);
        if (r < 0)
                return r;

        for (const TopRow *row = rows; row < rows + n; row++)
                for (const TopColumn *column = view->columns; column->title; column++)
                        add_cell(table, view, column, row);

        *ret = TAKE_PTR(table);
        return 0;
}

/* What a row is ordered by, made once. */
typedef struct Key {
        TopRow row;
        const char *word; /* NULL: a number, or none */
        bool known;
        uint64_t number;
} Key;

static int compare_keys(const void *a, const void *b, void *userdata) {
        const Key *x = a, *y = b;
        const bool *reverse = userdata;
        int order = 0;

        if (x->known != y->known)
                return x->known ? -1 : 1;

        if (x->word)
                order = strcmp(x->word, y->word);
        else if (x->known)
                order = x->number < y->number ? 1 : x->number > y->number ? -1 : 0;

        return (*reverse ? -order : order) ?: strcmp(x->row.id, y->row.id);
}

int top_rows_sort(TopRow *rows, size_t n, const TopChoice *choice) {
        const TopColumn *column = &choice->view->columns[choice->sort];
        _cleanup_free_ Key *keys = calloc(n + 1, sizeof(*keys));
        bool reverse = choice->reverse;

        if (!keys)
                return -ENOMEM;

        for (size_t i = 0; i < n; i++) {
                keys[i] = (Key){ .row = rows[i], .word = cell_word(column, &rows[i]) };
                keys[i].known = keys[i].word || cell_number(choice->view, column, &rows[i], &keys[i].number);
        }

        qsort_r(keys, n, sizeof(*keys), compare_keys, &reverse);
        for (size_t i = 0; i < n; i++)
                rows[i] = keys[i].row;

        return 0;
}
