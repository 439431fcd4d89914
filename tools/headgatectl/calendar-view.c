/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Segments to cells to lines.
 *  1. The segments are cut to the time that is shown, and ordered by resource and tenant: each row is a run
 *     of them.
 *  2. A run becomes steps, in which the sum of what is reserved does not change: of a resource over all
 *     tenants, of a tenant by itself.
 *  3. With all rows known the width that is left for cells is, and with it the axis.
 *  4. Each step raises the cells that it touches to its level, in eighths of the capacity (in tenths without
 *     UTF-8). What is reserved is never drawn as nothing, and less than all never as all. What a block device
 *     can do the node need not know: then it is of the most that is reserved of it at once, and never over.
 * Colour only repeats what the characters say.
 */

#include "calendar-view.h"

#include "calendar-axis.h"
#include "table.h"
#include "units.h"
#include "variant.h"

#include "model/resource.h"
#include "util/printable.h"

#include <string.h>
#include <time.h>

/* More rows than this are taken to leave the screen. */
#define SCREEN_ROWS 20

/* So that neither sums nor eighths leave 64 bits. */
#define CAPACITY_MAX (1ULL << 60)

typedef struct Segment {
        const char *tenant_id; /* borrowed from the view */
        size_t resource;       /* in Drawing.resources */
        uint64_t start_usec, end_usec, reserved;
} Segment;

typedef struct Step {
        uint64_t start_usec, end_usec, reserved;
} Step;

typedef struct Row {
        bool total;        /* of all tenants, else of one */
        bool known;        /* how much there is of it */
        uint64_t capacity; /* 0: the node has none of it; not known: the most that all have at once */
        Step *steps;       /* owned */
        size_t n_steps;
        char *label, *side; /* owned */
} Row;

typedef struct Drawing {
        const CalendarView *view;
        const char **resources; /* owned; a block each: as in Capacity, then as they come */
        size_t n_resources;
        Segment *segments; /* owned */
        size_t n_segments;
        Row *rows; /* owned */
        size_t n_rows;
        int label_width, side_width;
        CalendarAxis axis;
        size_t now_cell;
        bool over; /* somewhere more is reserved than there is */
} Drawing;

typedef struct Cell {
        uint64_t reserved;
        bool present; /* something is allocated, be it a limit alone */
} Cell;

typedef enum Style {
        STYLE_PLAIN,
        STYLE_TOTAL,
        STYLE_OVER,
        STYLE_FAINT,
        STYLE_MAX,
} Style;

static void drawing_deinit(Drawing *drawing) {
        for (size_t i = 0; i < drawing->n_rows; i++) {
                free(drawing->rows[i].steps);
                free(drawing->rows[i].label);
                free(drawing->rows[i].side);
        }

        free(drawing->rows);
        free(drawing->segments);
        free(drawing->resources);
}

static size_t find_resource(Drawing *drawing, const char *resource) {
        for (size_t i = 0; i < drawing->n_resources; i++)
                if (strcmp(drawing->resources[i], resource) == 0)
                        return i;

        drawing->resources[drawing->n_resources] = resource;
        return drawing->n_resources++;
}

static int compare_segments(const void *a, const void *b) {
        const Segment *x = a, *y = b;

        if (x->resource != y->resource)
                return x->resource < y->resource ? -1 : 1;

        return strcmp(x->tenant_id, y->tenant_id);
}

static int read_segments(Drawing *drawing) {
        const CalendarView *view = drawing->view;
        size_t n = json_array_size(view->segments), i;
        const char *name;
        json_t *item;

        drawing->segments = calloc(n + 1, sizeof(Segment));
        drawing->resources = calloc(json_object_size(view->capacity) + n + 1, sizeof(char *));
        if (!drawing->segments || !drawing->resources)
                return -ENOMEM;

        json_object_foreach ((json_t *) view->capacity, name, item)
                drawing->resources[drawing->n_resources++] = name;

        json_array_foreach (view->segments, i, item) {
                uint64_t start = variant_get_u64(item, "Start"), end = variant_get_u64(item, "End");
                uint64_t reserved = variant_get_u64(item, "Reserved");
                Segment segment = {
                        .tenant_id = variant_get_string(item, "TenantId"),
                        .resource = find_resource(drawing, variant_get_string(item, "Resource")),
                        .start_usec = start > view->from_usec ? start : view->from_usec,
                        .end_usec = end < view->until_usec ? end : view->until_usec,
                        .reserved = reserved < RESERVED_MAX ? reserved : RESERVED_MAX,
                };

                if (segment.start_usec < segment.end_usec)
                        drawing->segments[drawing->n_segments++] = segment;
        }

        qsort(drawing->segments, drawing->n_segments, sizeof(Segment), compare_segments);
        return 0;
}

