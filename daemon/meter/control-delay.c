/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/control-delay.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <inttypes.h>
#include <linux/types.h>
#include <string.h>

#include "bpf/control-delay.h"
#include "bpf/control-delay.skel.h"

_Static_assert(CONTROL_DELAY_BUCKETS == HISTOGRAM_BUCKETS, "a histogram is a sum of rows");

/* Links are "delay-…", tables "delay_…". */
#define PREFIX "delay"

typedef enum Hook {
        HOOK_ENQUEUE,
        HOOK_DEQUEUE,
        HOOK_MAX,
} Hook;

struct ControlDelay {
        struct control_delay_bpf *skeleton;
        char *pin_dir;
        Table rows, packets;
        uint32_t classid, n_cpus;
        int links[HOOK_MAX];
        char names[HOOK_MAX][PIN_NAME_SIZE]; /* of their pins */
        bool adopted;
};

static struct bpf_program *program_of(const ControlDelay *delay, Hook hook) {
        return hook == HOOK_ENQUEUE ? delay->skeleton->progs.control_delay_enqueue
                                    : delay->skeleton->progs.control_delay_dequeue;
}

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
        r = bpf_map__reuse_fd(delay->skeleton->maps.control_delay_rows, delay->rows.fd);
        if (r == 0)
                r = bpf_map__reuse_fd(delay->skeleton->maps.control_packets, delay->packets.fd);
        return r < 0 ? r : control_delay_bpf__load(delay->skeleton);
}

/* "delay-enqueue-<class>-<tag>": all that must be equal for a link to be left as it is. */
static int name_links(ControlDelay *delay) {
        static const char *const words[HOOK_MAX] = { "enqueue", "dequeue" };

        for (Hook hook = 0; hook < HOOK_MAX; hook++) {
                char tag[PIN_TAG_SIZE];
                int r = pin_program_tag(bpf_program__fd(program_of(delay, hook)), tag);

                if (r < 0)
                        return r;
                snprintf(delay->names[hook], PIN_NAME_SIZE, PREFIX "-%s-%08" PRIx32 "-%s", words[hook],
                                delay->classid, tag);
        }
        return 0;
}

static void remove_outdated(const char *name, void *userdata) {
        const ControlDelay *delay = userdata;

        for (Hook hook = 0; hook < HOOK_MAX; hook++)
                if (delay->links[hook] >= 0 && strcmp(name, delay->names[hook]) == 0)
                        return;
        pin_remove(delay->pin_dir, name);
}

/* A link whose program adds to tables that are no more is none of ours. */
static int attach(ControlDelay *delay) {
        bool tables = delay->rows.adopted && delay->packets.adopted;

        for (Hook hook = 0; tables && hook < HOOK_MAX; hook++)
                delay->links[hook] = pin_open(delay->pin_dir, delay->names[hook]);
        delay->adopted = delay->links[HOOK_ENQUEUE] >= 0 && delay->links[HOOK_DEQUEUE] >= 0;
        pin_list(delay->pin_dir, PREFIX "-", remove_outdated, delay);

        for (Hook hook = 0; hook < HOOK_MAX; hook++) {
                int r;

                if (delay->links[hook] >= 0)
                        continue;
                r = bpf_raw_tracepoint_open(NULL, bpf_program__fd(program_of(delay, hook)));
                if (r < 0)
                        return r;
                delay->links[hook] = r;
                r = pin_put(delay->pin_dir, delay->names[hook], delay->links[hook]);
                if (r < 0)
                        return r;
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
                .links = { -EBADF, -EBADF },
        };
        if (pin_dir) {
                delay->pin_dir = strdup(pin_dir);
                if (!delay->pin_dir)
                        return -ENOMEM;
        }

        r = open_tables(delay);
        if (r >= 0)
                r = load(delay);
        if (r >= 0)
                r = name_links(delay);
        if (r >= 0)
                r = attach(delay);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(delay);
        return 0;
}

ControlDelay *control_delay_free(ControlDelay *delay) {
        if (!delay)
                return NULL;

        for (Hook hook = 0; hook < HOOK_MAX; hook++)
                cleanup_close(&delay->links[hook]);
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
        for (Hook hook = 0; hook < HOOK_MAX; hook++)
                pin_keep(delay->pin_dir, delay->names[hook], delay->links[hook], tell, userdata);
}

static uint64_t load_relaxed(const __u64 *counter) {
        return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void control_delay_read(const ControlDelay *delay, Sample *sample) {
        Histogram *histogram = sample_put_duration(sample, DURATION_NET_EGRESS_DELAY);

        for (uint32_t cpu = 0; cpu < delay->n_cpus; cpu++) {
                const struct control_delay_row *row =
                                (const struct control_delay_row *) delay->rows.rows + cpu;

                histogram->sum_nsec += load_relaxed(&row->delay_nsec);
                for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
                        histogram->bucket[i] += load_relaxed(&row->delay[i]);
        }
}
