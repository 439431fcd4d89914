// SPDX-License-Identifier: GPL-2.0-only
/*
 * Remembers whom the kernel killed for want of memory: at sched_process_exit, where the process that goes
 * says so itself (signal->oom_mm), on every kernel alike; oom's own tracepoint tells of more than a number
 * only from Linux 6.9 on. How many were killed is the kernel's to count (memory.events). It changes nothing.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "group-slot.bpf.h"
#include "oom-meter.h"

const volatile __u32 slots = 1;
const volatile __u32 page_bytes = 4096;

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct oom_row);
} oom_rows SEC(".maps");

/* See sched-meter.bpf.c: what is attached is a stub that goes on to the program of this place. */
struct {
        __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, __u32);
} exit_calls SEC(".maps");

struct oom_process {
        __u64 begin_nsec;
        __u32 pid;
        __u32 pad;
};

/* Those that were told of, for as long as their last threads may be exiting at once. */
struct {
        __uint(type, BPF_MAP_TYPE_LRU_HASH);
        __uint(max_entries, 1024);
        __type(key, struct oom_process);
        __type(value, __u8);
} oom_told SEC(".maps");

/* Its threads are all gone or on their way, and no other of them has told of it. Its first thread may have
 * ended long before. */
static __always_inline bool is_last_of_victim(const struct task_struct *task) {
        struct oom_process process = {};
        __u8 told = 1;

        if (!task->signal->oom_mm || task->signal->live.counter > 0)
                return false;
        process.begin_nsec = task->group_leader->start_boottime;
        process.pid = task->tgid;
        return bpf_map_update_elem(&oom_told, &process, &told, BPF_NOEXIST) == 0;
}

/* The first is told of once all threads are gone, the second as far as it was noted. */
static __always_inline __u64 peak_pages(struct signal_struct *signal) {
        __u64 noted = BPF_CORE_READ(signal, oom_mm, hiwater_rss);

        return signal->maxrss > noted ? signal->maxrss : noted;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(oom_meter_exit, struct task_struct *task) {
        struct oom_victim *victim;
        struct oom_row *row, *all;
        __u32 slot, nobody = 0;

        if (!is_last_of_victim(task))
                return 0;
        slot = find_slot_above(task->cgroups->dfl_cgrp);
        row = slot && slot < slots ? bpf_map_lookup_elem(&oom_rows, &slot) : NULL;
        if (!row)
                return 0;

        victim = &row->last[__sync_fetch_and_add(&row->count, 1) % OOM_VICTIMS];
        victim->boot_nsec = bpf_ktime_get_boot_ns();
        victim->peak_bytes = peak_pages(task->signal) * page_bytes;
        victim->pid = task->tgid;
        BPF_CORE_READ_STR_INTO(&victim->comm, task, group_leader, comm);

        all = bpf_map_lookup_elem(&oom_rows, &nobody);
        if (all)
                __sync_fetch_and_add(&all->count, 1);
        return 0;
}

SEC("tp_btf/sched_process_exit")
int oom_exit_stub(void *ctx) {
        bpf_tail_call(ctx, &exit_calls, 0);
        return 0;
}

char LICENSE[] SEC("license") = "GPL";
