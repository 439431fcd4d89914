/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The file of the durable state: opened so that every row in it is whole. What is damaged is set aside, and
 * what is good of it written anew; what an earlier version wrote is brought up to this one.
 */

#include "state-digest.h"

#include <sqlite3.h>

typedef struct StateFile {
        sqlite3 *db; /* table row(kind, id, change, body, sum), in version 2; in memory where a file could not
                        be repaired because it is opened to be read only */
        int directory_fd; /* locked, so that one process writes; -EBADF when read only */
        int mark_fd;      /* -EBADF where there is none */
        Digest digest;    /* of what is in `db` */
} StateFile;

#define STATE_FILE_NULL \
        { .directory_fd = -EBADF, .mark_fd = -EBADF }

/*
 * Opens <directory>/state.sqlite, making both where absent. `lost`: in words what of it is not there (a
 * string list, added to). With `read_only` nothing is made, changed or set aside; -ENOENT where there is
 * nothing. -EPROTONOSUPPORT: a later version wrote it. -EBUSY: another process has it. Whatever its bytes are
 * it opens; else it is the disk that refuses.
 */
int state_file_open(const char *directory, bool read_only, StateFile *ret, char ***lost);
void state_file_close(StateFile *file);
