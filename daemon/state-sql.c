/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The few lines of SQLite that need no knowledge of what is stored. */

#include "state-sql.h"

#include <string.h>

#define BUSY_MSEC 5000
/* Within a transaction; between two nothing is kept (state.c). */
#define CACHE_PAGES "500"

int state_sql_errno(int rc) {
        switch (rc) {
        case SQLITE_IOERR_READ: /* a sector that cannot be read is as one that is damaged */
        case SQLITE_IOERR_SHORT_READ:
        case SQLITE_IOERR_DATA:
        case SQLITE_IOERR_CORRUPTFS:
                return -EBADMSG;
        }
        switch (rc & 0xff) {
        case SQLITE_OK:
        case SQLITE_ROW:
        case SQLITE_DONE:
                return 0;
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return -EBADMSG;
        case SQLITE_READONLY:
        case SQLITE_PERM:
        case SQLITE_CANTOPEN:
                return -EACCES;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return -EBUSY;
        default:
                return -EIO;
        }
}

void state_sql_finalize(sqlite3_stmt **statement) {
        sqlite3_finalize(*statement);
}

int state_sql_run(sqlite3 *db, const char *sql) {
        return state_sql_errno(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

/* As text; "" where there is none. */
static int ask(sqlite3 *db, const char *sql, char *ret, size_t size) {
        _cleanup_sql_ sqlite3_stmt *row = NULL;
        int r = state_sql_errno(sqlite3_prepare_v2(db, sql, -1, &row, NULL));

        if (r < 0)
                return r;
        r = state_sql_errno(sqlite3_step(row));
        snprintf(ret, size, "%s", (const char *) sqlite3_column_text(row, 0) ?: "");
        return r;
}

int state_sql_number(sqlite3 *db, const char *sql, int *ret) {
        char text[24];
        int r = ask(db, sql, text, sizeof text);

        *ret = r < 0 ? 0 : atoi(text);
        return r;
}

int state_sql_expect(sqlite3 *db, const char *sql, const char *expected) {
        char text[512];
        int r = ask(db, sql, text, sizeof text);

        return r < 0 ? r : strcmp(text, expected) == 0 ? 0 : -EBADMSG;
}

int state_sql_open(const char *path, int flags, sqlite3 **ret) {
        sqlite3 *db = NULL;
        int r = state_sql_errno(sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL));

        if (r >= 0) {
                (void) sqlite3_extended_result_codes(db, 1);
                (void) sqlite3_busy_timeout(db, BUSY_MSEC);
                (void) sqlite3_db_config(db, SQLITE_DBCONFIG_LOOKASIDE, NULL, 0, 0);
                (void) sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
                (void) sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
                r = state_sql_run(db, "PRAGMA mmap_size=0; PRAGMA cell_size_check=ON; PRAGMA "
                                      "cache_size=" CACHE_PAGES);
        }
        if (r < 0) {
                sqlite3_close(db);
                return r;
        }
        *ret = db;
        return 0;
}
