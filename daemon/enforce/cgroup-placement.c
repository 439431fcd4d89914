/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The files of the cpuset controller. With the systemd driver cpuset.cpus and cpuset.mems go through PID 1
 * (AllowedCPUs=, AllowedMemoryNodes=): it enables the controller for who has these and for no one else, so
 * that what is enabled beside it is taken away at its next change. Partitions it does not know, and leaves
 * alone.
 */

#include "enforce/cgroup-placement.h"
#include "enforce/cgroup-driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define LIST_TEXT_SIZE 4096 /* a page */

static int read_list(int fd, const char *file, CpuSet *ret) {
        char text[LIST_TEXT_SIZE];
        int r = group_read_file(fd, file, text, sizeof text);

        if (r < 0)
                return r;
        text[strcspn(text, "\n")] = '\0';
        return cpu_set_parse(text, ret);
}

/* kernfs takes no empty write: a newline empties the list. */
static int write_list(int fd, const char *file, const CpuSet *set) {
        _cleanup_free_ char *text = cpu_set_format(set);

        if (!text)
                return -ENOMEM;
        return group_write_file(fd, file, *text ? text : "\n");
}

static int observe_partition(int fd, GroupPlacement *ret) {
        int r;

        r = group_read_file(fd, "cpuset.cpus.partition", ret->partition, sizeof ret->partition);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        ret->partition[strcspn(ret->partition, "\n")] = '\0';
        ret->placement.alone = strcmp(ret->partition, "root") == 0;
        r = read_list(fd, "cpuset.cpus.exclusive", &ret->alone);
        ret->can_be_alone = r >= 0;
        return r == -ENOENT ? 0 : r;
}

/* -ENOENT: it has not got the controller, as most have not. That is found out without opening anything. */
static int read_cpus(const TenantGroup *group, CpuSet *ret) {
        if (!group_has_file(group->fd, "cpuset.cpus"))
                return tenant_group_alive(group) ? -ENOENT : -ENOLINK;
        return read_list(group->fd, "cpuset.cpus", ret);
}

static int observe(const TenantGroup *group, GroupPlacement *ret) {
        GroupPlacement found = {};
        int fd = group->fd, r = read_cpus(group, &found.placement.cpus);

        if (r == -ENOENT) {
                *ret = found;
                return 0;
        }
        found.available = true;
        if (r >= 0)
                r = read_list(fd, "cpuset.mems", &found.placement.nodes);
        if (r >= 0)
                r = read_list(fd, "cpuset.cpus.effective", &found.usable_cpus);
        if (r >= 0)
                r = read_list(fd, "cpuset.mems.effective", &found.usable_nodes);
        if (r >= 0)
                r = observe_partition(fd, &found);
        if (r < 0)
                return r;
        *ret = found;
        return 0;
}

int tenant_group_observe_placement(TenantGroup *group, GroupPlacement *ret) {
        return observe(group, ret);
}

int cgroup_parent_observe_placement(CgroupDriver *driver, GroupPlacement *ret) {
        return observe(driver->parent, ret);
}

static bool has_controller(const CgroupDriver *driver) {
        char text[4096], *rest = NULL;

        if (group_read_file(driver->root_fd, "cgroup.controllers", text, sizeof text) < 0)
                return false;
        for (char *word = strtok_r(text, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest))
                if (strcmp(word, "cpuset") == 0)
                        return true;
        return false;
}

/* The controller comes with the first who is placed: it is a cost to all. PID 1 would enable it itself, and
 * does not look whether somebody took it away since. */
static int enable_controller(const CgroupDriver *driver) {
        int r = group_write_file(driver->root_fd, "cgroup.subtree_control", "+cpuset");

        return r < 0 ? r : group_write_file(driver->parent->fd, "cgroup.subtree_control", "+cpuset");
}

int tenant_group_place(TenantGroup *group, const CpuSet *cpus, const CpuSet *nodes) {
        GroupPlacement have;
        int r;

        r = observe(group, &have);
        if (r < 0)
                return r;
        if (cpu_set_equal(cpus, &have.placement.cpus) && cpu_set_equal(nodes, &have.placement.nodes))
                return 0;
        if (!has_controller(group->driver))
                return -EOPNOTSUPP;
        if (!have.available)
                r = enable_controller(group->driver);
        return r < 0 ? r : group->driver->ops->place(group, cpus, nodes);
}

int group_write_placement(TenantGroup *group, const CpuSet *cpus, const CpuSet *nodes) {
        int r = write_list(group->fd, "cpuset.cpus", cpus);

        return r < 0 ? r : write_list(group->fd, "cpuset.mems", nodes);
}

int tenant_group_make_partition(TenantGroup *group, const CpuSet *cpus) {
        int r = write_list(group->fd, "cpuset.cpus.exclusive", cpus);

        return r < 0 ? r : group->driver->ops->make_partition(group);
}

int tenant_group_unmake_partition(TenantGroup *group) {
        int r = group_write_file(group->fd, "cpuset.cpus.partition", "member"), k;

        if (r < 0)
                return r == -ENOENT ? 0 : r;
        k = write_list(group->fd, "cpuset.cpus.exclusive", &(CpuSet){});
        return k == -ENOENT ? 0 : k;
}

/* The kernel asks for them all the way down. Which of them a delegated root has to give is its owner's to
 * say: where it has too few, the kernel says so of each partition. */
int cgroup_parent_give(CgroupDriver *driver, const CpuSet *cpus) {
        GroupPlacement have;
        int r = observe(driver->parent, &have);

        if (r < 0 || !have.can_be_alone || cpu_set_equal(&have.alone, cpus))
                return r;
        return write_list(driver->parent->fd, "cpuset.cpus.exclusive", cpus);
}

/* The file is there only once the controller is enabled: until then, by the kernel's release. */
static bool knows_partitions(const CgroupDriver *driver) {
        GroupPlacement parent;
        struct utsname kernel;
        unsigned major = 0, minor = 0;

        if (observe(driver->parent, &parent) >= 0 && parent.available)
                return parent.can_be_alone;
        return uname(&kernel) == 0 && sscanf(kernel.release, "%u.%u", &major, &minor) == 2 &&
               (major > 6 || (major == 6 && minor >= 7));
}

int cgroup_driver_put_placement_features(CgroupDriver *driver, FeatureSet *features) {
        int r;

        if (!has_controller(driver)) {
                r = feature_set_put(features, "cpuset", false,
                                "the cpuset controller is not in the unified hierarchy: CpuSet and NumaNodes "
                                "are not "
                                "enforced");
                return r < 0 ? r
                             : feature_set_put(features, "cpuset.exclusive", false,
                                               "without the cpuset controller nobody has CPUs alone");
        }
        r = feature_set_put(features, "cpuset", true, "by cpuset.cpus and cpuset.mems");
        if (r < 0)
                return r;
        if (!knows_partitions(driver))
                return feature_set_put(features, "cpuset.exclusive", false,
                                "this kernel has no partitions below a group that is none (Linux 6.7 has): "
                                "exclusive "
                                "CPUs are exclusive among tenants, and other groups may still run there");
        return feature_set_put(features, "cpuset.exclusive", true, "by cpuset.cpus.partition%s",
                        strcmp(driver->root, "/") != 0 ? ", of the CPUs that the root group "
                                                         "was given in cpuset.cpus.exclusive"
                                                       : "");
}
