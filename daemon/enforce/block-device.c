/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A stack of devices (dm, md, a loop device over a file) charges what passes through it at each of its
 * layers: a limit on every device means its lowest ones, else it would be counted twice. Memory that poses as
 * a device (zram) is left to memory's limits.
 */

#include "enforce/block-device.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_SIZE 320

int block_devices_text(const char *root, char **ret) {
        char path[PATH_SIZE], *text = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t size = 0;

        (void) snprintf(path, sizeof(path), "%s/proc/partitions", root);
        f = fopen(path, "re");
        if (!f)
                return -errno;
        errno = 0;
        if (getdelim(&text, &size, '\0', f) < 0) {
                free(text);
                return errno > 0 ? -errno : -ENODATA;
        }
        *ret = text;
        return 0;
}

bool block_devices_next(const char **text, BlockDevice *ret) {
        while (**text) {
                const char *line = *text, *end = strchrnul(line, '\n');
                unsigned major, minor;
                BlockDevice device = {};

                *text = *end ? end + 1 : end;
                if (line == end) /* or the next line would be read for this one */
                        continue;
                /* The width is BLOCK_NAME_SIZE - 1. */
                if (sscanf(line, " %u %u %*u %31s", &major, &minor, device.name) != 3)
                        continue; /* the heading */
                (void) snprintf(device.number, sizeof(device.number), "%u:%u", major, minor);
                *ret = device;
                return true;
        }
        return false;
}

bool scheduler_is(const char *text, const char *name) {
        const char *chosen = strchr(text, '[');
        size_t n = strlen(name);

        return chosen && strncmp(chosen + 1, name, n) == 0 && chosen[1 + n] == ']';
}

static const char *sysfs_path(const char *root, const BlockDevice *device, const char *entry, char *ret) {
        (void) snprintf(ret, PATH_SIZE, "%s/sys/dev/block/%s%s%s", root, device->number, *entry ? "/" : "",
                        entry);
        return ret;
}

static bool exists(const char *root, const BlockDevice *device, const char *entry) {
        char path[PATH_SIZE];
        struct stat st;

        return stat(sysfs_path(root, device, entry, path), &st) == 0;
}

static bool has_slaves(const char *root, const BlockDevice *device) {
        char path[PATH_SIZE];
        DIR *directory = opendir(sysfs_path(root, device, "slaves", path));
        struct dirent *entry;
        bool found = false;

        while (directory && !found && (entry = readdir(directory)))
                found = entry->d_name[0] != '.';
        if (directory)
                closedir(directory);
        return found;
}

static bool is_bfq(const char *root, const BlockDevice *device) {
        char path[PATH_SIZE], text[256] = "";
        _cleanup_fclose_ FILE *f = fopen(sysfs_path(root, device, "queue/scheduler", path), "re");

        return f && fgets(text, sizeof(text), f) && scheduler_is(text, "bfq");
}

int block_devices_read(const char *root, const char *text, BlockDevice **ret, size_t *ret_n) {
        _cleanup_free_ BlockDevice *devices = NULL;
        BlockDevice device;
        size_t n = 0;

        while (block_devices_next(&text, &device)) {
                BlockDevice *grown;

                if (!exists(root, &device, "") || exists(root, &device, "partition"))
                        continue;
                device.leaf = !has_slaves(root, &device) && !exists(root, &device, "loop/backing_file") &&
                              strncmp(device.name, "zram", 4) != 0;
                device.policy = is_bfq(root, &device) ? IO_POLICY_BFQ : IO_POLICY_NONE;
                grown = reallocarray(devices, n + 1, sizeof(BlockDevice));
                if (!grown)
                        return -ENOMEM;
                devices = grown;
                devices[n++] = device;
        }
        *ret = TAKE_PTR(devices);
        *ret_n = n;
        return 0;
}
