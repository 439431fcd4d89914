/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One buffer, grown to each piece's length. */

#include "words.h"

#include <stdarg.h>
#include <string.h>

void words_add(Words *words, const char *format, ...) {
        va_list ap;
        char *text;
        int n;

        va_start(ap, format);
        n = vsnprintf(NULL, 0, format, ap);
        va_end(ap);
        text = n < 0 || words->failed ? NULL : realloc(words->text, words->n + (size_t) n + 1);
        if (!text) {
                words->failed = true;
                return;
        }
        words->text = text;
        va_start(ap, format);
        (void) vsnprintf(text + words->n, (size_t) n + 1, format, ap);
        va_end(ap);
        words->n += (size_t) n;
}

int words_take(Words *words, char **ret) {
        Words taken;

        words_add(words, "%s", "");
        taken = *words;
        *words = (Words) WORDS_NULL;
        if (taken.failed) {
                free(taken.text);
                return -ENOMEM;
        }
        *ret = taken.text;
        return 0;
}
