/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Gives a fuzz target each file of the directories named, once: so what was ever found stays a test wherever
 * there is no libFuzzer. It makes up nothing. */

#include "util/cleanup.h"

#include <dirent.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *directory, const char *name) {
        static uint8_t data[64 * 1024];
        _cleanup_free_ char *path = NULL;
        _cleanup_fclose_ FILE *file = NULL;
        size_t size;

        if (asprintf(&path, "%s/%s", directory, name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        file = fopen(path, "re");
        if (!file)
                return -errno;
        size = fread(data, 1, sizeof data, file);
        if (ferror(file) || !feof(file))
                return -EFBIG;
        /* Said before: the last name is of the one that did it. */
        printf("%s\n", name);
        fflush(stdout);
        LLVMFuzzerTestOneInput(data, size);
        return 0;
}

static int replay_directory(const char *directory, int *n) {
        struct dirent **entries;
        int n_entries = scandir(directory, &entries, NULL, alphasort), r = 0;

        if (n_entries < 0)
                return -errno;
        for (int i = 0; i < n_entries; i++) {
                const char *name = entries[i]->d_name;

                if (r == 0 && name[0] != '.') {
                        r = replay_file(directory, name);
                        *n += r == 0;
                }
                free(entries[i]);
        }
        free(entries);
        return r;
}

int main(int argc, char **argv) {
        int n = 0;

        for (int i = 1; i < argc; i++) {
                int r = replay_directory(argv[i], &n);

                if (r < 0) {
                        fprintf(stderr, "%s: %s\n", argv[i], strerror(-r));
                        return EXIT_FAILURE;
                }
        }
        printf("%d inputs\n", n);
        return n > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
