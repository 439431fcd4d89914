/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What there is of devices on this node. Paths are looked at, never opened: some devices act when they are.
 */

#include "enforce/device-rule.h"

#include <inttypes.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static int find_node(const char *path, DeviceNumber *ret) {
        struct stat st;

        if (stat(path, &st) < 0)
                return errno == ENOTDIR ? -ENOENT : -errno;
        if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
                return -ENODEV;
        /* What a service's sandbox puts in the place of what is hidden from it. */
        if (st.st_rdev == 0)
                return -EACCES;
        *ret = (DeviceNumber){
                .kind = S_ISCHR(st.st_mode) ? DEVICE_KIND_CHARACTER : DEVICE_KIND_BLOCK,
                .major = major(st.st_rdev),
                .minor = minor(st.st_rdev),
        };
        return 0;
}

static bool has_number(const DeviceNumber *number) {
        char path[64];

        snprintf(path, sizeof(path), "/sys/dev/%s/%" PRIu32 ":%" PRIu32,
                        number->kind == DEVICE_KIND_BLOCK ? "block" : "char", number->major, number->minor);
        return access(path, F_OK) == 0;
}

int device_lookup_open(DeviceLookup *ret) {
        _cleanup_fclose_ FILE *f = fopen("/proc/devices", "re");
        char *drivers = NULL;
        size_t size = 0;

        if (!f)
                return -errno;
        if (getdelim(&drivers, &size, '\0', f) < 0) {
                free(drivers);
                return errno > 0 ? -errno : -EIO;
        }
        *ret = (DeviceLookup){ drivers, find_node, has_number };
        return 0;
}

void device_lookup_close(DeviceLookup *lookup) {
        free(lookup->drivers);
        *lookup = (DeviceLookup){};
}
