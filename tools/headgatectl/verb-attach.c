/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* attach: running processes, or units of systemd, into a tenant. */

#include "attach.h"

#include <limits.h>
#include <string.h>
#include <sys/resource.h>

typedef struct Pidfds {
        int *fds; /* owned */
        size_t n;
} Pidfds;

static void pidfds_deinit(Pidfds *pidfds) {
        for (size_t i = 0; i < pidfds->n; i++)
                close(pidfds->fds[i]);
        free(pidfds->fds);
}

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

static int check_words(const Ctl *ctl) {
        pid_t pid;

        for (size_t i = 1; i < ctl->n_args; i++)
                if (is_unit(ctl->args[i]))
                        continue;
                else if (!parse_pid(ctl->args[i], &pid))
                        return ctl_fail(CTL_USAGE,
                                        "'%s' is neither a process id nor a unit's name with its suffix",
                                        ctl->args[i]);
                else if (ctl->host)
                        return ctl_fail(CTL_USAGE,
                                        "a process is attached on the node itself: ssh %s headgatectl attach "
                                        "...",
                                        ctl->host);

        return 0;
}

/* All that are named, before any moves: so one that is not there is known in time. */
static int open_processes(const Ctl *ctl, Pidfds *pidfds) {
        struct rlimit limit;
        pid_t pid;

        pidfds->fds = calloc(ctl->n_args, sizeof(int));
        if (!pidfds->fds)
                return ctl_fail_errno(-ENOMEM, "cannot read the command line");

        /* Many may be. The soft limit is low for the sake of select(2), which nothing here calls. */
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                (void) setrlimit(RLIMIT_NOFILE, &limit);
        }
        for (size_t i = 1; i < ctl->n_args; i++)
                if (parse_pid(ctl->args[i], &pid)) {
                        int r = attach_open(pid, &pidfds->fds[pidfds->n]);

                        if (r != 0)
                                return r;
                        pidfds->n++;
                }

        return 0;
}

/* One call is all or nothing, several are not: where one fails, what came before it is said, too. */
static int attach_all(const Ctl *ctl, Client *client, const Pidfds *pidfds) {
        const size_t n_units = ctl->n_args - 1 - pidfds->n;
        size_t processes = 0, units = 0;
        int r = 0;

        client->keep = true;
        while (r == 0 && processes < pidfds->n) {
                size_t left = pidfds->n - processes, n = left < ATTACH_PIDFDS_MAX ? left : ATTACH_PIDFDS_MAX;

                r = attach_pidfds(client, ctl->args[0], pidfds->fds + processes, n);
                if (r == 0)
                        processes += n;
        }
        for (size_t i = 1; r == 0 && i < ctl->n_args; i++)
                if (is_unit(ctl->args[i])) {
                        r = attach_unit(client, ctl->args[0], ctl->args[i]);
                        if (r == 0)
                                units++;
                }
        client->keep = false;

        if (r == 0)
                return CTL_OK;
        if (processes + units == 0)
                return ctl_fail(r, "%s", client->kept);
        return ctl_fail(r, "%s; before that, %zu of %zu processes and %zu of %zu units were attached",
                        client->kept, processes, pidfds->n, units, n_units);
}

int verb_attach(const Ctl *ctl) {
        _cleanup_(pidfds_deinit) Pidfds pidfds = {};
        _cleanup_client_ Client client = CLIENT_NULL;
        int r;

        r = check_words(ctl);
        if (r == 0)
                r = open_processes(ctl, &pidfds);
        if (r == 0)
                r = client_open(ctl, &client);
        return r != 0 ? r : attach_all(ctl, &client, &pidfds);
}