typedef struct Edge {
        uint64_t at_usec;
        int64_t reserved, n;
} Edge;

static int compare_edges(const void *a, const void *b) {
        const Edge *x = a, *y = b;

        return x->at_usec < y->at_usec ? -1 : x->at_usec > y->at_usec;
}

static int make_steps(const Segment *run, size_t n, Row *row) {
        _cleanup_free_ Edge *edges = calloc(2 * n + 1, sizeof(*edges));
        int64_t reserved = 0, present = 0;

        row->steps = calloc(2 * n + 1, sizeof(*row->steps));
        if (!edges || !row->steps)
                return -ENOMEM;

        for (size_t i = 0; i < n; i++) {
                edges[2 * i] = (Edge){ run[i].start_usec, (int64_t) run[i].reserved, 1 };
                edges[2 * i + 1] = (Edge){ run[i].end_usec, -(int64_t) run[i].reserved, -1 };
        }

        qsort(edges, 2 * n, sizeof(*edges), compare_edges);
        for (size_t i = 0; i + 1 < 2 * n; i++) {
                reserved += edges[i].reserved;
                present += edges[i].n;
                if (present > 0 && edges[i].at_usec < edges[i + 1].at_usec)
                        row->steps[row->n_steps++] =
                                        (Step){ edges[i].at_usec, edges[i + 1].at_usec, (uint64_t) reserved };
        }

        return 0;
}

static uint64_t find_peak(const Row *row) {
        uint64_t peak = 0;

        for (const Step *step = row->steps; step < row->steps + row->n_steps; step++)
                if (step->reserved > peak)
                        peak = step->reserved;
        return peak;
}

/* What stands right of the cells: of a resource the part of its capacity, of a tenant the amount. */
static char *format_peak(const Row *row, const char *resource) {
        uint64_t peak = find_peak(row), percent;
        char text[UNITS_SIZE] = "-";
        char *side = NULL;

        if (row->total && row->known && row->capacity > 0) {
                percent = (uint64_t) ((double) peak * 100 / (double) row->capacity);
                if (percent == 0 && peak > 0)
                        percent = 1;
                if (asprintf(&side, "%llu%%", (unsigned long long) percent) < 0)
                        return NULL;
                return side;
        }

        return strdup(peak > 0 ? units_format_resource(resource, peak, text) : text);
}

/* What is not in Capacity there is nothing of, but for block devices that nothing is said of there. */
static bool is_known(const json_t *capacity, const char *resource) {
        char target[RESOURCE_TARGET_SIZE];
        ResourceKind kind;

        return capacity || resource_parse_name(resource, &kind, target) < 0 ||
               resource_info(kind)->target != TARGET_BLOCK;
}

static int add_row(
                Drawing *drawing, const char *tenant_id, const char *resource, const Segment *run, size_t n) {
        const json_t *capacity = json_object_get(drawing->view->capacity, resource);
        Row *row = &drawing->rows[drawing->n_rows++];
        char text[UNITS_SIZE];
        int r;

        *row = (Row){ .total = !tenant_id,
                .known = is_known(capacity, resource),
                .capacity = variant_u64_value(capacity) };
        if (row->capacity > CAPACITY_MAX)
                row->capacity = CAPACITY_MAX;

        if (tenant_id)
                r = asprintf(&row->label, "  %s", tenant_id);
        else if (capacity)
                r = asprintf(&row->label, "%s of %s", resource,
                                units_format_resource(resource, variant_u64_value(capacity), text));
        else
                r = asprintf(&row->label, "%s", resource);
        if (r < 0) {
                row->label = NULL;
                return -ENOMEM;
        }

        make_printable(row->label);
        r = make_steps(run, n, row);
        if (r < 0)
                return r;

        row->side = format_peak(row, resource);
        return row->side ? 0 : -ENOMEM;
}

/* A resource's row, and one for each tenant in its run. */
static int add_block(Drawing *drawing, const char *resource, const Segment *run, size_t n) {
        const size_t first = drawing->n_rows;
        int r;

        r = add_row(drawing, /* tenant_id= */ NULL, resource, run, n);
        for (size_t i = 0, j = 0; r == 0 && i < n; i = j) {
                while (j < n && strcmp(run[j].tenant_id, run[i].tenant_id) == 0)
                        j++;
                r = add_row(drawing, run[i].tenant_id, resource, run + i, j - i);
        }
        for (size_t i = first; i < drawing->n_rows; i++)
                if (!drawing->rows[i].known)
                        drawing->rows[i].capacity = find_peak(&drawing->rows[first]);

        return r;
}

