/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A group of the control class that comes is of it at once. */

#include "manager-internal.h"

#include "util/log.h"

static int on_arrival(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Manager *manager = userdata;
        int r = arrival_watch_read(manager->control_watch);

        if (r < 0)
                return log_error_errno(r, "Groups of the control class are watched no more");
        if (r > 0)
                reconciler_meter_control_groups(manager->reconciler);
        return 0;
}

int manager_watch_control(Manager *manager) {
        int r;

        if (manager->options.dry_run || !manager->options.config->control_groups)
                return 0;
        r = reconciler_watch_control(manager->reconciler, &manager->control_watch);
        if (r < 0) {
                (void) log_warning_errno(r, "Groups of the control class can't be watched: those that come "
                                            "are found later");
                return 0;
        }
        r = sd_event_add_io(manager->event, &manager->control_source,
                        arrival_watch_fd(manager->control_watch), EPOLLIN, on_arrival, manager);
        if (r >= 0) /* those that came before it was watched */
                reconciler_meter_control_groups(manager->reconciler);
        return r;
}
