/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether a file of the durable state is, in every part of it, as it was written. */

#include "state-digest.h"

#include <sqlite3.h>

#define STATE_APPLICATION_ID 0x48476174 /* "HGat" */
#define STATE_SCHEMA                                                                                      \
        "CREATE TABLE row(kind TEXT, id TEXT, change INTEGER NOT NULL, body TEXT NOT NULL, sum BLOB NOT " \
        "NULL,"                                                                                           \
        " PRIMARY KEY(kind, id)) WITHOUT ROWID"

#define CHECK_VERSION_1 1

/*
 * 0: it is, and covers what `ret` says; CHECK_VERSION_1: a file of that version, which has no sums to check;
 * -EPROTONOSUPPORT: one of a later version. Every other error but -ENOMEM and -EBUSY: it is damaged.
 */
int check_database(sqlite3 *db, Digest *ret);
/* The rows alone: the digest of all but its own, with no change's number. -EBADMSG: one is not whole. */
int check_rows(sqlite3 *db, Digest *ret);
