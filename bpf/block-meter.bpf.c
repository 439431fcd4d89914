// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long a tenant's reads and writes of block devices take, from when the kernel made a request of them
 * until the device had done all of it: block_rq_complete alone, as the request carries when it began and
 * whose it is. No map of requests, no second hook. It changes nothing.
 *
 * A request belongs to the group that its first bio does. Devices that are over others complete requests of
 * their own, where they have any: loop devices', of which there may be many, are left out here, the others'
 * by the daemon.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "block-meter.h"
#include "group-slot.bpf.h"
#include "histogram.bpf.h"

#define OP_MASK 0xff
#define OP_READ 0
#define OP_WRITE 1

/* A loop device's requests are done by others of the device below, which are the tenant's as well. */
#define LOOP_MAJOR 7

const volatile __u32 slots = 1;

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct block_row);
} block_rows SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct block_devices);
} block_devices SEC(".maps");

/* See sched-meter.bpf.c: what is attached is a stub that goes on to the program of this place. */
struct {
        __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, __u32);
} complete_calls SEC(".maps");

/* The device's place, taken if it has none. */
static __noinline __u32 find_device(__u32 number) {
        __u32 key = 0;
        struct block_devices *devices = bpf_map_lookup_elem(&block_devices, &key);

        if (!devices || number == 0)
                return BLOCK_DEVICE_MORE;
        for (__u32 i = BLOCK_DEVICE_MORE + 1; i < BLOCK_DEVICES; i++) {
                __u32 *place = &devices->number[i];

                if (*place == number)
                        return i;
                if (*place == 0) {
                        __u32 was = __sync_val_compare_and_swap(place, 0, number);

                        if (was == 0 || was == number)
                                return i;
                }
        }
        return BLOCK_DEVICE_MORE;
}

static __always_inline void count(__u32 device, __u32 slot, __u32 direction, __u64 nsec) {
        __u32 key = device * slots + slot;
        struct block_row *row = slot < slots ? bpf_map_lookup_elem(&block_rows, &key) : NULL;
        struct block_latency *latency;

        if (!row)
                return;
        latency = direction == BLOCK_READ ? &row->direction[BLOCK_READ] : &row->direction[BLOCK_WRITE];
        __sync_fetch_and_add(&latency->bucket[histogram_bucket(nsec, BLOCK_LATENCY_BUCKETS)], 1);
        __sync_fetch_and_add(&latency->sum_nsec, nsec);
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(block_meter_complete, struct request *request, int error, unsigned int bytes) {
        __u32 operation = request->cmd_flags & OP_MASK, slot, major, number;
        __u64 begin = request->start_time_ns, now;
        struct gendisk *disk;
        struct blkcg_gq *group;

        /* The rest of it comes later, or it is a flush: neither begins nor ends anything that a tenant asked
         * for. */
        if ((operation != OP_READ && operation != OP_WRITE) || !request->bio || bytes < request->__data_len ||
                        bytes == 0 || begin == 0)
                return 0;
        group = BPF_CORE_READ(request, bio, bi_blkg);
        slot = group ? find_slot_above(BPF_CORE_READ(group, blkcg, css.cgroup)) : 0;
        if (slot == 0)
                return 0;

        disk = BPF_CORE_READ(request, q, disk);
        major = disk ? BPF_CORE_READ(disk, major) : 0;
        if (major == LOOP_MAJOR)
                return 0;
        number = disk ? major << BLOCK_MINOR_BITS | BPF_CORE_READ(disk, first_minor) : 0;
        now = bpf_ktime_get_ns();
        count(find_device(number), slot, operation == OP_READ ? BLOCK_READ : BLOCK_WRITE,
                        now > begin ? now - begin : 0);
        return 0;
}

SEC("tp_btf/block_rq_complete")
int block_complete_stub(void *ctx) {
        bpf_tail_call(ctx, &complete_calls, 0);
        return 0;
}

char LICENSE[] SEC("license") = "GPL";
