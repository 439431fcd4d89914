/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/control-delay.h"
#include "meter/hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/types.h>
#include <string.h>

#include "bpf/control-delay.h"
#include "bpf/control-delay.skel.h"

_Static_assert(CONTROL_DELAY_BUCKETS == HISTOGRAM_BUCKETS, "a histogram is a sum of rows");

#define PREFIX "delay"

typedef enum HookKind {
        HOOK_ENQUEUE,
        HOOK_DEQUEUE,
        HOOK_MAX,
} HookKind;

static const HookNames hook_names[HOOK_MAX] = {
        [HOOK_ENQUEUE] = { PREFIX "_enqueue_1", PREFIX "-enqueue-stub-1", PREFIX "-enqueue-" },
        [HOOK_DEQUEUE] = { PREFIX "_dequeue_1", PREFIX "-dequeue-stub-1", PREFIX "-dequeue-" },
};

struct ControlDelay {
        struct control_delay_bpf *skeleton; /* until its programs hang */
        char *pin_dir;
        Table rows, packets;
        uint32_t classid, n_cpus;
        Hook hooks[HOOK_MAX];
        bool adopted;
};

static int open_tables(ControlDelay *delay) {
        int r;

        r = table_open(delay->pin_dir,
                        &(TableShape){ PREFIX "_rows_" STRINGIFY(CONTROL_DELAY_LAYOUT), BPF_MAP_TYPE_ARRAY,
                                        sizeof(uint32_t), sizeof(struct control_delay_row), delay->n_cpus },
                        &delay->rows);
        return r < 0 ? r
                     : table_open(delay->pin_dir,
                                       &(TableShape){ PREFIX "_packets_" STRINGIFY(CONTROL_DELAY_LAYOUT),
                                                       BPF_MAP_TYPE_LRU_HASH, sizeof(uint64_t),
                                                       sizeof(uint64_t), CONTROL_DELAY_PACKETS },
                                       &delay->packets);
}

static int load(ControlDelay *delay) {
        int r;

        delay->skeleton = control_delay_bpf__open();
        if (!delay->skeleton)
                return -errno;
        delay->skeleton->rodata->classid = delay->classid;
        bpf_program__set_autoload(delay->skeleton->progs.control_enqueue_stub,
                        !hook_hangs(&delay->hooks[HOOK_ENQUEUE]));
        bpf_program__set_autoload(delay->skeleton->progs.control_dequeue_stub,
                        !hook_hangs(&delay->hooks[HOOK_DEQUEUE]));
        r = bpf_map__reuse_fd(delay->skeleton->maps.control_delay_rows, delay->rows.fd);
        if (r == 0)
                r = bpf_map__reuse_fd(delay->skeleton->maps.control_packets, delay->packets.fd);
        if (r == 0)
                r = bpf_map__reuse_fd(
                                delay->skeleton->maps.enqueue_calls, delay->hooks[HOOK_ENQUEUE].calls.fd);
        if (r == 0)
                r = bpf_map__reuse_fd(
                                delay->skeleton->maps.dequeue_calls, delay->hooks[HOOK_DEQUEUE].calls.fd);
        return r < 0 ? r : control_delay_bpf__load(delay->skeleton);
}

/* What takes up first: a packet that is given on without having been taken up is nobody's. */
static int set_hooks(ControlDelay *delay) {
        const struct {
                const struct bpf_program *program, *stub;
        } parts[HOOK_MAX] = {
                [HOOK_ENQUEUE] = { delay->skeleton->progs.control_delay_enqueue,
                                delay->skeleton->progs.control_enqueue_stub },
                [HOOK_DEQUEUE] = { delay->skeleton->progs.control_delay_dequeue,
                                delay->skeleton->progs.control_dequeue_stub },
        };

        for (HookKind kind = 0; kind < HOOK_MAX; kind++) {
                int r = hook_set(&delay->hooks[kind], delay->pin_dir, bpf_program__fd(parts[kind].program),
                                bpf_program__fd(parts[kind].stub));

                if (r < 0)
                        return r;
        }
        return 0;
}

static int open_hooks(ControlDelay *delay) {
        delay->adopted = delay->rows.adopted;
        for (HookKind kind = 0; kind < HOOK_MAX; kind++) {
                int r = hook_open(delay->pin_dir, &hook_names[kind], &delay->hooks[kind]);

                if (r < 0)
                        return r;
                delay->adopted = delay->adopted && hook_hangs(&delay->hooks[kind]);
        }
        return 0;
}

int control_delay_new(const char *pin_dir, uint32_t classid, ControlDelay **ret) {
        _cleanup_(control_delay_free_p) ControlDelay *delay = NULL;
        int r, n_cpus;

        n_cpus = libbpf_num_possible_cpus();
        if (n_cpus < 0)
                return n_cpus;
        delay = malloc(sizeof(*delay));
        if (!delay)
                return -ENOMEM;
        *delay = (ControlDelay){
                .rows = TABLE_NULL,
                .packets = TABLE_NULL,
                .classid = classid,
                .n_cpus = (uint32_t) n_cpus,
                .hooks = { HOOK_NULL, HOOK_NULL },
        };
        if (pin_dir) {
                delay->pin_dir = strdup(pin_dir);
                if (!delay->pin_dir)
                        return -ENOMEM;
        }

        r = open_tables(delay);
        if (r >= 0)
                r = open_hooks(delay);
        if (r >= 0)
                r = load(delay);
        if (r >= 0)
                r = set_hooks(delay);
        if (r < 0)
                return r;
        control_delay_bpf__destroy(TAKE_PTR(delay->skeleton));

        *ret = TAKE_PTR(delay);
        return 0;
}

ControlDelay *control_delay_free(ControlDelay *delay) {
        if (!delay)
                return NULL;

        for (HookKind kind = 0; kind < HOOK_MAX; kind++)
                hook_close(&delay->hooks[kind]);
        control_delay_bpf__destroy(delay->skeleton);
        table_deinit(&delay->rows);
        table_deinit(&delay->packets);
        free(delay->pin_dir);
        free(delay);
        return NULL;
}

void control_delay_unpin(const char *pin_dir) {
        pin_remove_all(pin_dir, PREFIX);
}

bool control_delay_adopted(const ControlDelay *delay) {
        return delay->adopted;
}

void control_delay_keep_pins(const ControlDelay *delay, PinTell tell, void *userdata) {
        table_keep_pin(delay->pin_dir, &delay->rows, tell, userdata);
        table_keep_pin(delay->pin_dir, &delay->packets, tell, userdata);
        for (HookKind kind = 0; kind < HOOK_MAX; kind++)
                hook_keep_pins(&delay->hooks[kind], delay->pin_dir, tell, userdata);
}

static uint64_t load_relaxed(const __u64 *counter) {
        return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void control_delay_read(const ControlDelay *delay, Histogram *ret) {
        *ret = (Histogram){};
        for (uint32_t cpu = 0; cpu < delay->n_cpus; cpu++) {
                const struct control_delay_row *row =
                                (const struct control_delay_row *) delay->rows.rows + cpu;

                ret->sum_nsec += load_relaxed(&row->delay_nsec);
                for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
                        ret->bucket[i] += load_relaxed(&row->delay[i]);
        }
}
