/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Documentation/admin-guide/cputopology.rst and ABI/stable/sysfs-devices-node: lists of CPUs and of nodes,
 * each a file of one line. It keeps nothing and writes nothing.
 */

#include "topology-read.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define CPUS "devices/system/cpu"
#define NODES "devices/system/node"
#define TEXT_SIZE 4096 /* a page: what sysfs gives at most */

/* `ret` has TEXT_SIZE. */
static int read_text(int fd, const char *path, char *ret) {
        _cleanup_close_ int file_fd = openat(fd, path, O_RDONLY | O_CLOEXEC);
        ssize_t n;

        if (file_fd < 0)
                return -errno;
        n = read(file_fd, ret, TEXT_SIZE - 1);
        if (n < 0)
                return -errno;
        ret[n] = '\0';
        return 0;
}

static int read_list(int fd, const char *path, CpuSet *ret) {
        char text[TEXT_SIZE];
        int r = read_text(fd, path, text);

        if (r < 0)
                return r;
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

/* "Node 0 MemTotal:        2027856 kB". */
static int read_node_memory(int fd, unsigned node, Topology *topology) {
        char path[64], text[TEXT_SIZE], *total;
        uint64_t kib;
        int r;

        (void) snprintf(path, sizeof path, NODES "/node%u/meminfo", node);
        r = read_text(fd, path, text);
        if (r < 0)
                return 0;
        total = strstr(text, "MemTotal:");
        if (!total || sscanf(total, "MemTotal: %" SCNu64 " kB", &kib) != 1)
                return 0;
        return topology_put_node_memory(topology, node, kib * 1024);
}

/* A kernel that is built without NUMA has no such directory. */
static int read_nodes(int fd, Topology *topology) {
        CpuSet nodes, cpus, with_memory;
        int r = 0;

        if (read_list(fd, NODES "/online", &nodes) < 0)
                return 0;
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
                if (r >= 0)
                        r = read_node_memory(fd, node, topology);
        }
        return r;
}

int topology_read(const char *sysfs, Topology *ret) {
        _cleanup_close_ int fd = open(sysfs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_topology_ Topology topology = TOPOLOGY_NULL;
        CpuSet online, present;
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
        r = read_nodes(fd, &topology);
        if (r < 0)
                return r;
        *ret = topology;
        topology = (Topology) TOPOLOGY_NULL;
        return 0;
}

int topology_read_online(const char *sysfs, CpuSet *ret) {
        char path[256];
        int n = snprintf(path, sizeof path, "%s/" CPUS "/online", sysfs);

        return n >= (int) sizeof path ? -ENAMETOOLONG : read_list(AT_FDCWD, path, ret);
}
