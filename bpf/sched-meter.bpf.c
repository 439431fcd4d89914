// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts CPU time, run-queue wait and switches of every tenant at sched_switch, and where a task is taken to
 * another CPU or group: no wake-up hook, no per-task map, no clock of its own. At the full level, how the
 * waits are distributed, and whose tasks had the CPU meanwhile: a CPU remembers who had it last. It decides
 * nothing and drops nothing.
 *
 * CPU time is the growth of the task's sum_exec_runtime, the very figure that the kernel adds up in cpu.stat:
 * free of steal and interrupt time, and the same to the nanosecond. Wait is rq->clock less
 * sched_info.last_queued, which the kernel stamped from the same clock (rq->clock is milliseconds off ktime:
 * never mix them). Where a task is taken to another CPU while it is queued, that is forgotten before we are
 * told; but what it waited is then in the queue's own sum, of which we know what it was before.
 *
 * A task that never leaves its CPU meets no switch: the daemon runs sched_meter_poke there before it reads.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "group-slot.bpf.h"
#include "histogram.bpf.h"
#include "sched-meter.h"

#define TASK_ON_RQ_MIGRATING 2

/* Only with CONFIG_SCHEDSTATS, switched on or not. */
struct rq___sums {
        struct sched_info rq_sched_info;
} __attribute__((preserve_access_index));

const volatile __u32 slots = 1;
/* Histograms, and who made whom wait. */
const volatile bool full = true;

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

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct sched_waits);
} sched_waits SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct sched_history);
} sched_histories SEC(".maps");

/* Of this program alone: what was told to another before it is void. */
struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct sched_moves);
} sched_moves SEC(".maps");

/* Filled as pairs meet, and no further than its size. */
struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
        __uint(max_entries, 1);
        __type(key, struct sched_pair);
        __type(value, __u64);
} sched_pairs SEC(".maps");

/*
 * The one place of each holds the program that counts at a tracepoint. What is attached there is a stub that
 * goes on to it, and is never replaced: a link at a tracepoint cannot be given another program, a place in a
 * map can, from one event to the next.
 */
struct {
        __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, __u32);
} switch_calls SEC(".maps"), move_calls SEC(".maps"), attach_calls SEC(".maps"), migrate_calls SEC(".maps");

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

/*
 * By its address: a thread that executes a program has its leader's pid from then on (fs/exec.c, de_thread).
 * By its pid, where the version before this one noted it.
 */
static __always_inline bool is_noted(const struct sched_cpu *cpu, const struct task_struct *task) {
        return cpu->task == (__u64) task || cpu->pid == task->pid;
}

/*
 * How long a task that was not noted has had this CPU, up to where the kernel charged it last. On most
 * kernels such is only what ran as the meter was first loaded. There are machines with processes of their own
 * in whose context no program of ours is run: switches to their threads are told, those away from them are
 * not, and who comes after them is not noted.
 *
 * When it came is stamped by the kernel, whoever is told, but by the clock that runs on while the CPU is
 * stolen or in an interrupt: what was of these since is in it. What it waited before, and where it moved
 * while it ran, is not known.
 */
static __always_inline __u64 ran_unnoted(const struct task_struct *task, const struct rq *rq) {
        __s64 nsec = task->se.exec_start + rq->clock - rq->clock_task - task->sched_info.last_arrival;

        return nsec > 0 ? nsec : 0;
}

/*
 * Moves of the running task that were told since it was charged last: what it ran up to each is the group's
 * that it left by it. Whose it is now says the kernel, not the last of them, which may still be about to
 * happen.
 */
static __noinline void charge_moves(struct sched_cpu *cpu, __u32 cpu_index, struct task_struct *task) {
        /* A full barrier, too: what was told is there to be read. */
        __u32 told = __sync_fetch_and_add(&cpu->moves_told, 0), taken = cpu->moves_taken;
        struct sched_moves *moves = bpf_map_lookup_elem(&sched_moves, &cpu_index);
        bool moved = false;

        for (__u32 i = 0; moves && i < SCHED_MOVES && taken != told; i++, taken++) {
                const struct sched_move *move = &moves->move[taken % SCHED_MOVES];
                __u64 nsec = move->nsec - cpu->exec_nsec;
                struct sched_row *row;

                if (move->task != (__u64) task || nsec > task->se.sum_exec_runtime - cpu->exec_nsec)
                        continue; /* another's, or in an earlier stretch */
                row = cpu->slot ? find_row(cpu_index, cpu->slot) : NULL;
                if (row)
                        row->cpu_nsec += nsec;
                cpu->exec_nsec += nsec;
                cpu->slot = (__s32) (move->generation - cpu->poked_generation) >= 0 ? move->slot : 0;
                moved = true;
        }
        if (moved)
                cpu->slot = find_slot_above(task->cgroups->dfl_cgrp);
        __sync_lock_test_and_set(&cpu->moves_taken, told);
}

