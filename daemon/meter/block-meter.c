/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/block-meter.h"
#include "meter/block-layer.h"
#include "meter/hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/types.h>
#include <string.h>

#include "bpf/block-meter.h"
#include "bpf/block-meter.skel.h"

_Static_assert(BLOCK_LATENCY_BUCKETS == HISTOGRAM_BUCKETS, "a histogram is a row");

_Static_assert(BLOCK_METER_DEVICES == BLOCK_DEVICES - 1, "all but that of the rest");

static const HookNames complete_hook = { "block_complete_1", "block-complete-stub-1", "block-complete-" };

struct BlockMeter {
        struct block_meter_bpf *skeleton; /* until its programs hang */
        Table rows, devices;
        Hook hook;
        uint32_t slots;
        /* What each device is, which is looked up when it is first met. */
        struct {
                uint32_t number;
                bool layer;
                struct block_row *rows; /* [slots], mapped as it is read, until it rests */
        } known[BLOCK_DEVICES];
};

static size_t rows_size(const BlockMeter *meter) {
        return meter->slots * sizeof(struct block_row);
}

/* NULL where it cannot be mapped. */
static const struct block_row *row_of(BlockMeter *meter, uint32_t device, uint32_t slot) {
        struct block_row **rows = &meter->known[device].rows;

        if (!*rows)
                *rows = table_map(&meter->rows, device * rows_size(meter), rows_size(meter));
        return *rows ? *rows + slot : NULL;
}

static int open_tables(BlockMeter *meter, const char *pin_dir) {
        int r = table_open(pin_dir,
                        &(TableShape){ "block_rows_" STRINGIFY(BLOCK_METER_LAYOUT), BPF_MAP_TYPE_ARRAY,
                                        sizeof(uint32_t), sizeof(struct block_row),
                                        meter->slots * BLOCK_DEVICES, /* unmapped= */ true },
                        &meter->rows);

        if (r < 0)
                return r;
        /* Which device is which goes with the rows. */
        if (!meter->rows.adopted && !meter->rows.carried)
                pin_remove(pin_dir, "block_devices_" STRINGIFY(BLOCK_METER_LAYOUT));
        return table_open(pin_dir,
                        &(TableShape){ "block_devices_" STRINGIFY(BLOCK_METER_LAYOUT), BPF_MAP_TYPE_ARRAY,
                                        sizeof(uint32_t), sizeof(struct block_devices), 1 },
                        &meter->devices);
}

static int load(BlockMeter *meter, int groups_fd) {
        struct block_meter_bpf *skeleton = meter->skeleton = block_meter_bpf__open();
        int r;

        if (!skeleton)
                return -errno;
        skeleton->rodata->slots = meter->slots;
        bpf_program__set_autoload(skeleton->progs.block_complete_stub, !hook_hangs(&meter->hook));
        r = bpf_map__reuse_fd(skeleton->maps.complete_calls, meter->hook.calls.fd);
        if (r == 0)
                r = bpf_map__reuse_fd(skeleton->maps.block_rows, meter->rows.fd);
        if (r == 0)
                r = bpf_map__reuse_fd(skeleton->maps.block_devices, meter->devices.fd);
        if (r == 0)
                r = bpf_map__reuse_fd(skeleton->maps.groups, groups_fd);
        return r == 0 ? block_meter_bpf__load(skeleton) : r;
}

int block_meter_new(const char *pin_dir, uint32_t slots, int groups_fd, BlockMeter **ret) {
        _cleanup_(block_meter_free_p) BlockMeter *meter = malloc(sizeof(*meter));
        int r;

        if (!meter)
                return -ENOMEM;
        *meter = (BlockMeter){ .rows = TABLE_NULL, .devices = TABLE_NULL, .hook = HOOK_NULL, .slots = slots };
        r = open_tables(meter, pin_dir);
        if (r >= 0)
                r = hook_open(pin_dir, &complete_hook, &meter->hook);
        if (r >= 0)
                r = load(meter, groups_fd);
        if (r >= 0)
                r = hook_set(&meter->hook, pin_dir,
                                bpf_program__fd(meter->skeleton->progs.block_meter_complete),
                                bpf_program__fd(meter->skeleton->progs.block_complete_stub));
        if (r < 0)
                return r;
        block_meter_bpf__destroy(TAKE_PTR(meter->skeleton));
        *ret = TAKE_PTR(meter);
        return 0;
}

