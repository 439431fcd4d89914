/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The Manager's Attach. A pidfd, not a number: the process cannot become another one on the way. */

#include "attach.h"

#include <string.h>
#include <sys/syscall.h>

static int open_pidfd(pid_t pid) {
        int fd = (int) syscall(SYS_pidfd_open, pid, 0);

        return fd < 0 ? -errno : fd;
}

static int append_pidfds(sd_bus_message *call, const pid_t *pids, size_t n) {
        int r;

        r = sd_bus_message_open_container(call, 'a', "h");
        if (r < 0)
                return r;

        for (size_t i = 0; i < n; i++) {
                _cleanup_close_ int fd = open_pidfd(pids[i]);

                if (fd == -ESRCH)
                        return ctl_fail(CTL_NOT_FOUND, "there is no process %d", (int) pids[i]);
                if (fd == -EINVAL)
                        return ctl_fail(CTL_FAILED,
                                        "%d is a thread: name its process, all threads move with it",
                                        (int) pids[i]);
                if (fd < 0)
                        return fd;

                r = sd_bus_message_append(call, "h", fd);
                if (r < 0)
                        return r;
        }

        r = sd_bus_message_close_container(call);
        return r < 0 ? r : 0;
}

int attach_pids(Client *client, const char *tenant_id, const pid_t *pids, size_t n) {
        _cleanup_bus_message_ sd_bus_message *call = NULL;
        int r;

        r = client_new_call(client, HEADGATE_PATH, HEADGATE_MANAGER, "Attach", &call);
        if (r != 0)
                return r;

        r = sd_bus_message_append(call, "s", tenant_id);
        if (r >= 0)
                r = append_pidfds(call, pids, n);
        if (r == -EOPNOTSUPP)
                return ctl_fail(CTL_FAILED, "%s cannot carry processes: run headgatectl on that node",
                                client->where);
        if (r < 0)
                return client_fail(client, r, "cannot send the processes");
        if (r > 0)
                return r;

        return client_call(client, call, CLIENT_TIMEOUT_CHANGE, /* ret_reply= */ NULL);
}
