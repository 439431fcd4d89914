/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The driver for nodes without systemd: below one group "headgate" of our own, which libcgroup makes where
 * it finds the hierarchy; all else goes through held descriptors.
 *
 * What it refuses to do: to name a controller to libcgroup that is not in the unified hierarchy
 * (libcgroup 2.0 would go to cgroup v1, which is not ours), to have libcgroup remove a group (it would move
 * what came in meanwhile to the parent, out of its limits), and to enable controllers anywhere but in the
 * configured root and in our own group.
 */

#include "enforce/cgroup-driver.h"
#include "model/identifier.h"
#include "util/log.h"
#include "util/path.h"

#include <errno.h>
#include <fcntl.h>
#include <libcgroup.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PARENT_NAME "headgate"
#define REMOVAL_STEPS_MAX 10000 /* at once: the loop stands still meanwhile */

static int errno_from_cgroup(int code) {
        switch (code) {
        case 0:
                return 0;
        case ECGOTHER: {
                int error = cgroup_get_last_errno();

                return error > 0 ? -error : -EIO;
        }
        case ECGROUPNOTEXIST:
                return -ENOENT;
        case ECGROUPNOTMOUNTED:
        case ECGROUPSUBSYSNOTMOUNTED:
                return -ENODEV;
        case ECGROUPNOTOWNER:
        case ECGROUPNOTALLOWED:
                return -EPERM;
        case ECGINVAL:
                return -EINVAL;
        case ECGCONTROLLEREXISTS:
                return -EEXIST;
        default:
                return -EIO;
        }
}

static _printf_(3, 0) void log_cgroup(void *userdata, int level, const char *format, va_list ap) {
        char line[512];

        (void) vsnprintf(line, sizeof(line), format, ap);
        line[strcspn(line, "\n")] = '\0';
        log_debug("libcgroup: %s", line);
}

static char *path_join(const char *path, const char *name) {
        char *joined;

        return asprintf(&joined, "%s/%s", strcmp(path, "/") == 0 ? "" : path, name) < 0 ? NULL : joined;
}

/* Whether libcgroup, asked for this controller, would go to our mount and to no other. */
static bool controller_is_ours(const CgroupDriver *driver, const char *controller) {
        _cleanup_free_ char *mount = NULL;

        return cgroup_get_subsys_mount_point(controller, &mount) == 0 &&
               strcmp(mount, driver->mounts.unified) == 0;
}

/* `controllers`: bits of those that the directory holding the group has enabled. */
static int group_create(const CgroupDriver *driver, const char *path, uint32_t controllers) {
        struct cgroup *cgroup;
        bool any = false;
        int r;

        cgroup_set_logger(log_cgroup, CGROUP_LOG_WARNING, NULL);
        r = errno_from_cgroup(cgroup_init());
        if (r < 0)
                return r;
        cgroup = cgroup_new_cgroup(path);
        if (!cgroup)
                return -ENOMEM;
        for (int i = 0; r >= 0 && i < CONTROLLER_MAX; i++) {
                const char *name = controller_to_string((CgroupController) i);

                if (!(controllers & (1U << i)) || !controller_is_ours(driver, name))
                        continue;
                any = true;
                if (!cgroup_add_controller(cgroup, name))
                        r = -ENOMEM;
        }
        /* With no controller libcgroup 2.0 says 0 and makes nothing. */
        if (r >= 0 && any)
                r = errno_from_cgroup(cgroup_create_cgroup(cgroup, /* ignore_ownership= */ 1));
        cgroup_free(&cgroup);
        return r;
}

