/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The one place that knows all rooms: it reads the clock, waits for events, and brings what is enforced to
 * what is planned, always by the same path.
 */

#include "config.h"
#include "enforce/cgroup.h"

typedef struct Manager Manager;

typedef struct ManagerOptions {
        const Config *config;
        const char *bus;         /* "system", "session", or a D-Bus address */
        const char *peer_socket; /* absolute; NULL: none */
        const char *state_dir;
        const char *pin_dir; /* below a bpffs; NULL: nothing is pinned */
        CgroupDriverKind cgroup_driver;
        const char *cgroup_root; /* for cgroupfs: the group below which ours is made; NULL: the mount */
        bool dry_run;            /* decide and say, but change nothing on the node or on disk */
} ManagerOptions;

int manager_new(const ManagerOptions *options, Manager **ret);
Manager *manager_free(Manager *manager); /* what is enforced stays */
DEFINE_CLEANUP(Manager *, manager_free);

/* The exit status of a daemon that was told to take everything off: it is not to be started again. Beyond
 * those of sysexits.h. */
#define MANAGER_EXIT_RELEASED 79

/* Until SIGTERM or SIGINT: 0; or until everything was released: MANAGER_EXIT_RELEASED. */
int manager_run(Manager *manager);

/* Takes everything of ours off this node: processes of tenants stay alive, outside any tenant's limits. */
int manager_release_node(Manager *manager);
