/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the scheduler's meter shares with the daemon: one row a CPU and slot, and one state a CPU. Only the
 * CPU that a row belongs to adds to it, so that no add needs a lock; a CPU's state and history are also
 * written by who takes a task from its queue, under that queue's lock, and what is said of a move by who
 * moves. The daemon reads them mapped. A row or state of zeroes is one of nobody: slot 0 is no tenant's.
 *
 * Include after vmlinux.h or <linux/types.h>.
 */

/* Changed with the meaning of what stands here; part of the pins' names, so that another layout starts anew.
 */
#define SCHED_METER_LAYOUT 2

/* A power of two. Groups whose ids differ by a multiple of it share an entry. */
#define SCHED_METER_CACHE 16

/* Row [cpu * slots + slot]. */
struct sched_row {
        __u64 cpu_nsec;        /* ran: the kernel's sum_exec_runtime, as cpu.stat counts it */
        __u64 wait_nsec;       /* was runnable, and queued */
        __u64 switches;        /* times that a task was given this CPU */
        __u64 preempted;       /* times that it was taken from one that wanted to go on */
        __u64 migrations;      /* times that a task was moved to another CPU, by this one */
        __u64 unascribed_nsec; /* of the wait, whose fault had no more room among the pairs */
        __u64 pad[2];
};
_Static_assert(sizeof(struct sched_row) == 64, "a row is one line of cache");

/*
 * How long tasks waited at one queue, by powers of two (a wait that goes on at another's is two): bucket 0 is
 * below 1024 ns, bucket i from 2^(9+i) ns to below twice that, the last all that is longer. Row [cpu * slots
 * + slot]. At the basic level there is none, and wait_nsec of the row above goes on without it.
 */
#define SCHED_WAITS_LAYOUT 3
#define SCHED_WAIT_BUCKETS 24
struct sched_waits {
        __u64 sum_nsec; /* of the waits that are in the buckets; beside those of the short ones, which are
                           most */
        __u64 bucket[SCHED_WAIT_BUCKETS];
};
_Static_assert(sizeof(struct sched_waits) == 8 + 8 * SCHED_WAIT_BUCKETS, "no hidden padding");

/* Who had this CPU, and until when: stretches of one slot are one. What is older than all of these is not
 * known. */
#define SCHED_STRETCHES 16
struct sched_stretch {
        __u64 end_nsec; /* of the run queue's clock */
        __u32 slot;     /* 0: none of a tenant's */
        __u32 pad;
};
struct sched_history {
        __u32 newest; /* index of the stretch that ended last */
        __u32 pad[3];
        struct sched_stretch stretch[SCHED_STRETCHES];
        __u64 pad2[2];
};
_Static_assert(sizeof(struct sched_history) == 16 + 16 * SCHED_STRETCHES + 16, "no hidden padding");

/* Waits below this are no one's fault: looking for whose would cost as much as they do. */
#define SCHED_ASCRIBED_NSEC 16384

/* Key of the matrix; its value, a CPU, is in ns. */
struct sched_pair {
        __u32 victim;  /* the slot that waited */
        __u32 culprit; /* the slot that had the CPU meanwhile; 0: none of a tenant's */
};
/* The culprit where it was longer ago than is known. */
#define SCHED_CULPRIT_UNKNOWN 0xffffffffU

struct sched_cached {
        __u64 group; /* cgroup id; 0: empty */
        __u32 slot;  /* 0: no tenant's */
        __u32 generation;
};

/* Moves between groups of a task that runs, [cpu], which have not been charged yet: of those told and not
 * taken number n is at n % SCHED_MOVES. */
#define SCHED_MOVES 16
struct sched_move {
        __u64 nsec; /* its sum_exec_runtime then */
        __u64 task; /* as below */
        __u32 slot; /* whom it is charged to from there on */
        __u32 generation;
};
struct sched_moves {
        struct sched_move move[SCHED_MOVES];
};
_Static_assert(sizeof(struct sched_moves) == 24 * SCHED_MOVES, "no hidden padding");

/* State [cpu]. */
struct sched_cpu {
        __u64 exec_nsec;  /* sum_exec_runtime of the running task up to which it has been charged */
        __u32 slot;       /* whom the running task is charged to; 0: nobody */
        __u32 pid;        /* the running task */
        __u32 generation; /* written by the daemon alone, whenever groups came or went: what is cached is void
                             then */
        __u32 unnoted;    /* tasks that left without having been seen to come: ran_unnoted() says where */
        __u64 waited_nsec; /* what is summed at the run queue of waits, as the kernel does: what was added
                              that is not in this was waited by who is taken away from it */
        __u64 arrivals;    /* which must be the kernel's for that, too */
        __u64 task;        /* its address; earlier versions noted its pid alone */
        __u32 pad;         /* had a meaning in earlier versions */
        __u32 moves_told;  /* of struct sched_moves; by who moves a task that runs here */
        __u32 moves_taken; /* by this CPU */
        __u32 poked_generation; /* the one of the last look that the daemon had taken here: what a move was
                                   told with before that says no longer whose a group is */
        struct sched_cached cache[SCHED_METER_CACHE];
};
_Static_assert(sizeof(struct sched_cpu) == 64 + 16 * SCHED_METER_CACHE, "the hot part is one line of cache");
