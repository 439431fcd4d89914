/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * top: what each tenant uses, again and again: on a terminal in place, else one table after another. Rates
 * are between two readings, so the plain form waits one delay before its first table.
 */

#include "client.h"
#include "rates.h"
#include "top-screen.h"
#include "units.h"
#include "view.h"

#include <string.h>
#include <time.h>

typedef struct Row {
        json_t *tenant; /* borrowed from Reading.tenants */
        const char *id, *state;
        Rates rates;
        uint64_t memory_bytes;       /* RATE_UNKNOWN: not counted */
        uint64_t memory_limit_bytes; /* 0: none is in force that we know of */
        size_t n_problems;
} Row;

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

/* The most first, what is unknown last. */
static int compare_u64(uint64_t a, uint64_t b) {
        uint64_t x = a == RATE_UNKNOWN ? 0 : a, y = b == RATE_UNKNOWN ? 0 : b;

        return x < y ? 1 : x > y ? -1 : 0;
}

/* By the sort's figure; what is equal, by name. */
static int compare_rows(const void *a, const void *b, void *userdata) {
        const Row *x = a, *y = b;
        TopSort sort = *(const TopSort *) userdata;
        int order = 0;

        switch (sort) {
        case TOP_SORT_CPU:
                order = compare_u64(x->rates.cpu_millicores, y->rates.cpu_millicores);
                break;
        case TOP_SORT_MEMORY:
                order = compare_u64(x->memory_bytes, y->memory_bytes);
                break;
        case TOP_SORT_NETWORK:
                order = compare_u64(x->rates.egress_bps, y->rates.egress_bps);
                break;
        default:
                break;
        }

        return order ?: strcmp(x->id, y->id);
}

static int make_rows(const Reading *before, const Reading *now, TopSort sort, Row **ret, size_t *ret_n) {
        uint64_t from = reading_usec(before), to = reading_usec(now), elapsed = to > from ? to - from : 0;
        size_t n = json_array_size(now->tenants), i;
        Row *rows = calloc(n + 1, sizeof(*rows));
        json_t *tenant;

        if (!rows)
                return ctl_fail_errno(-ENOMEM, "cannot print a table");

        json_array_foreach (now->tenants, i, tenant) {
                const char *id = variant_get_string(tenant, "TenantId");
                const json_t *usage = find_usage(now, id);
                const json_t *current = json_object_get(usage, "memory.current");
                const json_t *memory = json_object_get(json_object_get(tenant, "Effective"), "memory");

                rows[i] = (Row){
                        .tenant = tenant,
                        .id = id,
                        .state = view_tenant_state(now->allocations, id),
                        .rates = rates_between(find_usage(before, id), usage, elapsed),
                        .memory_bytes = current ? variant_u64_value(current) : RATE_UNKNOWN,
                        .memory_limit_bytes = memory ? variant_u64_value(json_array_get(memory, 1)) : 0,
                        .n_problems = json_array_size(json_object_get(tenant, "Problems")),
                };
        }

        qsort_r(rows, n, sizeof(*rows), compare_rows, &sort);
        *ret = rows;
        *ret_n = n;
        return 0;
}

static void add_percent(Table *table, uint64_t millicores) {
        if (millicores == RATE_UNKNOWN)
                table_add(table, "-");
        else
                table_addf(table, "%.1f", (double) millicores / 10);
}

static void add_amount(Table *table, uint64_t value, char *(*format)(uint64_t value, char *ret)) {
        char text[UNITS_SIZE];

        table_add(table, value == RATE_UNKNOWN ? "-" : format(value, text));
}

static int make_table(const Row *rows, size_t n, Table **ret) {
        static const char *const titles[] = { "TENANT", "STATE", ">CPU%", ">WAIT%", ">MEMORY", ">LIMIT",
                ">EGRESS", ">INGRESS", ">PROBLEMS", NULL };
        _cleanup_table_ Table *table = NULL;
        int r;

        r = table_new(titles, &table);
        if (r < 0)
                return ctl_fail_errno(r, "cannot print a table");

        for (const Row *row = rows; row < rows + n; row++) {
                char text[UNITS_SIZE];

                table_add(table, row->id);
                table_add_styled(table, view_state_style(row->state), row->state);
                add_percent(table, row->rates.cpu_millicores);
                add_percent(table, row->rates.wait_millicores);
                add_amount(table, row->memory_bytes, units_format_bytes);
                table_add(table, row->memory_limit_bytes > 0
                                                 ? units_format_bytes(row->memory_limit_bytes, text)
                                                 : "-");
                add_amount(table, row->rates.egress_bps, units_format_bps);
                add_amount(table, row->rates.ingress_bps, units_format_bps);
                table_addf(table, "%zu", row->n_problems);
        }

        *ret = TAKE_PTR(table);
        return 0;
}