static int make_rows(Drawing *drawing) {
        const Segment *run = drawing->segments, *end = run + drawing->n_segments;
        int r = 0;

        drawing->rows = calloc(drawing->n_resources + drawing->n_segments + 1, sizeof(Row));
        if (!drawing->rows)
                return -ENOMEM;

        for (size_t i = 0; r == 0 && i < drawing->n_resources; i++) {
                size_t n = 0;

                while (run + n < end && run[n].resource == i)
                        n++;
                r = add_block(drawing, drawing->resources[i], run, n);
                run += n;
        }

        return r;
}

static void make_layout(Drawing *drawing) {
        const CalendarView *view = drawing->view;
        size_t width = view->width > CALENDAR_WIDTH_MIN ? view->width : CALENDAR_WIDTH_MIN;
        size_t label = 0, side = strlen("PEAK");

        for (const Row *row = drawing->rows; row < drawing->rows + drawing->n_rows; row++) {
                if (strlen(row->label) > label)
                        label = strlen(row->label);
                if (strlen(row->side) > side)
                        side = strlen(row->side);
        }
        if (label > width / 3)
                label = width / 3;

        drawing->label_width = (int) label;
        drawing->side_width = (int) side;
        calendar_axis_init(view->from_usec, view->until_usec, width - label - side - 4, &drawing->axis);
        drawing->now_cell = calendar_axis_find(&drawing->axis, view->now_usec);
}

static void fill_cells(const Row *row, const CalendarAxis *axis, Cell *cells) {
        for (const Step *step = row->steps; step < row->steps + row->n_steps; step++)
                for (size_t i = calendar_axis_find(axis, step->start_usec);
                                i < axis->n_cells && calendar_axis_start(axis, i) < step->end_usec; i++) {
                        cells[i].present = true;
                        if (step->reserved > cells[i].reserved)
                                cells[i].reserved = step->reserved;
                }
}

/* `part` in n-ths of `whole`, at least one, and n only where it is all. */
static size_t nth(uint64_t part, uint64_t whole, size_t n) {
        size_t near = (size_t) ((double) part / (double) whole * (double) n + 0.5);

        return part >= whole ? n : near < 1 ? 1 : near >= n ? n - 1 : near;
}

