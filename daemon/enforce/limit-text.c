/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Documentation/admin-guide/cgroup-v2.rst has the forms; the bounds are where the kernel's code has them. */

#include "enforce/limit-text.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

typedef struct Column {
        const char *key; /* NULL: the value stands alone behind the target */
        uint64_t max;    /* as much, or more, is none */
} Column;

static const struct {
        LimitFileInfo info;
        const char *none; /* what is written for none */
        Column columns[LIMIT_COLUMNS_MAX];
        size_t n_columns;
} files[LIMIT_FILE_MAX] = {
        /* block/blk-throttle.c: operations are 32 bits wide */
        [LIMIT_IO_MAX] = { { "io.max", CONTROLLER_IO, "io.limit", "limits on block IO are not enforced" },
                        "max",
                        { { "rbps", UINT64_MAX }, { "wbps", UINT64_MAX }, { "riops", UINT_MAX },
                                        { "wiops", UINT_MAX } },
                        4 },
        [LIMIT_IO_WEIGHT] = { { "io.weight", CONTROLLER_IO, "io.weight", "reserved IO is not guaranteed" },
                        "default", { { NULL, UINT64_MAX } }, 1 },
        [LIMIT_IO_BFQ_WEIGHT] = { { "io.bfq.weight", CONTROLLER_IO, "io.bfq",
                                                  "devices whose scheduler is BFQ are not divided" },
                        "default", { { NULL, UINT64_MAX } }, 1 },
        [LIMIT_IO_LATENCY] = { { "io.latency", CONTROLLER_IO, "io.latency",
                                               "latency targets of devices are not kept" },
                        "max", { { "target", UINT64_MAX } }, 1 },
        /* kernel/cgroup/rdma.c: a signed int */
        [LIMIT_RDMA_MAX] = { { "rdma.max", CONTROLLER_RDMA, "rdma.limit",
                                             "limits on RDMA objects are not enforced" },
                        "max", { { "hca_handle", INT_MAX }, { "hca_object", INT_MAX } }, 2 },
        [LIMIT_MISC_MAX] = { { "misc.max", CONTROLLER_MISC, "misc.limit",
                                             "limits on miscellaneous resources are not enforced" },
                        "max", { { NULL, UINT64_MAX } }, 1 },
};

const LimitFileInfo *limit_file_info(LimitFile file) {
        assert(file >= 0 && file < LIMIT_FILE_MAX);
        return &files[file].info;
}

bool limit_file_is_set(const char *file) {
        for (LimitFile i = 0; i < LIMIT_FILE_MAX; i++)
                if (strcmp(file, files[i].info.file) == 0)
                        return true;
        return false;
}

uint64_t limit_round(LimitFile file, size_t column, uint64_t value) {
        assert(column < files[file].n_columns);
        return value >= files[file].columns[column].max ? UNLIMITED : value;
}

void limit_set_round(LimitSet *set) {
        for (size_t i = set->n; i-- > 0;) {
                const LimitLine line = set->lines[i];

                /* A value of a line that is there is put without need for memory. */
                for (size_t k = 0; k < files[line.file].n_columns; k++)
                        (void) limit_set_put(set, line.file, line.target, k,
                                        limit_round(line.file, k, line.values[k]));
        }
}

void limit_format(const LimitLine *line, char *ret) {
        size_t n = (size_t) snprintf(ret, LIMIT_TEXT_SIZE, "%s", line->target);

        for (size_t i = 0; i < files[line->file].n_columns; i++) {
                const char *key = files[line->file].columns[i].key;
                uint64_t value = limit_round(line->file, i, line->values[i]);

                n += (size_t) snprintf(ret + n, LIMIT_TEXT_SIZE - n, " %s%s", key ?: "", key ? "=" : "");
                if (value == UNLIMITED)
                        n += (size_t) snprintf(ret + n, LIMIT_TEXT_SIZE - n, "%s", files[line->file].none);
                else
                        n += (size_t) snprintf(ret + n, LIMIT_TEXT_SIZE - n, "%" PRIu64, value);
        }
}

void limit_format_held(const LimitSet *set, const LimitLine *line, char *ret) {
        LimitLine held = *line;

        for (size_t i = 0; i < LIMIT_COLUMNS_MAX; i++)
                held.values[i] = limit_set_get(set, line->file, line->target, i);
        limit_format(&held, ret);
}

static int parse_value(const char *text, size_t length, uint64_t *ret) {
        char number[24], *end;

        if (length == strlen("max") && strncmp(text, "max", length) == 0) {
                *ret = UNLIMITED;
                return 0;
        }
        if (length == 0 || length >= sizeof number || *text < '0' || *text > '9')
                return -EBADMSG;
        memcpy(number, text, length);
        number[length] = '\0';
        errno = 0;
        *ret = strtoull(number, &end, 10);
        return errno != 0 || *end ? -EBADMSG : 0;
}

/* "rbps=5" or, in a file without keys, "5". */
static int parse_word(LimitFile file, const char *target, const char *word, size_t length, LimitSet *set) {
        const char *equals = memchr(word, '=', length);
        size_t key_length = equals ? (size_t) (equals - word) : 0;

        for (size_t i = 0; i < files[file].n_columns; i++) {
                const char *key = files[file].columns[i].key, *value = key && equals ? equals + 1 : word;
                uint64_t number;
                int r;

                if ((key != NULL) != (equals != NULL))
                        return -EBADMSG;
                if (key && (strlen(key) != key_length || strncmp(key, word, key_length) != 0))
                        continue;
                r = parse_value(value, length - (size_t) (value - word), &number);
                return r < 0 ? r : limit_set_put(set, file, target, i, limit_round(file, i, number));
        }
        return 0;
}

static int parse_line(LimitFile file, const char *line, const char *end, LimitSet *set) {
        char target[RESOURCE_TARGET_SIZE];
        size_t length = strcspn(line, " \n");

        if (line + length >= end || length == 0)
                return -EBADMSG;
        /* A name that no resource can have cannot be one of ours. */
        if (length >= sizeof target || (length == strlen("default") && strncmp(line, "default", length) == 0))
                return 0;
        memcpy(target, line, length);
        target[length] = '\0';
        for (const char *word = line + length + 1; word < end; word += strspn(word, " ")) {
                int r;

                length = strcspn(word, " \n");
                r = parse_word(file, target, word, length, set);
                if (r < 0)
                        return r;
                word += length;
        }
        return 0;
}

int limit_parse(LimitFile file, const char *text, LimitSet *set) {
        for (const char *line = text; *line;) {
                const char *end = strchrnul(line, '\n');
                int r = parse_line(file, line, end, set);

                if (r < 0)
                        return r;
                line = *end ? end + 1 : end;
        }
        return 0;
}
