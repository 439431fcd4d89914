/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The kernel's own counters of one group from its files, held open: for where the iterator or the scheduler's
 * meter does not load. A file that is not there leaves its figures absent.
 */

#include "model/sample.h"

typedef struct GroupFiles {
        int cpu_stat, memory_current, memory_peak, memory_events;
} GroupFiles;

#define GROUP_FILES_NULL \
        { -EBADF, -EBADF, -EBADF, -EBADF }

void group_files_open(int group_fd, GroupFiles *ret);
void group_files_close(GroupFiles *files);

/* Adds to what stands in `sum`: the figures of one group to those of its slot's others. */
void group_files_read(const GroupFiles *files, Sample *sum);

/* The number behind `key` in a file of lines "key number"; a NULL key: the file is one number. */
bool group_files_parse(const char *text, const char *key, uint64_t *ret);
