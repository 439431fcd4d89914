/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a row of the durable state says, as text: an allocation with what became of it, what is kept of a
 * tenant, a released generation. A field more is one line in a table of state-row.c: a row that was written
 * before reads as if it had not been given, so that the file's version stays.
 */

#include "model/node.h"

typedef struct Released {
        uint64_t generation; /* the highest that was released */
        uint64_t at_usec;    /* µs UTC of its release; 0: by a clock that was not trusted */
} Released;

/* The caller frees; NULL: no memory. */
char *state_row_print_allocation(const Allocation *allocation);
char *state_row_print_tenant(const Tenant *tenant);
char *state_row_print_released(const Released *released);

/* -EBADMSG: it is no such text. */
int state_row_parse_allocation(const char *text, Allocation **ret);
/* Into the fields of `tenant` that are kept; the others stay as they are. */
int state_row_parse_tenant(const char *text, Tenant *tenant);
int state_row_parse_released(const char *text, Released *ret);

/* What an operator said of the capacity, "cpu=3500 memory=1024": limits alone. */
char *state_row_print_capacity(const ResourceSet *capacity);
/* What another version wrote of it and this one cannot read is left out, and named in `lost`, a string list.
 */
int state_row_parse_capacity(const char *text, ResourceSet *ret, char ***lost);
