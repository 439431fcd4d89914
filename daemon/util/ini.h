/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

/* Holds the longest list that a key takes: 16 paths of control groups. */
#define INI_LINE_BYTES_MAX 131072U

/* `key` and `value` are NULL where a section begins. What is not 0 ends the reading. */
typedef int (*IniHandler)(void *userdata, const char *section, const char *key, const char *value);

/*
 * Reads "[section]" and "key = value", and calls the handler for each. 0; what the handler returned;
 * -EBADMSG: the line is neither, and *ret_why, a constant, says why; -ENOMEM; or another negative errno, of
 * the file. Where it is not 0, *ret_line is the line, from 1, that was last.
 */
int ini_read(FILE *file, IniHandler handler, void *userdata, unsigned *ret_line, const char **ret_why);
