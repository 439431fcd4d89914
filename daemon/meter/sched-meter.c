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

#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)

struct SchedMeter {
        struct sched_meter_bpf *skeleton;
        Table rows, cpus;
        uint32_t slots, n_cpus;
        int switch_link, attach_link;
        bool adopted;
};

static struct sched_cpu *cpu_state(const SchedMeter *meter, uint32_t cpu) {
        return (struct sched_cpu *) meter->cpus.rows + cpu;
}

static struct sched_row *row_of(const SchedMeter *meter, uint32_t cpu, uint32_t slot) {
        return (struct sched_row *) meter->rows.rows + (size_t) cpu * meter->slots + slot;
}

static int load(SchedMeter *meter, int groups_fd, bool with_attach) {
        struct sched_meter_bpf *skeleton;
        int r;

        skeleton = meter->skeleton = sched_meter_bpf__open();
        if (!skeleton)
                return -errno;

        skeleton->rodata->slots = meter->slots;
        if (!with_attach)
                bpf_program__set_autoload(skeleton->progs.sched_meter_attach, false);
        r = bpf_map__reuse_fd(skeleton->maps.sched_rows, meter->rows.fd);
        if (r == 0)
                r = bpf_map__reuse_fd(skeleton->maps.sched_cpus, meter->cpus.fd);
        if (r == 0)
                r = bpf_map__reuse_fd(skeleton->maps.groups, groups_fd);
        if (r == 0)
                r = sched_meter_bpf__load(skeleton);
        if (r < 0) {
                sched_meter_bpf__destroy(skeleton);
                meter->skeleton = NULL;
        }

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
 * The link of this very program on its tracepoint, pinned under its tag: adopted, else made. A link of this
 * type can't be given another program, so that an old one goes first, and a few microseconds stay uncounted.
 */
static int attach(const char *dir, const char *prefix, const struct bpf_program *program, bool adopt,
                bool *ret_adopted, int *ret_fd) {
        char tag[PIN_TAG_SIZE], name[PIN_NAME_SIZE];
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = pin_program_tag(bpf_program__fd(program), tag);
        if (r < 0)
                return r;
        snprintf(name, sizeof(name), "%s%s", prefix, tag);
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

int sched_meter_new(
                const char *pin_dir, uint32_t slots, int groups_fd, bool groups_adopted, SchedMeter **ret) {
        _cleanup_(sched_meter_free_p) SchedMeter *meter = NULL;
        bool adopt, ignored;
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
                .slots = slots,
                .n_cpus = n_cpus,
                .switch_link = -EBADF,
                .attach_link = -EBADF,
        };
        if ((uint64_t) slots * meter->n_cpus > UINT32_MAX)
                return -E2BIG;

        r = table_open(pin_dir,
                        &(TableShape){ "sched_rows_" STRINGIFY(SCHED_METER_LAYOUT), BPF_MAP_TYPE_ARRAY,
                                        sizeof(uint32_t), sizeof(struct sched_row), slots * meter->n_cpus },
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
        if (r < 0)
                return r;

        r = load(meter, groups_fd, /* with_attach= */ true);
        if (r < 0)
                r = load(meter, groups_fd, /* with_attach= */ false);
        if (r < 0)
                return r;

        adopt = groups_adopted && meter->rows.adopted && meter->cpus.adopted;
        r = attach(pin_dir, PIN_SWITCH, meter->skeleton->progs.sched_meter_switch, adopt, &meter->adopted,
                        &meter->switch_link);
        if (r < 0)
                return r;
        if (bpf_program__autoload(meter->skeleton->progs.sched_meter_attach))
                (void) attach(pin_dir, PIN_ATTACH, meter->skeleton->progs.sched_meter_attach, adopt, &ignored,
                                &meter->attach_link);
        *ret = TAKE_PTR(meter);
        return 0;
}

SchedMeter *sched_meter_free(SchedMeter *meter) {
        if (!meter)
                return NULL;

        cleanup_close(&meter->switch_link);
        cleanup_close(&meter->attach_link);
        sched_meter_bpf__destroy(meter->skeleton);
        table_deinit(&meter->rows);
        table_deinit(&meter->cpus);
        free(meter);
        return NULL;
}

static void keep_link(const char *dir, const char *prefix, const struct bpf_program *program, int fd,
                PinTell tell, void *userdata) {
        char tag[PIN_TAG_SIZE], name[PIN_NAME_SIZE];

        if (fd < 0 || pin_program_tag(bpf_program__fd(program), tag) < 0)
                return;
        snprintf(name, sizeof(name), "%s%s", prefix, tag);
        pin_keep(dir, name, fd, tell, userdata);
}

void sched_meter_keep_pins(const SchedMeter *meter, const char *pin_dir, PinTell tell, void *userdata) {
        table_keep_pin(pin_dir, &meter->rows, tell, userdata);
        table_keep_pin(pin_dir, &meter->cpus, tell, userdata);
        keep_link(pin_dir, PIN_SWITCH, meter->skeleton->progs.sched_meter_switch, meter->switch_link, tell,
                        userdata);
        keep_link(pin_dir, PIN_ATTACH, meter->skeleton->progs.sched_meter_attach, meter->attach_link, tell,
                        userdata);
}

bool sched_meter_adopted(const SchedMeter *meter) {
        return meter->adopted;
}

bool sched_meter_splits_moves(const SchedMeter *meter) {
        return meter->attach_link >= 0;
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

void sched_meter_read(const SchedMeter *meter, uint32_t slot, Sample *sample) {
        uint64_t cpu_nsec = 0, wait_nsec = 0, switches = 0;

        for (uint32_t cpu = 0; cpu < meter->n_cpus; cpu++) {
                const struct sched_row *row = row_of(meter, cpu, slot);

                cpu_nsec += __atomic_load_n(&row->cpu_nsec, __ATOMIC_RELAXED);
                wait_nsec += __atomic_load_n(&row->wait_nsec, __ATOMIC_RELAXED);
                switches += __atomic_load_n(&row->switches, __ATOMIC_RELAXED);
        }

        sample_put(sample, METRIC_CPU_TIME, cpu_nsec);
        sample_put(sample, METRIC_CPU_WAIT, wait_nsec);
        sample_put(sample, METRIC_CPU_SWITCHES, switches);
}

void sched_meter_clear(SchedMeter *meter, uint32_t slot) {
        for (uint32_t cpu = 0; cpu < meter->n_cpus; cpu++)
                memset(row_of(meter, cpu, slot), 0, sizeof(struct sched_row));
}
