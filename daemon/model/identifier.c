/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Checks and escapes identifiers; makes no path and no unit name of them. */

#include "identifier.h"

#include <stddef.h>
#include <string.h>

static bool is_alphanumeric(char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool identifier_valid(const char *id) {
        size_t length = 0, dashes = 0;
        char before = '-'; /* a dash may neither begin nor follow a dash */

        for (; id[length]; before = id[length++]) {
                if (length >= IDENTIFIER_LENGTH_MAX)
                        return false;
                if (is_alphanumeric(id[length]))
                        continue;
                if (id[length] != '-' || before == '-' || ++dashes > IDENTIFIER_DASHES_MAX)
                        return false;
        }
        return before != '-';
}

void identifier_escape(const char *id, char *ret) {
        for (; *id; id++)
                if (*id == '-')
                        ret = stpcpy(ret, "\\x2d");
                else
                        *ret++ = *id;
        *ret = '\0';
}

bool identifier_unescape(const char *escaped, char *ret) {
        char id[IDENTIFIER_LENGTH_MAX + 1];
        size_t n = 0;

        while (*escaped) {
                bool dash = strncmp(escaped, "\\x2d", 4) == 0;

                if (n >= IDENTIFIER_LENGTH_MAX || (!dash && !is_alphanumeric(*escaped)))
                        return false;
                id[n++] = dash ? '-' : *escaped;
                escaped += dash ? 4 : 1;
        }
        id[n] = '\0';
        if (!identifier_valid(id))
                return false;
        memcpy(ret, id, n + 1);
        return true;
}
