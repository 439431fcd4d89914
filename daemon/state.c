/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * SQLite in WAL mode with synchronous=FULL: an append-only, checksummed log with checkpoints, kept by a
 * library. A row's body is the allocation as JSON, key by key from the model's table, numbers as decimal
 * strings (JSON's stop at 2^53, jansson's at 2^63). It knows no schedule and enforces nothing.
 */

#include "state.h"

#include "model/identifier.h"

#include "util/strv.h"

#include <inttypes.h>
#include <jansson.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#define SCHEMA_VERSION 1
/* What OnEnd left, in one number. */
#define TENANT_THROTTLED 1
#define TENANT_FROZEN 2
#define TENANT_DOOMED 4
#define RELEASED_KEPT_USEC (7ULL * 24 * 3600 * 1000000)

DEFINE_CLEANUP(json_t *, json_decref);
DEFINE_CLEANUP(sqlite3_stmt *, sqlite3_finalize);

struct State {
        sqlite3 *db;
};

static int error_from_sqlite(int rc) {
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

static int run_sql(State *state, const char *sql) {
        return error_from_sqlite(sqlite3_exec(state->db, sql, NULL, NULL, NULL));
}

static int prepare(const State *state, const char *sql, sqlite3_stmt **ret) {
        return error_from_sqlite(sqlite3_prepare_v2(state->db, sql, -1, ret, NULL));
}

static json_t *number_to_json(uint64_t number) {
        return json_sprintf("%" PRIu64, number);
}

static int number_from_json(const json_t *json, uint64_t *ret) {
        const char *text = json_string_value(json);
        char *end;

        if (!text || *text < '0' || *text > '9')
                return -EBADMSG;
        errno = 0;
        *ret = strtoull(text, &end, 10);
        return errno == 0 && *end == '\0' ? 0 : -EBADMSG;
}

static json_t *map_to_json(const StringMap *map) {
        json_t *json = json_object();

        for (size_t i = 0; i < map->n; i++)
                (void) json_object_set_new(json, map->names[i], json_string(map->values[i]));
        return json;
}

static int map_from_json(json_t *json, StringMap *map) {
        const char *name;
        json_t *value;

        if (!json_is_object(json))
                return -EBADMSG;
        json_object_foreach (json, name, value) {
                int r = json_is_string(value) ? string_map_put(map, name, json_string_value(value))
                                              : -EBADMSG;
                if (r < 0)
                        return r;
        }
        return 0;
}

static json_t *strings_to_json(char *const *list) {
        json_t *json = json_array();

        for (; list && *list; list++)
                (void) json_array_append_new(json, json_string(*list));
        return json;
}

static int strings_from_json(json_t *json, char ***ret) {
        json_t *value;
        size_t i;

        if (!json_is_array(json))
                return -EBADMSG;
        json_array_foreach (json, i, value) {
                int r = json_is_string(value) ? strv_push(ret, json_string_value(value)) : -EBADMSG;
                if (r < 0)
                        return r;
        }
        return 0;
}

static json_t *resources_to_json(const ResourceSet *set) {
        json_t *json = json_object();

        for (size_t i = 0; i < set->n; i++) {
                char name[RESOURCE_NAME_SIZE];

                resource_format_name(set->entries[i].kind, set->entries[i].target, name);
                (void) json_object_set_new(json, name,
                                json_pack("[o,o]", number_to_json(set->entries[i].amount.reserved),
                                                number_to_json(set->entries[i].amount.limit)));
        }
        return json;
}

static int resources_from_json(json_t *json, ResourceSet *set) {
        const char *name;
        json_t *value;

        if (!json_is_object(json))
                return -EBADMSG;
        json_object_foreach (json, name, value) {
                char target[RESOURCE_TARGET_SIZE];
                ResourceKind kind;
                Amount amount;
                int r;

                if (resource_parse_name(name, &kind, target) < 0 ||
                                number_from_json(json_array_get(value, 0), &amount.reserved) < 0 ||
                                number_from_json(json_array_get(value, 1), &amount.limit) < 0 ||
                                amount.reserved > RESERVED_MAX)
                        return -EBADMSG;
                r = resource_set_put(set, kind, target, amount);
                if (r < 0)
                        return r;
        }
        return 0;
}

static json_t *key_to_json(const void *field, const AllocationKey *key) {
        switch (key->type) {
        case KEY_STRING:
                return *(char *const *) field ? json_string(*(char *const *) field) : json_null();
        case KEY_U64:
                return number_to_json(*(const uint64_t *) field);
        case KEY_I32:
                return json_integer(*(const int32_t *) field);
        case KEY_STRINGS:
                return strings_to_json(*(char **const *) field);
        case KEY_MAP:
                return map_to_json(field);
        case KEY_RESOURCES:
                return resources_to_json(field);
        case KEY_ENUM:
                return json_string(key->to_string(*(const int *) field));
        }
        return NULL;
}

/* A key that the row does not have is one of a later version than the one that wrote it: as if not given. */
static int key_from_json(json_t *json, void *field, const AllocationKey *key) {
        int value;

        if (!json)
                return 0;
        switch (key->type) {
        case KEY_STRING:
                if (json_is_null(json))
                        return 0;
                *(char **) field = json_is_string(json) ? strdup(json_string_value(json)) : NULL;
                return *(char **) field ? 0 : -EBADMSG;
        case KEY_U64:
                return number_from_json(json, field);
        case KEY_I32:
                if (!json_is_integer(json) || json_integer_value(json) < INT32_MIN ||
                                json_integer_value(json) > INT32_MAX)
                        return -EBADMSG;
                *(int32_t *) field = (int32_t) json_integer_value(json);
                return 0;
        case KEY_STRINGS:
                return strings_from_json(json, field);
        case KEY_MAP:
                return map_from_json(json, field);
        case KEY_RESOURCES:
                return resources_from_json(json, field);
        case KEY_ENUM:
                value = json_is_string(json) ? key->from_string(json_string_value(json)) : -EBADMSG;
                if (value < 0)
                        return -EBADMSG;
                *(int *) field = value;
                return 0;
        }
        return -EBADMSG;
}

static char *allocation_to_text(const Allocation *allocation) {
        _cleanup_(json_decref_p) json_t *json = json_object();

        for (const AllocationKey *key = allocation_keys; key->name; key++)
                if (json_object_set_new(json, key->name,
                                    key_to_json((const char *) allocation + key->offset, key)) < 0)
                        return NULL;
        if (json_object_set_new(json, "x_", map_to_json(&allocation->extensions)) < 0 ||
                        json_object_set_new(json, "StartGiven", json_boolean(allocation->start_given)) < 0 ||
                        json_object_set_new(json, "Owner", json_integer(allocation->owner)) < 0 ||
                        json_object_set_new(json, "State",
                                        json_string(allocation_state_to_string(allocation->state))) < 0 ||
                        json_object_set_new(json, "Reason", json_string(allocation->reason ?: "")) < 0 ||
                        json_object_set_new(json, "ActualStart",
                                        number_to_json(allocation->actual_start_usec)) < 0 ||
                        json_object_set_new(json, "ActualEnd", number_to_json(allocation->actual_end_usec)) <
                                        0)
                return NULL;
        return json_dumps(json, JSON_COMPACT);
}

static int allocation_from_text(const char *text, Allocation **ret) {
        _cleanup_(json_decref_p) json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        _cleanup_allocation_ Allocation *allocation = NULL;
        const char *state;
        int r;

        if (!json)
                return -EBADMSG;
        r = allocation_new(&allocation);
        for (const AllocationKey *key = allocation_keys; r >= 0 && key->name; key++)
                r = key_from_json(json_object_get(json, key->name), (char *) allocation + key->offset, key);
        if (r >= 0)
                r = map_from_json(json_object_get(json, "x_"), &allocation->extensions);
        if (r >= 0)
                r = number_from_json(json_object_get(json, "ActualStart"), &allocation->actual_start_usec);
        if (r >= 0)
                r = number_from_json(json_object_get(json, "ActualEnd"), &allocation->actual_end_usec);
        if (r < 0)
                return r;
        state = json_string_value(json_object_get(json, "State"));
        allocation->state = state ? allocation_state_from_string(state) : ALLOCATION_STATE_INVALID;
        allocation->owner = (uid_t) json_integer_value(json_object_get(json, "Owner"));
        allocation->start_given = json_is_true(json_object_get(json, "StartGiven"));
        allocation->reason = strdup(json_string_value(json_object_get(json, "Reason")) ?: "");
        if (allocation->state < 0 || !allocation->id || !allocation->tenant_id)
                return -EBADMSG;
        *ret = TAKE_PTR(allocation);
        return 0;
}

static int read_tenants(State *state, uint32_t slot_max, Node *node, char ***lost) {
        _cleanup_(sqlite3_finalize_p) sqlite3_stmt *rows = NULL;
        int r, rc;

        /* In the order of their slots, so that each finds its own still free. */
        r = prepare(state, "SELECT id, slot, residual_memory, at_rest FROM tenant ORDER BY slot", &rows);
        if (r < 0)
                return r;
        while ((rc = sqlite3_step(rows)) == SQLITE_ROW) {
                const char *id = (const char *) sqlite3_column_text(rows, 0);
                Tenant *tenant;

                sqlite3_int64 slot = sqlite3_column_int64(rows, 1);

                /* The slot indexes tables whose size the configuration gives, which may be another by now. */
                r = !id || !identifier_valid(id) || slot < SLOT_FIRST ? -EBADMSG
                    : slot > slot_max                                 ? -ENOSPC
                                      : node_add_tenant(node, id, slot_max, &tenant);
                if (r < 0) {
                        r = strv_pushf(lost, "tenant %.63s: %s", id ?: "?",
                                        r == -ENOSPC ? "its slot is over tenants-max" : strerror(-r));
                        if (r < 0)
                                return r;
                        continue;
                }
                tenant->slot = (uint32_t) slot;
                tenant->residual_memory_bytes = (uint64_t) sqlite3_column_int64(rows, 2);
                tenant->throttled = sqlite3_column_int(rows, 3) & TENANT_THROTTLED;
                tenant->frozen = sqlite3_column_int(rows, 3) & TENANT_FROZEN;
                tenant->doomed = sqlite3_column_int(rows, 3) & TENANT_DOOMED;
        }
        return error_from_sqlite(rc);
}

/* A release is noted before the row says so: whichever was the last to reach the disk, it is released. */
static int settle_release(State *state, Allocation *allocation) {
        uint64_t released;
        int r = state_released_generation(state, allocation->id, &released);

        if (r >= 0 && allocation->generation <= released && allocation_is_live(allocation))
                allocation->state = ALLOCATION_RELEASED;
        return r;
}

static int read_allocations(State *state, Node *node, char ***lost) {
        _cleanup_(sqlite3_finalize_p) sqlite3_stmt *rows = NULL;
        int r, rc;

        r = prepare(state, "SELECT id, body FROM allocation", &rows);
        if (r < 0)
                return r;
        while ((rc = sqlite3_step(rows)) == SQLITE_ROW) {
                const char *body = (const char *) sqlite3_column_text(rows, 1);
                _cleanup_allocation_ Allocation *allocation = NULL, *replaced = NULL;

                r = body ? allocation_from_text(body, &allocation) : -EBADMSG;
                if (r == -EBADMSG) {
                        r = strv_pushf(lost, "allocation %s: its row cannot be read",
                                        sqlite3_column_text(rows, 0) ?: (const unsigned char *) "?");
                        if (r < 0)
                                return r;
                        continue;
                }
                if (r >= 0)
                        r = settle_release(state, allocation);
                if (r >= 0)
                        r = calendar_put(&node->calendar, allocation, &replaced);
                if (r < 0)
                        return r;
                TAKE_PTR(allocation);
        }
        return error_from_sqlite(rc);
}

static int read_version(const State *state, int *ret) {
        _cleanup_(sqlite3_finalize_p) sqlite3_stmt *row = NULL;
        int r = prepare(state, "PRAGMA user_version", &row), rc;

        if (r < 0)
                return r;
        rc = sqlite3_step(row);
        if (rc != SQLITE_ROW)
                return error_from_sqlite(rc);
        *ret = sqlite3_column_int(row, 0);
        return 0;
}

/* -EPROTONOSUPPORT: a later version wrote it, in a form that is not known here. */
static int open_file(const char *path, bool read_only, State **ret) {
        static const char schema[] =
                        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                        "CREATE TABLE IF NOT EXISTS allocation(id TEXT PRIMARY KEY, body TEXT NOT NULL) "
                        "WITHOUT ROWID;"
                        "CREATE TABLE IF NOT EXISTS tenant(id TEXT PRIMARY KEY, slot INTEGER NOT NULL UNIQUE,"
                        " residual_memory INTEGER NOT NULL, at_rest INTEGER NOT NULL) WITHOUT ROWID;"
                        "CREATE TABLE IF NOT EXISTS released(id TEXT PRIMARY KEY, generation TEXT NOT NULL, "
                        "at INTEGER NOT NULL)"
                        " WITHOUT ROWID;";
        _cleanup_(state_free_p) State *state = calloc(1, sizeof(State));
        char pragma[64];
        int r, version = 0;

        if (!state)
                return -ENOMEM;
        r = error_from_sqlite(sqlite3_open_v2(path, &state->db,
                        read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL));
        if (r >= 0)
                r = read_version(state, &version);
        if (r < 0)
                return r;
        if (version > SCHEMA_VERSION)
                return -EPROTONOSUPPORT;
        if (!read_only) {
                r = run_sql(state, schema);
                snprintf(pragma, sizeof pragma, "PRAGMA user_version=%d", SCHEMA_VERSION);
                if (r >= 0 && version < SCHEMA_VERSION) /* a write, and a sync, even where nothing changes */
                        r = run_sql(state, pragma);
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(state);
        return 0;
}

static int load(State *state, uint32_t slot_max, Node *node, char ***lost) {
        int r = read_tenants(state, slot_max, node, lost);

        return r < 0 ? r : read_allocations(state, node, lost);
}

/* What could be read of a damaged file goes into the new one. */
static int put_all(State *state, const Node *node) {
        int r = state_begin(state);

        for (size_t i = 0; r >= 0 && i < node->n_tenants; i++)
                r = state_put_tenant(state, node->tenants[i]);
        for (size_t i = 0; r >= 0 && i < node->calendar.n; i++)
                r = state_put_allocation(state, node->calendar.allocations[i]);
        return r < 0 ? r : state_commit(state);
}

/* Beside it, by the first number that is free; its log goes with it. */
static int set_aside(const char *path, char ***lost) {
        for (int i = 1; i < 1000; i++) {
                _cleanup_free_ char *aside = NULL, *log = NULL, *log_aside = NULL, *index = NULL;

                if (asprintf(&aside, "%s.bad-%d", path, i) < 0 || asprintf(&log, "%s-wal", path) < 0 ||
                                asprintf(&log_aside, "%s.bad-%d-wal", path, i) < 0 ||
                                asprintf(&index, "%s-shm", path) < 0)
                        return -ENOMEM;
                if (access(aside, F_OK) == 0)
                        continue;
                if (rename(path, aside) < 0)
                        return -errno;
                (void) rename(log, log_aside);
                (void) unlink(index);
                return strv_pushf(lost, "the state file was damaged: set aside as %s", aside);
        }
        return -EEXIST;
}

int state_open(const char *directory, bool read_only, uint32_t slot_max, Node *node, State **ret,
                char ***ret_lost) {
        _cleanup_(state_free_p) State *state = NULL;
        _cleanup_strv_ char **lost = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        if (!read_only && mkdir(directory, 0700) < 0 && errno != EEXIST)
                return -errno;
        if (asprintf(&path, "%s/state.sqlite", directory) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        if (read_only && access(path, F_OK) < 0)
                return 0;
        r = open_file(path, read_only, &state);
        if (r >= 0)
                r = load(state, slot_max, node, &lost);
        if (r == -EBADMSG && !read_only) {
                state = state_free(state);
                r = set_aside(path, &lost);
                if (r >= 0)
                        r = open_file(path, read_only, &state);
                if (r >= 0)
                        r = put_all(state, node);
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(state);
        *ret_lost = TAKE_PTR(lost);
        return 0;
}

State *state_free(State *state) {
        if (state)
                sqlite3_close(state->db);
        free(state);
        return NULL;
}

/* A state that is not kept (a dry run) takes every change and forgets it. */
int state_begin(State *state) {
        return state ? run_sql(state, "BEGIN IMMEDIATE") : 0;
}

int state_commit(State *state) {
        return state ? run_sql(state, "COMMIT") : 0;
}

void state_rollback(State *state) {
        if (state)
                (void) run_sql(state, "ROLLBACK");
}

/* Runs a statement with an id, up to two texts and two numbers: the form of every change here. */
static int change(State *state, const char *sql, const char *id, const char *text, const uint64_t *numbers,
                int n_numbers) {
        _cleanup_(sqlite3_finalize_p) sqlite3_stmt *statement = NULL;
        int r, at = 1;

        if (!state)
                return 0;
        r = prepare(state, sql, &statement);
        if (r < 0)
                return r;
        sqlite3_bind_text(statement, at++, id, -1, SQLITE_STATIC);
        if (text)
                sqlite3_bind_text(statement, at++, text, -1, SQLITE_STATIC);
        for (int i = 0; i < n_numbers; i++)
                sqlite3_bind_int64(statement, at++, (sqlite3_int64) numbers[i]);
        return error_from_sqlite(sqlite3_step(statement));
}

int state_put_allocation(State *state, const Allocation *allocation) {
        _cleanup_free_ char *body = state ? allocation_to_text(allocation) : NULL;

        if (state && !body)
                return -ENOMEM;
        return change(state, "INSERT OR REPLACE INTO allocation VALUES(?, ?)", allocation->id, body, NULL, 0);
}

int state_delete_allocation(State *state, const char *id) {
        return change(state, "DELETE FROM allocation WHERE id = ?", id, NULL, NULL, 0);
}

int state_put_tenant(State *state, const Tenant *tenant) {
        const uint64_t numbers[] = { tenant->slot, tenant->residual_memory_bytes,
                (tenant->throttled ? TENANT_THROTTLED : 0) | (tenant->frozen ? TENANT_FROZEN : 0) |
                                (tenant->doomed ? TENANT_DOOMED : 0) };

        return change(state, "INSERT OR REPLACE INTO tenant VALUES(?, ?, ?, ?)", tenant->id, NULL, numbers,
                        3);
}

int state_delete_tenant(State *state, const char *id) {
        return change(state, "DELETE FROM tenant WHERE id = ?", id, NULL, NULL, 0);
}

int state_released_generation(const State *state, const char *id, uint64_t *ret_generation) {
        _cleanup_(sqlite3_finalize_p) sqlite3_stmt *statement = NULL;
        int r, rc;

        *ret_generation = 0;
        if (!state)
                return 0;
        r = prepare(state, "SELECT generation FROM released WHERE id = ?", &statement);
        if (r < 0)
                return r;
        sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
        rc = sqlite3_step(statement);
        if (rc == SQLITE_ROW)
                *ret_generation = strtoull((const char *) sqlite3_column_text(statement, 0) ?: "0", NULL, 10);
        return error_from_sqlite(rc);
}

int state_put_released(State *state, const char *id, uint64_t generation, uint64_t now_usec) {
        const uint64_t forget = now_usec - RELEASED_KEPT_USEC;
        uint64_t known;
        char text[24];
        int r;

        r = state_released_generation(state, id, &known);
        if (r < 0)
                return r;
        if (generation < known)
                generation = known;
        snprintf(text, sizeof text, "%" PRIu64, generation);
        r = change(state, "INSERT OR REPLACE INTO released VALUES(?, ?, ?)", id, text, &now_usec, 1);
        return r < 0 ? r
                     : change(state, "DELETE FROM released WHERE id <> ? AND at < ?", id, NULL, &forget, 1);
}
