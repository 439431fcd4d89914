/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Files of "[section]" and "key = value". Each line stands for itself: blanks before and after it count for
 * nothing, no line continues another, none is cut. '#' or ';' begins a line that is a comment, a blank and
 * ';' one behind a value. It knows no key.
 */

#include "ini.h"

#include "cleanup.h"

#include <stdbool.h>
#include <string.h>

_Static_assert(INI_LINE_BYTES_MAX == 131072, "read_line() says so");

static const char blanks[] = " \t\r\v\f";
static const char byte_order_mark[] = "\xef\xbb\xbf";

/* 1: there is a line, without its end; 0: the file has ended. `line` has room for the longest and a NUL. */
static int read_line(FILE *file, char *line, const char **ret_why) {
        size_t n = 0;
        int c;

        while ((c = getc(file)) != EOF && c != '\n') {
                if (n == INI_LINE_BYTES_MAX || c == '\0') {
                        *ret_why = c == '\0' ? "a NUL byte" : "longer than 131072 bytes";
                        return -EBADMSG;
                }
                line[n++] = (char) c;
        }
        if (ferror(file))
                return errno > 0 ? -errno : -EIO;
        line[n] = '\0';
        return c != EOF || n > 0;
}

static char *strip(char *text) {
        size_t n;

        text += strspn(text, blanks);
        for (n = strlen(text); n > 0 && strchr(blanks, text[n - 1]); n--)
                text[n - 1] = '\0';
        return text;
}

static bool is_comment(const char *text) {
        return *text == '\0' || *text == '#' || *text == ';';
}

/* The name, without its brackets; or NULL. */
static char *section_name(char *text) {
        char *end = *text == '[' ? strchr(text, ']') : NULL;

        if (!end || !is_comment(end + 1 + strspn(end + 1, blanks)))
                return NULL;
        *end = '\0';
        return text + 1;
}

static void cut_comment(char *text) {
        for (char *p = text; (p = strchr(p, ';')); p++)
                if (p > text && strchr(blanks, p[-1])) {
                        *p = '\0';
                        return;
                }
}

int ini_read(FILE *file, IniHandler handler, void *userdata, unsigned *ret_line, const char **ret_why) {
        _cleanup_free_ char *line = malloc(INI_LINE_BYTES_MAX + 1), *section = strdup("");
        int r;

        *ret_line = 0;
        if (!line || !section)
                return -ENOMEM;
        for (;;) {
                char *text, *name, *value;

                ++*ret_line;
                r = read_line(file, line, ret_why);
                if (r <= 0)
                        return r;
                text = line;
                if (*ret_line == 1 && strncmp(text, byte_order_mark, strlen(byte_order_mark)) == 0)
                        text += strlen(byte_order_mark);
                text = strip(text);
                if (is_comment(text))
                        continue;
                name = section_name(text);
                if (name) {
                        free(section);
                        section = strdup(name);
                        r = section ? handler(userdata, section, NULL, NULL) : -ENOMEM;
                } else {
                        cut_comment(text);
                        value = *text == '[' ? NULL : strchr(text, '=');
                        if (!value) {
                                *ret_why = "neither a [section] nor a 'key = value'";
                                return -EBADMSG;
                        }
                        *value++ = '\0';
                        r = handler(userdata, section, strip(text), strip(value));
                }
                if (r != 0)
                        return r;
        }
}
