/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Control groups, made and kept true by one of two drivers: systemd's units over sd-bus, or a subtree of our
 * own through libcgroup. It writes what it is told and reads back what holds; it does not know why.
 *
 * Errors are negative errnos. -ENOLINK: the group went away under us (or was made anew by another): ensure it
 * again.
 */

#include "model/feature.h"
#include "model/limit.h"
#include "model/settings.h"

typedef enum CgroupDriverKind {
        CGROUP_DRIVER_SYSTEMD,  /* headgate.slice and its children; the default where PID 1 is systemd */
        CGROUP_DRIVER_CGROUPFS, /* a group of our own, "headgate" below the group in `root` */
        CGROUP_DRIVER_MAX,
        CGROUP_DRIVER_INVALID = -EINVAL,
} CgroupDriverKind;

typedef struct CgroupDriver CgroupDriver;
typedef struct TenantGroup TenantGroup;

/* "auto" to what this node has: systemd where /run/systemd/system exists (sd_booted(3)), else cgroupfs. */
CgroupDriverKind cgroup_driver_kind_from_string(const char *s);
const char *cgroup_driver_kind_to_string(CgroupDriverKind kind);

/*
 * Finds the cgroup2 mount and our parent group there, making it if it is absent, with every controller that
 * it can have enabled for its children. Adds features ("cgroup", "cpu.limit", "cpu.weight", "cpu.idle",
 * "memory.limit", "memory.floor", "swap.limit", "tasks.limit") to `features`, each with words on why it is
 * missing where it is. `root`: for cgroupfs, the group below which ours is made, as a path below the mount
 * ("/" or "/delegated"); NULL is "/". The kernel's own root of the hierarchy is writable to CAP_DAC_OVERRIDE
 * alone (mode 0555): without it, -EACCES there.
 */
int cgroup_driver_new(CgroupDriverKind kind, const char *root, FeatureSet *features, CgroupDriver **ret);
CgroupDriver *cgroup_driver_free(CgroupDriver *driver);
DEFINE_CLEANUP(CgroupDriver *, cgroup_driver_free);

/* Services that were attached when they were not yet started after us are, from the next boot on. */
int cgroup_driver_order_units(CgroupDriver *driver);

/* What was opened for the operations of one turn, and would be filled by others while nobody reads it. */
void cgroup_driver_rest(CgroupDriver *driver);

CgroupDriverKind cgroup_driver_kind(const CgroupDriver *driver);
/* Absolute path of the cgroup2 mount, "/sys/fs/cgroup"; and the parent's path below it, "/headgate.slice". */
const char *cgroup_driver_mount(const CgroupDriver *driver);
const char *cgroup_driver_parent(const CgroupDriver *driver);
/* The parent's directory; owned by the driver, and another where the parent was made anew. */
int cgroup_driver_parent_fd(const CgroupDriver *driver);
/* Bits of the settings that this node's controllers can hold. */
uint32_t cgroup_driver_settings(const CgroupDriver *driver);

/* Bits (1U << LimitFile) of the files that groups have here. */
uint32_t cgroup_driver_limits(const CgroupDriver *driver);
/* What limits can name here beside block devices: RDMA devices, and what the misc controller counts. */
int cgroup_driver_add_targets(CgroupDriver *driver, ResourceSet *targets);

typedef struct SiblingWeights {
        uint64_t cpu, io; /* 0 where there is no such controller */
} SiblingWeights;

/* The parent is there, and held; 1: somebody had removed it, and it was made anew. */
int cgroup_parent_ensure(CgroupDriver *driver);

/*
 * The parent's own settings, and the sums of its siblings' weights. A sibling in the idle class counts 0:
 * its weight is nothing beside ours.
 */
int cgroup_parent_observe(CgroupDriver *driver, Settings *ret, SiblingWeights *ret_siblings);
int cgroup_parent_apply(CgroupDriver *driver, const Settings *changes);
#define CGROUP_CONTROLLERS_FILE "cgroup.subtree_control"
/*
 * Controllers that tenants' groups have, and those that they are to have, bits 1U << CgroupController:
 * somebody took away what is missing, and with it all that was set. Giving it back (1; 0: nothing was
 * missing) does not bring back what was set.
 */
int cgroup_parent_observe_controllers(CgroupDriver *driver, uint32_t *ret, uint32_t *ret_wanted);
int cgroup_parent_give_controllers(CgroupDriver *driver);

/*
 * The tenant's group: made where it is absent, held (directory and value files) until freed. Freeing leaves
 * the group.
 */
int tenant_group_ensure(CgroupDriver *driver, const char *tenant_id, TenantGroup **ret);
TenantGroup *tenant_group_free(TenantGroup *group);
DEFINE_CLEANUP(TenantGroup *, tenant_group_free);

const char *tenant_group_path(
                const TenantGroup *group); /* below the mount, "/headgate.slice/headgate-a.slice" */
