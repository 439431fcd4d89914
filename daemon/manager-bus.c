/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The connection to the bus, which may be away at any time, or there and silent: windows are kept all the
 * same. So nothing here waits for an answer: connecting, authentication and the name go on in the loop,
 * within BUS_TIMEOUT_USEC in all, and what did not come about is tried again with the next sample.
 */

#include "manager-internal.h"

#include "util/log.h"

#include <string.h>

#define BUS_TIMEOUT_USEC (5ULL * 1000000)

/* org.freedesktop.DBus.RequestName's answers (D-Bus Specification). */
#define NAME_IS_OURS 1
#define NAME_IS_OURS_ALREADY 4

static int open_bus(const char *which, sd_bus **ret) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r;

        if (strcmp(which, "system") == 0)
                return sd_bus_open_system_with_description(ret, "headgated");
        if (strcmp(which, "session") == 0)
                return sd_bus_open_user_with_description(ret, "headgated");
        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_address(bus, which);
        if (r >= 0)
                r = sd_bus_set_bus_client(bus, true);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r >= 0)
                *ret = TAKE_PTR(bus);
        return r;
}

/* Once for each attempt, whatever came of it. */
static void settle(Manager *manager, int r) {
        (void) sd_event_source_set_enabled(manager->bus_timer, SD_EVENT_OFF);
        manager->bus_served = r >= 0;
        if (r == -EEXIST && !manager->is_ready) {
                (void) log_error_errno(r, "Another headgated serves the %s bus", manager->options.bus);
                (void) sd_event_exit(manager->event, r);
                return;
        }
        if (r < 0 && !manager->bus_lost)
                (void) log_warning_errno(
                                r, "The %s bus cannot be served; tried again shortly", manager->options.bus);
        manager->bus_lost = r < 0;
        manager_say_ready(manager);
}

static int on_named(sd_bus_message *answer, void *userdata, sd_bus_error *error) {
        Manager *manager = userdata;
        uint32_t outcome = 0;
        int r = -sd_bus_message_get_errno(answer);

        if (r == 0)
                r = sd_bus_message_read(answer, "u", &outcome);
        if (r >= 0 && outcome != NAME_IS_OURS && outcome != NAME_IS_OURS_ALREADY)
                r = -EEXIST;
        settle(manager, r);
        return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        settle(userdata, -ETIMEDOUT);
        return 0;
}

/* Without a flush, which waits for as long as nobody reads. */
static void disconnect(Manager *manager) {
        api_leave(manager->api);
        manager->bus_served = false;
        manager->bus_naming = sd_bus_slot_unref(manager->bus_naming);
        manager->bus = sd_bus_close_unref(manager->bus);
}

static int connect_bus(Manager *manager) {
        int r = open_bus(manager->options.bus, &manager->bus);

        if (r >= 0)
                r = sd_bus_set_method_call_timeout(manager->bus, BUS_TIMEOUT_USEC);
        if (r >= 0)
                r = sd_bus_attach_event(manager->bus, manager->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = api_serve(manager->api, manager->bus);
        if (r >= 0)
                r = sd_bus_request_name_async(
                                manager->bus, &manager->bus_naming, API_BUS_NAME, 0, on_named, manager);
        if (r >= 0)
                r = sd_event_source_set_time_relative(manager->bus_timer, BUS_TIMEOUT_USEC);
        if (r >= 0)
                r = sd_event_source_set_enabled(manager->bus_timer, SD_EVENT_ONESHOT);
        return r;
}

static bool is_under_way(const Manager *manager) {
        return sd_event_source_get_enabled(manager->bus_timer, NULL) > 0;
}

void manager_follow_bus(Manager *manager) {
        int r;

        if (is_under_way(manager) || (manager->bus_served && sd_bus_is_open(manager->bus) > 0))
                return;
        disconnect(manager);
        r = connect_bus(manager);
        if (r < 0) {
                disconnect(manager);
                settle(manager, r);
        }
}

int manager_connect(Manager *manager) {
        int r = sd_event_add_time_relative(manager->event, &manager->bus_timer, CLOCK_MONOTONIC,
                        BUS_TIMEOUT_USEC, BUS_TIMEOUT_USEC / 100, on_deadline, manager);

        if (r >= 0)
                r = sd_event_source_set_enabled(manager->bus_timer, SD_EVENT_OFF);
        if (r >= 0)
                manager_follow_bus(manager);
        return r;
}

void manager_leave_bus(Manager *manager) {
        /* Who was answered last is to have it, where somebody reads. */
        if (manager->bus_served)
                (void) sd_bus_flush(manager->bus);
        if (manager->bus)
                disconnect(manager);
        sd_event_source_disable_unref(manager->bus_timer);
}
