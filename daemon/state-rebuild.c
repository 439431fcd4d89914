/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Writes a file's rows anew. Of a damaged one those that state-salvage.c finds, of each the newest, and what
 * the digest says is missing then; of version 1, which had no sums, whatever can be read. It changes nothing
 * that was there.
 */

#include "state-rebuild.h"

#include "model/identifier.h"
#include "state-check.h"
#include "state-row.h"
#include "state-salvage.h"
#include "state-sql.h"

#include "util/strv.h"

#include <inttypes.h>
#include <string.h>

#define NAMED_MAX 100 /* of the damaged rows; how many there are the digest says */
#define AT_REST_THROTTLED 1
#define AT_REST_FROZEN 2
#define AT_REST_DOOMED 4

typedef struct Rebuild {
        sqlite3 *db;
        sqlite3_stmt *put;
        Digest expected; /* the newest digest of what there was */
        bool expects;
        char **damaged; /* "allocation a-1": rows whose sum is wrong, as far as they can be read */
} Rebuild;

static void rebuild_deinit(Rebuild *rebuild) {
        sqlite3_finalize(rebuild->put);
        strv_free(rebuild->damaged);
}

static int put_row(Rebuild *rebuild, const Row *row) {
        int rc;

        sqlite3_bind_text(rebuild->put, 1, row_kind_to_string(row->kind), -1, SQLITE_STATIC);
        sqlite3_bind_text(rebuild->put, 2, row->id, -1, SQLITE_STATIC);
        sqlite3_bind_int64(rebuild->put, 3, (sqlite3_int64) row->change);
        sqlite3_bind_text(rebuild->put, 4, row->body, -1, SQLITE_STATIC);
        sqlite3_bind_blob(rebuild->put, 5, row->sum, ROW_SUM_SIZE, SQLITE_STATIC);
        rc = sqlite3_step(rebuild->put);
        sqlite3_reset(rebuild->put);
        return state_sql_errno(rc);
}

/* --- from a damaged file --- */

/* So that what is told of a damaged row can be printed. */
static bool is_plain(const char *id) {
        return *id && strlen(id) < ROW_ID_SIZE &&
               strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(id);
}

static int note_damaged(Rebuild *rebuild, const Row *row) {
        char name[ROW_ID_SIZE + 16];

        if (row->kind == ROW_DIGEST || !is_plain(row->id) || strv_length(rebuild->damaged) >= NAMED_MAX)
                return 0;
        snprintf(name, sizeof name, "%s %s", row_kind_to_string(row->kind), row->id);
        return strv_contains(rebuild->damaged, name) ? 0 : strv_push(&rebuild->damaged, name);
}

static int on_salvaged(void *userdata, const Row *row, bool whole) {
        Rebuild *rebuild = userdata;
        Digest digest;
        int r;

        if (!whole)
                return note_damaged(rebuild, row);
        if (row->kind != ROW_DIGEST)
                return put_row(rebuild, row);
        r = digest_from_row(row, &digest);
        if (r == -EPROTONOSUPPORT)
                return r;
        if (r >= 0 && (!rebuild->expects || digest.change > rebuild->expected.change)) {
                rebuild->expected = digest;
                rebuild->expects = true;
        }
        return 0;
}

/* Those that were not found whole in another place. */
static int tell_damaged(const Rebuild *rebuild, char ***lost) {
        _cleanup_sql_ sqlite3_stmt *find = NULL;
        int r = state_sql_errno(sqlite3_prepare_v2(
                        rebuild->db, "SELECT 1 FROM row WHERE kind = ? AND id = ?", -1, &find, NULL));

        for (char **name = rebuild->damaged; r >= 0 && name && *name; name++) {
                const char *id = strchr(*name, ' ') + 1;
                int rc;

                sqlite3_bind_text(find, 1, *name, (int) (id - *name - 1), SQLITE_STATIC);
                sqlite3_bind_text(find, 2, id, -1, SQLITE_STATIC);
                rc = sqlite3_step(find);
                sqlite3_reset(find);
                r = rc == SQLITE_DONE ? strv_pushf(lost, "%s: its row is damaged", *name)
                                      : state_sql_errno(rc);
        }
        return r;
}

static int tell_cut_off(uint64_t n, char ***lost) {
        return n == 1 ? strv_push(lost, "its last change is damaged or cut off")
                      : strv_pushf(lost, "its last %" PRIu64 " changes are damaged or cut off", n);
}

static int salvage(Rebuild *rebuild, const RebuildSource *source, char ***lost) {
        int r = salvage_rows(source->damaged, on_salvaged, rebuild);

        if (r < 0)
                return r;
        if (source->mark && (!rebuild->expects || source->mark->change > rebuild->expected.change)) {
                if (rebuild->expects)
                        r = tell_cut_off(source->mark->change - rebuild->expected.change, lost);
                rebuild->expected = *source->mark;
                rebuild->expects = true;
        }
        return r < 0 ? r : tell_damaged(rebuild, lost);
}

/* --- from version 1 --- */

static int put_text(Rebuild *rebuild, RowKind kind, const char *id, const char *body) {
        Row row = { .kind = kind, .id = id, .change = 1, .body = body };

        if (!body)
                return -ENOMEM;
        row_sum(&row, row.sum);
        return put_row(rebuild, &row);
}

static const char *column_text(sqlite3_stmt *row, int column) {
        return (const char *) sqlite3_column_text(row, column) ?: "";
}

