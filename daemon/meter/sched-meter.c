/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/sched-meter.h"
#include "bpf/pin.h"
#include "meter/hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/types.h>
#include <string.h>

#include "bpf/sched-meter.h"
#include "bpf/sched-meter.skel.h"

_Static_assert(SCHED_WAIT_BUCKETS == HISTOGRAM_BUCKETS, "a histogram is a sum of rows");

#define WAITS "sched_waits_"

typedef enum HookKind { HOOK_SWITCH, HOOK_MIGRATE, HOOK_MOVE, HOOK_ATTACH, HOOK_MAX } HookKind;

static const HookNames hook_names[HOOK_MAX] = {
        [HOOK_SWITCH] = { "sched_switch_1", "sched-switch-stub-1", "sched-switch-" },
        [HOOK_MIGRATE] = { "sched_migrate_1", "sched-migrate-stub-1", "sched-migrate-" },
        [HOOK_MOVE] = { "sched_move_1", "sched-move-stub-1", "sched-move-" },
        [HOOK_ATTACH] = { "sched_attach_1", "sched-attach-stub-1", "sched-attach-" },
};

/* What a kernel may lack is left out: the first that it takes. */
static const unsigned hook_choices[] = {
        1U << HOOK_SWITCH | 1U << HOOK_MIGRATE | 1U << HOOK_MOVE,
        1U << HOOK_SWITCH | 1U << HOOK_MIGRATE | 1U << HOOK_ATTACH,
        1U << HOOK_SWITCH,
};

struct SchedMeter {
        struct sched_meter_bpf *skeleton; /* until its programs hang */
        int poke_fd;                      /* the one that is run, not hung */
        Table rows, cpus, waits;
        Culprits culprits;
        uint32_t slots, n_cpus;
        bool full;
        Hook hooks[HOOK_MAX];
        bool adopted, follows_waits;
};

static struct sched_cpu *cpu_state(const SchedMeter *meter, uint32_t cpu) {
        return (struct sched_cpu *) meter->cpus.rows + cpu;
}

static struct sched_row *row_of(const SchedMeter *meter, uint32_t cpu, uint32_t slot) {
        return (struct sched_row *) meter->rows.rows + (size_t) cpu * meter->slots + slot;
}

static struct sched_waits *waits_of(const SchedMeter *meter, uint32_t cpu, uint32_t slot) {
        return (struct sched_waits *) meter->waits.rows + (size_t) cpu * meter->slots + slot;
}

typedef struct HookParts {
        struct bpf_program *program, *stub;
        struct bpf_map *calls;
} HookParts;

static HookParts parts_of(const struct sched_meter_bpf *skeleton, HookKind kind) {
        const HookParts parts[HOOK_MAX] = {
                [HOOK_SWITCH] = { skeleton->progs.sched_meter_switch, skeleton->progs.sched_switch_stub,
                                skeleton->maps.switch_calls },
                [HOOK_MIGRATE] = { skeleton->progs.sched_meter_migrate, skeleton->progs.sched_migrate_stub,
                                skeleton->maps.migrate_calls },
                [HOOK_MOVE] = { skeleton->progs.sched_meter_move, skeleton->progs.sched_move_stub,
                                skeleton->maps.move_calls },
                [HOOK_ATTACH] = { skeleton->progs.sched_meter_attach, skeleton->progs.sched_attach_stub,
                                skeleton->maps.attach_calls },
        };

        return parts[kind];
}

static int load(SchedMeter *meter, int groups_fd, unsigned hooks) {
        struct sched_meter_bpf *skeleton;
        int r = 0;

        skeleton = meter->skeleton = sched_meter_bpf__open();
        if (!skeleton)
                return -errno;

        skeleton->rodata->slots = meter->slots;
        skeleton->rodata->full = meter->full;
        for (HookKind kind = 0; r == 0 && kind < HOOK_MAX; kind++) {
                bool wanted = hooks & 1U << kind;
                HookParts parts = parts_of(skeleton, kind);

                bpf_program__set_autoload(parts.program, wanted);
                bpf_program__set_autoload(parts.stub, wanted && !hook_hangs(&meter->hooks[kind]));
                r = bpf_map__reuse_fd(parts.calls, meter->hooks[kind].calls.fd);
        }
        if (r == 0)
                r = bpf_map__set_max_entries(skeleton->maps.sched_moves, meter->n_cpus);
        if (r == 0)
                r = bpf_map__reuse_fd(skeleton->maps.sched_rows, meter->rows.fd);
        if (r == 0)
                r = bpf_map__reuse_fd(skeleton->maps.sched_cpus, meter->cpus.fd);
        if (r == 0)
                r = bpf_map__reuse_fd(skeleton->maps.groups, groups_fd);
        if (r == 0 && meter->full)
                r = bpf_map__reuse_fd(skeleton->maps.sched_waits, meter->waits.fd);
        if (r == 0 && meter->full)
                r = bpf_map__reuse_fd(skeleton->maps.sched_histories, meter->culprits.histories.fd);
        if (r == 0 && meter->full)
                r = bpf_map__reuse_fd(skeleton->maps.sched_pairs, meter->culprits.pairs.fd);
        return r == 0 ? sched_meter_bpf__load(skeleton) : r;
}