static __always_inline bool has_moved(const struct sched_cpu *cpu) {
        return cpu->moves_told != cpu->moves_taken;
}

static __always_inline void count_length(__u32 cpu_index, __u32 slot, __u64 nsec) {
        __u32 key = cpu_index * slots + slot;
        struct sched_waits *waits = bpf_map_lookup_elem(&sched_waits, &key);

        if (waits) {
                waits->sum_nsec += nsec;
                waits->bucket[histogram_bucket(nsec, SCHED_WAIT_BUCKETS)]++;
        }
}

static __noinline void ascribe(struct sched_row *row, __u32 victim, __u32 culprit, __u64 nsec) {
        struct sched_pair pair = { .victim = victim, .culprit = culprit };
        __u64 *sum = bpf_map_lookup_elem(&sched_pairs, &pair);

        if (sum)
                *sum += nsec;
        else if ((int) bpf_map_update_elem(&sched_pairs, &pair, &nsec, BPF_NOEXIST) < 0)
                row->unascribed_nsec += nsec;
}

/* `slot` had the CPU until now. */
static __always_inline void note_stretch(struct sched_history *history, __u32 slot, __u64 now) {
        struct sched_stretch *newest = &history->stretch[history->newest % SCHED_STRETCHES];

        if (newest->slot != slot) {
                history->newest = (history->newest + 1) % SCHED_STRETCHES;
                newest = &history->stretch[history->newest % SCHED_STRETCHES];
                newest->slot = slot;
        }
        newest->end_nsec = now;
}

/* Who had the CPU while a task of `victim` was queued, from `queued` until now: newest first. */
static __always_inline void find_culprits(
                struct sched_history *history, struct sched_row *row, __u32 victim, __u64 queued, __u64 now) {
        __u64 until = now;

        for (__u32 i = 0; i < SCHED_STRETCHES - 1 && until > queued; i++) {
                __u32 at = history->newest + SCHED_STRETCHES - i;
                const struct sched_stretch *stretch = &history->stretch[at % SCHED_STRETCHES];
                __u64 begin = history->stretch[(at - 1) % SCHED_STRETCHES].end_nsec;

                if (begin < queued)
                        begin = queued;
                if (begin < until) {
                        ascribe(row, victim, stretch->slot, until - begin);
                        until = begin;
                }
        }
        if (until > queued)
                ascribe(row, victim, SCHED_CULPRIT_UNKNOWN, until - queued);
}

/* What is summed of the waits at a queue once the kernel has given its CPU to `next`: nothing more is added
 * to it until the next switch there, but what those waited who are taken from it. Under its lock, as what
 * follows. */
static __always_inline void note_sums(struct sched_cpu *cpu, const struct rq *rq, __u64 queued, __u64 now) {
        const struct rq___sums *sums = (const struct rq___sums *) rq;

        if (!bpf_core_field_exists(sums->rq_sched_info))
                return;
        cpu->waited_nsec = sums->rq_sched_info.run_delay + (queued ? now - queued : 0);
        cpu->arrivals = sums->rq_sched_info.pcount + (queued ? 1 : 0);
}

/* What one waited that is taken from a queue: what was added since it was last looked at. Where there were
 * switches that we were not told of, nobody can say. */
static __always_inline __u64 waited_there(struct sched_cpu *cpu, const struct rq *rq) {
        const struct rq___sums *sums = (const struct rq___sums *) rq;
        __u64 nsec = 0;

        if (!bpf_core_field_exists(sums->rq_sched_info))
                return 0;
        if (cpu->arrivals == sums->rq_sched_info.pcount)
                nsec = sums->rq_sched_info.run_delay - cpu->waited_nsec;
        cpu->waited_nsec = sums->rq_sched_info.run_delay;
        cpu->arrivals = sums->rq_sched_info.pcount;
        return nsec;
}

