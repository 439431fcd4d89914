/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the BPF tests need of the host, each to itself: control groups below the cgroup2 mount, processes in
 * them that work on command, a bpffs and a network of its own. All of it goes with the test, failed or not; a
 * test whose host lacks something is skipped, with the reason. Mistakes of the host end the test.
 */

#include "meter/meter.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Skips the test unless it runs as root on a host with cgroup2. Call it first; host_deinit() as the test's
 * fini. */
void host_init(void);
void host_deinit(void);

/* A bpffs in a mount namespace of the test's own. */
const char *host_bpffs(void);

struct sockaddr_ll;

typedef struct TestGroup {
        char path[PATH_MAX];
        int fd;
        uint64_t id;
} TestGroup;

/* Below the test's own group, which is made for it below the mount; `name` may have slashes. */
TestGroup group_make(const char *name);
/* The group that this process is in; the caller closes its fd. */
TestGroup group_own(void);
/* Kills what runs in it, and removes it. */
void group_remove(TestGroup *group);
const char *group_parent(void);
/* The number in one of the group's files, behind `key`, or the only one; false: no such file. */
bool group_figure(const TestGroup *group, const char *file, const char *key, uint64_t *ret);
uint64_t group_cpu_nsec(const TestGroup *group);
void group_move(const TestGroup *group, pid_t pid);

/* A process of the group's that works when told to, and sleeps else. */
typedef struct Worker {
        pid_t pid;
        int command, answer;
} Worker;

/* Returns when it sleeps; `group` may be NULL. */
Worker worker_start(const TestGroup *group, void (*work)(void *), void *userdata);
void worker_begin(Worker *worker);
/* Returns when it is done, and asleep again. */
void worker_finish(Worker *worker);
void worker_run(Worker *worker);
/* All at once. */
void workers_run(Worker *workers, size_t n);
void worker_stop(Worker *worker);

typedef struct Schedstat {
        uint64_t ran_nsec, waited_nsec, arrivals;
} Schedstat;
Schedstat worker_schedstat(const Worker *worker);

/* For IP packets that leave by hg0, without a header of theirs, with that priority; `ret_to`: whom to send
 * to. */
int packet_socket(uint32_t priority, struct sockaddr_ll *ret_to);

/* In a child of the test's. */
void die_with_parent(void);

/* Load, not waiting: runs until the process has used so much CPU. */
void burn_msec(unsigned msec);
void pin_to_cpu(unsigned cpu);

/* meter_new() below the test's groups, with the words of a failure; meter_add(), read and refresh that must
 * work. */
Meter *meter_make(const char *pin_dir, uint32_t slots, uint32_t classid_base);
void meter_must_add(Meter *meter, uint32_t slot, const TestGroup *group);
Sample meter_must_read(Meter *meter, uint32_t slot);

/* Fails the test where `value` is further from `expected` than `permille` of it, or than `slack`, whichever
 * is more. */
void expect_near(uint64_t value, uint64_t expected, unsigned permille, uint64_t slack, const char *what);
