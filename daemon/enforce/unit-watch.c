/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "enforce/unit-watch.h"

#include <systemd/sd-bus.h>

#define SERVICE "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER SERVICE ".Manager"

struct UnitWatch {
        sd_event *event;
        sd_bus *bus; /* NULL while there is none */
        bool reloading;
        UnitWatchTell tell;
        void *userdata;
};

int unit_watch_new(sd_event *event, UnitWatchTell tell, void *userdata, UnitWatch **ret) {
        UnitWatch *watch = calloc(1, sizeof(*watch));

        if (!watch)
                return -ENOMEM;
        *watch = (UnitWatch){ .event = event, .tell = tell, .userdata = userdata };
        *ret = watch;
        return 0;
}

UnitWatch *unit_watch_free(UnitWatch *watch) {
        if (!watch)
                return NULL;
        sd_bus_close_unref(watch->bus);
        free(watch);
        return NULL;
}

bool unit_watch_reloading(const UnitWatch *watch) {
        return watch->reloading;
}

static int on_reloading(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        UnitWatch *watch = userdata;
        int begins;

        if (sd_bus_message_read(m, "b", &begins) < 0)
                return 0;
        watch->reloading = begins;
        if (!begins)
                watch->tell(watch->userdata);
        return 0;
}

/* PID 1 signals only while somebody is subscribed; it may say that we are already. */
static int subscribe(sd_bus *bus) {
        return sd_bus_call_method_async(
                        bus, NULL, SERVICE, MANAGER_PATH, MANAGER, "Subscribe", NULL, NULL, "");
}

/* Executed anew, it is on the bus anew. */
static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *old_owner, *new_owner;
        UnitWatch *watch = userdata;

        if (sd_bus_message_read(m, "sss", &name, &old_owner, &new_owner) < 0 || !*new_owner)
                return 0;
        watch->reloading = false;
        (void) subscribe(watch->bus);
        watch->tell(watch->userdata);
        return 0;
}

static int add_matches(UnitWatch *watch, sd_bus *bus) {
        int r;

        r = sd_bus_match_signal_async(
                        bus, NULL, SERVICE, MANAGER_PATH, MANAGER, "Reloading", on_reloading, NULL, watch);
        if (r >= 0)
                r = sd_bus_add_match_async(bus, NULL,
                                "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
                                "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
                                "arg0='" SERVICE "'",
                                on_owner, NULL, watch);
        return r;
}

int unit_watch_keep(UnitWatch *watch) {
        sd_bus *bus = NULL;
        int r;

        if (watch->bus && sd_bus_is_open(watch->bus) > 0)
                return 0;
        watch->bus = sd_bus_close_unref(watch->bus);
        watch->reloading = false;
        r = sd_bus_open_system(&bus);
        if (r < 0)
                return r;
        r = add_matches(watch, bus);
        if (r >= 0)
                r = subscribe(bus);
        if (r >= 0)
                r = sd_bus_attach_event(bus, watch->event, 0);
        if (r < 0) {
                sd_bus_close_unref(bus);
                return r;
        }
        watch->bus = bus;
        watch->tell(watch->userdata);
        return 0;
}