static const char *cell_text(
                const Drawing *drawing, const Row *row, const Cell *cell, bool now, Style *ret_style) {
        static const char *const blocks[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
        static const char *const digits[] = { "1", "2", "3", "4", "5", "6", "7", "8", "9", "#" };
        bool utf8 = drawing->view->utf8;

        *ret_style = STYLE_PLAIN;
        if (!cell->present && !now)
                return " ";

        *ret_style = STYLE_FAINT;
        if (!cell->present)
                return utf8 ? "│" : "|";
        if (cell->reserved == 0)
                return utf8 ? "·" : ".";

        *ret_style = STYLE_OVER;
        if (cell->reserved > row->capacity)
                return "!";

        *ret_style = row->total ? STYLE_TOTAL : STYLE_PLAIN;
        if (utf8)
                return blocks[nth(cell->reserved, row->capacity, ELEMENTSOF(blocks)) - 1];

        return digits[nth(cell->reserved, row->capacity, ELEMENTSOF(digits)) - 1];
}

static void print_label(const Drawing *drawing, const char *label, FILE *f) {
        int width = drawing->label_width;

        if (strlen(label) > (size_t) width)
                fprintf(f, "%.*s%s", width - 1, label, drawing->view->utf8 ? "…" : "~");
        else
                fprintf(f, "%-*s", width, label);
}

static int print_row(Drawing *drawing, const Row *row, FILE *f) {
        static const char *const escapes[STYLE_MAX] = { "", "\033[1;32m", "\033[1;31m", "\033[2m" };
        _cleanup_free_ Cell *cells = calloc(drawing->axis.n_cells, sizeof(*cells));
        const char *escape = "";

        if (!cells)
                return -ENOMEM;

        fill_cells(row, &drawing->axis, cells);
        print_label(drawing, row->label, f);
        fputs("  ", f);
        for (size_t i = 0; i < drawing->axis.n_cells; i++) {
                Style style;
                const char *text = cell_text(drawing, row, &cells[i], i == drawing->now_cell, &style);

                drawing->over = drawing->over || style == STYLE_OVER;
                if (drawing->view->color && strcmp(escapes[style], escape) != 0) {
                        fprintf(f, "%s%s", *escape ? "\033[0m" : "", escapes[style]);
                        escape = escapes[style];
                }
                fputs(text, f);
        }

        fprintf(f, "%s  %*s\n", *escape ? "\033[0m" : "", drawing->side_width, row->side);
        return 0;
}

static void print_ruler(const Drawing *drawing, const char *ruler, FILE *f) {
        bool utf8 = drawing->view->utf8;

        fprintf(f, "%*s", drawing->label_width + 2, "");
        for (size_t i = 0; ruler[i]; i++)
                if (i == drawing->now_cell)
                        fputs(utf8 ? "▼" : "V", f);
                else if (!utf8)
                        fputc(ruler[i], f);
                else
                        fputs(ruler[i] == '|' ? "┼" : ruler[i] == '+' ? "┬" : "─", f);
        fprintf(f, "  %*s\n", drawing->side_width, "PEAK");
}

/* "2026-11-24 14:52 CET" */
static char *format_minute(uint64_t usec, char ret[UNITS_SIZE]) {
        time_t seconds = (time_t) (usec / 1000000);
        struct tm tm = {};

        if (!localtime_r(&seconds, &tm) || strftime(ret, UNITS_SIZE, "%Y-%m-%d %H:%M %Z", &tm) == 0)
                return strcpy(ret, "?");

        return ret;
}

static int print_title(const Drawing *drawing, FILE *f) {
        char from[UNITS_SIZE], until[UNITS_SIZE], cell[UNITS_SIZE];
        const CalendarView *view = drawing->view;
        _cleanup_free_ char *node_id = strdup(view->node_id);

        if (!node_id)
                return -ENOMEM;

        make_printable(node_id);
        fprintf(f, "%s, %s to %s, %s a cell\n", node_id, format_minute(view->from_usec, from),
                        format_minute(view->until_usec, until),
                        units_format_usec(drawing->axis.cell_usec, cell));
        return 0;
}

/* What stands above the first block; where there are so many rows that it leaves the screen, above each. */
static void print_scale(const Drawing *drawing, const CalendarScale *scale, FILE *f) {
        int indent = drawing->label_width + 2;

        fprintf(f, "%*s%s\n", *scale->upper ? indent : 0, "", scale->upper);
        fprintf(f, "%*s%s\n", *scale->lower ? indent : 0, "", scale->lower);
        print_ruler(drawing, scale->ruler, f);
}

static int print_rows(Drawing *drawing, FILE *f) {
        size_t width = drawing->axis.n_cells + 2 + (size_t) drawing->side_width;
        _cleanup_(calendar_scale_deinit) CalendarScale scale = {};
        bool legend = drawing->view->legend;
        int r;

        r = calendar_scale_new(&drawing->axis, width, &scale);
        if (r == 0 && legend)
                r = print_title(drawing, f);

        for (size_t i = 0; r == 0 && i < drawing->n_rows; i++) {
                const Row *row = &drawing->rows[i];

                if (legend && row->total)
                        fputc('\n', f);
                if (legend && row->total && (i == 0 || drawing->n_rows > SCREEN_ROWS))
                        print_scale(drawing, &scale, f);
                r = print_row(drawing, row, f);
        }

        return r;
}

static void print_foot(const Drawing *drawing, FILE *f) {
        const CalendarView *view = drawing->view;
        uint64_t known = view->now_usec + view->horizon_usec;
        char text[UNITS_SIZE];

        fputc('\n', f);
        if (drawing->n_segments == 0)
                fputs("No tenant has an allocation in this time.", f);
        else
                fprintf(f, "%s   %s best-effort%s",
                                view->utf8 ? "▁▂▃▄▅▆▇█ reserved, of capacity"
                                           : "1-9 tenths of capacity, # all of it",
                                view->utf8 ? "·" : ".", drawing->over ? "   ! over capacity" : "");
        if (drawing->now_cell < drawing->axis.n_cells)
                fprintf(f, "   %s now", view->utf8 ? "▼" : "V");
        fputc('\n', f);
        if (view->horizon_usec > 0 && view->until_usec > known)
                fprintf(f, "Recurring windows are admitted up to %s: later ones do not show.\n",
                                format_minute(known, text));
}

int calendar_view_print(const CalendarView *view, FILE *f) {
        _cleanup_(drawing_deinit) Drawing drawing = { .view = view };
        int r;

        r = read_segments(&drawing);
        if (r == 0)
                r = make_rows(&drawing);
        if (r < 0)
                return r;

        make_layout(&drawing);
        r = print_rows(&drawing, f);
        if (r == 0 && view->legend)
                print_foot(&drawing, f);

        return r;
}
