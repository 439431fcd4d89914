/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "util/path.h"

#include <stdlib.h>
#include <string.h>

bool path_is_below(const char *path, const char *parent) {
        size_t length = parent ? strlen(parent) : 0;

        return length > 0 && strncmp(path, parent, length) == 0 && path[length] == '/';
}

bool path_is_within(const char *path, const char *parent) {
        return path_is_below(path, parent) || (parent && *parent && strcmp(path, parent) == 0);
}

char *path_canonical(const char *path) {
        char *ret = malloc(strlen(path) + 2), *end = ret;

        if (!ret)
                return NULL;
        for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
                const size_t length = strcspn(path, "/");

                *end++ = '/';
                end = mempcpy(end, path, length);
                path += length;
        }
        *end = '\0';
        return ret;
}
