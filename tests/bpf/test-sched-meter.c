/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* CPU time against cpu.stat of the group, and moves; what tasks wait is test-sched-waits'. */

#include "host.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

TestSuite(sched_meter, .init = host_init, .fini = host_deinit, .timeout = 120);

#define SLOT 2U
#define OTHER_SLOT 3U
#define SLOTS 16U
#define TICK_NSEC 10500000U

static void burn(void *userdata) {
        burn_msec(*(unsigned *) userdata);
}

/* The meter counts from meter_add() on, cpu.stat from the group's start: compared is what was added since. */
Test(sched_meter, busy_group) {
        TestGroup group = group_make("a");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        unsigned msec = 600;
        Worker workers[3];
        uint64_t cpu_before;
        Sample before, after;

        meter_must_add(meter, SLOT, &group);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                workers[i] = worker_start(&group, burn, &msec);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                worker_run(workers + i);

        cpu_before = group_cpu_nsec(&group);
        before = meter_must_read(meter, SLOT);
        workers_run(workers, ELEMENTSOF(workers));
        after = meter_must_read(meter, SLOT);

        expect_near(after.value[METRIC_CPU_TIME] - before.value[METRIC_CPU_TIME],
                        group_cpu_nsec(&group) - cpu_before, 1, 200000, "cpu.time");

        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                worker_stop(workers + i);
        meter_free(meter);
}

static void burn_on_cpu_0(void *userdata) {
        pin_to_cpu(0);
        burn_msec(*(unsigned *) userdata);
}

static void go_real_time(void) {
        struct sched_param param = { .sched_priority = 1 };

        (void) sched_setscheduler(0, SCHED_FIFO, &param);
}

/* Real-time, on a CPU that the test is not on: what is left of the other tasks waits, and no switch comes. */
static void burn_alone(void *userdata) {
        pin_to_cpu(1);
        go_real_time();
        for (;;)
                ;
}

static Worker start_alone(const TestGroup *group, void (*work)(void *), void *userdata) {
        if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
                cr_skip_test("needs two CPUs");
        pin_to_cpu(0);
        return worker_start(group, work, userdata);
}

/*
 * The meter read between two reads of the kernel's counter: what it says lies between these, however long
 * this process was off its CPU from one to the next.
 */
typedef struct Reading {
        uint64_t kernel_before, meter, kernel_after;
} Reading;

static Reading reading_take(Meter *meter, uint32_t slot, const TestGroup *group) {
        Reading reading = { .kernel_before = group_cpu_nsec(group) };

        reading.meter = meter_must_read(meter, slot).value[METRIC_CPU_TIME];
        reading.kernel_after = group_cpu_nsec(group);
        return reading;
}

/* What was added from one reading to another. The kernel brings both counters forward with the tick: at most
 * one, of 10 ms, is between the two. */
static void expect_same_growth(const Reading *first, const Reading *last, const char *what) {
        uint64_t grown = last->meter - first->meter;
        uint64_t least = last->kernel_before - first->kernel_after;
        uint64_t most = last->kernel_after - first->kernel_before;

        cr_expect(grown + TICK_NSEC >= least && grown <= most + TICK_NSEC,
                        "%s: %" PRIu64 " is not within a tick of %" PRIu64 " to %" PRIu64, what, grown, least,
                        most);
}

/*
 * Load of this process until the kernel has charged the group so much more. How long it takes says nothing of
 * the meter: a task that is real-time leaves its CPU to others for 50 ms at once (the kernel's fair server),
 * and a guest's CPU stands still for as long as the machine below has other things to do.
 */
static void burn_until_charged(const TestGroup *group, unsigned msec) {
        uint64_t end = group_cpu_nsec(group) + msec * 1000000ULL;

        for (unsigned i = 0; group_cpu_nsec(group) < end; i++) {
                cr_assert(i < 30000, "%s: what is in it does not run", group->path);
                burn_msec(1);
        }
}

