/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* adopt and abandon: a control group of someone else's, counted as a tenant's. */

#include "client.h"

#include <string.h>

#define CGROUP_MOUNT "/sys/fs/cgroup"

/* What a shell completes is a path of the file system, with a slash behind; headgated wants it below the
 * mount. */
static char *path_below_mount(const char *word) {
        size_t length = strlen(CGROUP_MOUNT);
        char *path;

        if (strncmp(word, CGROUP_MOUNT "/", length + 1) == 0)
                word += length;
        path = strdup(word);
        if (!path)
                return NULL;
        length = strlen(path);
        if (length > 1 && path[length - 1] == '/')
                path[length - 1] = '\0';
        return path;
}

static int call_with_path(const Ctl *ctl, const char *method) {
        _cleanup_free_ char *path = path_below_mount(ctl->args[1]);

        return path ? client_change(ctl, method, "ss", ctl->args[0], path)
                    : ctl_fail_errno(-ENOMEM, "cannot read the command line");
}

int verb_adopt(const Ctl *ctl) {
        return call_with_path(ctl, "Adopt");
}

int verb_abandon(const Ctl *ctl) {
        return call_with_path(ctl, "Abandon");
}
