/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/block-layer.h"
#include "util/cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/major.h>
#include <stdio.h>

struct BlockAnswer {
        unsigned major, minor;
        bool is_layer;
};

/* Told by what the device is: a loop device whose file was taken from it keeps its figures, and must not come
 * to count. */
bool block_is_layer(unsigned major, unsigned minor) {
        static const char *const marks[] = { "dm", "md", "bcache" };
        _cleanup_close_ int fd = -EBADF, slaves_fd = -EBADF;
        const struct dirent *entry;
        bool over_another = false;
        char path[64];
        DIR *slaves;

        if (major == LOOP_MAJOR)
                return true;
        snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major, minor);
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 0; i < ELEMENTSOF(marks); i++)
                if (faccessat(fd, marks[i], F_OK, AT_EACCESS) == 0)
                        return true;
        slaves_fd = openat(fd, "slaves", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        slaves = slaves_fd >= 0 ? fdopendir(slaves_fd) : NULL;
        if (!slaves)
                return false;
        (void) TAKE_FD(slaves_fd);
        while (!over_another && (entry = readdir(slaves)))
                over_another = entry->d_name[0] != '.';
        closedir(slaves);
        return over_another;
}

void block_layers_deinit(BlockLayers *layers) {
        free(layers->answers);
        *layers = (BlockLayers){};
}

void block_layers_forget(BlockLayers *layers) {
        layers->n = layers->next = 0;
}

static const struct BlockAnswer *find(BlockLayers *layers, unsigned major, unsigned minor) {
        for (size_t i = 0; i < layers->n; i++) {
                size_t at = (layers->next + i) % layers->n;

                if (layers->answers[at].major == major && layers->answers[at].minor == minor) {
                        layers->next = at + 1;
                        return layers->answers + at;
                }
        }
        return NULL;
}

bool block_layers_have(unsigned major, unsigned minor, void *userdata) {
        BlockLayers *layers = userdata;
        const struct BlockAnswer *known = find(layers, major, minor);
        struct BlockAnswer *answers;
        bool is_layer;

        if (known)
                return known->is_layer;
        is_layer = block_is_layer(major, minor);
        answers = reallocarray(layers->answers, layers->n + 1, sizeof(*answers));
        if (answers) {
                layers->answers = answers;
                answers[layers->n++] = (struct BlockAnswer){ major, minor, is_layer };
        }
        return is_layer;
}