/* A task that is on its CPU all the while, and was before the group was added. */
Test(sched_meter, running_stretch) {
        TestGroup group = group_make("a");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        Worker hog = start_alone(&group, burn_alone, NULL);
        Reading first, last;

        worker_begin(&hog);
        burn_msec(100);
        meter_must_add(meter, SLOT, &group);

        first = reading_take(meter, SLOT, &group);
        for (unsigned i = 0; i < 10; i++) {
                burn_until_charged(&group, 50);
                last = reading_take(meter, SLOT, &group);
                expect_same_growth(&first, &last, "cpu.time while it runs");
        }
        worker_stop(&hog);
        meter_free(meter);
}

/* A tenant's slice holds scopes, which come and go unannounced; what is beside it is not its. */
Test(sched_meter, groups_below) {
        TestGroup group = group_make("a"), beside = group_make("b");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        unsigned msec = 100;
        Sample sample;

        meter_must_add(meter, SLOT, &group);
        meter_must_add(meter, OTHER_SLOT, &beside);
        for (unsigned i = 0; i < 40; i++) {
                char name[32];
                TestGroup scope;
                Worker worker;

                snprintf(name, sizeof(name), "a/scope-%u", i);
                scope = group_make(name);
                worker = worker_start(&scope, burn_on_cpu_0, &msec);
                msec = 5;
                worker_run(&worker);
                worker_stop(&worker);
                group_remove(&scope);
        }

        sample = meter_must_read(meter, SLOT);
        expect_near(sample.value[METRIC_CPU_TIME], group_cpu_nsec(&group), 1, 200000, "cpu.time");
        sample = meter_must_read(meter, OTHER_SLOT);
        cr_expect(sample.value[METRIC_CPU_TIME] == 0 && sample.value[METRIC_CPU_SWITCHES] == 0);
        meter_free(meter);
}

typedef struct Mover {
        TestGroup from, to;
} Mover;

static void move_to_and_fro(void *userdata) {
        Mover *mover = userdata;

        pin_to_cpu(0);
        for (unsigned i = 0; i < 50; i++) {
                group_move(i % 2 ? &mover->from : &mover->to, getpid());
                burn_msec(i % 2 ? 3 : 6);
        }
}

/*
 * One that moves itself while it runs, fifty times. cpu.stat gives what ran since the last tick to the group
 * that the task is in at the next one (kernel/sched/fair.c, update_curr), up to 4 ms a move, and so does the
 * meter.
 */
Test(sched_meter, moves) {
        Mover mover = { group_make("a"), group_make("b") };
        Meter *meter = meter_make(NULL, SLOTS, 0);
        uint64_t from, to, kernel_from, kernel_to;
        Worker worker;

        meter_must_add(meter, SLOT, &mover.from);
        meter_must_add(meter, OTHER_SLOT, &mover.to);
        worker = worker_start(&mover.from, move_to_and_fro, &mover);
        worker_run(&worker);

        from = meter_must_read(meter, SLOT).value[METRIC_CPU_TIME];
        to = meter_must_read(meter, OTHER_SLOT).value[METRIC_CPU_TIME];
        kernel_from = group_cpu_nsec(&mover.from);
        kernel_to = group_cpu_nsec(&mover.to);
        expect_near(from + to, kernel_from + kernel_to, 5, 500000, "cpu.time of both groups");
        expect_near(from, kernel_from, 5, TICK_NSEC / 2, "cpu.time of the group it left");
        expect_near(to, kernel_to, 5, TICK_NSEC / 2, "cpu.time of the group it went to");
        worker_stop(&worker);
        meter_free(meter);
}

/* Moved by another while it never leaves its CPU: from the next refresh on it is its new group's. */
Test(sched_meter, moved_while_running) {
        TestGroup from = group_make("a"), to = group_make("b");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        Worker hog = start_alone(NULL, burn_alone, NULL);
        Reading first, last;

        meter_must_add(meter, SLOT, &from);
        meter_must_add(meter, OTHER_SLOT, &to);
        worker_begin(&hog);
        burn_msec(20);
        for (unsigned i = 0; i < 4; i++) {
                const TestGroup *group = i % 2 ? &from : &to;
                uint32_t slot = i % 2 ? SLOT : OTHER_SLOT;

                group_move(group, hog.pid);
                first = reading_take(meter, slot, group);
                burn_until_charged(group, 60);
                last = reading_take(meter, slot, group);
                expect_same_growth(&first, &last, "cpu.time after the move");
        }
        worker_stop(&hog);
        meter_free(meter);
}

