/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/sched-meter.h"
#include "meter/pin.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/types.h>
#include <string.h>

#include "bpf/sched-meter.h"
#include "bpf/sched-meter.skel.h"

#define PIN_SWITCH "sched-switch-"
#define PIN_ATTACH "sched-attach-"
#define PIN_MIGRATE "sched-migrate-"

#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)

_Static_assert(SCHED_WAIT_BUCKETS == HISTOGRAM_BUCKETS, "a histogram is a sum of rows");

struct SchedMeter {
        struct sched_meter_bpf *skeleton;
        Table rows, cpus, waits;
        Culprits culprits;
        uint32_t slots, n_cpus;
        bool full;
        int switch_link, attach_link, migrate_link;
        bool adopted;
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

/* What the kernel may lack: each is left out with `extras` false. */
static int load(SchedMeter *meter, int groups_fd, bool extras) {
        struct sched_meter_bpf *skeleton;
        int r;

        skeleton = meter->skeleton = sched_meter_bpf__open();
        if (!skeleton)
                return -errno;

        skeleton->rodata->slots = meter->slots;
        skeleton->rodata->full = meter->full;
        bpf_program__set_autoload(skeleton->progs.sched_meter_attach, extras);
        bpf_program__set_autoload(skeleton->progs.sched_meter_migrate, extras);
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
        if (r == 0)
                r = sched_meter_bpf__load(skeleton);
        if (r < 0) {
                sched_meter_bpf__destroy(skeleton);
                meter->skeleton = NULL;
        }

        return r;
}

/* The name of a link's pin: by the program's tag, and its level, which the tag does not tell. */
static int format_link(const SchedMeter *meter, const char *prefix, const struct bpf_program *program,
                char ret[static PIN_NAME_SIZE]) {
        char tag[PIN_TAG_SIZE];
        int r;

        r = pin_program_tag(bpf_program__fd(program), tag);
        if (r >= 0)
                snprintf(ret, PIN_NAME_SIZE, "%s%s-%s", prefix, meter->full ? "full" : "basic", tag);
        return r;
}

typedef struct Outdated {
        const char *dir, *wanted;
} Outdated;

static void remove_outdated(const char *name, void *userdata) {
        const Outdated *outdated = userdata;

        if (strcmp(name, outdated->wanted) != 0)
                pin_remove(outdated->dir, name);
}

/*
 * The link of this very program on its tracepoint: adopted, else made. A link of this type can't be given
 * another program, so that an old one goes first, and a few microseconds stay uncounted.
 */
static int attach(const SchedMeter *meter, const char *dir, const char *prefix,
                const struct bpf_program *program, bool adopt, bool *ret_adopted, int *ret_fd) {
        char name[PIN_NAME_SIZE];
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = format_link(meter, prefix, program, name);
        if (r < 0)
                return r;
        pin_list(dir, prefix, remove_outdated, &(Outdated){ dir, adopt ? name : "" });

        fd = pin_open(dir, name);
        *ret_adopted = fd >= 0;
        if (fd < 0) {
                fd = bpf_raw_tracepoint_open(NULL, bpf_program__fd(program));
                if (fd < 0)
                        return -errno;
                r = pin_put(dir, name, fd);
                if (r < 0)
                        return r;
        }

        *ret_fd = TAKE_FD(fd);
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
                        &(TableShape){ "sched_waits_" STRINGIFY(SCHED_METER_LAYOUT), BPF_MAP_TYPE_ARRAY,
                                        sizeof(uint32_t), sizeof(struct sched_waits), rows },
                        &meter->waits);
        return r < 0 ? r : culprits_open(pin_dir, meter->n_cpus, &meter->culprits);
}

/* The pinned program's tables are these: with another it would count where nobody looks. */
static bool can_adopt(const SchedMeter *meter, bool groups_adopted) {
        return groups_adopted && meter->rows.adopted && meter->cpus.adopted &&
               (!meter->full || (meter->waits.adopted && meter->culprits.pairs.adopted &&
                                                meter->culprits.histories.adopted));
}

static int attach_all(SchedMeter *meter, const char *pin_dir, bool adopt) {
        bool ignored;
        int r;

        r = attach(meter, pin_dir, PIN_SWITCH, meter->skeleton->progs.sched_meter_switch, adopt,
                        &meter->adopted, &meter->switch_link);
        if (r < 0 || !bpf_program__autoload(meter->skeleton->progs.sched_meter_attach))
                return r;
        (void) attach(meter, pin_dir, PIN_ATTACH, meter->skeleton->progs.sched_meter_attach, adopt, &ignored,
                        &meter->attach_link);
        (void) attach(meter, pin_dir, PIN_MIGRATE, meter->skeleton->progs.sched_meter_migrate, adopt,
                        &ignored, &meter->migrate_link);
        return 0;
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
                .slots = options->slots,
                .n_cpus = (uint32_t) n_cpus,
                .full = options->full,
                .switch_link = -EBADF,
                .attach_link = -EBADF,
                .migrate_link = -EBADF,
        };
        if ((uint64_t) meter->slots * meter->n_cpus > UINT32_MAX)
                return -E2BIG;

        r = open_tables(meter, options->pin_dir);
        if (r >= 0)
                r = load(meter, options->groups_fd, /* extras= */ true);
        if (r < 0)
                r = load(meter, options->groups_fd, /* extras= */ false);
        if (r >= 0)
                r = attach_all(meter, options->pin_dir, can_adopt(meter, options->groups_adopted));
        if (r < 0)
                return r;
        *ret = TAKE_PTR(meter);
        return 0;
}