static int put_allocation_1(Rebuild *rebuild, sqlite3_stmt *row) {
        _cleanup_allocation_ Allocation *allocation = NULL;
        _cleanup_free_ char *body = NULL;
        int r = state_row_parse_allocation(column_text(row, 1), &allocation);

        if (r < 0)
                return r;
        if (strcmp(allocation->id, column_text(row, 0)) != 0)
                return -EBADMSG;
        body = state_row_print_allocation(allocation);
        return put_text(rebuild, ROW_ALLOCATION, allocation->id, body);
}

static int put_tenant_1(Rebuild *rebuild, sqlite3_stmt *row) {
        const int at_rest = sqlite3_column_int(row, 3);
        const Tenant tenant = {
                .slot = (uint32_t) sqlite3_column_int64(row, 1),
                .residual_memory_bytes = (uint64_t) sqlite3_column_int64(row, 2),
                .throttled = at_rest & AT_REST_THROTTLED,
                .frozen = at_rest & AT_REST_FROZEN,
                .doomed = at_rest & AT_REST_DOOMED,
        };
        _cleanup_free_ char *body = state_row_print_tenant(&tenant);

        return put_text(rebuild, ROW_TENANT, column_text(row, 0), body);
}

static int put_released_1(Rebuild *rebuild, sqlite3_stmt *row) {
        const Released released = {
                .generation = strtoull(column_text(row, 1), NULL, 10),
                .at_usec = (uint64_t) sqlite3_column_int64(row, 2),
        };
        _cleanup_free_ char *body = state_row_print_released(&released);

        return put_text(rebuild, ROW_RELEASED, column_text(row, 0), body);
}

/* A table of version 1, row by row; what cannot be read is told, and left out. */
static int upgrade_table(Rebuild *rebuild, sqlite3 *old, const char *table, const char *columns,
                int (*put)(Rebuild *rebuild, sqlite3_stmt *row), char ***lost) {
        _cleanup_sql_ sqlite3_stmt *rows = NULL;
        char sql[96];
        int r, rc;

        snprintf(sql, sizeof sql, "SELECT %s FROM %s", columns, table);
        rc = sqlite3_prepare_v2(old, sql, -1, &rows, NULL);
        while (rc == SQLITE_OK || rc == SQLITE_ROW) {
                rc = sqlite3_step(rows);
                if (rc != SQLITE_ROW)
                        break;
                r = identifier_valid(column_text(rows, 0)) ? put(rebuild, rows) : -EBADMSG;
                if (r == -EBADMSG)
                        r = strv_pushf(lost, "%s %s: its row cannot be read", table,
                                        is_plain(column_text(rows, 0)) ? column_text(rows, 0) : "?");
                if (r < 0)
                        return r;
        }
        if (rc == SQLITE_NOMEM)
                return -ENOMEM;
        return rc == SQLITE_DONE ? 0 : strv_pushf(lost, "its further rows of the table %s", table);
}

static int upgrade(Rebuild *rebuild, sqlite3 *old, char ***lost) {
        int r = upgrade_table(rebuild, old, "allocation", "id, body", put_allocation_1, lost);

        if (r >= 0)
                r = upgrade_table(rebuild, old, "tenant", "id, slot, residual_memory, at_rest", put_tenant_1,
                                lost);
        return r < 0 ? r
                     : upgrade_table(rebuild, old, "released", "id, generation, at", put_released_1, lost);
}

/* --- either --- */

static int last_change(sqlite3 *db, uint64_t *ret) {
        _cleanup_sql_ sqlite3_stmt *row = NULL;
        int r = state_sql_errno(sqlite3_prepare_v2(db, "SELECT max(change) FROM row", -1, &row, NULL));

        if (r < 0)
                return r;
        r = state_sql_errno(sqlite3_step(row));
        *ret = (uint64_t) sqlite3_column_int64(row, 0);
        return r;
}

/* Numbered past all that there was, so that no mark and no row of before is taken for newer. */
static int put_digest(Rebuild *rebuild, Digest *digest) {
        char text[DIGEST_TEXT_SIZE];
        uint64_t change;
        Row row;
        int r = last_change(rebuild->db, &change);

        if (r < 0)
                return r;
        if (rebuild->expects && rebuild->expected.change > change)
                change = rebuild->expected.change;
        digest->change = change + 1;
        digest_to_row(digest, text, &row);
        return put_row(rebuild, &row);
}

int rebuild_rows(sqlite3 *db, const RebuildSource *source, Digest *ret, char ***lost) {
        static const char put[] = "INSERT INTO row VALUES(?, ?, ?, ?, ?) ON CONFLICT(kind, id) DO UPDATE SET "
                                  "change = excluded.change, body = excluded.body, sum = excluded.sum "
                                  "WHERE excluded.change > change";
        _cleanup_(rebuild_deinit) Rebuild rebuild = { .db = db };
        Digest digest = {};
        int r = state_sql_run(db, STATE_SCHEMA);

        if (r >= 0)
                r = state_sql_errno(sqlite3_prepare_v2(db, put, -1, &rebuild.put, NULL));
        if (r >= 0 && source->damaged)
                r = salvage(&rebuild, source, lost);
        if (r >= 0 && source->version_1)
                r = upgrade(&rebuild, source->version_1, lost);
        if (r >= 0)
                r = check_rows(db, &digest);
        if (r >= 0 && rebuild.expects)
                r = digest_explain(&rebuild.expected, &digest, lost);
        if (r >= 0)
                r = put_digest(&rebuild, &digest);
        if (r < 0)
                return r;
        *ret = digest;
        return source->damaged && !rebuild.expects ? REBUILD_UNCOUNTED : 0;
}
