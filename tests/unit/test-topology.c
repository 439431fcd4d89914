/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "enforce/topology-read.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#define CPUS "devices/system/cpu/"
#define NODES "devices/system/node/"

static char root[] = "/tmp/headgate-topology-XXXXXX";

static void make_root(void) {
        cr_assert_not_null(mkdtemp(root));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

static void remove_root(void) {
        (void) nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *file, const char *text) {
        char path[256];
        FILE *f;

        snprintf(path, sizeof path, "%s/%s", root, file);
        for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                (void) mkdir(path, 0700);
                *slash = '/';
        }
        f = fopen(path, "we");
        cr_assert_not_null(f);
        fputs(text, f);
        fclose(f);
}

static void expect_cpus(const CpuSet *set, const char *text) {
        _cleanup_free_ char *have = cpu_set_format(set);

        cr_expect_str_eq(have, text);
}

TestSuite(topology, .init = make_root, .fini = remove_root);

/* Two nodes of two cores of two threads; CPU 7 is offline. */
Test(topology, cores_and_nodes) {
        _cleanup_topology_ Topology topology = TOPOLOGY_NULL;

        put(CPUS "online", "0-6\n");
        put(CPUS "present", "0-7\n");
        for (int cpu = 0; cpu < 7; cpu++) {
                char file[64], text[16];

                snprintf(file, sizeof file, CPUS "cpu%d/topology/thread_siblings_list", cpu);
                snprintf(text, sizeof text, cpu == 3 ? "%d\n" : "%d,%d\n", cpu % 4, cpu % 4 + 4);
                put(file, text);
        }
        put(NODES "online", "0-1\n");
        put(NODES "has_memory", "0-1\n");
        put(NODES "node0/cpulist", "0-1,4-5\n");
        put(NODES "node1/cpulist", "2-3,6\n");
        put(NODES "node1/meminfo", "Node 1 MemTotal:        2048 kB\nNode 1 MemFree:         1 kB\n");
        cr_assert_eq(topology_read(root, &topology), 0);
        expect_cpus(&topology.online, "0-6");
        expect_cpus(&topology.present, "0-7");
        expect_cpus(&topology.nodes, "0-1");
        cr_expect_eq(topology_cpu(&topology, 5).core, 1);
        cr_expect_eq(topology_cpu(&topology, 5).node, 0);
        cr_expect_eq(topology_cpu(&topology, 6).core, 2);
        cr_expect_eq(topology_cpu(&topology, 6).node, 1);
        cr_expect_eq(topology_cpu(&topology, 3).core, 3);
        cr_expect_eq(topology_cpu(&topology, 7).core, 7, "nothing is known of it");
        cr_expect_eq(topology_cpu(&topology, 99).core, 99);
        cr_expect_eq(topology_memory(&topology, &topology.nodes), 2048 * 1024);
}

Test(topology, a_node_without_memory_is_none_to_promise) {
        _cleanup_topology_ Topology topology = TOPOLOGY_NULL;

        put(CPUS "online", "0-3\n");
        put(NODES "online", "0-1\n");
        put(NODES "has_memory", "1\n");
        put(NODES "node0/cpulist", "0-3\n");
        put(NODES "node1/cpulist", "\n");
        cr_assert_eq(topology_read(root, &topology), 0);
        expect_cpus(&topology.nodes, "1");
}

Test(topology, a_kernel_that_says_little) {
        _cleanup_topology_ Topology topology = TOPOLOGY_NULL;

        put(CPUS "online", "0-1\n");
        cr_assert_eq(topology_read(root, &topology), 0);
        expect_cpus(&topology.present, "0-1");
        expect_cpus(&topology.nodes, "0");
        cr_expect_eq(topology_cpu(&topology, 1).core, 1);
}

Test(topology, what_is_not_a_list_is_refused) {
        Topology topology = TOPOLOGY_NULL;

        cr_expect_eq(topology_read("/nonexistent", &topology), -ENOENT);
        cr_expect_eq(topology_read(root, &topology), -ENOENT);
        put(CPUS "online", "none\n");
        cr_expect_eq(topology_read(root, &topology), -EINVAL);
        cr_expect_null(topology.cpus);
}

Test(topology, equal) {
        _cleanup_topology_ Topology a = TOPOLOGY_NULL, b = TOPOLOGY_NULL;
        CpuSet all = {}, fewer = {};

        for (unsigned cpu = 0; cpu < 4; cpu++)
                cpu_set_add(&all, cpu);
        cpu_set_add(&fewer, 0);
        cr_assert_eq(topology_make(&all, &all, &a), 0);
        cr_assert_eq(topology_make(&all, &all, &b), 0);
        cr_expect(topology_equal(&a, &b));
        b.cpus[3].core = 2;
        cr_expect_not(topology_equal(&a, &b));
        topology_deinit(&b);
        cr_assert_eq(topology_make(&all, &fewer, &b), 0);
        cr_expect_not(topology_equal(&a, &b), "CPUs went offline");
}
