/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Paths as texts: no file is looked at. */

#include <stdbool.h>

/* False for the parent itself, and where there is none (NULL or ""). Neither ends with a slash. */
bool path_is_below(const char *path, const char *parent);
/* The parent itself, too. */
bool path_is_within(const char *path, const char *parent);

/* As the two compare it: "/a/b" for "a/b" and "//a/b/". The caller frees; NULL: no memory. */
char *path_canonical(const char *path);
