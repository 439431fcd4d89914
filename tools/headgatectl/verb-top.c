/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * top: what each tenant uses, again and again: on a terminal in place, else one table after another. What
 * each view shows is top-views.c's and top-rows.c's. Rates are between two readings, so the plain form waits
 * one delay before its first table.
 *
 * The objects of a thousand tenants are megabytes, and hardly ever others than a moment ago. They are read
 * again where headgated has signalled anything, and now and then because of Effective, of which it does not
 * signal; the counters each time. --json prints all of the objects, and has them read each time.
 */

#include "client.h"
#include "rates.h"
#include "top-reading.h"
#include "top-screen.h"
#include "units.h"
#include "view.h"

#include "util/printable.h"

#include <string.h>
#include <time.h>

#define STANDING_FOR_USEC 30000000U

typedef struct Readings {
        Client *client;
        bool each_time; /* are the objects read */
        bool changed;   /* may they be others than were read */
        TopStanding standing;
        uint64_t standing_usec; /* monotonic: when they were */
        Snapshot before, now;
} Readings;

static uint64_t clock_usec(clockid_t clock) {
        struct timespec ts;

        clock_gettime(clock, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

static void readings_deinit(Readings *readings) {
        top_standing_deinit(&readings->standing);
        snapshot_deinit(&readings->before);
        snapshot_deinit(&readings->now);
}
#define _cleanup_readings_ _cleanup_(readings_deinit)

static int on_change(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Readings *readings = userdata;

        readings->changed = true;
        return 0;
}

/* Who looks again only after so long has the objects read each time, and lets no signals pile up until then.
 */
static int readings_init(Readings *readings, const Ctl *ctl, Client *client) {
        *readings = (Readings){
                .client = client,
                .each_time = ctl->json || ctl->delay_usec >= STANDING_FOR_USEC,
                .changed = true,
        };
        return readings->each_time ? 0 : client_listen(client, on_change, on_change, readings);
}

static int hear_changes(Readings *readings) {
        int r;

        do
                r = sd_bus_process(readings->client->bus, NULL);
        while (r > 0);
        return r < 0 ? client_fail(readings->client, r, "the bus is gone") : 0;
}

static int read_standing(Readings *readings) {
        _cleanup_json_ json_t *node = NULL, *tenants = NULL, *allocations = NULL;
        TopStanding standing;
        int r;

        /* What changes from here on is signalled after this. */
        r = client_get_node(readings->client, &node);
        if (r == 0)
                r = client_get_objects(readings->client, &tenants, &allocations);
        if (r != 0)
                return r;

        r = top_standing_init(&standing, node, tenants, allocations);
        if (r < 0)
                return client_fail(readings->client, r, "cannot order the objects");

        top_standing_deinit(&readings->standing);
        readings->standing = standing;
        readings->standing_usec = clock_usec(CLOCK_MONOTONIC);
        readings->changed = readings->each_time;
        return 0;
}

/* Takes a snapshot in, the older ones moving on; one of the same counters only replaces the last. */
static void shift_snapshots(Readings *readings, Snapshot next) {
        if (readings->now.time_usec == next.time_usec) {
                snapshot_deinit(&readings->now);
        } else {
                snapshot_deinit(&readings->before);
                readings->before = readings->now;
        }

        readings->now = next;
}

static int take_reading(Readings *readings) {
        Snapshot next = SNAPSHOT_NULL;
        int r;

        r = hear_changes(readings);
        if (r == 0)
                r = client_get_snapshot(readings->client, &next);
        if (r != 0) {
                readings->changed = true; /* whoever answers next is another, perhaps */
                return r;
        }

        shift_snapshots(readings, next);
        if (!readings->changed && !top_standing_is_stale(&readings->standing, &readings->now) &&
                        clock_usec(CLOCK_MONOTONIC) - readings->standing_usec < STANDING_FOR_USEC)
                return 0;
        return read_standing(readings);
}

/* Ordered as is chosen. */
static int make_rows(const Readings *readings, const TopChoice *choice, TopRow **ret, size_t *ret_n) {
        _cleanup_free_ TopRow *rows = NULL;
        size_t n;
        int r;

        r = top_rows_new(&readings->standing, &readings->before, &readings->now, &rows, &n);
        if (r >= 0)
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

static void format_title(const TopStanding *standing, char *ret, size_t size) {
        char time[UNITS_SIZE];

        snprintf(ret, size, "%s  %s  %s  %zu tenants", units_format_time(clock_usec(CLOCK_REALTIME), time),
                        variant_get_string(standing->node, "NodeId"),
                        variant_get_string(standing->node, "State"), json_array_size(standing->tenants));
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

static int print_plain(const Ctl *ctl, const TopStanding *standing, const TopView *view, const TopRow *rows,
                size_t n) {
        _cleanup_table_ Table *table = NULL;
        char title[256];
        int r;

        r = make_table(rows, n, view, &table);
        if (r != 0)
                return r;

        format_title(standing, title, sizeof(title));
        make_printable(title);
        if (ctl->legend)
                printf("%s\n", title);

        r = view_table(ctl, table, "");
        if (r == 0 && ctl->legend)
                putchar('\n');

        return r;
}

static int run_plain(const Ctl *ctl, const TopChoice *choice, Readings *readings) {
        struct timespec delay = {
                .tv_sec = (time_t) (ctl->delay_usec / 1000000),
                .tv_nsec = (long) (ctl->delay_usec % 1000000 * 1000),
        };
        int r;

        r = take_reading(readings);
        for (uint64_t i = 0; r == 0 && (ctl->count == 0 || i < ctl->count); i++) {
                _cleanup_free_ TopRow *rows = NULL;
                size_t n;

                nanosleep(&delay, NULL);
                r = take_reading(readings);
                if (r == 0)
                        r = make_rows(readings, choice, &rows, &n);
                if (r == 0)
                        r = ctl->json ? print_json(rows, n)
                                      : print_plain(ctl, &readings->standing, choice->view, rows, n);
                if (r == 0)
                        r = view_done(CTL_OK);
        }

        return r;
}

/* What is looked at: on a terminal, where keys change it. */
static void format_choice(const TopChoice *choice, char *ret, size_t size) {
        char column[TOP_COLUMN_NAME_SIZE];

        snprintf(ret, size, "%s by %s%s", choice->view->name,
                        top_column_name(&choice->view->columns[choice->sort], column),
                        choice->reverse ? ", reversed" : "");
}

/* Draws what was read last; `trouble` says why that is not newer. Rows that no line is left for are not made.
 */
static int draw(TopScreen *screen, const TopChoice *choice, const Readings *readings, const char *trouble) {
        _cleanup_table_ Table *table = NULL;
        _cleanup_free_ TopRow *rows = NULL;
        size_t n, lines = top_screen_lines();
        char title[256], chosen[80];
        int r;

        r = make_rows(readings, choice, &rows, &n);
        if (r == 0)
                r = make_table(rows, n < lines ? n : lines, choice->view, &table);
        if (r != 0)
                return r;

        format_title(&readings->standing, title, sizeof(title));
        make_printable(title);
        format_choice(choice, chosen, sizeof(chosen));
        return top_screen_draw(screen, title, trouble, chosen, table);
}

static int run_screen(const Ctl *ctl, TopChoice choice, Readings *readings, TopScreen *screen) {
        Client *client = readings->client;
        int failed = 0, r = 0;
        uint64_t n = 0;

        client->keep = true;
        for (; r == 0 && (ctl->count == 0 || n < ctl->count); n++) {
                uint64_t until;

                if (n > 0)
                        failed = take_reading(readings);
                until = clock_usec(CLOCK_MONOTONIC) + ctl->delay_usec;
                r = draw(screen, &choice, readings, failed ? client->kept : NULL);
                while (r == 0) {
                        uint64_t t = clock_usec(CLOCK_MONOTONIC);
                        char letter = '\0';
                        TopKey key = top_screen_wait(screen, until > t ? until - t : 0, &letter);

                        if (key == TOP_KEY_QUIT)
                                goto finish;
                        if (key == TOP_KEY_NEXT)
                                break;
                        top_choose_key(&choice, letter);
                        r = draw(screen, &choice, readings, failed ? client->kept : NULL);
                }
        }

finish:
        client->keep = false;
        return r;
}

int verb_top(const Ctl *ctl) {
        _cleanup_client_ Client client = CLIENT_NULL;
        _cleanup_readings_ Readings readings = {};
        TopScreen *screen = NULL;
        TopChoice choice;
        int r;

        r = top_choose(ctl->view, ctl->sort, ctl->reverse, &choice);
        if (r != 0)
                return r;

        r = client_open(ctl, &client);
        if (r == 0)
                r = readings_init(&readings, ctl, &client);
        if (r != 0)
                return r;

        if (!ctl->batch && !ctl->json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
                /* What cannot begin says so on a terminal that is still one. */
                r = take_reading(&readings);
                if (r != 0)
                        return r;
                screen = top_screen_open();
        }

        /* A terminal of which too little is known to draw on gets plain tables. */
        if (!screen)
                return run_plain(ctl, &choice, &readings);

        r = run_screen(ctl, choice, &readings, screen);
        top_screen_close(screen);
        return r;
}