const char *tenant_group_tenant(const TenantGroup *group); /* its id; NULL: the parent of all tenants */
int tenant_group_fd(const TenantGroup *group); /* the directory, O_PATH or O_DIRECTORY; owned by the group */
uint64_t tenant_group_id(const TenantGroup *group); /* 64-bit cgroup id, as in bpf_get_current_cgroup_id() */
/* False once the held group was removed or replaced by one of the same name. */
bool tenant_group_alive(const TenantGroup *group);

/*
 * Reads what holds from the kernel's files, never from systemd's properties. SETTING_CPU_WEIGHT is absent
 * while SETTING_CPU_IDLE is 1 (the file shows 0, whatever it was): nothing to compare. What is desired
 * compares with what is read only after setting_round(), enforce/cgroup-text.h.
 */
int tenant_group_observe(TenantGroup *group, Settings *ret);
/* The same of those settings alone that `which` has bits of. */
int tenant_group_observe_some(TenantGroup *group, uint32_t which, Settings *ret);

/*
 * Writes the settings that are present in `changes`, in the order that the kernel needs; with the systemd
 * driver in one SetUnitProperties(runtime). A memory.max below what is used is preceded by memory.high, and
 * by a bounded wait for reclaim (at most 200 ms). What this node has no file for is passed over, as is a
 * weight for a group that is idle. The caller reads back.
 */
int tenant_group_apply(TenantGroup *group, const Settings *changes);

/*
 * The same of what is held by device, in the files of `files` (bits 1U << LimitFile). A line for a device
 * that has gone is passed over, as is a file that this node has not. All are tried; the first error is
 * returned.
 */
int tenant_group_observe_limits(TenantGroup *group, uint32_t files, LimitSet *ret);
int tenant_group_apply_limits(TenantGroup *group, const LimitLine *lines, size_t n);

/*
 * Places the processes behind `pidfds` in the group (systemd: in a new scope headgate-<tenant>-<n>.scope
 * below it) and checks each pidfd again afterwards; on a mismatch undoes and returns -ESRCH. `ret_group`:
 * where they are now (owned by the caller), path below the mount. Needs no more than 16 fds a call.
 */
int tenant_group_attach(TenantGroup *group, const int *pidfds, size_t n, char **ret_group);

/*
 * Writes a Slice= drop-in for the unit, which counts at its next start, and has PID 1 reload (seconds, on a
 * large system): in /etc/systemd/system, or in /run/systemd/system where that is read-only. At a boot a
 * service is then started after us, unless we are started after it ourselves. tenant_group_remove() takes it
 * back. -EOPNOTSUPP with the cgroupfs driver, -ENOENT: no such unit, -EINVAL: not a service, socket, mount or
 * swap, -EEXIST: another drop-in of the unit names another slice. `ret_group`: the unit's present group, or
 * NULL where it is not running.
 */
int tenant_group_attach_unit(TenantGroup *group, const char *unit, char **ret_group);

/* Bytes charged now, for the residual share; -EOPNOTSUPP without a memory controller. */
int tenant_group_memory_current(TenantGroup *group, uint64_t *ret_bytes);
int tenant_group_populated(TenantGroup *group); /* 1 if any process is in it or below, 0 if none */
int tenant_group_signal(TenantGroup *group, int signal);
int tenant_group_freeze(TenantGroup *group, bool frozen);
/* 1 where the group itself was told to freeze, whatever became of it so far; 0 where it was not. */
int tenant_group_is_frozen(TenantGroup *group);
int tenant_group_kill(TenantGroup *group);
/* Removes an empty group (with systemd: stops the slice). -EBUSY: not empty, and left as it is. 0: there was
 * none. */
int tenant_group_remove(CgroupDriver *driver, const char *tenant_id);

/* Units that were attached begin elsewhere from their next start; what runs goes on where it is. */
int tenant_group_untie(CgroupDriver *driver, const char *tenant_id);

/* The group that the process is in, below the mount; the caller frees. -ESRCH: it has exited. */
int cgroup_find_process(int pidfd, char **ret);

/*
 * A group of someone else's, by its path below the mount: its directory, which the caller closes, and its id.
 * -ENOENT: there is none.
 */
int cgroup_foreign_open(const CgroupDriver *driver, const char *path, int *ret_fd, uint64_t *ret_id);
/* 1 where PID 1, ourselves, or a process that is root's is in it or below it: which. */
int cgroup_foreign_find_system(const CgroupDriver *driver, const char *path, pid_t *ret);
/* Whether it is there and the same that had this id. */
bool cgroup_foreign_lives(const CgroupDriver *driver, const char *path, uint64_t id);

/* Ids of the tenants whose groups exist below our parent; the caller frees with strv_free(). */
int cgroup_driver_list(CgroupDriver *driver, char ***ret_tenant_ids);
/* Removes the parent itself, if it is empty and ours. */
int cgroup_driver_remove_parent(CgroupDriver *driver);
