/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The rows of a new file: none, or those of a damaged one that are whole, or those of an earlier version. */

#include "state-digest.h"

#include <sqlite3.h>

typedef struct RebuildSource {
        sqlite3 *version_1;  /* a file of version 1; or NULL */
        const char *damaged; /* the path of a damaged one; or NULL */
        const Digest *mark;  /* what it should have; NULL where that is not known */
} RebuildSource;

/* Nothing was left that said how many rows there were. */
#define REBUILD_UNCOUNTED 1

/*
 * Makes the table in `db`, which is empty and in a transaction, puts the rows there and their digest, which
 * it returns. `lost`: what is not there that was, in words, added to a string list. 0 or
 * REBUILD_UNCOUNTED; -EPROTONOSUPPORT: what is damaged is of a later version.
 */
int rebuild_rows(sqlite3 *db, const RebuildSource *source, Digest *ret, char ***lost);
