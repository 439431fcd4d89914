/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Configuration files of any content: what was read of one, written down as it is told, reads as the same. */

#include "util/ini.h"

#include "util/cleanup.h"
#include "util/words.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int write_down(void *userdata, const char *section, const char *key, const char *value) {
        if (key)
                words_add(userdata, "%s=%s\n", key, value);
        else
                words_add(userdata, "[%s]\n", section);
        return 0;
}

static int read_text(const void *text, size_t size, unsigned *ret_line, const char **ret_why, char **ret) {
        _cleanup_fclose_ FILE *file = fmemopen((void *) text, size, "r");
        Words words = WORDS_NULL;
        int r;

        assert(file);
        words_add(&words, "\n"); /* a byte order mark is one in the first line alone */
        r = ini_read(file, write_down, &words, ret_line, ret_why);
        assert(words_take(&words, ret) == 0);
        return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *once = NULL, *again = NULL;
        const char *why = NULL;
        unsigned line = 0;
        int r;

        if (size == 0)
                return 0; /* fmemopen() takes none */
        r = read_text(data, size, &line, &why, &once);
        assert(line > 0 && (r == 0 || r == -EBADMSG) && (r == 0) == !why);
        r = read_text(once, strlen(once), &line, &why, &again);
        assert(r == 0 && strcmp(once, again) == 0);
        return 0;
}
