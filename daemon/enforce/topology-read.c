/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Documentation/admin-guide/cputopology.rst and ABI/stable/sysfs-devices-node: lists of CPUs and of nodes,
 * each a file of one line. It keeps nothing and writes nothing.
 */

#include "topology-read.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define CPUS "devices/system/cpu"
#define NODES "devices/system/node"
#define LIST_TEXT_SIZE 4096 /* a page: what sysfs gives at most */

static int read_list(int fd, const char *path, CpuSet *ret) {
        _cleanup_close_ int list_fd = openat(fd, path, O_RDONLY | O_CLOEXEC);
        char text[LIST_TEXT_SIZE];
        ssize_t n;

        if (list_fd < 0)
                return -errno;
        n = read(list_fd, text, sizeof text - 1);
        if (n < 0)
                return -errno;
        text[n] = '\0';
        text[strcspn(text, "\n")] = '\0';
        return cpu_set_parse(text, ret);
}

/* Of one CPU or node: PREFIXnumberSUFFIX. */
static int read_list_of(int fd, const char *prefix, unsigned number, const char *suffix, CpuSet *ret) {
        char path[64];

        (void) snprintf(path, sizeof path, "%s%u%s", prefix, number, suffix);
        return read_list(fd, path, ret);
}

static void read_cores(int fd, Topology *topology) {
        CPU_SET_FOREACH (cpu, &topology->online) {
                CpuSet siblings;

                if (read_list_of(fd, CPUS "/cpu", cpu, "/topology/thread_siblings_list", &siblings) >= 0 &&
                                cpu_set_has(&siblings, cpu))
                        topology->cpus[cpu].core = cpu_set_next(&siblings, 0);
        }
}

/* A kernel that is built without NUMA has no such directory. */
static void read_nodes(int fd, Topology *topology) {
        CpuSet nodes, cpus, with_memory;

        if (read_list(fd, NODES "/online", &nodes) < 0)
                return;
        if (read_list(fd, NODES "/has_memory", &with_memory) >= 0 && !cpu_set_is_empty(&with_memory))
                topology->nodes = with_memory;
        else
                topology->nodes = nodes;
        CPU_SET_FOREACH (node, &nodes) {
                if (read_list_of(fd, NODES "/node", node, "/cpulist", &cpus) < 0)
                        continue;
                CPU_SET_FOREACH (cpu, &cpus)
                        if (cpu < topology->n_cpus)
                                topology->cpus[cpu].node = node;
        }
}

int topology_read(const char *sysfs, Topology *ret) {
        _cleanup_close_ int fd = open(sysfs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CpuSet online, present;
        Topology topology;
        int r;

        if (fd < 0)
                return -errno;
        r = read_list(fd, CPUS "/online", &online);
        if (r < 0)
                return r;
        if (read_list(fd, CPUS "/present", &present) < 0)
                present = online;
        r = topology_make(&present, &online, &topology);
        if (r < 0)
                return r;
        read_cores(fd, &topology);
        read_nodes(fd, &topology);
        *ret = topology;
        return 0;
}
