/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * SQLite's own check of its pages, the schema, every row's sum, and the digest of all rows. It repairs
 * nothing.
 *
 * A later version must keep this application's id, the table `row`, and the digest's row with its version at
 * the front of its body: that is how it is known, by a sum. user_version alone is four bytes that may be
 * damaged, and damage must not keep the daemon from starting.
 */

#include "state-check.h"

#include "state-sql.h"

#include <string.h>

/* False: a column is of another type than was written; SQLite would find such a row by no key. */
static bool row_from_columns(sqlite3_stmt *columns, Row *ret) {
        static const int types[] = { SQLITE_TEXT, SQLITE_TEXT, SQLITE_INTEGER, SQLITE_TEXT, SQLITE_BLOB };

        for (int i = 0; i < (int) ELEMENTSOF(types); i++)
                if (sqlite3_column_type(columns, i) != types[i])
                        return false;
        if (sqlite3_column_bytes(columns, 4) != ROW_SUM_SIZE)
                return false;
        ret->kind = row_kind_from_string((const char *) sqlite3_column_text(columns, 0) ?: "");
        ret->id = (const char *) sqlite3_column_text(columns, 1);
        ret->change = (uint64_t) sqlite3_column_int64(columns, 2);
        ret->body = (const char *) sqlite3_column_text(columns, 3);
        if (ret->kind < 0 || !ret->id || !ret->body)
                return false;
        memcpy(ret->sum, sqlite3_column_blob(columns, 4), ROW_SUM_SIZE);
        return true;
}

/* By kind, then id, as they are looked for: one in the wrong place would not be found. */
static bool row_follows(const Row *row, RowKind kind_before, const char *id_before) {
        int order = strcmp(row_kind_to_string(kind_before), row_kind_to_string(row->kind));

        return order < 0 || (order == 0 && strcmp(id_before, row->id) < 0);
}

int check_rows(sqlite3 *db, Digest *ret) {
        _cleanup_sql_ sqlite3_stmt *rows = NULL;
        RowKind kind_before = ROW_ALLOCATION;
        char id_before[ROW_ID_SIZE] = "";
        Digest digest = {};
        int r, rc;

        r = state_sql_errno(sqlite3_prepare_v2(
                        db, "SELECT kind, id, change, body, sum FROM row", -1, &rows, NULL));
        if (r < 0)
                return r;
        while ((rc = sqlite3_step(rows)) == SQLITE_ROW) {
                Row row;

                if (!row_from_columns(rows, &row) || !row_is_whole(&row) ||
                                !row_follows(&row, kind_before, id_before) ||
                                strlen(row.id) >= sizeof id_before)
                        return -EBADMSG;
                kind_before = row.kind;
                strcpy(id_before, row.id);
                if (row.kind != ROW_DIGEST)
                        digest_add(&digest, row.kind, row.sum);
        }
        if (rc == SQLITE_DONE)
                *ret = digest;
        return state_sql_errno(rc);
}

static int read_digest(sqlite3 *db, Digest *ret) {
        _cleanup_sql_ sqlite3_stmt *columns = NULL;
        Row row;
        int r;

        r = state_sql_errno(sqlite3_prepare_v2(db,
                        "SELECT kind, id, change, body, sum FROM row WHERE kind = 'digest' AND id = ''", -1,
                        &columns, NULL));
        if (r >= 0)
                r = state_sql_errno(sqlite3_step(columns));
        if (r < 0)
                return r;
        return row_from_columns(columns, &row) ? digest_from_row(&row, ret) : -EBADMSG;
}

static int is_version_1(sqlite3 *db) {
        static const char tables[] = "SELECT group_concat(name) FROM sqlite_master WHERE type = 'table'";
        int r = state_sql_expect(db, tables, "allocation,tenant,released");

        return r < 0 ? r : CHECK_VERSION_1;
}

int check_database(sqlite3 *db, Digest *ret) {
        int r, application = 0, version = 0;
        Digest digest, found;

        r = state_sql_number(db, "PRAGMA user_version", &version);
        if (r >= 0)
                r = state_sql_number(db, "PRAGMA application_id", &application);
        if (r < 0)
                return r;
        if (version == 1 && application == 0)
                return is_version_1(db);
        if (application != STATE_APPLICATION_ID)
                return -EBADMSG;
        r = state_sql_expect(db, "PRAGMA quick_check(1)", "ok");
        if (r < 0)
                return r;
        r = read_digest(db, &digest);
        if (r >= 0 && version != STATE_VERSION)
                r = -EBADMSG;
        if (r >= 0)
                r = state_sql_expect(db, "SELECT group_concat(rootpage || ' ' || sql) FROM sqlite_master",
                                "2 " STATE_SCHEMA);
        if (r >= 0)
                r = check_rows(db, &found);
        if (r >= 0 && !digest_covers_same(&digest, &found))
                r = -EBADMSG;
        if (r >= 0)
                *ret = digest;
        return r;
}
