/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/culprits.h"

#include <bpf/bpf.h>
#include <linux/types.h>

#include "bpf/sched-meter.h"

_Static_assert(CULPRIT_UNKNOWN == SCHED_CULPRIT_UNKNOWN, "the same on both sides");

int culprits_open(const char *pin_dir, uint32_t n_cpus, Culprits *ret) {
        Culprits culprits = CULPRITS_NULL;
        int r;

        culprits.n_cpus = n_cpus;
        r = table_open(pin_dir,
                        &(TableShape){ "sched_pairs_" STRINGIFY(SCHED_METER_LAYOUT), BPF_MAP_TYPE_PERCPU_HASH,
                                        sizeof(struct sched_pair), sizeof(uint64_t), CULPRIT_PAIRS },
                        &culprits.pairs);
        if (r >= 0)
                r = table_open(pin_dir,
                                &(TableShape){ "sched_past_" STRINGIFY(SCHED_METER_LAYOUT),
                                                BPF_MAP_TYPE_ARRAY, sizeof(uint32_t),
                                                sizeof(struct sched_history), n_cpus },
                                &culprits.histories);
        if (r < 0) {
                culprits_close(&culprits);
                return r;
        }
        *ret = culprits;
        return 0;
}

void culprits_close(Culprits *culprits) {
        table_deinit(&culprits->pairs);
        table_deinit(&culprits->histories);
        *culprits = (Culprits) CULPRITS_NULL;
}

static uint64_t sum_pair(const Culprits *culprits, const struct sched_pair *pair, uint64_t *values) {
        uint64_t sum = 0;

        if (bpf_map_lookup_elem(culprits->pairs.fd, pair, values) < 0)
                return 0;
        for (uint32_t cpu = 0; cpu < culprits->n_cpus; cpu++)
                sum += values[cpu];
        return sum;
}

int culprits_each(const Culprits *culprits, CulpritFound found, void *userdata) {
        _cleanup_free_ uint64_t *values = calloc(culprits->n_cpus, sizeof(uint64_t));
        struct sched_pair pair, *previous = NULL;

        if (!values)
                return -ENOMEM;
        while (bpf_map_get_next_key(culprits->pairs.fd, previous, &pair) == 0) {
                previous = &pair;
                found(pair.victim, pair.culprit, sum_pair(culprits, &pair, values), userdata);
        }
        return 0;
}

uint64_t culprits_unascribed_nsec(const Culprits *culprits) {
        const struct sched_history *histories = culprits->histories.rows;
        uint64_t sum = 0;

        for (uint32_t cpu = 0; cpu < culprits->n_cpus; cpu++)
                sum += __atomic_load_n(&histories[cpu].unascribed_nsec, __ATOMIC_RELAXED);
        return sum;
}

/* Deleting the key that was just found makes the walk begin anew: the next one is found first. */
void culprits_clear(Culprits *culprits, const bool *leaving, uint32_t slots) {
        struct sched_pair pair, next;
        int r = bpf_map_get_next_key(culprits->pairs.fd, NULL, &pair);

        while (r == 0) {
                r = bpf_map_get_next_key(culprits->pairs.fd, &pair, &next);
                if ((pair.victim < slots && leaving[pair.victim]) ||
                                (pair.culprit < slots && leaving[pair.culprit]))
                        (void) bpf_map_delete_elem(culprits->pairs.fd, &pair);
                pair = next;
        }
}
