/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table of pairs as the daemon reads it: every pair once, the CPUs summed. Who is whose culprit is
 * test-sched-meter's. */

#include "meter/culprits.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>

#include "bpf/sched-meter.h"

#define VICTIMS 40U
#define CULPRITS 30U

static Culprits culprits = CULPRITS_NULL;

static void make(void) {
        int n_cpus = libbpf_num_possible_cpus();

        cr_assert_gt(n_cpus, 0);
        cr_assert_eq(culprits_open(NULL, (uint32_t) n_cpus, &culprits), 0);
}

static void end(void) {
        culprits_close(&culprits);
}

TestSuite(culprits, .init = make, .fini = end, .timeout = 60);

/* As the program would, a CPU after the other. */
static void put(uint32_t victim, uint32_t culprit) {
        const struct sched_pair pair = { victim, culprit };
        uint64_t *nsec = calloc(culprits.n_cpus, sizeof(uint64_t));

        for (uint32_t cpu = 0; cpu < culprits.n_cpus; cpu++)
                nsec[cpu] = victim * 1000 + culprit + cpu;
        cr_assert_eq(bpf_map_update_elem(culprits.pairs.fd, &pair, nsec, BPF_ANY), 0);
        free(nsec);
}

static unsigned found[VICTIMS][CULPRITS];

static void note(uint32_t victim, uint32_t culprit, uint64_t nsec, void *userdata) {
        const uint64_t cpus = culprits.n_cpus;

        cr_assert(victim < VICTIMS && culprit < CULPRITS);
        found[victim][culprit]++;
        cr_expect_eq(nsec, cpus * (victim * 1000 + culprit) + cpus * (cpus - 1) / 2);
}

static void expect_each(const bool leaving[VICTIMS]) {
        memset(found, 0, sizeof(found));
        cr_assert_eq(culprits_each(&culprits, note, NULL), 0);
        for (uint32_t victim = 0; victim < VICTIMS; victim++)
                for (uint32_t culprit = 0; culprit < CULPRITS; culprit++)
                        cr_expect_eq(found[victim][culprit], !leaving[victim] && !leaving[culprit],
                                        "%u of %u", culprit, victim);
}

Test(culprits, none) {
        cr_assert_eq(culprits_each(&culprits, note, NULL), 0);
        cr_expect_eq(found[0][0], 0);
}

/* More than one batch. */
Test(culprits, each_pair_once) {
        bool leaving[VICTIMS] = {};

        for (uint32_t victim = 0; victim < VICTIMS; victim++)
                for (uint32_t culprit = 0; culprit < CULPRITS; culprit++)
                        put(victim, culprit);
        expect_each(leaving);
        leaving[3] = leaving[17] = leaving[39] = true;
        culprits_clear(&culprits, leaving, VICTIMS);
        expect_each(leaving);
}