static void format_title(const Reading *reading, char *ret, size_t size) {
        char time[UNITS_SIZE];

        snprintf(ret, size, "%s  %s  %s  %zu tenants", units_format_time(clock_usec(CLOCK_REALTIME), time),
                        variant_get_string(reading->node, "NodeId"),
                        variant_get_string(reading->node, "State"), json_array_size(reading->tenants));
}

static json_t *make_rates(const Rates *rates) {
        const struct {
                const char *name;
                uint64_t value;
        } all[] = {
                { "cpu", rates->cpu_millicores },
                { "cpu.wait", rates->wait_millicores },
                { "net.egress", rates->egress_bps },
                { "net.ingress", rates->ingress_bps },
        };
        json_t *json = json_object();

        for (size_t i = 0; i < ELEMENTSOF(all); i++)
                if (all[i].value != RATE_UNKNOWN)
                        json_object_set_new(json, all[i].name, variant_u64_new(all[i].value));

        return json;
}

/* A line of its own: the tenants' properties, and as Rates what the table shows, in millicores and bit/s. */
static int print_json(const Row *rows, size_t n) {
        _cleanup_json_ json_t *list = json_array(), *line = NULL;

        for (const Row *row = rows; row < rows + n; row++) {
                json_t *tenant = json_copy(row->tenant);

                json_object_set_new(tenant, "Rates", make_rates(&row->rates));
                json_array_append_new(list, tenant);
        }

        line = json_pack("{sosO}", "Time", variant_u64_new(clock_usec(CLOCK_REALTIME)), "Tenants", list);
        if (!line)
                return ctl_fail_errno(-ENOMEM, "cannot print JSON");

        return view_json(line, /* one_line= */ true);
}

static int print_plain(const Ctl *ctl, const Reading *reading, const Row *rows, size_t n) {
        _cleanup_table_ Table *table = NULL;
        char title[256];
        int r;

        r = make_table(rows, n, &table);
        if (r != 0)
                return r;

        format_title(reading, title, sizeof(title));
        text_make_printable(title);
        if (ctl->legend)
                printf("%s\n", title);

        r = view_table(ctl, table, "");
        if (r == 0 && ctl->legend)
                putchar('\n');

        return r;
}

static int run_plain(const Ctl *ctl, Client *client) {
        struct timespec delay = {
                .tv_sec = (time_t) (ctl->delay_usec / 1000000),
                .tv_nsec = (long) (ctl->delay_usec % 1000000 * 1000),
        };
        Reading before = {}, now = {};
        int r;

        r = take_reading(client, &now);
        for (uint64_t i = 0; r == 0 && (ctl->count == 0 || i < ctl->count); i++) {
                _cleanup_free_ Row *rows = NULL;
                Reading next = {};
                size_t n;

                nanosleep(&delay, NULL);
                r = take_reading(client, &next);
                if (r != 0)
                        break;
                shift_readings(&before, &now, next);

                r = make_rows(&before, &now, TOP_SORT_CPU, &rows, &n);
                if (r == 0)
                        r = ctl->json ? print_json(rows, n) : print_plain(ctl, &now, rows, n);
                if (r == 0)
                        r = view_done(CTL_OK);
        }

        reading_deinit(&before);
        reading_deinit(&now);
        return r;
}

/* Draws what was read last; `trouble` says why that is not newer. */
static int draw(TopScreen *screen, const Reading *before, const Reading *now, const char *trouble) {
        _cleanup_table_ Table *table = NULL;
        _cleanup_free_ Row *rows = NULL;
        char title[256];
        size_t n;
        int r;

        r = make_rows(before, now, top_screen_sort(screen), &rows, &n);
        if (r == 0)
                r = make_table(rows, n, &table);
        if (r != 0)
                return r;

        format_title(now, title, sizeof(title));
        text_make_printable(title);
        return top_screen_draw(screen, title, trouble, table);
}

static int run_screen(const Ctl *ctl, Client *client, TopScreen *screen) {
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

                r = draw(screen, &before, &now, failed ? client->kept : NULL);
                while (r == 0) {
                        uint64_t t = clock_usec(CLOCK_MONOTONIC);
                        TopKey key = top_screen_wait(screen, until > t ? until - t : 0);

                        if (key == TOP_KEY_REDRAW)
                                r = draw(screen, &before, &now, failed ? client->kept : NULL);
                        else if (key == TOP_KEY_QUIT)
                                goto finish;
                        else
                                break;
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
        int r;

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
                return run_plain(ctl, &client);

        r = run_screen(ctl, &client, screen);
        top_screen_close(screen);
        return r;
}
