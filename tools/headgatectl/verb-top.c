/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * top: what each tenant uses, again and again: on a terminal in place, else one table after another. What
 * each view shows is top-views.c's and top-rows.c's. Rates are between two readings, so the plain form waits
 * one delay before its first table.
 */

#include "client.h"
#include "rates.h"
#include "top-rows.h"
#include "top-screen.h"
#include "units.h"
#include "view.h"

#include "util/printable.h"

#include <string.h>
#include <time.h>

typedef struct Reading {
        json_t *node, *tenants, *allocations;
        json_t *snapshot; /* the counters, and when they were read: not when we asked */
} Reading;

static uint64_t clock_usec(clockid_t clock) {
        struct timespec ts;

        clock_gettime(clock, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

static void reading_deinit(Reading *reading) {
        json_decref(reading->node);
        json_decref(reading->tenants);
        json_decref(reading->allocations);
        json_decref(reading->snapshot);
        *reading = (Reading){};
}

static int take_reading(Client *client, Reading *ret) {
        Reading reading = {};
        int r;

        r = client_get_node(client, &reading.node);
        if (r == 0)
                r = client_get_objects(client, &reading.tenants, &reading.allocations);
        if (r == 0)
                r = client_get_snapshot(client, &reading.snapshot);
        if (r != 0) {
                reading_deinit(&reading);
                return r;
        }

        *ret = reading;
        return 0;
}

static uint64_t reading_usec(const Reading *reading) {
        return variant_get_u64(reading->snapshot, "Time");
}

/* Takes a reading in, the older ones moving on; one of the same counters only replaces the last. */
static void shift_readings(Reading *before, Reading *now, Reading next) {
        if (reading_usec(now) == reading_usec(&next)) {
                reading_deinit(now);
        } else {
                reading_deinit(before);
                *before = *now;
        }

        *now = next;
}

static const json_t *find_usage(const Reading *reading, const char *id) {
        return json_object_get(json_object_get(reading->snapshot, "Tenants"), id);
}

/* Ordered as is chosen. */
static int make_rows(const Reading *before, const Reading *now, const TopChoice *choice, TopRow **ret,
                size_t *ret_n) {
        uint64_t from = reading_usec(before), to = reading_usec(now), elapsed = to > from ? to - from : 0;
        size_t n = json_array_size(now->tenants), i;
        _cleanup_free_ TopRow *rows = calloc(n + 1, sizeof(*rows));
        json_t *tenant;
        int r;

        if (!rows)
                return ctl_fail_errno(-ENOMEM, "cannot print a table");

        json_array_foreach (now->tenants, i, tenant) {
                const char *id = variant_get_string(tenant, "TenantId");

                rows[i] = (TopRow){
                        .tenant = tenant,
                        .id = id,
                        .state = view_tenant_state(now->allocations, id),
                        .before = find_usage(before, id),
                        .now = find_usage(now, id),
                        .elapsed_usec = elapsed,
                        .allocations = now->allocations,
                };
        }

        r = top_rows_sort(rows, n, choice);
        if (r < 0)
                return ctl_fail_errno(r, "cannot print a table");

        *ret = TAKE_PTR(rows);
        *ret_n = n;
        return 0;
}

static int make_table(const TopRow *rows, size_t n, const TopView *view, Table **ret) {
        int r = top_rows_table(rows, n, view, ret);

        return r < 0 ? ctl_fail_errno(r, "cannot print a table") : 0;
}

static void format_title(const Reading *reading, char *ret, size_t size) {
        char time[UNITS_SIZE];

        snprintf(ret, size, "%s  %s  %s  %zu tenants", units_format_time(clock_usec(CLOCK_REALTIME), time),
                        variant_get_string(reading->node, "NodeId"),
                        variant_get_string(reading->node, "State"), json_array_size(reading->tenants));
}

/* A line of its own: the tenants' properties, and all that can be told per second as Rates. */
static int print_json(const TopRow *rows, size_t n) {
        _cleanup_json_ json_t *list = json_array(), *line = NULL;

        for (const TopRow *row = rows; row < rows + n; row++) {
                json_t *tenant = json_copy(row->tenant);

                json_object_set_new(tenant, "Rates", rates_new(row->before, row->now, row->elapsed_usec));
                json_array_append_new(list, tenant);
        }

        line = json_pack("{sosO}", "Time", variant_u64_new(clock_usec(CLOCK_REALTIME)), "Tenants", list);
        if (!line)
                return ctl_fail_errno(-ENOMEM, "cannot print JSON");

        return view_json(line, /* one_line= */ true);
}

static int print_plain(
                const Ctl *ctl, const Reading *reading, const TopView *view, const TopRow *rows, size_t n) {
        _cleanup_table_ Table *table = NULL;
        char title[256];
        int r;

        r = make_table(rows, n, view, &table);
        if (r != 0)
                return r;

        format_title(reading, title, sizeof(title));
        make_printable(title);
        if (ctl->legend)
                printf("%s\n", title);

        r = view_table(ctl, table, "");
        if (r == 0 && ctl->legend)
                putchar('\n');

        return r;
}

static int run_plain(const Ctl *ctl, const TopChoice *choice, Client *client) {
        struct timespec delay = {
                .tv_sec = (time_t) (ctl->delay_usec / 1000000),
                .tv_nsec = (long) (ctl->delay_usec % 1000000 * 1000),
        };
        Reading before = {}, now = {};
        int r;

        r = take_reading(client, &now);
        for (uint64_t i = 0; r == 0 && (ctl->count == 0 || i < ctl->count); i++) {
                _cleanup_free_ TopRow *rows = NULL;
                Reading next = {};
                size_t n;

                nanosleep(&delay, NULL);
                r = take_reading(client, &next);
                if (r != 0)
                        break;
                shift_readings(&before, &now, next);

                r = make_rows(&before, &now, choice, &rows, &n);
                if (r == 0)
                        r = ctl->json ? print_json(rows, n) : print_plain(ctl, &now, choice->view, rows, n);
                if (r == 0)
                        r = view_done(CTL_OK);
        }

        reading_deinit(&before);
        reading_deinit(&now);
        return r;
}

/* What is looked at: on a terminal, where keys change it. */
static void format_choice(const TopChoice *choice, char *ret, size_t size) {
        char column[TOP_COLUMN_NAME_SIZE];

        snprintf(ret, size, "%s by %s%s", choice->view->name,
                        top_column_name(&choice->view->columns[choice->sort], column),
                        choice->reverse ? ", reversed" : "");
}

/* Draws what was read last; `trouble` says why that is not newer. */
static int draw(TopScreen *screen, const TopChoice *choice, const Reading *before, const Reading *now,
                const char *trouble) {
        _cleanup_table_ Table *table = NULL;
        _cleanup_free_ TopRow *rows = NULL;
        char title[256], chosen[80];
        size_t n;
        int r;

        r = make_rows(before, now, choice, &rows, &n);
        if (r == 0)
                r = make_table(rows, n, choice->view, &table);
        if (r != 0)
                return r;

        format_title(now, title, sizeof(title));
        make_printable(title);
        format_choice(choice, chosen, sizeof(chosen));
        return top_screen_draw(screen, title, trouble, chosen, table);
}

static int run_screen(const Ctl *ctl, TopChoice choice, Client *client, TopScreen *screen) {
        Reading before = {}, now = {};
        uint64_t n = 0;
        int r = 0;

        client->keep = true;
        while (ctl->count == 0 || n++ < ctl->count) {
                Reading next = {};
                int failed = take_reading(client, &next);
                uint64_t until = clock_usec(CLOCK_MONOTONIC) + ctl->delay_usec;

                if (failed == 0)
                        shift_readings(&before, &now, next);

                r = draw(screen, &choice, &before, &now, failed ? client->kept : NULL);
                while (r == 0) {
                        uint64_t t = clock_usec(CLOCK_MONOTONIC);
                        char letter = '\0';
                        TopKey key = top_screen_wait(screen, until > t ? until - t : 0, &letter);

                        if (key == TOP_KEY_QUIT)
                                goto finish;
                        if (key == TOP_KEY_NEXT)
                                break;
                        top_choose_key(&choice, letter);
                        r = draw(screen, &choice, &before, &now, failed ? client->kept : NULL);
                }
                if (r != 0)
                        break;
        }

finish:
        client->keep = false;
        reading_deinit(&before);
        reading_deinit(&now);
        return r;
}

int verb_top(const Ctl *ctl) {
        _cleanup_client_ Client client = CLIENT_NULL;
        TopScreen *screen = NULL;
        Reading first = {};
        TopChoice choice;
        int r;

        r = top_choose(ctl->view, ctl->sort, ctl->reverse, &choice);
        if (r != 0)
                return r;

        r = client_open(ctl, &client);
        if (r != 0)
                return r;

        if (!ctl->batch && !ctl->json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
                /* What cannot begin says so on a terminal that is still one. */
                r = take_reading(&client, &first);
                reading_deinit(&first);
                if (r != 0)
                        return r;
                screen = top_screen_open();
        }

        /* A terminal of which too little is known to draw on gets plain tables. */
        if (!screen)
                return run_plain(ctl, &choice, &client);

        r = run_screen(ctl, choice, &client, screen);
        top_screen_close(screen);
        return r;
}
