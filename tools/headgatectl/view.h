/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What several verbs show alike: states, amounts, and the printing of tables and JSON. */

#include "headgatectl.h"
#include "table.h"
#include "variant.h"

/* Prints one JSON value and a newline: on one line, or indented. Returns an exit code. */
int view_json(const json_t *json, bool one_line);

/* Prints the table as ctl wants it. Returns an exit code. */
int view_table(const Ctl *ctl, const Table *table, const char *indent);

/* For the end of a verb: standard output flushed, or said that it could not be. Hands `code` on. */
int view_done(int code);

/* A JSON array of strings in one: "a, b", or "-" where it is empty. To be freed; NULL: no memory. */
char *view_join(const json_t *strings);

/* "cpu 1/2, memory 512MiB/1GiB": reserved/limit of each. To be freed; NULL: no memory. */
char *view_resources(const json_t *resources);

/* "cpu wanted 4, free 2100m", `left` being "free": of each resource. To be freed; NULL: no memory. */
char *view_missing(const json_t *missing, const char *left);

TableStyle view_state_style(const char *state);

/* The allocations of each tenant that has one, by its id, so that not each tenant looks through all. To be
 * freed; NULL: no memory. */
json_t *view_by_tenant(const json_t *allocations);

/* How many are in the state; NULL has none. */
size_t view_count_allocations(const json_t *allocations, const char *state);

/* Of a tenant with so many allocations that are active or held, and so many that are suspended. */
const char *view_state_by_counts(size_t n_active, size_t n_suspended);
/* "active" while one of the tenant's own allocations is active or held; where none is but one is suspended,
 * "suspended"; else "residual". */
const char *view_tenant_state(const json_t *own);

/* Whether `state`, the node's, is none to be alarmed at: draining is somebody's will. */
bool view_node_is_sound(const char *state);

/* A list of the allocations as a table, as 'list' and 'show' print it: of a recurring one, its present or
 * next window. */
int view_allocations(const Ctl *ctl, const json_t *allocations, const char *indent);
