/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* calendar: what is reserved, hour by hour, drawn as wide as the terminal is. */

#include "calendar-view.h"
#include "client.h"
#include "instant.h"
#include "view.h"

#include <langinfo.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define DAY_USEC (86400ULL * 1000000)
#define RANGE_MIN_USEC (60ULL * 1000000)
#define RANGE_MAX_USEC (366 * DAY_USEC)

#define WIDTH_DEFAULT 80
#define WIDTH_MAX 1000

static uint64_t now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_REALTIME, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

/* As the shell and most programs have it: COLUMNS, else the terminal, else 80. */
static size_t terminal_width(void) {
        const char *columns = getenv("COLUMNS");
        long width = columns ? strtol(columns, NULL, 10) : 0;
        struct winsize size;

        if (width <= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
                width = size.ws_col;
        if (width <= 0)
                width = WIDTH_DEFAULT;

        return width < WIDTH_MAX ? (size_t) width : WIDTH_MAX;
}

static int read_range(const Ctl *ctl, uint64_t now, uint64_t *ret_from, uint64_t *ret_until) {
        uint64_t from = now, until;

        if (ctl->from && !instant_parse(ctl->from, now, &from))
                return ctl_fail(CTL_USAGE, "--from is '%s', expected " INSTANT_EXPECTED, ctl->from);

        until = from + DAY_USEC;
        if (ctl->until && !instant_parse(ctl->until, now, &until))
                return ctl_fail(CTL_USAGE, "--until is '%s', expected " INSTANT_EXPECTED, ctl->until);

        if (until < from || until - from < RANGE_MIN_USEC || until - from > RANGE_MAX_USEC)
                return ctl_fail(CTL_USAGE, "--until must be from 1min to 366d after --from");

        *ret_from = from;
        *ret_until = until;
        return 0;
}

static int get_calendar(Client *client, uint64_t from, uint64_t until, json_t **ret) {
        _cleanup_bus_message_ sd_bus_message *call = NULL, *reply = NULL;
        int r;

        r = client_new_call(client, HEADGATE_PATH, HEADGATE_MANAGER, "GetCalendar", &call);
        if (r != 0)
                return r;

        r = sd_bus_message_append(call, "tt", from, until);
        if (r < 0)
                return client_fail(client, r, "cannot ask for the calendar");

        r = client_call(client, call, CLIENT_TIMEOUT_READ, &reply);
        if (r != 0)
                return r;

        r = variant_read(reply, ret);
        return r < 0 ? client_fail(client, r, "cannot read what headgated answered") : 0;
}

int verb_calendar(const Ctl *ctl) {
        _cleanup_json_ json_t *node = NULL, *segments = NULL;
        _cleanup_client_ Client client = CLIENT_NULL;
        uint64_t now = now_usec(), from = now, until = now;
        int r;

        r = read_range(ctl, now, &from, &until);
        if (r != 0)
                return r;

        r = client_open(ctl, &client);
        if (r != 0)
                return r;

        r = get_calendar(&client, from, until, &segments);
        if (r != 0)
                return r;

        if (ctl->json)
                return view_json(segments, /* one_line= */ false);

        r = client_get_node(&client, &node);
        if (r != 0)
                return r;

        r = calendar_view_print(
                        &(CalendarView){
                                        .node_id = variant_get_string(node, "NodeId"),
                                        .segments = segments,
                                        .capacity = json_object_get(node, "Capacity"),
                                        .from_usec = from,
                                        .until_usec = until,
                                        .now_usec = now,
                                        .horizon_usec = variant_get_u64(node, "CalendarHorizon"),
                                        .width = terminal_width(),
                                        .utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
                                        .color = ctl->color,
                                        .legend = ctl->legend,
                        },
                        stdout);
        return r < 0 ? ctl_fail_errno(r, "cannot draw the calendar") : CTL_OK;
}
