/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Rows into the file and out of it, each change one transaction: the rows, the digest of all of them, one
 * sync. SQLite in WAL mode with synchronous=FULL: an append-only, checksummed log with checkpoints, kept by a
 * library. What a row says is state-row.c's, whether the file is whole state-file.c's. It knows no schedule
 * and enforces nothing.
 */

#include "state.h"

#include "model/identifier.h"
#include "state-file.h"
#include "state-row.h"
#include "state-sql.h"

#include "util/strv.h"

#include <string.h>

#define RELEASED_KEPT_USEC (7ULL * 24 * 3600 * 1000000)

typedef enum Statement {
        STATEMENT_BEGIN,
        STATEMENT_COMMIT,
        STATEMENT_ROLLBACK,
        STATEMENT_FIND,
        STATEMENT_PUT,
        STATEMENT_DELETE,
        STATEMENT_LIST,
        STATEMENT_NEXT,
        STATEMENT_MAX
} Statement;

static const char *const statement_sql[STATEMENT_MAX] = {
        [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
        [STATEMENT_COMMIT] = "COMMIT",
        [STATEMENT_ROLLBACK] = "ROLLBACK",
        [STATEMENT_FIND] = "SELECT sum, body FROM row WHERE kind = ? AND id = ?",
        [STATEMENT_PUT] = "INSERT OR REPLACE INTO row VALUES(?, ?, ?, ?, ?)",
        [STATEMENT_DELETE] = "DELETE FROM row WHERE kind = ? AND id = ?",
        [STATEMENT_LIST] = "SELECT id, body FROM row WHERE kind = ?",
        [STATEMENT_NEXT] = "SELECT id, body FROM row WHERE kind = ? AND id > ? ORDER BY id LIMIT 1",
};

struct State {
        StateFile file;                          /* its digest: of what is committed */
        sqlite3_stmt *statements[STATEMENT_MAX]; /* each prepared when it is first used */
        Digest digest;                           /* with what the transaction has changed */
        bool begun;
        bool changed; /* the transaction has a row to commit */
        int failed;   /* a change in it was refused: so is the whole of it */
        char *swept;  /* the released id that was last looked at for its age; NULL: the first is next */
};

/* --- statements --- */

/* Owned by the state. The caller binds, steps, and resets it by release_statement(). */
static int take_statement(State *state, Statement which, sqlite3_stmt **ret) {
        int rc = SQLITE_OK;

        if (!state->statements[which])
                rc = sqlite3_prepare_v3(state->file.db, statement_sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                                &state->statements[which], NULL);
        *ret = state->statements[which];
        return state_sql_errno(rc);
}

static void release_statement(sqlite3_stmt **statement) {
        if (!*statement)
                return;
        (void) sqlite3_reset(*statement);
        (void) sqlite3_clear_bindings(*statement);
}
#define _cleanup_statement_ _cleanup_(release_statement)

static int run(State *state, Statement which) {
        _cleanup_statement_ sqlite3_stmt *statement = NULL;
        int r = take_statement(state, which, &statement);

        return r < 0 ? r : state_sql_errno(sqlite3_step(statement));
}

static void bind_key(sqlite3_stmt *statement, RowKind kind, const char *id) {
        (void) sqlite3_bind_text(statement, 1, row_kind_to_string(kind), -1, SQLITE_STATIC);
        if (id)
                (void) sqlite3_bind_text(statement, 2, id, -1, SQLITE_STATIC);
}

static const char *text_at(sqlite3_stmt *row, int column) {
        return (const char *) sqlite3_column_text(row, column) ?: "";
}

/* A copy of the row's body; NULL where there is none. */
static int find_body(State *state, RowKind kind, const char *id, char **ret) {
        _cleanup_statement_ sqlite3_stmt *row = NULL;
        char *body = NULL;
        int r, rc;

        r = take_statement(state, STATEMENT_FIND, &row);
        if (r < 0)
                return r;
        bind_key(row, kind, id);
        rc = sqlite3_step(row);
        if (rc == SQLITE_ROW) {
                body = strdup(text_at(row, 1));
                if (!body)
                        return -ENOMEM;
        }
        *ret = body;
        return state_sql_errno(rc);
}

/* --- changes --- */

static int write_row(State *state, const Row *row) {
        _cleanup_statement_ sqlite3_stmt *put = NULL;
        int r = take_statement(state, STATEMENT_PUT, &put);

        if (r < 0)
                return r;
        bind_key(put, row->kind, row->id);
        (void) sqlite3_bind_int64(put, 3, (sqlite3_int64) row->change);
        (void) sqlite3_bind_text(put, 4, row->body, -1, SQLITE_STATIC);
        (void) sqlite3_bind_blob(put, 5, row->sum, ROW_SUM_SIZE, SQLITE_STATIC);
        return state_sql_errno(sqlite3_step(put));
}

static int delete_row(State *state, RowKind kind, const char *id) {
        _cleanup_statement_ sqlite3_stmt *delete = NULL;
        int r = take_statement(state, STATEMENT_DELETE, &delete);

        if (r < 0)
                return r;
        bind_key(delete, kind, id);
        return state_sql_errno(sqlite3_step(delete));
}

/* Whether there is such a row; if so it leaves the digest. */
static int leave_digest(State *state, RowKind kind, const char *id, bool *ret_found) {
        _cleanup_statement_ sqlite3_stmt *row = NULL;
        int r, rc;

        r = take_statement(state, STATEMENT_FIND, &row);
        if (r < 0)
                return r;
        bind_key(row, kind, id);
        rc = sqlite3_step(row);
        *ret_found = rc == SQLITE_ROW;
        if (rc == SQLITE_ROW) {
                if (sqlite3_column_bytes(row, 0) != ROW_SUM_SIZE)
                        return -EBADMSG;
                digest_remove(&state->digest, kind, sqlite3_column_blob(row, 0));
        }
        return state_sql_errno(rc);
}

static int replace_row(State *state, RowKind kind, const char *id, const char *body) {
        Row row = { .kind = kind, .id = id, .change = state->digest.change + 1, .body = body };
        bool found;
        int r;

        r = leave_digest(state, kind, id, &found);
        if (r < 0 || (!found && !body))
                return r;
        state->changed = true;
        if (!body)
                return delete_row(state, kind, id);
        row_sum(&row, row.sum);
        digest_add(&state->digest, kind, row.sum);
        return write_row(state, &row);
}

/* A state that is not kept (a dry run) takes every change and forgets it. */
int state_begin(State *state) {
        int r;

        if (!state)
                return 0;
        r = state->begun ? -EBUSY : run(state, STATEMENT_BEGIN);
        if (r >= 0)
                state->begun = true;
        return r;
}

static int write_digest(State *state) {
        char text[DIGEST_TEXT_SIZE];
        Row row;

        state->digest.change++;
        digest_to_row(&state->digest, text, &row);
        return write_row(state, &row);
}

/* The pages that SQLite has of the file are in the kernel's cache, too. */
static void end(State *state) {
        state->begun = state->changed = false;
        (void) sqlite3_db_release_memory(state->file.db);
}

/*
 * What was written of a commit that failed at its sync is in the log, whole, and whoever opens the file after
 * a crash would take it for committed. The next transaction is written over it: one that changes nothing.
 */
static void unsay_commit(State *state) {
        if (state_begin(state) < 0)
                return;
        if (write_digest(state) >= 0 && run(state, STATEMENT_COMMIT) >= 0) {
                state->file.digest = state->digest;
                digest_write_mark(&state->digest, state->file.mark_fd);
        }
        state_rollback(state);
}

int state_commit(State *state) {
        int r;

        if (!state || !state->begun)
                return 0;
        r = state->failed;
        if (r >= 0 && state->changed)
                r = write_digest(state);
        if (r < 0) {
                state_rollback(state);
                return r;
        }
        r = run(state, STATEMENT_COMMIT);
        if (r < 0) {
                state_rollback(state);
                unsay_commit(state);
                return r;
        }
        if (state->changed) {
                state->file.digest = state->digest;
                digest_write_mark(&state->digest, state->file.mark_fd);
        }
        end(state);
        return 0;
}

void state_rollback(State *state) {
        if (!state)
                return;
        /* Where the disk refused, SQLite has done so by itself. */
        if (!sqlite3_get_autocommit(state->file.db))
                (void) run(state, STATEMENT_ROLLBACK);
        state->digest = state->file.digest;
        state->failed = 0;
        end(state);
}

/* A change in the caller's transaction, or in one of its own: then it is on disk when it returns. */
static int enter(State *state, bool *ret_own) {
        *ret_own = !state->begun;
        return *ret_own ? state_begin(state) : state->failed;
}

/* `r`: what came of the change. One that is refused fails its transaction, so that none is half of what it
 * says. */
static int leave(State *state, bool own, int r) {
        if (!state->begun)
                return r;
        if (r < 0)
                state->failed = r;
        return own ? state_commit(state) : r;
}

/* Puts the row, or takes it away where there is no body. */
static int change_row(State *state, RowKind kind, const char *id, const char *body) {
        bool own;
        int r = enter(state, &own);

        if (r >= 0)
                r = replace_row(state, kind, id, body);
        return leave(state, own, r);
}

/* Takes the body; NULL: there was no memory for it. */
static int put_row(State *state, RowKind kind, const char *id, char *text) {
        _cleanup_free_ char *body = text;

        return body ? change_row(state, kind, id, body) : -ENOMEM;
}

int state_put_allocation(State *state, const Allocation *allocation) {
        return state ? put_row(state, ROW_ALLOCATION, allocation->id, state_row_print_allocation(allocation))
                     : 0;
}

int state_delete_allocation(State *state, const char *id) {
        return state ? change_row(state, ROW_ALLOCATION, id, NULL) : 0;
}

int state_put_tenant(State *state, const Tenant *tenant) {
        return state ? put_row(state, ROW_TENANT, tenant->id, state_row_print_tenant(tenant)) : 0;
}

int state_delete_tenant(State *state, const char *id) {
        return state ? change_row(state, ROW_TENANT, id, NULL) : 0;
}

int state_put_text(State *state, const char *name, const char *value) {
        if (strlen(name) >= ROW_ID_SIZE)
                return -EINVAL;
        return state ? change_row(state, ROW_TEXT, name, value) : 0;
}

int state_get_text(const State *state, const char *name, char **ret) {
        *ret = NULL;
        return state ? find_body((State *) state, ROW_TEXT, name, ret) : 0;
}

/* --- released generations --- */

static int find_released(State *state, const char *id, Released *ret) {
        _cleanup_free_ char *body = NULL;
        int r = find_body(state, ROW_RELEASED, id, &body);

        *ret = (Released){};
        return r < 0 || !body ? r : state_row_parse_released(body, ret);
}

int state_released_generation(const State *state, const char *id, uint64_t *ret_generation) {
        Released released = {};
        int r = state ? find_released((State *) state, id, &released) : 0;

        *ret_generation = released.generation;
        return r;
}

/* The one after `after` by id, or the first; *ret_id is NULL where there is none. */
static int next_released(State *state, const char *after, char **ret_id, Released *ret) {
        _cleanup_statement_ sqlite3_stmt *next = NULL;
        _cleanup_free_ char *id = NULL;
        int r, rc;

        r = take_statement(state, STATEMENT_NEXT, &next);
        if (r < 0)
                return r;
        bind_key(next, ROW_RELEASED, after ?: "");
        rc = sqlite3_step(next);
        if (rc == SQLITE_ROW) {
                id = strdup(text_at(next, 0));
                r = id ? state_row_parse_released(text_at(next, 1), ret) : -ENOMEM;
        } else
                r = state_sql_errno(rc);
        if (r >= 0)
                *ret_id = TAKE_PTR(id);
        return r;
}

/* One more is looked at, round and round; it goes where it is from a week before. Whether one is that is not
 * dated, or is of a day to come, nobody knows: it begins anew. */
static int sweep_released(State *state, uint64_t now_usec) {
        Released released = {};
        char *id = NULL;
        int r;

        r = next_released(state, state->swept, &id, &released);
        if (r < 0)
                return r;
        free(state->swept);
        state->swept = id;
        if (!id)
                return 0;
        if (released.at_usec > 0 && released.at_usec <= now_usec)
                return now_usec - released.at_usec > RELEASED_KEPT_USEC
                                       ? change_row(state, ROW_RELEASED, id, NULL)
                                       : 0;
        released.at_usec = now_usec;
        return put_row(state, ROW_RELEASED, id, state_row_print_released(&released));
}

int state_put_released(State *state, const char *id, uint64_t generation, uint64_t now_usec) {
        Released released = {};
        bool own;
        int r;

        if (!state)
                return 0;
        r = enter(state, &own);
        if (r >= 0)
                r = find_released(state, id, &released);
        if (r >= 0) {
                if (generation > released.generation)
                        released.generation = generation;
                released.at_usec = now_usec;
                r = put_row(state, ROW_RELEASED, id, state_row_print_released(&released));
        }
        /* Two are looked at for each that comes: so the old ones go, and none costs more than another. */
        for (int i = 0; r >= 0 && i < 2 && now_usec > 0; i++)
                r = sweep_released(state, now_usec);
        return leave(state, own, r);
}

/* --- reading it all --- */

typedef struct Load {
        State *state;
        Node *node;
        uint32_t slot_max;
        char **lost;
        char **moved; /* tenants that could not have the slot that they had */
} Load;

static void load_deinit(Load *load) {
        strv_free(load->lost);
        strv_free(load->moved);
}

static int read_rows(Load *load, RowKind kind, int (*read)(Load *load, const char *id, const char *body)) {
        _cleanup_statement_ sqlite3_stmt *rows = NULL;
        int r, rc;

        r = take_statement(load->state, STATEMENT_LIST, &rows);
        if (r < 0)
                return r;
        bind_key(rows, kind, NULL);
        while ((rc = sqlite3_step(rows)) == SQLITE_ROW) {
                r = read(load, text_at(rows, 0), text_at(rows, 1));
                if (r == -EBADMSG) /* whole, but not as this version has it */
                        r = strv_pushf(&load->lost, "%s %s: its row cannot be read", row_kind_to_string(kind),
                                        text_at(rows, 0));
                if (r < 0)
                        return r;
        }
        return state_sql_errno(rc);
}

/* The slot indexes tables whose size the configuration gives, which may be another by now. */
static bool slot_is_free(const Node *node, uint32_t slot, uint32_t slot_max) {
        if (slot < SLOT_FIRST || slot > slot_max)
                return false;
        for (size_t i = 0; i < node->n_tenants; i++)
                if (node->tenants[i]->slot == slot)
                        return false;
        return true;
}

/* Those that can have the slot that they had. */
static int read_tenant(Load *load, const char *id, const char *body) {
        _cleanup_tenant_ Tenant *kept = calloc(1, sizeof(Tenant));
        Tenant *tenant;
        int r;

        if (!kept)
                return -ENOMEM;
        r = identifier_valid(id) ? state_row_parse_tenant(body, kept) : -EBADMSG;
        if (r < 0 || !slot_is_free(load->node, kept->slot, load->slot_max))
                return r;
        r = node_add_tenant(load->node, id, load->slot_max, &tenant);
        return r < 0 ? r : state_row_parse_tenant(body, tenant);
}

/* Then the others: into any slot, for what a slot counted cannot be two tenants'. */
static int read_other_tenant(Load *load, const char *id, const char *body) {
        _cleanup_tenant_ Tenant *kept = calloc(1, sizeof(Tenant));
        Tenant *tenant;
        uint32_t slot;
        int r;

        if (!kept)
                return -ENOMEM;
        if (!identifier_valid(id) || state_row_parse_tenant(body, kept) < 0 ||
                        node_find_tenant(load->node, id))
                return 0;
        r = node_add_tenant(load->node, id, load->slot_max, &tenant);
        if (r == -ENOSPC)
                return strv_pushf(&load->lost, "tenant %s: its slot is over tenants-max", id);
        if (r < 0)
                return r;
        slot = tenant->slot;
        r = state_row_parse_tenant(body, tenant);
        tenant->slot = slot;
        if (r >= 0)
                r = strv_pushf(&load->lost,
                                "tenant %s: its counts, for its slot, %u, is not free and it has %u", id,
                                kept->slot, slot);
        return r < 0 ? r : strv_push(&load->moved, id);
}

/* A release is noted before the row says so: whichever was the last to reach the disk, it is to be released.
 */
static int find_release(State *state, Allocation *allocation) {
        uint64_t released;
        int r = state_released_generation(state, allocation->id, &released);

        allocation->release_noted =
                        r >= 0 && allocation->generation <= released && allocation_is_live(allocation);
        return r;
}

static int read_allocation(Load *load, const char *id, const char *body) {
        _cleanup_allocation_ Allocation *allocation = NULL, *replaced = NULL;
        int r = state_row_parse_allocation(body, &allocation);

        if (r >= 0)
                r = strcmp(allocation->id, id) == 0 ? find_release(load->state, allocation) : -EBADMSG;
        if (r >= 0)
                r = calendar_put(&load->node->calendar, allocation, &replaced);
        if (r >= 0)
                TAKE_PTR(allocation);
        return r;
}

static int read_all(Load *load, bool read_only) {
        sqlite3 *db = load->state->file.db;
        int r;

        /* One transaction, or each question locks the file anew; to be read only, it has one already. */
        r = read_only ? 0 : state_sql_run(db, "BEGIN");
        if (r >= 0)
                r = read_rows(load, ROW_TENANT, read_tenant);
        if (r >= 0)
                r = read_rows(load, ROW_TENANT, read_other_tenant);
        if (r >= 0)
                r = read_rows(load, ROW_ALLOCATION, read_allocation);
        if (r < 0 || read_only)
                return r;
        r = state_sql_run(db, "COMMIT");
        for (char **id = load->moved; r >= 0 && id && *id; id++)
                r = state_put_tenant(load->state, node_find_tenant(load->node, *id));
        return r;
}

int state_open(const char *directory, bool read_only, uint32_t slot_max, Node *node, State **ret,
                char ***ret_lost) {
        _cleanup_(state_free_p) State *state = calloc(1, sizeof(State));
        _cleanup_(load_deinit) Load load = { .state = state, .node = node, .slot_max = slot_max };
        int r;

        if (!state)
                return -ENOMEM;
        state->file = (StateFile) STATE_FILE_NULL;
        r = state_file_open(directory, read_only, &state->file, &load.lost);
        if (r == -ENOENT && read_only)
                return 0;
        if (r < 0)
                return r;
        state->digest = state->file.digest;
        r = read_all(&load, read_only);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(state);
        *ret_lost = TAKE_PTR(load.lost);
        return 0;
}

State *state_free(State *state) {
        if (!state)
                return NULL;
        for (int i = 0; i < STATEMENT_MAX; i++)
                sqlite3_finalize(state->statements[i]);
        state_file_close(&state->file);
        free(state->swept);
        free(state);
        return NULL;
}
