/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Looks for names of files, and opens none. */

#include "enforce/cgroup-slice.h"
#include "util/cleanup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

static bool _printf_(2, 3) exists(int fd, const char *format, ...) {
        char path[PATH_MAX];
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vsnprintf(path, sizeof(path), format, arguments);
        va_end(arguments);
        return n < (int) sizeof(path) && faccessat(fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool slice_stands(int run_fd, int mount_fd, const char *path, const char *const *properties) {
        const char *unit = strrchr(path, '/') + 1;

        if (!exists(mount_fd, ".%s/cgroup.procs", path) || !exists(run_fd, "units/invocation:%s", unit))
                return false;
        for (; *properties; properties++)
                if (!exists(run_fd, "system.control/%s.d/50-%s.conf", unit, *properties))
                        return false;
        return true;
}
