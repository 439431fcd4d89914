/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* SQLite as the durable state uses it: its settings, its codes as errnos, questions with one answer. */

#include "util/cleanup.h"

#include <sqlite3.h>

/* SQLite's code, extended or not, as a negative errno; -EBADMSG: what was read is damaged. */
int state_sql_errno(int rc);

/* With every check that SQLite makes as it reads. `flags`: SQLITE_OPEN_*. */
int state_sql_open(const char *path, int flags, sqlite3 **ret);
int state_sql_run(sqlite3 *db, const char *sql);
/* -EBADMSG where the answer, the first column of the first row, is another. */
int state_sql_expect(sqlite3 *db, const char *sql, const char *expected);
int state_sql_number(sqlite3 *db, const char *sql, int *ret);

void state_sql_finalize(sqlite3_stmt **statement);
#define _cleanup_sql_ _cleanup_(state_sql_finalize)
