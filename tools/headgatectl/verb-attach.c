/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* attach: running processes, or units of systemd, into a tenant. */

#include "attach.h"

#include <limits.h>
#include <string.h>

static bool is_unit(const char *word) {
        static const char *const suffixes[] = { ".service", ".scope", ".slice", ".socket", ".mount",
                ".swap" };
        const char *dot = strrchr(word, '.');

        for (size_t i = 0; dot && i < ELEMENTSOF(suffixes); i++)
                if (strcmp(dot, suffixes[i]) == 0)
                        return true;

        return false;
}

static bool parse_pid(const char *word, pid_t *ret) {
        char *end;
        long pid;

        errno = 0;
        pid = strtol(word, &end, 10);
        if (errno != 0 || word[0] < '0' || word[0] > '9' || *end != '\0' || pid < 1 || pid > INT_MAX)
                return false;

        *ret = (pid_t) pid;
        return true;
}

static int attach_unit(Client *client, const char *tenant_id, const char *unit) {
        _cleanup_bus_message_ sd_bus_message *call = NULL;
        int r;

        r = client_new_call(client, HEADGATE_PATH, HEADGATE_MANAGER, "AttachUnit", &call);
        if (r != 0)
                return r;

        r = sd_bus_message_append(call, "ss", tenant_id, unit);
        if (r < 0)
                return client_fail(client, r, "cannot send the unit");

        return client_call(client, call, CLIENT_TIMEOUT_CHANGE, /* ret_reply= */ NULL);
}

int verb_attach(const Ctl *ctl) {
        _cleanup_free_ pid_t *pids = calloc(ctl->n_args, sizeof(*pids));
        _cleanup_client_ Client client = CLIENT_NULL;
        size_t n_pids = 0;
        int r;

        if (!pids)
                return ctl_fail_errno(-ENOMEM, "cannot read the command line");

        /* All words are read before anything moves. */
        for (size_t i = 1; i < ctl->n_args; i++)
                if (parse_pid(ctl->args[i], &pids[n_pids]))
                        n_pids++;
                else if (!is_unit(ctl->args[i]))
                        return ctl_fail(CTL_USAGE,
                                        "'%s' is neither a process id nor a unit's name with its suffix",
                                        ctl->args[i]);

        r = client_open(ctl, &client);
        if (r != 0)
                return r;

        for (size_t i = 0; i < n_pids; i += ATTACH_PIDS_MAX) {
                size_t n = n_pids - i < ATTACH_PIDS_MAX ? n_pids - i : ATTACH_PIDS_MAX;

                r = attach_pids(&client, ctl->args[0], pids + i, n);
                if (r != 0)
                        return r;
        }

        for (size_t i = 1; i < ctl->n_args; i++)
                if (is_unit(ctl->args[i])) {
                        r = attach_unit(&client, ctl->args[0], ctl->args[i]);
                        if (r != 0)
                                return r;
                }

        return CTL_OK;
}
