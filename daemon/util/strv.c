/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Arrays of strings, grown one at a time: they hold users, problems and unit names, never more than hundreds.
 */

#include "strv.h"

#include <stdarg.h>
#include <string.h>

size_t strv_length(char *const *v) {
        size_t n = 0;

        for (; v && v[n]; n++)
                ;
        return n;
}

bool strv_contains(char *const *v, const char *s) {
        for (; v && *v; v++)
                if (strcmp(*v, s) == 0)
                        return true;
        return false;
}

bool strv_equal(char *const *a, char *const *b) {
        size_t n = strv_length(a);

        if (n != strv_length(b))
                return false;
        for (size_t i = 0; i < n; i++)
                if (strcmp(a[i], b[i]) != 0)
                        return false;
        return true;
}

/* Takes ownership of `s`, also on failure. */
static int strv_consume(char ***v, char *s) {
        _cleanup_free_ char *owned = s;
        size_t n = strv_length(*v);
        char **grown;

        if (!owned)
                return -ENOMEM;
        grown = reallocarray(*v, n + 2, sizeof(char *));
        if (!grown)
                return -ENOMEM;
        grown[n] = TAKE_PTR(owned);
        grown[n + 1] = NULL;
        *v = grown;
        return 0;
}

int strv_push(char ***v, const char *s) {
        return strv_consume(v, strdup(s));
}

int strv_pushf(char ***v, const char *format, ...) {
        char *s = NULL;
        va_list args;
        int r;

        va_start(args, format);
        r = vasprintf(&s, format, args);
        va_end(args);
        return strv_consume(v, r < 0 ? NULL : s);
}

int strv_copy(char *const *v, char ***ret) {
        _cleanup_strv_ char **copy = NULL;
        int r;

        for (; v && *v; v++) {
                r = strv_push(&copy, *v);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(copy);
        return 0;
}

char **strv_free(char **v) {
        for (char **s = v; s && *s; s++)
                free(*s);
        free(v);
        return NULL;
}
