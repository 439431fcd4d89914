/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* NULL-terminated arrays of strings that own their strings; a NULL array is an empty one. */

#include "cleanup.h"

#include <stdbool.h>
#include <stddef.h>

size_t strv_length(char *const *v);
bool strv_contains(char *const *v, const char *s);
bool strv_equal(char *const *a, char *const *b);

/* Both own nothing of what they are given: `s` is copied. -ENOMEM leaves *v as it was. */
int strv_push(char ***v, const char *s);
int strv_pushf(char ***v, const char *format, ...) _printf_(2, 3);

int strv_copy(char *const *v, char ***ret);
char **strv_free(char **v);
DEFINE_CLEANUP(char **, strv_free);
#define _cleanup_strv_ _cleanup_(strv_free_p)
