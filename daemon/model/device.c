/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Names and access, read and printed; sets of both. It asks the node nothing. */

#include "device.h"

#include "util/cleanup.h"
#include "util/printable.h"

#include <string.h>

static const struct {
        char letter;
        DeviceAccess bit;
} accesses[] = { { 'r', DEVICE_READ }, { 'w', DEVICE_WRITE }, { 'm', DEVICE_MKNOD } };

int device_access_parse(const char *text, uint32_t *ret) {
        uint32_t access = 0;

        for (; *text; text++) {
                uint32_t bit = 0;

                for (size_t i = 0; i < ELEMENTSOF(accesses); i++)
                        if (*text == accesses[i].letter)
                                bit = accesses[i].bit;
                if (!bit)
                        return -EINVAL;
                access |= bit;
        }
        if (!access)
                return -EINVAL;
        *ret = access;
        return 0;
}

const char *device_access_format(uint32_t access, char ret[static DEVICE_ACCESS_SIZE]) {
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(accesses); i++)
                if (access & accesses[i].bit)
                        ret[n++] = accesses[i].letter;
        ret[n] = '\0';
        return ret;
}

/* Up to `end`: decimal digits, or a star for every number. */
static int parse_number(const char *text, const char *end, uint32_t max, uint32_t *ret) {
        uint32_t number = 0;

        if (end - text == 1 && *text == '*') {
                *ret = DEVICE_NUMBER_ANY;
                return 0;
        }
        if (text == end)
                return -EINVAL;
        for (; text < end; text++) {
                if (*text < '0' || *text > '9')
                        return -EINVAL;
                number = number * 10 + (uint32_t) (*text - '0');
                if (number > max)
                        return -EINVAL;
        }
        *ret = number;
        return 0;
}

static int parse_numbers(const char *text, DeviceName *name) {
        const char *colon = strchr(text, ':');

        if (!colon || parse_number(text, colon, DEVICE_MAJOR_MAX, &name->major) < 0 ||
                        parse_number(colon + 1, colon + strlen(colon), DEVICE_MINOR_MAX, &name->minor) < 0)
                return -EINVAL;
        name->form = DEVICE_FORM_NUMBER;
        return 0;
}

/* A path that says where it leads: no part of it is empty, "." or "..". */
static bool path_is_plain(const char *path) {
        while (*path == '/') {
                size_t n = strcspn(++path, "/");

                if (n == 0 || (n == 1 && path[0] == '.') || (n == 2 && path[0] == '.' && path[1] == '.'))
                        return false;
                path += n;
        }
        return true;
}

/* Behind "char-" or "block-". */
static int parse_driver(const char *text, DeviceName *name) {
        if (!*text)
                return -EINVAL;
        if (parse_numbers(text, name) == 0)
                return 0;
        if (strspn(text, "0123456789") == strlen(text)) {
                name->form = DEVICE_FORM_NUMBER;
                name->minor = DEVICE_NUMBER_ANY;
                return parse_number(text, text + strlen(text), DEVICE_MAJOR_MAX, &name->major);
        }
        name->form = DEVICE_FORM_GROUP;
        name->text = text;
        return 0;
}

int device_name_parse(const char *text, DeviceName *ret) {
        static const struct {
                const char *prefix;
                DeviceKind kind;
                int (*parse)(const char *text, DeviceName *name);
        } prefixes[] = {
                { "char-", DEVICE_KIND_CHARACTER, parse_driver },
                { "block-", DEVICE_KIND_BLOCK, parse_driver },
                { "c ", DEVICE_KIND_CHARACTER, parse_numbers },
                { "b ", DEVICE_KIND_BLOCK, parse_numbers },
                { "", DEVICE_KIND_EITHER, parse_numbers },
        };
        DeviceName name = {};
        size_t i = 0;

        if (strlen(text) > DEVICE_NAME_LENGTH_MAX || !is_printable(text))
                return -EINVAL;
        if (strncmp(text, "/dev/", 5) == 0) {
                if (!path_is_plain(text))
                        return -EINVAL;
                *ret = (DeviceName){ .form = DEVICE_FORM_NODE, .text = text };
                return 0;
        }
        while (strncmp(text, prefixes[i].prefix, strlen(prefixes[i].prefix)) != 0)
                i++;
        name.kind = prefixes[i].kind;
        if (prefixes[i].parse(text + strlen(prefixes[i].prefix), &name) < 0)
                return -EINVAL;
        /* "*:0" says nothing of what it would open. */
        if (name.kind == DEVICE_KIND_EITHER && name.major == DEVICE_NUMBER_ANY)
                return -EINVAL;
        *ret = name;
        return 0;
}

/* Where it is, or where it belongs. */
static size_t find_place(const DeviceSet *set, const char *name, bool *ret_found) {
        for (size_t i = 0; i < set->n; i++) {
                int order = strcmp(set->entries[i].name, name);

                *ret_found = order == 0;
                if (order >= 0)
                        return i;
        }
        *ret_found = false;
        return set->n;
}

int device_set_put(DeviceSet *set, const char *name, uint32_t access) {
        bool found;
        size_t i = find_place(set, name, &found);
        Device *entries;
        char *copy;

        if (found) {
                set->entries[i].access |= access;
                return 0;
        }
        entries = reallocarray(set->entries, set->n + 1, sizeof(Device));
        if (!entries)
                return -ENOMEM;
        set->entries = entries;
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        memmove(entries + i + 1, entries + i, (set->n - i) * sizeof(Device));
        entries[i] = (Device){ copy, access };
        set->n++;
        return 0;
}

bool device_set_has(const DeviceSet *set, const char *name) {
        bool found;

        (void) find_place(set, name, &found);
        return found;
}

bool device_set_equal(const DeviceSet *a, const DeviceSet *b) {
        if (a->n != b->n)
                return false;
        for (size_t i = 0; i < a->n; i++)
                if (a->entries[i].access != b->entries[i].access ||
                                strcmp(a->entries[i].name, b->entries[i].name) != 0)
                        return false;
        return true;
}

int device_set_copy(const DeviceSet *set, DeviceSet *ret) {
        _cleanup_device_set_ DeviceSet copy = DEVICE_SET_NULL;

        for (size_t i = 0; i < set->n; i++) {
                int r = device_set_put(&copy, set->entries[i].name, set->entries[i].access);
                if (r < 0)
                        return r;
        }
        *ret = copy;
        copy = (DeviceSet) DEVICE_SET_NULL;
        return 0;
}

void device_set_deinit(DeviceSet *set) {
        for (size_t i = 0; i < set->n; i++)
                free(set->entries[i].name);
        free(set->entries);
        *set = (DeviceSet) DEVICE_SET_NULL;
}
