/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One control-group driver, opened on the real kernel for each test, and the test's own way to the kernel's
 * files and to processes that it may place: what the driver says is compared with them. HEADGATE_TEST_DRIVER
 * says which driver (cgroupfs where it is not set); needs root. It checks nothing of itself.
 *
 * cgroupfs works below a group that each test makes for itself and removes; systemd below headgate.slice,
 * with tenants that no one else has. Run with --jobs 1.
 */

#include "enforce/cgroup-driver.h"

#include <limits.h>
#include <sys/types.h>

#define MIB (1024ULL * 1024)

extern CgroupDriver *driver;
extern FeatureSet features;
extern char mount_path[PATH_MAX - 64];
extern char root[64]; /* of cgroupfs, below the mount */
extern bool is_systemd;

/* A suite's .init and .fini. */
void driver_setup(void);
void driver_teardown(void);

/* cr_skip() alone would leave without what .fini clears away. */
#define skip(why)                  \
        do {                       \
                driver_teardown(); \
                cr_skip(why);      \
        } while (0)

/* Files of a group, which is given by its path below the mount. */
bool read_text(const char *group, const char *file, char *ret, size_t size);
bool write_text(const char *group, const char *file, const char *text);
void assert_text(const char *group, const char *file, const char *expected);
/* With make_directory or rmdir(2). */
int change_directory(int (*change)(const char *), const char *group);
int make_directory(const char *path);

/* Whether it comes to hold, at most 20 s. */
bool within(bool (*holds)(const void *), const void *argument);

TenantGroup *ensure(const char *tenant_id);
/* The same with 300 millicores and 44 tasks. */
TenantGroup *ensure_limited(const char *tenant_id);
/* For within(); takes a TenantGroup. */
bool is_empty(const void *group);
/* Removes the group, by now without processes, whose end its cgroup.events may not yet tell. */
void remove_group(TenantGroup *group);

/* A process that does nothing. */
typedef struct Child {
        pid_t pid;
        int pidfd;
} Child;

Child spawn(void);
/* For within(); takes the pidfd. */
bool has_exited(const void *pidfd);
/* Waits for the child's end and tells the signal that ended it. */
int reap(Child *child);
void assert_place(pid_t pid, const char *group);
void attach(TenantGroup *group, const Child *child, char **ret_path);

/* A shell command's exit code. */
int run(const char *command);
