/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/oom-meter.h"
#include "meter/hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/types.h>
#include <time.h>

#include "bpf/oom-meter.h"
#include "bpf/oom-meter.skel.h"

_Static_assert(OOM_VICTIMS == OOM_VICTIMS_MAX && OOM_COMM_SIZE == OOM_COMM_MAX, "the same on both sides");

static const HookNames exit_hook = { "oom_exit_1", "oom-exit-stub-1", "oom-exit-" };

struct OomMeter {
        struct oom_meter_bpf *skeleton; /* until its programs hang */
        Table rows;
        Hook hook;
};

/* All zeroes where it cannot be read. Most rows are never asked for: a copy of one costs less than a map. */
static struct oom_row read_row(const OomMeter *meter, uint32_t slot) {
        struct oom_row row;

        return bpf_map_lookup_elem(meter->rows.fd, &slot, &row) == 0 ? row : (struct oom_row){};
}

static int load(OomMeter *meter, uint32_t slots, int groups_fd) {
        struct oom_meter_bpf *skeleton = meter->skeleton = oom_meter_bpf__open();
        int r;

        if (!skeleton)
                return -errno;
        skeleton->rodata->slots = slots;
        skeleton->rodata->page_bytes = (uint32_t) sysconf(_SC_PAGESIZE);
        bpf_program__set_autoload(skeleton->progs.oom_exit_stub, !hook_hangs(&meter->hook));
        r = bpf_map__reuse_fd(skeleton->maps.exit_calls, meter->hook.calls.fd);
        if (r == 0)
                r = bpf_map__reuse_fd(skeleton->maps.oom_rows, meter->rows.fd);
        if (r == 0)
                r = bpf_map__reuse_fd(skeleton->maps.groups, groups_fd);
        return r == 0 ? oom_meter_bpf__load(skeleton) : r;
}

int oom_meter_new(const char *pin_dir, uint32_t slots, int groups_fd, OomMeter **ret) {
        _cleanup_(oom_meter_free_p) OomMeter *meter = malloc(sizeof(*meter));
        int r;

        if (!meter)
                return -ENOMEM;
        *meter = (OomMeter){ .rows = TABLE_NULL, .hook = HOOK_NULL };
        r = table_open(pin_dir,
                        &(TableShape){ "oom_rows_" STRINGIFY(OOM_METER_LAYOUT), BPF_MAP_TYPE_ARRAY,
                                        sizeof(uint32_t), sizeof(struct oom_row), slots,
                                        /* unmapped= */ true },
                        &meter->rows);
        if (r >= 0)
                r = hook_open(pin_dir, &exit_hook, &meter->hook);
        if (r >= 0)
                r = load(meter, slots, groups_fd);
        if (r >= 0)
                r = hook_set(&meter->hook, pin_dir, bpf_program__fd(meter->skeleton->progs.oom_meter_exit),
                                bpf_program__fd(meter->skeleton->progs.oom_exit_stub));
        if (r < 0)
                return r;
        oom_meter_bpf__destroy(TAKE_PTR(meter->skeleton));
        *ret = TAKE_PTR(meter);
        return 0;
}

OomMeter *oom_meter_free(OomMeter *meter) {
        if (!meter)
                return NULL;
        hook_close(&meter->hook);
        oom_meter_bpf__destroy(meter->skeleton);
        table_deinit(&meter->rows);
        free(meter);
        return NULL;
}

void oom_meter_keep_pins(const OomMeter *meter, const char *pin_dir, PinTell tell, void *userdata) {
        table_keep_pin(pin_dir, &meter->rows, tell, userdata);
        hook_keep_pins(&meter->hook, pin_dir, tell, userdata);
}

static uint64_t now_usec(clockid_t clock) {
        struct timespec ts;

        clock_gettime(clock, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

/* A process may call itself anything, and this is shown on terminals. */
static void copy_comm(const char from[static OOM_COMM_SIZE], char ret[static OOM_COMM_MAX]) {
        for (size_t i = 0; i < OOM_COMM_MAX; i++)
                ret[i] = from[i] == '\0' || (from[i] >= ' ' && from[i] <= '~') ? from[i] : '?';
        ret[OOM_COMM_MAX - 1] = '\0';
}

uint64_t oom_meter_count(const OomMeter *meter) {
        return read_row(meter, 0).count;
}

OomVictims oom_meter_read(const OomMeter *meter, uint32_t slot) {
        const struct oom_row row = read_row(meter, slot);
        uint64_t count = row.count, boot_usec, utc_usec;
        OomVictims victims = {};

        if (count == 0)
                return victims;
        boot_usec = now_usec(CLOCK_BOOTTIME);
        utc_usec = now_usec(CLOCK_REALTIME);
        victims.n = count < OOM_VICTIMS ? (size_t) count : OOM_VICTIMS;
        for (size_t i = 0; i < victims.n; i++) {
                const struct oom_victim *from = &row.last[(count - 1 - i) % OOM_VICTIMS];
                OomVictim *to = &victims.entries[i];

                copy_comm(from->comm, to->comm);
                to->pid = from->pid;
                to->peak_bytes = from->peak_bytes;
                to->time_usec = utc_usec - (boot_usec - from->boot_nsec / 1000);
        }
        return victims;
}

void oom_meter_clear(OomMeter *meter, uint32_t slot) {
        static const struct oom_row none;

        (void) bpf_map_update_elem(meter->rows.fd, &slot, &none, BPF_ANY);
}
