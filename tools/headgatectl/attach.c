/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The Manager's Attach. A pidfd, not a number: the process cannot become another one on the way. */

#include "attach.h"

#include <string.h>
#include <sys/syscall.h>

int attach_open(pid_t pid, int *ret_pidfd) {
        int fd = (int) syscall(SYS_pidfd_open, pid, 0);

        if (fd < 0 && errno == ESRCH)
                return ctl_fail(CTL_NOT_FOUND, "there is no process %d", (int) pid);
        if (fd < 0 && errno == EINVAL)
                return ctl_fail(CTL_FAILED, "%d is a thread: name its process, all threads move with it",
                                (int) pid);
        if (fd < 0)
                return ctl_fail(CTL_FAILED, "cannot open process %d: %s", (int) pid, strerror(errno));

        *ret_pidfd = fd;
        return 0;
}

static int append_pidfds(sd_bus_message *call, const int *pidfds, size_t n) {
        int r;

        r = sd_bus_message_open_container(call, 'a', "h");
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = sd_bus_message_append(call, "h", pidfds[i]);
        return r < 0 ? r : sd_bus_message_close_container(call);
}

int attach_pidfds(Client *client, const char *tenant_id, const int *pidfds, size_t n) {
        _cleanup_bus_message_ sd_bus_message *call = NULL;
        int r;

        r = client_new_call(client, HEADGATE_PATH, HEADGATE_MANAGER, "Attach", &call);
        if (r != 0)
                return r;

        r = sd_bus_message_append(call, "s", tenant_id);
        if (r >= 0)
                r = append_pidfds(call, pidfds, n);
        if (r == -EOPNOTSUPP)
                return ctl_fail(CTL_FAILED, "%s cannot carry processes: run headgatectl on that node",
                                client->where);
        if (r < 0)
                return client_fail(client, r, "cannot send the processes");

        return client_call(client, call, CLIENT_TIMEOUT_CHANGE, /* ret_reply= */ NULL);
}