/* Moved again and again while it never leaves its CPU and nobody looks: each stretch is the group's that it
 * was in. */
Test(sched_meter, moves_in_one_stretch) {
        TestGroup groups[3] = { group_make("a"), group_make("b"), group_make("c") };
        Meter *meter = meter_make(NULL, SLOTS, 0);
        Worker hog = start_alone(NULL, burn_alone, NULL);
        Reading first[ELEMENTSOF(groups)], last;

        for (uint32_t i = 0; i < ELEMENTSOF(groups); i++)
                meter_must_add(meter, SLOT + i, &groups[i]);
        group_move(&groups[0], hog.pid);
        go_real_time(); /* as long as it takes by itself the kernel leaves the hog its CPU, and no longer */
        worker_begin(&hog);
        burn_msec(20);
        for (uint32_t i = 0; i < ELEMENTSOF(groups); i++)
                first[i] = reading_take(meter, SLOT + i, &groups[i]);
        for (unsigned i = 1; i < 9; i++) {
                group_move(&groups[i % ELEMENTSOF(groups)], hog.pid);
                burn_until_charged(&groups[i % ELEMENTSOF(groups)], 30);
        }
        for (uint32_t i = 0; i < ELEMENTSOF(groups); i++) {
                last = reading_take(meter, SLOT + i, &groups[i]);
                expect_same_growth(&first[i], &last, groups[i].path);
        }
        worker_stop(&hog);
        meter_free(meter);
}

static void *exec_when_told(void *told) {
        die_with_parent();
        pin_to_cpu(1);
        go_real_time();
        while (!*(volatile bool *) told)
                ;
        execl("/bin/sh", "sh", "-c", "while :; do :; done", NULL);
        return NULL;
}

/* The leader is dead by then, and nobody has to be waited for: what executes has its CPU all the while. */
static void leave_to_thread(void *told) {
        pthread_t thread;

        if (pthread_create(&thread, NULL, exec_when_told, told) == 0)
                syscall(SYS_exit, 0);
}

/* A thread that executes a program takes over the leader's pid (fs/exec.c, de_thread): it is who it was. */
Test(sched_meter, thread_executes) {
        bool *told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        TestGroup group = group_make("a");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        Worker hog = start_alone(&group, leave_to_thread, told);
        Reading first, last;
        char c;

        cr_assert(told != MAP_FAILED);
        meter_must_add(meter, SLOT, &group);
        worker_begin(&hog);
        burn_until_charged(&group, 10);
        first = reading_take(meter, SLOT, &group);
        burn_until_charged(&group, 100);
        last = reading_take(meter, SLOT, &group);
        expect_same_growth(&first, &last, "cpu.time of the thread");

        *told = true;
        cr_assert_eq(read(hog.answer, &c, 1), 0, "it has executed nothing"); /* closed on exec */
        burn_until_charged(&group, 20);
        last = reading_take(meter, SLOT, &group);
        expect_same_growth(&first, &last, "cpu.time once it is the leader");
        worker_stop(&hog);
        meter_free(meter);
}

/* After a slot is taken away, what runs on is charged to nobody; given again, it begins at 0. */
Test(sched_meter, slot_given_again) {
        TestGroup group = group_make("a"), other = group_make("b");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        Worker hog = start_alone(&group, burn_alone, NULL);
        Sample sample;

        meter_must_add(meter, SLOT, &group);
        worker_begin(&hog);
        burn_msec(50);
        cr_expect(meter_must_read(meter, SLOT).value[METRIC_CPU_TIME] > 0);

        cr_assert(meter_remove(meter, SLOT) == 0);
        cr_expect(meter_read(meter, SLOT, &sample) == -ENOENT);
        burn_msec(50);
        meter_must_add(meter, SLOT, &other);
        burn_msec(50);
        sample = meter_must_read(meter, SLOT);
        cr_expect(sample.value[METRIC_CPU_TIME] == 0 && sample.value[METRIC_CPU_SWITCHES] == 0);

        worker_stop(&hog);
        meter_free(meter);
}

static void change_cpus(void *userdata) {
        for (unsigned i = 0; i < 200; i++)
                pin_to_cpu(i % 2);
}

