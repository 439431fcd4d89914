/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Groups whose packets ride the control class, and nobody else's. They come and go with their services. */

#include "reconcile-internal.h"

#include <fcntl.h>
#include <sys/stat.h>

/* What is attached is left alone. */
void reconciler_meter_control_groups(Reconciler *reconciler) {
        for (char **path = reconciler->options.config->control_groups; reconciler->meter && path && *path;
                        path++) {
                _cleanup_free_ char *absolute = NULL;
                _cleanup_close_ int fd = -EBADF;
                struct stat st;

                if (asprintf(&absolute, "%s%s", cgroup_driver_mount(reconciler->driver), *path) < 0) {
                        absolute = NULL;
                        return;
                }
                fd = open(absolute, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (fd < 0 || fstat(fd, &st) < 0)
                        continue;
                (void) meter_add(reconciler->meter, SLOT_CONTROL, absolute, fd, st.st_ino, METER_GROUP_OWN);
        }
}

int reconciler_watch_control(const Reconciler *reconciler, ArrivalWatch **ret) {
        return arrival_watch_new(cgroup_driver_mount(reconciler->driver),
                        reconciler->options.config->control_groups, ret);
}
