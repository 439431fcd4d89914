/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The durable calendar: what was accepted is on disk before the caller hears so. SQLite, one row an
 * allocation and one a tenant, each with its checksum; each change is one transaction, synced, at a cost that
 * does not grow with what is held. What is damaged is left out and said, the rest kept, and the damaged file
 * set aside, never deleted.
 */

#include "model/node.h"

typedef struct State State;

/*
 * Opens <directory>/state.sqlite, making both where absent, and reads allocations, tenants and their slots
 * into `node`. `slot_max`: tenants beyond it are refused. `ret_lost`: what could not be read, in words (a
 * string list; the caller frees), or NULL. With `read_only` nothing is made or changed, and where there is
 * nothing *ret is left as it is. Whatever the file's bytes are it opens, but -EPROTONOSUPPORT: a later
 * version wrote it; -EBUSY: another process writes it; else it is the disk that refuses.
 */
int state_open(const char *directory, bool read_only, uint32_t slot_max, Node *node, State **ret,
                char ***ret_lost);
State *state_free(State *state);
DEFINE_CLEANUP(State *, state_free);

/*
 * One transaction over all: begin, any number of puts and deletes, commit. A rollback forgets them. Where one
 * of them fails so do those after it and the commit, and all are forgotten; after a crash too.
 */
int state_begin(State *state);
int state_put_allocation(State *state, const Allocation *allocation);
int state_delete_allocation(State *state, const char *id);
int state_put_tenant(State *state, const Tenant *tenant);
int state_delete_tenant(State *state, const char *id);
int state_commit(State *state);
void state_rollback(State *state);

/* The highest generation that was released under this id (0: none), so that a stale Apply is known. */
int state_released_generation(const State *state, const char *id, uint64_t *ret_generation);
/* Remembers it; forgotten a week after `now_usec`. 0: the clock is not trusted; then none is forgotten by it,
 * and this one a week after the first call by one that is. */
int state_put_released(State *state, const char *id, uint64_t generation, uint64_t now_usec);

/*
 * Small texts by name, that other parts keep here: a name is at most 63
 * bytes long, else -EINVAL. NULL takes it away.
 */
int state_put_text(State *state, const char *name, const char *value);
/* The caller frees *ret; NULL where there is none. */
int state_get_text(const State *state, const char *name, char **ret);