Test(sched_meter, migrations) {
        TestGroup group = group_make("a");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        Worker mover = worker_start(&group, change_cpus, NULL);
        Sample before, after;
        uint64_t moves;

        if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
                cr_skip_test("one CPU: there is nowhere to move to");
        meter_must_add(meter, SLOT, &group);
        before = meter_must_read(meter, SLOT);
        worker_run(&mover);
        after = meter_must_read(meter, SLOT);
        moves = after.value[METRIC_CPU_MIGRATIONS] - before.value[METRIC_CPU_MIGRATIONS];
        cr_expect(moves >= 199, "%" PRIu64 " of 200 moves are counted", moves);
        worker_stop(&mover);
        meter_free(meter);
}

/* With less to do, by the same pins: who opens them at the other level counts what that level does. */
Test(sched_meter, basic_level) {
        TestGroup group = group_make("a");
        _cleanup_(feature_set_deinit) FeatureSet features = FEATURE_SET_NULL;
        MeterOptions options = {
                .pin_dir = host_bpffs(), .slots = SLOTS, .cgroup_root = group_parent(), .basic = true
        };
        unsigned msec = 50;
        Meter *meter;
        Worker worker;
        Histogram waits;
        Sample sample;

        cr_assert(meter_new(&options, &features, &meter) == 0);
        meter_must_add(meter, SLOT, &group);
        worker = worker_start(&group, burn, &msec);
        worker_run(&worker);
        sample = meter_must_read(meter, SLOT);
        cr_expect(sample.value[METRIC_CPU_TIME] > 40000000 && sample_has(&sample, METRIC_CPU_PREEMPTIONS));
        cr_expect_eq(meter_read_duration(meter, SLOT, DURATION_CPU_WAIT, &waits), -EOPNOTSUPP,
                        "the basic level has no histogram");
        cr_expect_eq(meter_each_culprit(meter, NULL, NULL), -EOPNOTSUPP);
        meter_free(meter);

        options.basic = false;
        cr_assert(meter_new(&options, &features, &meter) == 0);
        meter_must_add(meter, SLOT, &group);
        worker_run(&worker);
        sample = meter_must_read(meter, SLOT);
        cr_assert_eq(meter_read_duration(meter, SLOT, DURATION_CPU_WAIT, &waits), 0);
        cr_expect(histogram_count(&waits) > 0, "the old level's program went on");
        worker_stop(&worker);
        meter_free(meter);
}

static int opens_until_no_memory = -1;

/* In place of libbpf's, and the same but for the one time. */
int bpf_raw_tracepoint_open(const char *name, int program_fd) {
        union bpf_attr attr = { .raw_tracepoint = { .name = (uintptr_t) name,
                                                .prog_fd = (uint32_t) program_fd } };

        if (opens_until_no_memory >= 0 && opens_until_no_memory-- == 0) {
                errno = ENOMEM;
                return -1;
        }
        return (int) syscall(SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &attr, sizeof(attr));
}

/* What cannot be attached for once is not taken for what the kernel cannot do: the next start has it again.
 */
Test(sched_meter, no_memory_for_once) {
        MeterOptions options = { .pin_dir = host_bpffs(), .slots = SLOTS, .cgroup_root = group_parent() };
        TestGroup group = group_make("a");
        Meter *meter;

        for (int i = 0; i < 2; i++) {
                _cleanup_(feature_set_deinit) FeatureSet without = FEATURE_SET_NULL,
                                                         features = FEATURE_SET_NULL;
                const Feature *lacking;
                Sample sample;

                opens_until_no_memory = i;
                cr_assert_eq(meter_new(&options, &without, &meter), 0);
                opens_until_no_memory = -1;
                lacking = feature_set_get(&without, "meter.cpu");
                cr_expect(!lacking->available && strstr(lacking->words, "Cannot allocate memory"),
                                "hook %d: %s", i, lacking->words);
                meter_free(meter);

                cr_assert_eq(meter_new(&options, &features, &meter), 0);
                meter_must_add(meter, SLOT, &group);
                sample = meter_must_read(meter, SLOT);
                cr_expect(sample_has(&sample, METRIC_CPU_MIGRATIONS), "hook %d", i);
                meter_release(meter);
                meter_free(meter);
        }
}
