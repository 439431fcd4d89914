/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Who a user id is, by the system's user database: its name, and whether it is a member of the readers'
 * group. Behind the database may be a directory server that does not answer for a minute, and the loop has no
 * minute: so a thread asks, and is waited for no longer than half a second, once a question. What it was told
 * is kept for a minute, or until users or groups of this machine change; then it is asked anew, and what was
 * told last counts until there is an answer. It decides nothing.
 */

#include "cleanup.h"

#include <stdbool.h>
#include <sys/types.h>

typedef struct UserDatabase UserDatabase;

/* `readers_group` must live as long; NULL: nobody is a member. */
int user_database_new(const char *readers_group, UserDatabase **ret);
/* A question that is not answered yet is left to its thread. */
UserDatabase *user_database_free(UserDatabase *database);
DEFINE_CLEANUP(UserDatabase *, user_database_free);

typedef struct User {
        const char *name; /* the database's, until it is next asked */
        bool is_member;
} User;

/* 0; -ENOENT: there is no such user; -EAGAIN: the answer is not in yet, ask again; or what the database
 * failed with. */
int user_database_find(UserDatabase *database, uid_t uid, User *ret);
