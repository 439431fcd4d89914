/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Golden files. It compares, and writes only where it is told to by the environment. */

#include "golden.h"

#include "util/cleanup.h"

#include <string.h>

static bool golden_write(const char *path, const char *text, size_t size) {
        FILE *file = fopen(path, "we");
        bool written;

        if (!file)
                return false;
        written = fwrite(text, 1, size, file) == size;
        return fclose(file) == 0 && written;
}

static int golden_read(const char *path, char **ret_text, size_t *ret_size) {
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        _cleanup_free_ char *text = NULL;
        size_t size = 0, allocated = 0;

        if (!file)
                return -errno;
        do {
                char *more = realloc(text, allocated += 65536);

                if (!more)
                        return -ENOMEM;
                text = more;
                size += fread(text + size, 1, allocated - size, file);
        } while (size == allocated);
        if (ferror(file))
                return -EIO;
        *ret_text = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}

bool golden_equal(const char *name, const char *text, size_t size) {
        _cleanup_free_ char *path = NULL, *golden = NULL;
        size_t golden_size = 0, same = 0, line = 1, start = 0;
        int r;

        if (asprintf(&path, "%s/%s", GOLDEN_DIR, name) < 0) {
                path = NULL;
                return false;
        }
        if (getenv("HEADGATE_GOLDEN_UPDATE"))
                return golden_write(path, text, size);
        r = golden_read(path, &golden, &golden_size);
        if (r < 0) {
                fprintf(stderr, "%s: %s\n", path, strerror(-r));
                return false;
        }
        if (size == golden_size && memcmp(text, golden, size) == 0)
                return true;
        for (; same < size && same < golden_size && text[same] == golden[same]; same++)
                if (text[same] == '\n') {
                        line++;
                        start = same + 1;
                }
        fprintf(stderr, "%s:%zu differs\n golden: %.*s\n is:     %.*s\n", path, line,
                        (int) strcspn(golden + start, "\n"), golden + start,
                        (int) strcspn(text + start, "\n"), text + start);
        return false;
}
