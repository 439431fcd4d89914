/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The text of control group files that hold a line a device, without one being opened: one table for all. */

#include "enforce/cgroup-text.h"
#include "model/limit.h"

typedef struct LimitFileInfo {
        const char *file; /* "io.max" */
        CgroupController controller;
        const char *feature; /* "io.limit" */
        const char *effect;  /* what is not done where it is missing */
} LimitFileInfo;

const LimitFileInfo *limit_file_info(LimitFile file);
/* Whether a control group's file of that name is one of them. */
bool limit_file_is_set(const char *file);

/* What the kernel shows after the value was written: from some number on it holds no limit. Idempotent. */
uint64_t limit_round(LimitFile file, size_t column, uint64_t value);

/* All of a set, which may lose lines by it. */
void limit_set_round(LimitSet *set);

/* Longest target, and four keys with 64-bit numbers. */
#define LIMIT_TEXT_SIZE 160
/* "8:0 rbps=1048576 wbps=max riops=max wiops=max": all columns of the line, rounded; no newline. */
void limit_format(const LimitLine *line, char *ret);
/*
 * Adds the lines of a file's text to the set. Keys that this version does not know, and the default of all
 * devices ("default 100"), are passed over. -EBADMSG: not of the file's form.
 */
int limit_parse(LimitFile file, const char *text, LimitSet *set);
/* The same of what the set holds in the line's place. */
void limit_format_held(const LimitSet *set, const LimitLine *line, char *ret);