SchedMeter *sched_meter_free(SchedMeter *meter) {
        if (!meter)
                return NULL;

        cleanup_close(&meter->switch_link);
        cleanup_close(&meter->attach_link);
        cleanup_close(&meter->migrate_link);
        sched_meter_bpf__destroy(meter->skeleton);
        table_deinit(&meter->rows);
        table_deinit(&meter->cpus);
        table_deinit(&meter->waits);
        culprits_close(&meter->culprits);
        free(meter);
        return NULL;
}

static void keep_link(const SchedMeter *meter, const char *dir, const char *prefix,
                const struct bpf_program *program, int fd, PinTell tell, void *userdata) {
        char name[PIN_NAME_SIZE];

        if (fd >= 0 && format_link(meter, prefix, program, name) >= 0)
                pin_keep(dir, name, fd, tell, userdata);
}

void sched_meter_keep_pins(const SchedMeter *meter, const char *pin_dir, PinTell tell, void *userdata) {
        table_keep_pin(pin_dir, &meter->rows, tell, userdata);
        table_keep_pin(pin_dir, &meter->cpus, tell, userdata);
        if (meter->full) {
                table_keep_pin(pin_dir, &meter->waits, tell, userdata);
                table_keep_pin(pin_dir, &meter->culprits.pairs, tell, userdata);
                table_keep_pin(pin_dir, &meter->culprits.histories, tell, userdata);
        }
        keep_link(meter, pin_dir, PIN_SWITCH, meter->skeleton->progs.sched_meter_switch, meter->switch_link,
                        tell, userdata);
        keep_link(meter, pin_dir, PIN_ATTACH, meter->skeleton->progs.sched_meter_attach, meter->attach_link,
                        tell, userdata);
        keep_link(meter, pin_dir, PIN_MIGRATE, meter->skeleton->progs.sched_meter_migrate,
                        meter->migrate_link, tell, userdata);
}

bool sched_meter_adopted(const SchedMeter *meter) {
        return meter->adopted;
}

bool sched_meter_splits_moves(const SchedMeter *meter) {
        return meter->attach_link >= 0;
}

bool sched_meter_counts_migrations(const SchedMeter *meter) {
        return meter->migrate_link >= 0;
}

const Culprits *sched_meter_culprits(const SchedMeter *meter) {
        return meter->full ? &meter->culprits : NULL;
}

/* Fails for a CPU that is offline, which runs nothing. */
static void poke(SchedMeter *meter, uint32_t cpu) {
        LIBBPF_OPTS(bpf_test_run_opts, options, .flags = BPF_F_TEST_RUN_ON_CPU, .cpu = cpu);

        (void) bpf_prog_test_run_opts(bpf_program__fd(meter->skeleton->progs.sched_meter_poke), &options);
}

void sched_meter_groups_changed(SchedMeter *meter) {
        for (uint32_t cpu = 0; cpu < meter->n_cpus; cpu++)
                __atomic_add_fetch(&cpu_state(meter, cpu)->generation, 1, __ATOMIC_RELEASE);
        for (uint32_t cpu = 0; cpu < meter->n_cpus; cpu++)
                poke(meter, cpu);
}

/* An idle CPU is left asleep, where the kernel is one that tells us of every CPU that is. */
void sched_meter_settle(SchedMeter *meter) {
        for (uint32_t cpu = 0; cpu < meter->n_cpus; cpu++) {
                const struct sched_cpu *state = cpu_state(meter, cpu);

                if (__atomic_load_n(&state->pid, __ATOMIC_RELAXED) != 0 ||
                                __atomic_load_n(&state->unnoted, __ATOMIC_RELAXED) != 0)
                        poke(meter, cpu);
        }
}

static uint64_t load_relaxed(const __u64 *counter) {
        return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void read_waits(const SchedMeter *meter, uint32_t slot, Sample *sample) {
        sample->has_cpu_waits = true;
        for (uint32_t cpu = 0; cpu < meter->n_cpus; cpu++)
                for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
                        sample->cpu_waits.bucket[i] += load_relaxed(&waits_of(meter, cpu, slot)->bucket[i]);
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
        if (meter->migrate_link >= 0)
                sample_put(sample, METRIC_CPU_MIGRATIONS, sum.migrations);
        if (meter->full)
                read_waits(meter, slot, sample);
}

void sched_meter_clear(SchedMeter *meter, uint32_t slot) {
        for (uint32_t cpu = 0; cpu < meter->n_cpus; cpu++) {
                memset(row_of(meter, cpu, slot), 0, sizeof(struct sched_row));
                if (meter->full)
                        memset(waits_of(meter, cpu, slot), 0, sizeof(struct sched_waits));
        }
        if (meter->full)
                culprits_clear(&meter->culprits, slot);
}
