/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Services that are tied to tenants start after us at a boot: what holds a tenant is gone then, and what a
 * service opens before its guard is there, it keeps open. It orders no service that we wait for ourselves.
 */

#include "enforce/cgroup-dropin.h"
#include "enforce/cgroup-systemd.h"
#include "util/strv.h"

#include <string.h>

#define US "headgated.service"
#define BUS_SOCKET "dbus.socket" /* of the unit's After=: whoever is behind it we say READY to */
#define SERVICE_SUFFIX ".service"

static int get_units(Pid1 *pid1, const char *unit, const char *property, char ***ret) {
        return pid1_get_list(pid1, unit, PID1_SERVICE ".Unit", property, ret);
}

/* By whatever way. To be behind us as well would be a cycle, of which PID 1 leaves out a job. */
static int starts_before_us(Pid1 *pid1, const char *unit) {
        _cleanup_strv_ char **found = NULL;
        int r = strv_push(&found, unit);

        for (size_t i = 0; r >= 0 && found[i]; i++) {
                _cleanup_strv_ char **before = NULL;

                if (strcmp(found[i], US) == 0)
                        return 1;
                r = get_units(pid1, found[i], "Before", &before);
                if (strv_contains(before, US))
                        return 1;
                for (char **next = before; r >= 0 && next && *next; next++)
                        if (!strv_contains(found, *next))
                                r = strv_push(&found, *next);
        }
        return r < 0 ? r : 0;
}

int systemd_may_order(Pid1 *pid1, const char *unit) {
        _cleanup_strv_ char **sockets = NULL;
        size_t length = strlen(unit), suffix = strlen(SERVICE_SUFFIX);
        int r;

        if (length <= suffix || strcmp(unit + length - suffix, SERVICE_SUFFIX) != 0)
                return 0;
        r = get_units(pid1, unit, "TriggeredBy", &sockets);
        if (r < 0 || strv_contains(sockets, BUS_SOCKET))
                return r;
        r = starts_before_us(pid1, unit);
        return r < 0 ? r : r == 0;
}

/* They count from the next boot, at which they are read anyway: PID 1 need not reload for them. */
int systemd_order_units(CgroupDriver *driver) {
        _cleanup_strv_ char **units = NULL;
        Pid1 *pid1;
        int r;

        r = dropin_list_unordered(&units);
        if (r < 0 || !units)
                return r;
        r = systemd_connect(driver, &pid1);
        for (char **unit = units; r >= 0 && *unit; unit++) {
                r = systemd_may_order(pid1, *unit);
                if (r > 0)
                        r = dropin_order(*unit);
        }
        return r;
}
