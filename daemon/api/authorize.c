/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table of access, and who a user is by the user database. It never looks at a process: a pid can be
 * someone else's by now. */

#include "authorize.h"

#include "util/strv.h"

#include <string.h>

#define MANAGER "org.headgate.Node1.Manager"

static const struct {
        const char *interface;
        const char *member;
        AccessLevel level;
} access_table[] = {
        { "org.freedesktop.DBus.Peer", "Ping", ACCESS_ANYONE },
        { "org.freedesktop.DBus.Peer", "GetMachineId", ACCESS_READER },
        { "org.freedesktop.DBus.Introspectable", "Introspect", ACCESS_READER },
        { "org.freedesktop.DBus.Properties", "Get", ACCESS_READER },
        { "org.freedesktop.DBus.Properties", "GetAll", ACCESS_READER },
        { "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", ACCESS_READER },
        { MANAGER, "Apply", ACCESS_SCHEDULER },
        { MANAGER, "Sync", ACCESS_SCHEDULER },
        { MANAGER, "Check", ACCESS_SCHEDULER },
        { MANAGER, "Renew", ACCESS_SCHEDULER },
        { MANAGER, "GetCalendar", ACCESS_READER },
        { MANAGER, "Culprits", ACCESS_READER },
        { MANAGER, "Drift", ACCESS_READER },
        { MANAGER, "Drain", ACCESS_SCHEDULER },
        { MANAGER, "Resume", ACCESS_SCHEDULER },
        { MANAGER, "SetCapacity", ACCESS_ROOT },
        { MANAGER, "AcceptClock", ACCESS_ROOT },
        { MANAGER, "ReleaseAll", ACCESS_ROOT },
        { MANAGER, "Release", ACCESS_SCHEDULER },
        { MANAGER, "Attach", ACCESS_ANYONE },
        { MANAGER, "AttachUnit", ACCESS_ROOT },
        { MANAGER, "SetMode", ACCESS_SCHEDULER },
        { MANAGER, "Diff", ACCESS_READER },
        { MANAGER, "Explain", ACCESS_ANYONE },
        { MANAGER, "Adopt", ACCESS_SCHEDULER },
        { MANAGER, "Abandon", ACCESS_SCHEDULER },
        { MANAGER, "Snapshot", ACCESS_ANYONE },
};

AccessLevel authorize_level(const char *interface, const char *member) {
        for (size_t i = 0; i < ELEMENTSOF(access_table); i++)
                if (interface && strcmp(access_table[i].interface, interface) == 0 &&
                                strcmp(access_table[i].member, member) == 0)
                        return access_table[i].level;
        return ACCESS_NOBODY;
}

bool authorize_user(UserDatabase *users, uid_t uid, AccessLevel level, char *const *schedulers) {
        User user;

        if (level == ACCESS_NOBODY)
                return false;
        /* Who runs the daemon is its root: uid 0, but for a daemon under test. */
        if (uid == 0 || uid == geteuid() || level == ACCESS_ANYONE)
                return true;
        if (level == ACCESS_ROOT || user_database_find(users, uid, &user) < 0)
                return false;
        return strv_contains(schedulers, user.name) || (level == ACCESS_READER && user.is_member);
}

int authorize_caller(sd_bus_message *message, uid_t *ret_uid) {
        sd_bus_creds *creds = NULL;
        int r;

        r = sd_bus_query_sender_creds(message, SD_BUS_CREDS_EUID, &creds);
        if (r >= 0)
                r = sd_bus_creds_get_euid(creds, ret_uid);
        sd_bus_creds_unref(creds);
        return r < 0 ? r : 0;
}