/* In a process of its own: libcgroup clears tables of 800 KB as it begins, and never gives them back. */
static int group_create_apart(const CgroupDriver *driver, const char *path, uint32_t controllers) {
        int status;
        pid_t pid = fork();

        if (pid < 0)
                return -errno;
        if (pid == 0)
                _exit(-group_create(driver, path, controllers));
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

/* Makes `name` in the held directory where it is not there yet; where it is, nothing is tried. */
static int ensure_directory(int fd, const char *name) {
        if (faccessat(fd, name, F_OK, 0) == 0)
                return 0;
        return mkdirat(fd, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* Our own group, where it is not there yet. */
static int ensure_parent(CgroupDriver *driver, const char *path) {
        const char *name = strrchr(path, '/') + 1;
        _cleanup_close_ int found_fd = -EBADF;
        uint32_t enabled = 0;
        int r;

        /* What it cannot have is noted by driver_enable_controllers(), which tries it again. */
        (void) group_enable_controllers(driver->root_fd, CONTROLLERS_ALL, &enabled);
        r = group_open_directory(driver->root_fd, name, &found_fd);
        if (r != -ENOENT)
                return r;
        r = group_create_apart(driver, path, enabled);
        return r < 0 ? r : ensure_directory(driver->root_fd, name);
}

static int cgroupfs_locate(CgroupDriver *driver, const char *tenant_id, char **ret_path) {
        _cleanup_free_ char *parent = path_join(driver->root, PARENT_NAME);
        char *path;

        if (!parent)
                return -ENOMEM;
        path = tenant_id ? path_join(parent, tenant_id) : TAKE_PTR(parent);
        if (!path)
                return -ENOMEM;
        *ret_path = path;
        return 0;
}

static int cgroupfs_make(CgroupDriver *driver, const char *tenant_id, char **ret_unit, char **ret_path) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = cgroupfs_locate(driver, tenant_id, &path);
        if (r < 0)
                return r;
        r = tenant_id ? ensure_directory(driver->parent->fd, tenant_id) : ensure_parent(driver, path);
        if (r < 0)
                return r;
        *ret_unit = NULL;
        *ret_path = TAKE_PTR(path);
        return 0;
}

static int cgroupfs_find(CgroupDriver *driver, const char *tenant_id, char **ret_unit, char **ret_path) {
        *ret_unit = NULL;
        return cgroupfs_locate(driver, tenant_id, ret_path);
}

static int cgroupfs_make_partition(TenantGroup *group) {
        return group_write_file(group->fd, "cpuset.cpus.partition", "root");
}

static int cgroupfs_attach(TenantGroup *group, const Process *processes, size_t n, char **ret_group) {
        char *path = strdup(group->path);

        if (!path)
                return -ENOMEM;
        *ret_group = path; /* also on failure, for those that were moved before it */
        for (size_t i = 0; i < n; i++) {
                char pid[sizeof("4294967295")];
                int r;

                (void) snprintf(pid, sizeof(pid), "%u", (unsigned) processes[i].pid);
                r = group_write_file(group->fd, "cgroup.procs", pid);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int cgroupfs_attach_unit(TenantGroup *group, const char *unit, char **ret_group) {
        return -EOPNOTSUPP;
}

typedef struct Signalling {
        const TenantGroup *group;
        int signal;
        int error;
} Signalling;

/* By pidfd, and only once the pid is known to be that of a process in the group: no one else is hit. */
static int signal_process(pid_t pid, void *userdata) {
        _cleanup_close_ int pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
        _cleanup_free_ char *path = NULL;
        Signalling *signalling = userdata;

        if (pidfd < 0 || process_find_group(pid, &path) < 0 || !path_is_within(path, signalling->group->path))
                return 0;
        if (syscall(SYS_pidfd_send_signal, pidfd, signalling->signal, NULL, 0) < 0 && errno != ESRCH)
                signalling->error = -errno;
        return 0;
}

static int signal_child(int parent_fd, const char *name, void *userdata) {
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = group_open_directory(parent_fd, name, &fd);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        return group_each_process(fd, signal_process, userdata);
}

static int cgroupfs_signal(TenantGroup *group, int signal) {
        Signalling signalling = { group, signal, 0 };
        int r;

        r = group_walk(group->fd, signal_child, &signalling);
        if (r >= 0)
                r = group_each_process(group->fd, signal_process, &signalling);
        return r < 0 ? r : signalling.error;
}

static int remove_group(int parent_fd, const char *name) {
        return unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

typedef struct Removal {
        char busy[NAME_MAX + 1]; /* the first that something is in */
        bool removed;            /* one before it */
} Removal;

static int remove_child(int parent_fd, const char *name, void *userdata) {
        Removal *removal = userdata;
        int r = remove_group(parent_fd, name);

        if (r == -EBUSY) {
                snprintf(removal->busy, sizeof(removal->busy), "%s", name);
                return 1;
        }
        removal->removed |= r == 0;
        return r;
}

/*
 * Groups that the tenant made below its own, the deepest first. The kernel bounds neither how deep they are
 * nor who makes more meanwhile: no level takes memory or a descriptor of ours, and there is an end to the
 * steps; what is left is -EBUSY, and comes again. It goes down into the first that something is in, and up
 * where nothing is left below; what is still the first and not to be removed then, has a process in it.
 */
static int remove_below(int fd) {
        _cleanup_close_ int at = -EBADF;
        bool is_back = false;
        size_t depth = 0;
        int r = group_open_directory(fd, ".", &at);

        for (unsigned step = 0; r >= 0 && step < REMOVAL_STEPS_MAX; step++) {
                Removal removal = {};
                int next;

                r = group_each_child(at, remove_child, &removal);
                if (r < 0 || (r == 0 && depth == 0))
                        return r;
                if (r > 0 && is_back && !removal.removed)
                        return -EBUSY;
                next = openat(at, r > 0 ? removal.busy : "..",
                                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (next < 0)
                        return errno == ENOENT ? -EBUSY : -errno; /* somebody else removes them, too */
                close(at);
                at = next;
                is_back = r == 0;
                depth += is_back ? -1 : 1;
        }
        return r < 0 ? r : -EBUSY;
}

/* rmdir refuses a group with anything in it (EBUSY), whatever came since it was found empty. */
static int cgroupfs_remove(CgroupDriver *driver, const char *tenant_id) {
        int holder_fd = tenant_id ? driver->parent->fd : driver->root_fd;
        const char *name = tenant_id ? tenant_id : PARENT_NAME;
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = group_open_directory(holder_fd, name, &fd);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        if (tenant_id) {
                r = remove_below(fd);
                if (r < 0)
                        return r;
        }
        return remove_group(holder_fd, name);
}

static bool cgroupfs_parse_name(const char *name, char *ret_tenant_id) {
        if (!identifier_valid(name))
                return false;
        (void) strcpy(ret_tenant_id, name);
        return true;
}

const CgroupDriverOps cgroup_cgroupfs_ops = {
        .kind = CGROUP_DRIVER_CGROUPFS,
        .make = cgroupfs_make,
        .apply = group_write_settings,
        .place = group_write_placement,
        .make_partition = cgroupfs_make_partition,
        .attach = cgroupfs_attach,
        .attach_unit = cgroupfs_attach_unit,
        .signal = cgroupfs_signal,
        .remove = cgroupfs_remove,
        .find = cgroupfs_find,
        .parse_name = cgroupfs_parse_name,
};
