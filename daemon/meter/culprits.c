/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/culprits.h"

#include <bpf/bpf.h>
#include <linux/types.h>

#include "bpf/sched-meter.h"

_Static_assert(CULPRIT_UNKNOWN == SCHED_CULPRIT_UNKNOWN, "the same on both sides");

#define PAIRS "sched_pairs_"
#define PAST "sched_past_"

/* More than a bucket of the kernel's table ever has: a batch is whole buckets. */
#define BATCH 256U

/* Where the next batch begins: the number of a bucket. */
typedef struct Cursor {
        uint32_t at;
        bool begun;
} Cursor;

int culprits_open(const char *pin_dir, uint32_t n_cpus, Culprits *ret) {
        Culprits culprits = CULPRITS_NULL;
        int r;

        culprits.n_cpus = n_cpus;
        r = table_open(pin_dir,
                        &(TableShape){ PAIRS STRINGIFY(SCHED_METER_LAYOUT), BPF_MAP_TYPE_PERCPU_HASH,
                                        sizeof(struct sched_pair), sizeof(uint64_t), CULPRIT_PAIRS },
                        &culprits.pairs);
        if (r >= 0)
                r = table_open(pin_dir,
                                &(TableShape){ PAST STRINGIFY(SCHED_METER_LAYOUT), BPF_MAP_TYPE_ARRAY,
                                                sizeof(uint32_t), sizeof(struct sched_history), n_cpus },
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

void culprits_unpin(const char *pin_dir) {
        pin_remove_all(pin_dir, PAIRS);
        pin_remove_all(pin_dir, PAST);
}

/* One batch, from `cursor` on, which it moves. False: it was the last. */
static bool read_batch(const Culprits *culprits, Cursor *cursor, struct sched_pair pairs[static BATCH],
                uint64_t *values, uint32_t *ret_n) {
        uint32_t n = BATCH, next;
        int r = bpf_map_lookup_batch(culprits->pairs.fd, cursor->begun ? &cursor->at : NULL, &next, pairs,
                        values, &n, NULL);

        *ret_n = r == 0 || errno == ENOENT ? n : 0;
        *cursor = (Cursor){ next, true };
        return r == 0;
}

int culprits_each(const Culprits *culprits, CulpritFound found, void *userdata) {
        _cleanup_free_ uint64_t *values = calloc((size_t) culprits->n_cpus * BATCH, sizeof(uint64_t));
        struct sched_pair pairs[BATCH];
        Cursor cursor = {};
        bool more = true;

        if (!values)
                return -ENOMEM;
        while (more) {
                uint32_t n;

                more = read_batch(culprits, &cursor, pairs, values, &n);
                for (uint32_t i = 0; i < n; i++) {
                        uint64_t sum = 0;

                        for (uint32_t cpu = 0; cpu < culprits->n_cpus; cpu++)
                                sum += values[(size_t) i * culprits->n_cpus + cpu];
                        found(pairs[i].victim, pairs[i].culprit, sum, userdata);
                }
        }
        return 0;
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
