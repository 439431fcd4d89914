/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A text that grows word by word. The first failure is kept, and told at the end. */

#include "cleanup.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct Words {
        char *text; /* owned */
        size_t n;   /* bytes, without the NUL */
        bool failed;
} Words;

#define WORDS_NULL \
        { NULL, 0, false }

void words_add(Words *words, const char *format, ...) _printf_(2, 3);
/* Hands the text, which may be empty but is never NULL, to the caller; -ENOMEM. Ends the words either way. */
int words_take(Words *words, char **ret);
