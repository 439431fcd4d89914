// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts CPU time, run-queue wait and switches of every tenant at sched_switch, and there alone: no wake-up
 * hook, no per-task map, no clock of its own. It decides nothing and drops nothing.
 *
 * CPU time is the growth of the task's sum_exec_runtime, the very figure that the kernel adds up in cpu.stat:
 * free of steal and interrupt time, and the same to the nanosecond. Wait is rq->clock less
 * sched_info.last_queued, which the kernel stamped from the same clock (rq->clock is milliseconds off ktime:
 * never mix them). What a task waited on another CPU's queue before it was balanced to this one is not seen.
 *
 * A task that never leaves its CPU meets no switch: the daemon runs sched_meter_poke there before it reads.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "sched-meter.h"

#define MAX_RT_PRIO 100

const volatile __u32 slots = 1;

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct sched_row);
} sched_rows SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct sched_cpu);
} sched_cpus SEC(".maps");

/* cgroup id to slot: the tenants' groups themselves, not what lies below them. */
struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 1);
        __type(key, __u64);
        __type(value, __u32);
} groups SEC(".maps");

/* The slot of the nearest group, from this one upwards, that is a tenant's. */
static __noinline __u32 find_slot_above(struct cgroup *group) {
        for (int i = 0; i < SCHED_METER_DEPTH && group; i++) {
                __u64 id = BPF_CORE_READ(group, kn, id);
                __u32 *slot = bpf_map_lookup_elem(&groups, &id);

                if (slot)
                        return *slot;
                group = BPF_CORE_READ(group, self.parent, cgroup);
        }

        return 0;
}

static __always_inline __u32 find_slot(struct sched_cpu *cpu, struct task_struct *task) {
        struct cgroup *group = task->cgroups->dfl_cgrp;
        __u64 id = group->kn->id;
        struct sched_cached *cached = &cpu->cache[id & (SCHED_METER_CACHE - 1)];
        /* Read before the look-up: what the daemon changes after this makes the entry void. */
        __u32 generation = *(volatile __u32 *) &cpu->generation;

        if (cached->group != id || cached->generation != generation) {
                cached->slot = find_slot_above(group);
                cached->generation = generation;
                cached->group = id;
        }

        return cached->slot;
}

static __always_inline struct sched_row *find_row(__u32 cpu, __u32 slot) {
        __u32 key = cpu * slots + slot;

        return slot < slots ? bpf_map_lookup_elem(&sched_rows, &key) : NULL;
}

/* Kernels were met that pass the tracepoint by for some tasks, the idle one among them: who came after it was
 * not noted. */
static __always_inline bool is_noted(const struct sched_cpu *cpu, const struct task_struct *task) {
        return cpu->pid == task->pid;
}

/*
 * Where such a task's stretch began: the scheduler's own note, which only the fair class takes. It takes it
 * anew where a running task's affinity or nice value is changed, so that ours comes first.
 */
static __always_inline __u64 stretch_begin(const struct task_struct *task) {
        return task->prio >= MAX_RT_PRIO ? task->se.prev_sum_exec_runtime : task->se.sum_exec_runtime;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(sched_meter_switch, bool preempt, struct task_struct *prev, struct task_struct *next) {
        __u32 cpu_index = bpf_get_smp_processor_id(), slot;
        struct sched_cpu *cpu = bpf_map_lookup_elem(&sched_cpus, &cpu_index);
        struct sched_row *row;

        if (!cpu)
                return 0;

        if (is_noted(cpu, prev)) {
                row = cpu->slot ? find_row(cpu_index, cpu->slot) : NULL;
                if (row)
                        row->cpu_nsec += prev->se.sum_exec_runtime - cpu->exec_nsec;
        } else if (prev->pid) {
                cpu->unnoted++;
                slot = find_slot(cpu, prev);
                row = slot ? find_row(cpu_index, slot) : NULL;
                if (row) {
                        row->cpu_nsec += prev->se.sum_exec_runtime - stretch_begin(prev);
                        row->switches++;
                }
        }

        slot = next->pid ? find_slot(cpu, next) : 0;
        cpu->slot = slot;
        cpu->pid = next->pid;
        if (!slot)
                return 0;

        cpu->exec_nsec = next->se.sum_exec_runtime;
        row = find_row(cpu_index, slot);
        if (row) {
                __u64 queued = next->sched_info.last_queued;
                __u64 now = next->se.cfs_rq->rq->clock;

                row->switches++;
                if (queued && now > queued)
                        row->wait_nsec += now - queued;
        }

        return 0;
}

/*
 * Charges the task that runs here up to now, and looks up anew whom it belongs to. Unlike at a switch, one of
 * these can interrupt another on its CPU: hence the atomic steps, and none through the cache.
 */
static __always_inline void charge_current(void) {
        __u32 cpu_index = bpf_get_smp_processor_id(), slot;
        struct sched_cpu *cpu = bpf_map_lookup_elem(&sched_cpus, &cpu_index);
        struct task_struct *task = bpf_get_current_task_btf();
        __u64 exec_nsec = task->se.sum_exec_runtime, from_nsec;
        struct sched_row *row;

        if (!cpu)
                return;

        slot = task->pid ? find_slot_above(task->cgroups->dfl_cgrp) : 0;
        from_nsec = __sync_lock_test_and_set(&cpu->exec_nsec, exec_nsec);
        if (is_noted(cpu, task)) {
                row = cpu->slot ? find_row(cpu_index, cpu->slot) : NULL;
                if (row)
                        __sync_fetch_and_add(&row->cpu_nsec, exec_nsec - from_nsec);
        } else {
                row = slot ? find_row(cpu_index, slot) : NULL;
                if (row) {
                        __sync_fetch_and_add(&row->cpu_nsec, exec_nsec - stretch_begin(task));
                        __sync_fetch_and_add(&row->switches, 1);
                }
        }

        cpu->slot = slot;
        cpu->pid = task->pid;
}

/* Run by the daemon, on the CPU in question: before a read, and after groups came or went. */
SEC("raw_tp")
int sched_meter_poke(void *ctx) {
        charge_current();
        return 0;
}

/* A task that moves itself: what it ran so far is the old group's, as in cpu.stat. */
SEC("tp_btf/cgroup_attach_task")
int sched_meter_attach(void *ctx) {
        charge_current();
        return 0;
}

char LICENSE[] SEC("license") = "GPL";
