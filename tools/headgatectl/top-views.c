/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table of views, and choosing among it. What is in a cell is top-rows.c's. */

#include "top-views.h"

#include "headgatectl.h"

#include <ctype.h>
#include <string.h>

#define TENANT \
        { "TENANT", TOP_COLUMN_TENANT, METRIC_INVALID, NULL }
#define STATE \
        { "STATE", TOP_COLUMN_STATE, METRIC_INVALID, NULL }
#define PROBLEMS \
        { ">PROBLEMS", TOP_COLUMN_PROBLEMS, METRIC_INVALID, NULL }
#define VALUE(title, metric) \
        { ">" title, TOP_COLUMN_VALUE, METRIC_##metric, NULL }
#define RATE(title, metric) \
        { ">" title, TOP_COLUMN_RATE, METRIC_##metric, NULL }
#define CPUS(title, metric) \
        { ">" title, TOP_COLUMN_CPUS, METRIC_##metric, NULL }
#define LIMIT(title, resource) \
        { ">" title, TOP_COLUMN_LIMIT, METRIC_INVALID, resource }
#define PROMISE(title, resource) \
        { ">" title, TOP_COLUMN_PROMISE, METRIC_INVALID, resource }
#define DENIED(title) \
        { ">" title, TOP_COLUMN_DENIED, METRIC_INVALID, NULL }
#define IN_FORCE(title) \
        { title, TOP_COLUMN_IN_FORCE, METRIC_INVALID, NULL }

/* clang-format off */
const TopView top_views[] = {
        { "overview", 'o', 2, {
                TENANT,
                STATE,
                RATE("CPU%", CPU_TIME),
                RATE("WAIT%", CPU_WAIT),
                VALUE("MEMORY", MEMORY_CURRENT),
                LIMIT("LIMIT", "memory"),
                RATE("EGRESS", NET_EGRESS_BYTES),
                RATE("INGRESS", NET_INGRESS_BYTES),
                PROBLEMS,
        } },
        { "cpu", 'c', 2, {
                TENANT,
                STATE,
                RATE("CPU%", CPU_TIME),
                RATE("WAIT%", CPU_WAIT),
                RATE("THROTTLED%", CPU_THROTTLED),
                RATE("PRESSURE%", CPU_PRESSURE),
                RATE("SWITCH/S", CPU_SWITCHES),
                RATE("PREEMPT/S", CPU_PREEMPTIONS),
                RATE("MIGRATE/S", CPU_MIGRATIONS),
        } },
        { "memory", 'm', 2, {
                TENANT,
                STATE,
                VALUE("MEMORY", MEMORY_CURRENT),
                LIMIT("LIMIT", "memory"),
                VALUE("PEAK", MEMORY_PEAK),
                RATE("PRESSURE%", MEMORY_PRESSURE),
                RATE("STALL%", MEMORY_STALL),
                VALUE("OOM-KILLS", MEMORY_OOM_KILLS),
                VALUE("ANON", MEMORY_ANON),
                VALUE("FILE", MEMORY_FILE),
                VALUE("KERNEL", MEMORY_KERNEL),
                VALUE("SWAP", MEMORY_SWAP),
                RATE("FAULT/S", MEMORY_FAULTS),
                RATE("MAJOR/S", MEMORY_MAJOR_FAULTS),
                RATE("REFAULT/S", MEMORY_REFAULTS),
                RATE("RECLAIM/S", MEMORY_RECLAIMED),
        } },
        { "io", 'i', 2, {
                TENANT,
                STATE,
                RATE("READ/S", IO_READ_BYTES),
                RATE("WRITE/S", IO_WRITE_BYTES),
                RATE("READ-OPS/S", IO_READ_OPERATIONS),
                RATE("WRITE-OPS/S", IO_WRITE_OPERATIONS),
                RATE("PRESSURE%", IO_PRESSURE),
                RATE("STALL%", IO_STALL),
        } },
        { "network", 'n', 2, {
                TENANT,
                STATE,
                RATE("EGRESS", NET_EGRESS_BYTES),
                RATE("INGRESS", NET_INGRESS_BYTES),
                RATE("EGRESS-PKT/S", NET_EGRESS_PACKETS),
                RATE("INGRESS-PKT/S", NET_INGRESS_PACKETS),
                LIMIT("EGRESS-LIMIT", "net.egress"),
                LIMIT("INGRESS-LIMIT", "net.ingress"),
                RATE("WIRE", NET_EGRESS_WIRE_BYTES),
                RATE("DROP/S", NET_EGRESS_DROPS),
                RATE("OVERLIMIT/S", NET_EGRESS_OVERLIMITS),
                VALUE("BACKLOG", NET_EGRESS_BACKLOG),
                VALUE("TCP", NET_TCP_SOCKETS),
                VALUE("ESTABLISHED", NET_TCP_ESTABLISHED),
                VALUE("UDP", NET_UDP_SOCKETS),
                RATE("IN-WIRE", NET_INGRESS_WIRE_BYTES),
                RATE("IN-DROP/S", NET_INGRESS_DROPS),
                RATE("IN-OVERLIMIT/S", NET_INGRESS_OVERLIMITS),
                VALUE("IN-BACKLOG", NET_INGRESS_BACKLOG),
        } },
        { "promises", 'p', 4, {
                TENANT,
                STATE,
                IN_FORCE("IN-FORCE"),
                PROBLEMS,
                RATE("WAIT%", CPU_WAIT),
                DENIED("DENIED%"),
                CPUS("CPU", CPU_TIME),
                PROMISE("CPU-PROMISED", "cpu"),
                VALUE("MEMORY", MEMORY_CURRENT),
                PROMISE("MEMORY-PROMISED", "memory"),
                RATE("EGRESS", NET_EGRESS_BYTES),
                PROMISE("EGRESS-PROMISED", "net.egress"),
        } },
        { .name = NULL },
};
/* clang-format on */

char *top_column_name(const TopColumn *column, char *ret) {
        const char *title = column->title;
        size_t n = 0;

        for (title += *title == '>'; *title && !strchr("%/", *title) && n + 1 < TOP_COLUMN_NAME_SIZE; title++)
                ret[n++] = (char) tolower((unsigned char) *title);

        ret[n] = '\0';
        return ret;
}

static int choose_view(const char *name, const TopView **ret) {
        char names[256] = "";

        for (const TopView *view = top_views; view->name; view++) {
                size_t n = strlen(names);

                if (strcmp(view->name, name) == 0) {
                        *ret = view;
                        return 0;
                }
                snprintf(names + n, sizeof(names) - n, "%s%s", n > 0 ? ", " : "", view->name);
        }

        return ctl_fail(CTL_USAGE, "--view is '%s', expected one of %s", name, names);
}

static int choose_sort(const TopView *view, const char *name, size_t *ret) {
        char names[512] = "", column[TOP_COLUMN_NAME_SIZE];

        for (size_t i = 0; view->columns[i].title; i++) {
                size_t n = strlen(names);

                if (strcmp(top_column_name(&view->columns[i], column), name) == 0) {
                        *ret = i;
                        return 0;
                }
                snprintf(names + n, sizeof(names) - n, "%s%s", n > 0 ? ", " : "", column);
        }

        return ctl_fail(CTL_USAGE, "--sort is '%s', expected one of view %s's %s", name, view->name, names);
}

int top_choose(const char *view, const char *sort, bool reverse, TopChoice *ret) {
        TopChoice choice = { top_views, top_views[0].sort, reverse };
        int r = 0;

        if (view)
                r = choose_view(view, &choice.view);
        if (r != 0)
                return r;

        choice.sort = choice.view->sort;
        if (sort)
                r = choose_sort(choice.view, sort, &choice.sort);
        if (r != 0)
                return r;

        *ret = choice;
        return 0;
}

/* To the next column or the one before, round the ends. */
static void move_sort(TopChoice *choice, bool forward) {
        size_t n = 0;

        while (choice->view->columns[n].title)
                n++;

        choice->sort = (choice->sort + (forward ? 1 : n - 1)) % n;
}

void top_choose_key(TopChoice *choice, char key) {
        if (key == 's' || key == '>' || key == '<')
                move_sort(choice, key != '<');
        else if (key == 'r')
                choice->reverse = !choice->reverse;
        else
                for (const TopView *view = top_views; view->name; view++)
                        if (view->key == key)
                                *choice = (TopChoice){ view, view->sort, /* reverse= */ false };
}