static int hooks_open(SchedMeter *meter, const char *dir) {
        for (HookKind kind = 0; kind < HOOK_MAX; kind++) {
                int r = hook_open(dir, &hook_names[kind], &meter->hooks[kind]);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int open_tables(SchedMeter *meter, const char *pin_dir) {
        const uint32_t rows = meter->slots * meter->n_cpus;
        int r;

        r = table_open(pin_dir,
                        &(TableShape){ "sched_rows_" STRINGIFY(SCHED_METER_LAYOUT), BPF_MAP_TYPE_ARRAY,
                                        sizeof(uint32_t), sizeof(struct sched_row), rows },
                        &meter->rows);
        if (r < 0)
                return r;
        /* What is noted of a CPU names rows. */
        if (!meter->rows.adopted)
                pin_remove(pin_dir, "sched_cpus_" STRINGIFY(SCHED_METER_LAYOUT));
        r = table_open(pin_dir,
                        &(TableShape){ "sched_cpus_" STRINGIFY(SCHED_METER_LAYOUT), BPF_MAP_TYPE_ARRAY,
                                        sizeof(uint32_t), sizeof(struct sched_cpu), meter->n_cpus },
                        &meter->cpus);
        if (r < 0 || !meter->full)
                return r;
        r = table_open(pin_dir,
                        &(TableShape){ WAITS STRINGIFY(SCHED_WAITS_LAYOUT), BPF_MAP_TYPE_ARRAY,
                                        sizeof(uint32_t), sizeof(struct sched_waits), rows,
                                        /* unmapped= */ true },
                        &meter->waits);
        return r < 0 ? r : culprits_open(pin_dir, meter->n_cpus, &meter->culprits);
}

static int hooks_set(SchedMeter *meter, const char *pin_dir, unsigned hooks) {
        for (HookKind kind = 0; kind < HOOK_MAX; kind++) {
                HookParts parts = parts_of(meter->skeleton, kind);
                int r;

                if (!(hooks & 1U << kind)) {
                        hook_take_off(&meter->hooks[kind], pin_dir);
                        continue;
                }
                r = hook_set(&meter->hooks[kind], pin_dir, bpf_program__fd(parts.program),
                                bpf_program__fd(parts.stub));
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Some kernels load what they do not attach. Want of memory is no lack of the kernel's: what hung there
 * before is left as it is, and the next start tries again. */
static int count(SchedMeter *meter, const SchedMeterOptions *options) {
        int r = -EOPNOTSUPP;

        for (size_t i = 0; r < 0 && r != -ENOMEM && i < ELEMENTSOF(hook_choices); i++) {
                r = load(meter, options->groups_fd, hook_choices[i]);
                if (r >= 0)
                        r = hooks_set(meter, options->pin_dir, hook_choices[i]);
                if (r < 0) {
                        sched_meter_bpf__destroy(meter->skeleton);
                        meter->skeleton = NULL;
                }
        }
        return r;
}

/*
 * At the basic level nobody adds to these, and nobody clears them where a slot is given to another tenant:
 * what the full level adds to begins anew with it.
 */
static void drop_full_level(SchedMeter *meter, const char *pin_dir) {
        pin_remove_all(pin_dir, WAITS);
        culprits_unpin(pin_dir);
        for (uint32_t cpu = 0; cpu < meter->n_cpus; cpu++)
                for (uint32_t slot = 0; slot < meter->slots; slot++)
                        row_of(meter, cpu, slot)->unascribed_nsec = 0;
}

/* Fails for a CPU that is offline, which runs nothing. */
static uint32_t poke(SchedMeter *meter, uint32_t cpu) {
        LIBBPF_OPTS(bpf_test_run_opts, options, .flags = BPF_F_TEST_RUN_ON_CPU, .cpu = cpu);

        return bpf_prog_test_run_opts(meter->poke_fd, &options) < 0 ? 0 : options.retval;
}

int sched_meter_new(const SchedMeterOptions *options, SchedMeter **ret) {
        _cleanup_(sched_meter_free_p) SchedMeter *meter = NULL;
        int r, n_cpus;

        n_cpus = libbpf_num_possible_cpus();
        if (n_cpus < 0)
                return n_cpus;
        meter = malloc(sizeof(*meter));
        if (!meter)
                return -ENOMEM;
        *meter = (SchedMeter){
                .rows = TABLE_NULL,
                .cpus = TABLE_NULL,
                .waits = TABLE_NULL,
                .culprits = CULPRITS_NULL,
                .poke_fd = -EBADF,
                .slots = options->slots,
                .n_cpus = (uint32_t) n_cpus,
                .full = options->full,
        };
        for (HookKind kind = 0; kind < HOOK_MAX; kind++)
                meter->hooks[kind] = (Hook) HOOK_NULL;
        if ((uint64_t) meter->slots * meter->n_cpus > UINT32_MAX)
                return -E2BIG;

        r = open_tables(meter, options->pin_dir);
        if (r >= 0)
                r = hooks_open(meter, options->pin_dir);
        if (r < 0)
                return r;
        meter->adopted = hook_hangs(&meter->hooks[HOOK_SWITCH]);
        r = count(meter, options);
        if (r < 0)
                return r;
        if (!meter->full)
                drop_full_level(meter, options->pin_dir);
        meter->poke_fd = pin_keep_program(meter->skeleton->progs.sched_meter_poke);
        if (meter->poke_fd < 0)
                return meter->poke_fd;
        sched_meter_bpf__destroy(TAKE_PTR(meter->skeleton));
        for (uint32_t cpu = 0; hook_hangs(&meter->hooks[HOOK_MIGRATE]) && cpu < meter->n_cpus; cpu++)
                meter->follows_waits |= poke(meter, cpu) != 0;
        *ret = TAKE_PTR(meter);
        return 0;
}

SchedMeter *sched_meter_free(SchedMeter *meter) {
        if (!meter)
                return NULL;

        for (HookKind kind = 0; kind < HOOK_MAX; kind++)
                hook_close(&meter->hooks[kind]);
        sched_meter_bpf__destroy(meter->skeleton);
        cleanup_close(&meter->poke_fd);
        table_deinit(&meter->rows);
        table_deinit(&meter->cpus);
        table_deinit(&meter->waits);
        culprits_close(&meter->culprits);
        free(meter);
        return NULL;
}

void sched_meter_keep_pins(const SchedMeter *meter, const char *pin_dir, PinTell tell, void *userdata) {
        table_keep_pin(pin_dir, &meter->rows, tell, userdata);
        table_keep_pin(pin_dir, &meter->cpus, tell, userdata);
        if (meter->full) {
                table_keep_pin(pin_dir, &meter->waits, tell, userdata);
                table_keep_pin(pin_dir, &meter->culprits.pairs, tell, userdata);
                table_keep_pin(pin_dir, &meter->culprits.histories, tell, userdata);
        }
        for (HookKind kind = 0; kind < HOOK_MAX; kind++)
                hook_keep_pins(&meter->hooks[kind], pin_dir, tell, userdata);
}

bool sched_meter_adopted(const SchedMeter *meter) {
        return meter->adopted;
}

bool sched_meter_splits_moves(const SchedMeter *meter) {
        return hook_hangs(&meter->hooks[HOOK_MOVE]);
}

bool sched_meter_sees_moves(const SchedMeter *meter) {
        return sched_meter_splits_moves(meter) || hook_hangs(&meter->hooks[HOOK_ATTACH]);
}

bool sched_meter_follows_waits(const SchedMeter *meter) {
        return meter->follows_waits;
}

bool sched_meter_counts_migrations(const SchedMeter *meter) {
        return hook_hangs(&meter->hooks[HOOK_MIGRATE]);
}

void sched_meter_groups_changed(SchedMeter *meter) {
        for (uint32_t cpu = 0; cpu < meter->n_cpus; cpu++)
                __atomic_add_fetch(&cpu_state(meter, cpu)->generation, 1, __ATOMIC_RELEASE);
        for (uint32_t cpu = 0; cpu < meter->n_cpus; cpu++)
                (void) poke(meter, cpu);
}

/* Whether a tenant's task may be running there that has not been charged up to now: not on a CPU that is idle
 * or runs somebody else's, where the kernel is one that tells us of every switch, and of each thread that is
 * moved. */
static bool is_to_be_charged(const SchedMeter *meter, const struct sched_cpu *state) {
        if (__atomic_load_n(&state->unnoted, __ATOMIC_RELAXED) != 0)
                return true;
        if (__atomic_load_n(&state->pid, __ATOMIC_RELAXED) == 0)
                return false;
        return __atomic_load_n(&state->slot, __ATOMIC_RELAXED) != 0 || !sched_meter_splits_moves(meter) ||
               __atomic_load_n(&state->moves_told, __ATOMIC_RELAXED) !=
                               __atomic_load_n(&state->moves_taken, __ATOMIC_RELAXED);
}

void sched_meter_settle(SchedMeter *meter) {
        for (uint32_t cpu = 0; cpu < meter->n_cpus; cpu++)
                if (is_to_be_charged(meter, cpu_state(meter, cpu)))
                        (void) poke(meter, cpu);
}

static uint64_t load_relaxed(const __u64 *counter) {
        return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void sched_meter_read(const SchedMeter *meter, uint32_t slot, Sample *sample) {
        struct sched_row sum = {};

        for (uint32_t cpu = 0; cpu < meter->n_cpus; cpu++) {
                const struct sched_row *row = row_of(meter, cpu, slot);

                sum.cpu_nsec += load_relaxed(&row->cpu_nsec);
                sum.wait_nsec += load_relaxed(&row->wait_nsec);
                sum.switches += load_relaxed(&row->switches);
                sum.preempted += load_relaxed(&row->preempted);
                sum.migrations += load_relaxed(&row->migrations);
        }

        sample_put(sample, METRIC_CPU_TIME, sum.cpu_nsec);
        sample_put(sample, METRIC_CPU_WAIT, sum.wait_nsec);
        sample_put(sample, METRIC_CPU_SWITCHES, sum.switches);
        sample_put(sample, METRIC_CPU_PREEMPTIONS, sum.preempted);
        if (hook_hangs(&meter->hooks[HOOK_MIGRATE]))
                sample_put(sample, METRIC_CPU_MIGRATIONS, sum.migrations);
}

int sched_meter_read_waits(SchedMeter *meter, uint32_t slot, Histogram *ret) {
        int r = meter->full ? table_reach(&meter->waits, meter->waits.whole_bytes) : -EOPNOTSUPP;

        if (r < 0)
                return r;
        *ret = (Histogram){};
        for (uint32_t cpu = 0; cpu < meter->n_cpus; cpu++) {
                const struct sched_waits *waits = waits_of(meter, cpu, slot);

                ret->sum_nsec += load_relaxed(&waits->sum_nsec);
                for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
                        ret->bucket[i] += load_relaxed(&waits->bucket[i]);
        }
        return 0;
}

void sched_meter_rest(SchedMeter *meter) {
        table_rest(&meter->waits);
}

int sched_meter_each_culprit(const SchedMeter *meter, CulpritFound found, void *userdata) {
        return meter->full ? culprits_each(&meter->culprits, found, userdata) : -EOPNOTSUPP;
}

uint64_t sched_meter_read_unascribed(const SchedMeter *meter, uint32_t slot) {
        uint64_t nsec = 0;

        for (uint32_t cpu = 0; cpu < meter->n_cpus; cpu++)
                nsec += load_relaxed(&row_of(meter, cpu, slot)->unascribed_nsec);
        return nsec;
}

static void clear_rows(SchedMeter *meter, uint32_t slot) {
        for (uint32_t cpu = 0; cpu < meter->n_cpus; cpu++) {
                memset(row_of(meter, cpu, slot), 0, sizeof(struct sched_row));
                if (meter->full)
                        (void) table_clear_row(
                                        &meter->waits, cpu * meter->slots + slot, sizeof(struct sched_waits));
        }
}

void sched_meter_clear(SchedMeter *meter, const bool *leaving) {
        for (uint32_t slot = 0; slot < meter->slots; slot++)
                if (leaving[slot])
                        clear_rows(meter, slot);
        if (meter->full)
                culprits_clear(&meter->culprits, leaving, meter->slots);
}