BlockMeter *block_meter_free(BlockMeter *meter) {
        if (!meter)
                return NULL;
        hook_close(&meter->hook);
        block_meter_bpf__destroy(meter->skeleton);
        block_meter_rest(meter);
        table_deinit(&meter->rows);
        table_deinit(&meter->devices);
        free(meter);
        return NULL;
}

void block_meter_keep_pins(const BlockMeter *meter, const char *pin_dir, PinTell tell, void *userdata) {
        table_keep_pin(pin_dir, &meter->rows, tell, userdata);
        table_keep_pin(pin_dir, &meter->devices, tell, userdata);
        hook_keep_pins(&meter->hook, pin_dir, tell, userdata);
}

static void read_latency(const struct block_latency *from, Histogram *ret) {
        for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
                ret->bucket[i] = __atomic_load_n(&from->bucket[i], __ATOMIC_RELAXED);
        ret->sum_nsec = __atomic_load_n(&from->sum_nsec, __ATOMIC_RELAXED);
}

/* One of a device that was not used in that direction is left out. */
static int read_device(const struct block_row *row, const char *name, BlockLatencies *ret) {
        if (!row)
                return -ENOMEM;
        for (size_t i = 0; i < BLOCK_DIRECTIONS; i++) {
                Histogram histogram;
                BlockLatency *entry;

                read_latency(&row->direction[i], &histogram);
                if (histogram_count(&histogram) == 0)
                        continue;
                entry = block_latencies_push(ret, name, i == BLOCK_WRITE);
                if (!entry)
                        return -ENOMEM;
                entry->histogram = histogram;
        }
        return 0;
}

static bool is_layer(BlockMeter *meter, uint32_t i, uint32_t number, unsigned major, unsigned minor) {
        if (meter->known[i].number != number) {
                meter->known[i].layer = block_is_layer(major, minor);
                meter->known[i].number = number;
        }
        return meter->known[i].layer;
}

int block_meter_read(BlockMeter *meter, uint32_t slot, BlockLatencies *ret) {
        const struct block_devices *devices = meter->devices.rows;
        int r = read_device(row_of(meter, BLOCK_DEVICE_MORE, slot), BLOCK_LATENCY_MORE, ret);

        for (uint32_t i = BLOCK_DEVICE_MORE + 1; r >= 0 && i < BLOCK_DEVICES; i++) {
                uint32_t number = __atomic_load_n(&devices->number[i], __ATOMIC_RELAXED);
                unsigned major = number >> BLOCK_MINOR_BITS, minor = number & ((1U << BLOCK_MINOR_BITS) - 1);
                char name[RESOURCE_TARGET_SIZE];

                if (number == 0)
                        break;
                if (is_layer(meter, i, number, major, minor))
                        continue;
                snprintf(name, sizeof(name), "%u:%u", major, minor);
                r = read_device(row_of(meter, i, slot), name, ret);
        }
        return r;
}

void block_meter_rest(BlockMeter *meter) {
        for (uint32_t i = 0; i < BLOCK_DEVICES; i++) {
                table_unmap(meter->known[i].rows, rows_size(meter));
                meter->known[i].rows = NULL;
        }
}

void block_meter_clear(BlockMeter *meter, uint32_t slot) {
        static const struct block_row none;
        const struct block_devices *devices = meter->devices.rows;

        for (uint32_t i = 0; i < BLOCK_DEVICES; i++) {
                uint32_t key = i * meter->slots + slot;

                if (i == BLOCK_DEVICE_MORE || __atomic_load_n(&devices->number[i], __ATOMIC_RELAXED) != 0)
                        (void) bpf_map_update_elem(meter->rows.fd, &key, &none, BPF_ANY);
        }
}

void block_meter_unpin(const char *pin_dir) {
        pin_remove_all(pin_dir, "block");
}