/* `slot` waited so long at the queue of `history`; the row is of the CPU that says so. */
static __always_inline void count_wait(__u32 cpu_index, __u32 slot, struct sched_row *row,
                struct sched_history *history, __u64 queued, __u64 now) {
        row->wait_nsec += now - queued;
        if (!history)
                return;
        count_length(cpu_index, slot, now - queued);
        if (now - queued >= SCHED_ASCRIBED_NSEC)
                find_culprits(history, row, slot, queued, now);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(sched_meter_switch, bool preempt, struct task_struct *prev, struct task_struct *next,
                unsigned int prev_state) {
        __u32 cpu_index = bpf_get_smp_processor_id(), slot, had = 0;
        struct sched_history *history = NULL;
        struct rq *rq = prev->se.cfs_rq->rq;
        __u64 now = rq->clock, queued = next->sched_info.last_queued;
        struct sched_cpu *cpu = bpf_map_lookup_elem(&sched_cpus, &cpu_index);
        struct sched_row *row;

        if (!cpu)
                return 0;

        if (is_noted(cpu, prev)) {
                if (has_moved(cpu))
                        charge_moves(cpu, cpu_index, prev);
                had = cpu->slot;
                row = had ? find_row(cpu_index, had) : NULL;
                if (row) {
                        row->cpu_nsec += prev->se.sum_exec_runtime - cpu->exec_nsec;
                        row->preempted += preempt || !prev_state;
                }
        } else if (prev->pid) {
                cpu->unnoted += cpu->task != 0;
                had = find_slot(cpu, prev);
                row = had ? find_row(cpu_index, had) : NULL;
                if (row) {
                        row->cpu_nsec += ran_unnoted(prev, rq);
                        row->switches++;
                        row->preempted += preempt || !prev_state;
                }
        }

        if (full)
                history = bpf_map_lookup_elem(&sched_histories, &cpu_index);
        if (history)
                note_stretch(history, had, now);
        slot = next->pid ? find_slot(cpu, next) : 0;
        cpu->slot = slot;
        cpu->pid = next->pid;
        cpu->task = (__u64) next;
        cpu->exec_nsec = next->se.sum_exec_runtime;
        note_sums(cpu, rq, queued, now);
        if (!slot)
                return 0;

        row = find_row(cpu_index, slot);
        if (row) {
                row->switches++;
                if (queued && now > queued)
                        count_wait(cpu_index, slot, row, history, queued, now);
        }

        return 0;
}

/* Read once: without the queue's lock it can grow at any time. */
static __always_inline __u64 exec_nsec_now(struct task_struct *task) {
        return *(volatile __u64 *) &task->se.sum_exec_runtime;
}

/*
 * Charges the task that runs here up to now, and looks up anew whom it belongs to. Run by the daemon, on the
 * CPU in question: before a read, and after groups came or went. There is no switch meanwhile, but an
 * interrupt can come, and a task be taken away in it: hence no look into the cache. It answers whether the
 * kernel sums waits by queue.
 */
SEC("raw_tp")
int sched_meter_poke(void *ctx) {
        __u32 cpu_index = bpf_get_smp_processor_id(), slot, generation;
        struct sched_cpu *cpu = bpf_map_lookup_elem(&sched_cpus, &cpu_index);
        struct task_struct *task = bpf_get_current_task_btf();
        __u64 nsec, exec_nsec;
        struct sched_row *row;
        bool is_known;

        if (!cpu)
                return 0;

        generation = *(volatile __u32 *) &cpu->generation;
        is_known = is_noted(cpu, task);
        exec_nsec = exec_nsec_now(task);
        barrier(); /* a move is told before the kernel charges the new group */
        if (is_known && has_moved(cpu)) {
                charge_moves(cpu, cpu_index, task);
                exec_nsec = exec_nsec_now(task);
        }
        /* Not before: a move that was charged is in it. */
        slot = task->pid ? find_slot_above(task->cgroups->dfl_cgrp) : 0;
        if (is_known) {
                row = cpu->slot ? find_row(cpu_index, cpu->slot) : NULL;
                nsec = exec_nsec - cpu->exec_nsec;
        } else {
                row = slot ? find_row(cpu_index, slot) : NULL;
                nsec = ran_unnoted(task, task->se.cfs_rq->rq);
                if (row)
                        row->switches++;
        }
        if (row)
                row->cpu_nsec += nsec;
        cpu->exec_nsec = exec_nsec;
        cpu->slot = slot;
        cpu->pid = task->pid;
        cpu->task = (__u64) task;
        cpu->poked_generation = generation;
        return bpf_core_field_exists(((struct rq___sums *) 0)->rq_sched_info);
}

/*
 * A task that runs, here or on another CPU, leaves its group for this one. The kernel lets one move at a
 * time, and so does the list: he who moves adds to it, the task's CPU alone takes from it. Where it is full,
 * as of more moves than that between two looks there, all that comes after is the last group's.
 */
static __always_inline void note_move(struct task_struct *task, struct cgroup *group) {
        __u32 cpu_index = task->se.cfs_rq->rq->cpu, told;
        struct sched_cpu *cpu = bpf_map_lookup_elem(&sched_cpus, &cpu_index);
        struct sched_moves *moves;
        struct sched_move *move;

        if (!cpu || !is_noted(cpu, task))
                return;
        moves = bpf_map_lookup_elem(&sched_moves, &cpu_index);
        told = cpu->moves_told;
        if (!moves || told - cpu->moves_taken >= SCHED_MOVES)
                return;
        move = &moves->move[told % SCHED_MOVES];
        move->nsec = task->se.sum_exec_runtime;
        move->task = (__u64) task;
        /* As in find_slot(). */
        move->generation = *(volatile __u32 *) &cpu->generation;
        move->slot = find_slot_above(group);
        /* Ordered, as an addition is not whose result is not used: the move is there before it is told. */
        __sync_lock_test_and_set(&cpu->moves_told, told + 1);
}

/*
 * Where the kernel gives a thread its new group: what it ran so far was charged to the old one, and what is
 * charged from here on, be it the time since the last tick, is the new one's in cpu.stat.
 */
SEC("fentry/cgroup_move_task")
int BPF_PROG(sched_meter_move, struct task_struct *task, struct css_set *to) {
        note_move(task, to->dfl_cgrp);
        return 0;
}

/* For kernels without fentry: a little later, and of a process's threads the first. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(sched_meter_attach, struct cgroup *group, const char *path, struct task_struct *task) {
        note_move(task, group);
        return 0;
}

SEC("tp_btf/sched_migrate_task")
int BPF_PROG(sched_meter_migrate, struct task_struct *task, int to) {
        __u32 cpu_index = bpf_get_smp_processor_id(), from_index, slot;
        struct sched_cpu *cpu = bpf_map_lookup_elem(&sched_cpus, &cpu_index), *from;
        struct rq *rq = task->se.cfs_rq->rq;
        struct sched_history *history = NULL;
        __u64 nsec = 0, now = rq->clock;
        struct sched_row *row;

        slot = cpu ? find_slot(cpu, task) : 0;
        row = slot ? find_row(cpu_index, slot) : NULL;
        if (row)
                row->migrations++;
        if (task->on_rq != TASK_ON_RQ_MIGRATING)
                return 0;

        from_index = rq->cpu;
        from = bpf_map_lookup_elem(&sched_cpus, &from_index);
        if (from)
                nsec = waited_there(from, rq);
        if (!nsec || !row)
                return 0;
        if (full)
                history = bpf_map_lookup_elem(&sched_histories, &from_index);
        if (history)
                note_stretch(history, from->slot, now);
        count_wait(cpu_index, slot, row, history, now - nsec, now);
        return 0;
}

SEC("tp_btf/sched_switch")
int sched_switch_stub(void *ctx) {
        bpf_tail_call(ctx, &switch_calls, 0);
        return 0;
}

SEC("fentry/cgroup_move_task")
int sched_move_stub(void *ctx) {
        bpf_tail_call(ctx, &move_calls, 0);
        return 0;
}

SEC("tp_btf/cgroup_attach_task")
int sched_attach_stub(void *ctx) {
        bpf_tail_call(ctx, &attach_calls, 0);
        return 0;
}

SEC("tp_btf/sched_migrate_task")
int sched_migrate_stub(void *ctx) {
        bpf_tail_call(ctx, &migrate_calls, 0);
        return 0;
}

char LICENSE[] SEC("license") = "GPL";
