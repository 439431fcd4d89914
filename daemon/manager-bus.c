/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The connection to the bus, which may be away at any time, or there and silent: windows are kept all the
 * same. So nothing here waits for an answer: connecting, authentication and the name go on in the loop,
 * within BUS_TIMEOUT_USEC in all. What did not come about, or was cut off, is tried again: at once where it
 * was served for a while, else later and later, so that a bus that cuts us off each time is not kept busy.
 */

#include "manager-internal.h"

#include "util/log.h"

#include <string.h>

#define BUS_TIMEOUT_USEC (5ULL * 1000000)
#define BUS_RETRY_USEC 50000ULL
#define BUS_RETRY_MAX_USEC 1000000ULL
#define BUS_CALM_USEC (10ULL * 1000000) /* served for so long, it is begun anew with at once */

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

static uint64_t monotonic_usec(const Manager *manager) {
        uint64_t usec = 0;

        (void) sd_event_now(manager->event, CLOCK_MONOTONIC, &usec);
        return usec;
}

/* Where it is not about to be done already. */
static void try_later(Manager *manager) {
        uint64_t *pause = &manager->bus_pause_usec;

        if (sd_event_source_get_enabled(manager->bus_retry, NULL) > 0)
                return;
        if (manager->bus_served && monotonic_usec(manager) >= manager->bus_since_usec + BUS_CALM_USEC)
                *pause = 0;
        (void) sd_event_source_set_time_relative(manager->bus_retry, *pause);
        (void) sd_event_source_set_enabled(manager->bus_retry, SD_EVENT_ONESHOT);
        *pause = *pause == 0                    ? BUS_RETRY_USEC
                 : *pause >= BUS_RETRY_MAX_USEC ? BUS_RETRY_MAX_USEC
                                                : 2 * *pause;
}

/* Once for each attempt, whatever came of it. */
static void settle(Manager *manager, int r) {
        (void) sd_event_source_set_enabled(manager->bus_timer, SD_EVENT_OFF);
        manager->bus_served = r >= 0;
        manager->bus_since_usec = monotonic_usec(manager);
        if (r == -EEXIST && !manager->is_ready) {
                (void) log_error_errno(r, "Another headgated serves the %s bus", manager->options.bus);
                (void) sd_event_exit(manager->event, r);
                return;
        }
        if (r < 0 && !manager->bus_lost)
                (void) log_warning_errno(
                                r, "The %s bus cannot be served; tried again shortly", manager->options.bus);
        manager->bus_lost = r < 0;
        if (r < 0)
                try_later(manager);
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

/* What was asked for, the name among it, has failed by now. The connection is not let go within a call of its
 * own. */
static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Manager *manager = userdata;

        if (manager->bus_served)
                log_warning("The %s bus cut off the connection; it is tried again", manager->options.bus);
        try_later(manager);
        return 0;
}

static int connect_bus(Manager *manager) {
        int r = open_bus(manager->options.bus, &manager->bus);

        if (r >= 0)
                r = sd_bus_set_method_call_timeout(manager->bus, BUS_TIMEOUT_USEC);
        if (r >= 0)
                r = sd_bus_match_signal(manager->bus, NULL, NULL, NULL, "org.freedesktop.DBus.Local",
                                "Disconnected", on_disconnected, manager);
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

static void follow_bus(Manager *manager) {
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

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        follow_bus(userdata);
        return 0;
}

int manager_connect(Manager *manager) {
        int r = sd_event_add_time_relative(manager->event, &manager->bus_timer, CLOCK_MONOTONIC,
                        BUS_TIMEOUT_USEC, BUS_TIMEOUT_USEC / 100, on_deadline, manager);

        if (r >= 0)
                r = sd_event_source_set_enabled(manager->bus_timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time_relative(manager->event, &manager->bus_retry, CLOCK_MONOTONIC,
                                BUS_RETRY_USEC, BUS_RETRY_USEC / 100, on_retry, manager);
        if (r >= 0)
                r = sd_event_source_set_enabled(manager->bus_retry, SD_EVENT_OFF);
        if (r >= 0)
                follow_bus(manager);
        return r;
}

void manager_leave_bus(Manager *manager) {
        /* Who was answered last is to have it, where somebody reads. */
        if (manager->bus_served)
                (void) sd_bus_flush(manager->bus);
        if (manager->bus)
                disconnect(manager);
        sd_event_source_disable_unref(manager->bus_timer);
        sd_event_source_disable_unref(manager->bus_retry);
}
