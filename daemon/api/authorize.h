/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Who may call what: one table of every member, default deny. A caller is its bus name's, or its socket's,
 * user id and never a pid. What depends on a tenant or an allocation (its owner, its users) is checked where
 * that is known.
 */

#include "util/cleanup.h"
#include "util/user-database.h"

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

typedef enum AccessLevel {
        ACCESS_NOBODY,    /* not in the table */
        ACCESS_ANYONE,    /* the handler decides, by tenant */
        ACCESS_READER,    /* root, schedulers, members of the readers' group */
        ACCESS_SCHEDULER, /* root and schedulers */
        ACCESS_ROOT,
} AccessLevel;

/* What the member needs. `interface` may be NULL, as on the bus. */
AccessLevel authorize_level(const char *interface, const char *member);

/* Whether the user has the level. Who schedules is known by name; who is no root, and is not known to the
 * database in time, has none. `users` may be NULL for ACCESS_ROOT. */
bool authorize_user(UserDatabase *users, uid_t uid, AccessLevel level, char *const *schedulers);

/* The effective uid behind a message: by its sender's name, else by its socket. */
int authorize_caller(sd_bus_message *message, uid_t *ret_uid);
