/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the two drivers share, and the few things in which they differ. For the files of this room that are
 * named cgroup*, and no others: everyone else includes enforce/cgroup.h.
 */

#include "enforce/cgroup-text.h"
#include "enforce/cgroup.h"
#include "model/cpu-set.h"
#include "enforce/limit-text.h"
#include "enforce/pid1.h"

#include <sys/types.h>

struct TenantGroup {
        CgroupDriver *driver;       /* not owned; outlives the group */
        char *tenant_id;            /* NULL: the parent of all tenants */
        char *unit;                 /* systemd's name of it; NULL with cgroupfs */
        char *path;                 /* below the mount */
        int fd;                     /* the directory, readable */
        int events_fd;              /* cgroup.events: every read of it says whether the group still exists */
        int value_fds[SETTING_MAX]; /* opened when first needed; -EBADF before; so is the next */
        int freeze_fd;              /* cgroup.freeze, which no controller takes away */
        uint64_t id;
};

/* A process that is to be placed: named by its pidfd, found by its pid. */
typedef struct Process {
        int pidfd; /* not owned */
        pid_t pid;
        char *group; /* where it was, below the mount */
} Process;

typedef struct CgroupDriverOps {
        CgroupDriverKind kind;
        /* Bits of the controllers that PID 1 enables for the parent's children once one of them asks for it,
         * and takes away when none does. */
        uint32_t on_demand;
        /* Makes the group below the parent (the parent itself where `tenant_id` is NULL) and says where it
         * is. */
        int (*make)(CgroupDriver *driver, const char *tenant_id, char **ret_unit, char **ret_path);
        /* Writes settled changes, of which there is at least one. */
        int (*apply)(TenantGroup *group, const Settings *settled);
        /* Writes cpuset.cpus and cpuset.mems, of which one differs. */
        int (*place)(TenantGroup *group, const CpuSet *cpus, const CpuSet *nodes);
        /* Has the kernel make a partition of the group, which has all that this needs. */
        int (*make_partition)(TenantGroup *group);
        /* Moves the processes and says into which group; checks nothing afterwards. */
        int (*attach)(TenantGroup *group, const Process *processes, size_t n, char **ret_group);
        int (*attach_unit)(TenantGroup *group, const char *unit, char **ret_group);
        int (*order_units)(CgroupDriver *driver); /* NULL: it ties none */
        int (*signal)(TenantGroup *group, int signal);
        /* Removes a group that was found empty or absent, and all else that was made for it. */
        int (*untie)(CgroupDriver *driver,
                        const char *tenant_id); /* NULL: it ties none; undoes attach_unit() */
        int (*remove)(CgroupDriver *driver, const char *tenant_id);
        /* Where the group of that tenant (NULL: the parent) is, if it exists; -ENOENT. */
        int (*find)(CgroupDriver *driver, const char *tenant_id, char **ret_unit, char **ret_path);
        /* The tenant whose group has this directory name below the parent's; false: none of ours. */
        bool (*parse_name)(const char *name, char *ret_tenant_id);
        void (*rest)(CgroupDriver *driver); /* NULL: between two turns it holds nothing open anyway */
} CgroupDriverOps;

extern const CgroupDriverOps cgroup_systemd_ops, cgroup_cgroupfs_ops;

struct CgroupDriver {
        const CgroupDriverOps *ops;
        CgroupMounts mounts;
        int mount_fd;
        char *root; /* the group below which the parent is, "/" or "/delegated" */
        int root_fd;
        TenantGroup *parent;
        uint32_t controllers; /* bits of those that children of the parent can have */
        int enable_error;     /* why one of them could not be had, negative errno; or 0 */
        uint32_t settings;    /* bits of those whose files exist there */
        uint32_t limits;      /* bits of LimitFile, the same */
        Pid1 pid1;            /* with systemd: owned */
};

/* `path` below the directory and never above or beside it, through no symlink; a readable directory. */
int group_open_directory(int base_fd, const char *path, int *ret_fd);
/* False: it is not there, or the group is gone. */
bool group_has_file(int group_fd, const char *file);
/* A file of a held group. -ENOLINK: the group is gone; -ENOENT: the kernel has no such file. */
int group_open_file(int group_fd, const char *file, int flags, int *ret_fd);
/* Short files: up to `size` - 1 bytes, NUL-terminated. */
int group_read_fd(int fd, char *ret, size_t size);
int group_read_file(int group_fd, const char *file, char *ret, size_t size);
/* All of a file of any length; the caller frees. */
int group_read_text(int group_fd, const char *file, char **ret);
int group_write_fd(int fd, const char *text);
int group_write_file(int group_fd, const char *file, const char *text);
/* cgroup.procs of a group by its path below the mount. */
int group_put_process(CgroupDriver *driver, const char *path, pid_t pid);

int group_read_setting(TenantGroup *group, Setting setting, uint64_t *ret);
int group_write_setting(TenantGroup *group, Setting setting, uint64_t value);
/* All that are present, in the kernel's order. */
int group_write_settings(TenantGroup *group, const Settings *settings);

/* Enables, for the children of a group, what is available to it of `wanted` and not yet enabled; each alone,
 * so that one may fail. */
int group_enable_controllers(int group_fd, uint32_t wanted, uint32_t *ret_enabled);
/* Sees to it that the parent's children can have controllers, and sets driver->controllers. */
int driver_enable_controllers(CgroupDriver *driver);

/* Adds what the parent's files are good for, and what is missing of them and why. */
int driver_put_features(const CgroupDriver *driver, FeatureSet *features);
/* Bits of the LimitFiles whose files the parent has, and so its children will. */
uint32_t driver_find_limits(const CgroupDriver *driver);

/* cpuset.cpus and cpuset.mems of a group that has them. */
int group_write_placement(TenantGroup *group, const CpuSet *cpus, const CpuSet *nodes);

/*
 * Calls `each` for every group below the directory `fd`, children before their parents, with the directory
 * that holds it and its name; and stops at the first answer that is not 0, which it returns. Those that lie
 * more than 32 deep are passed over.
 */
typedef int (*GroupVisit)(int parent_fd, const char *name, void *userdata);
int group_walk(int fd, GroupVisit each, void *userdata);
/* The same for the groups directly below alone. */
int group_each_child(int fd, GroupVisit each, void *userdata);

/* Calls `each` for every process of the group itself, and stops at the first answer that is not 0, which it
 * returns. One that is gone has none; of a threaded group the domain above lists them. */
typedef int (*ProcessVisit)(pid_t pid, void *userdata);
int group_each_process(int fd, ProcessVisit each, void *userdata);

/* Finds pid and present group behind each pidfd. -ESRCH: one has exited; -EINVAL: one is no pidfd. */
int processes_identify(const int *pidfds, size_t n, Process **ret);
void processes_free(Process *processes, size_t n);
/* Whether every one of them is in `group`, and the same process as before. */
bool processes_placed(const Process *processes, size_t n, const char *group);
/* Puts back what was moved, and any other process that came to `group` because it has the pid by now. */
void processes_undo(CgroupDriver *driver, const Process *processes, size_t n, const char *group);
int process_find_group(pid_t pid, char **ret);
