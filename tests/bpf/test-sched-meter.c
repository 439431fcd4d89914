/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* CPU time, wait and switches against the kernel's own: cpu.stat of the group, schedstat of the process. */

#include "host.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

TestSuite(sched_meter, .init = host_init, .fini = host_deinit, .timeout = 120);

#define SLOT 2U
#define OTHER_SLOT 3U
#define SLOTS 16U
#define TICK_NSEC 10500000U
#define MOVE_SLACK_NSEC                                                                     \
        250000U /* a move of fifty on average: ticks are 1 to 4 ms, and errors go both ways \
                 */

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
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                worker_begin(workers + i);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                worker_finish(workers + i);
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

/* Real-time, on a CPU that the test is not on: what is left of the other tasks waits, and no switch comes. */
static void burn_alone(void *userdata) {
        struct sched_param param = { .sched_priority = 1 };

        pin_to_cpu(1);
        (void) sched_setscheduler(0, SCHED_FIFO, &param);
        for (;;)
                ;
}

static Worker start_alone(const TestGroup *group) {
        if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
                cr_skip_test("needs two CPUs");
        pin_to_cpu(0);
        return worker_start(group, burn_alone, NULL);
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

/* A task that is on its CPU all the while, and was before the group was added. */
Test(sched_meter, running_stretch) {
        TestGroup group = group_make("a");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        Worker hog = start_alone(&group);
        Reading first, last;

        worker_begin(&hog);
        burn_msec(100);
        meter_must_add(meter, SLOT, &group);

        first = reading_take(meter, SLOT, &group);
        for (unsigned i = 0; i < 10; i++) {
                burn_msec(50);
                last = reading_take(meter, SLOT, &group);
                expect_same_growth(&first, &last, "cpu.time while it runs");
        }
        cr_expect(last.meter > first.meter, "it did not run");
        worker_stop(&hog);
        meter_free(meter);
}

static void burn_in_turns(void *userdata) {
        pin_to_cpu(0);
        for (unsigned i = 0; i < 20; i++) {
                burn_msec(10);
                sched_yield();
        }
}

Test(sched_meter, wait_and_switches) {
        TestGroup group = group_make("a");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        Schedstat sum_before = {}, sum_after = {};
        Worker workers[3];
        Sample before, after;

        meter_must_add(meter, SLOT, &group);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++) {
                workers[i] = worker_start(&group, burn_in_turns, NULL);
                worker_run(workers + i);
        }

        before = meter_must_read(meter, SLOT);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++) {
                Schedstat stat = worker_schedstat(workers + i);

                sum_before.waited_nsec += stat.waited_nsec;
                sum_before.arrivals += stat.arrivals;
        }
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                worker_begin(workers + i);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                worker_finish(workers + i);
        after = meter_must_read(meter, SLOT);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++) {
                Schedstat stat = worker_schedstat(workers + i);

                sum_after.waited_nsec += stat.waited_nsec;
                sum_after.arrivals += stat.arrivals;
        }

        /* Equal on most kernels; where some tasks' switches are not traced, who ran after them was not seen
         * to wait. */
        cr_expect(sum_after.waited_nsec - sum_before.waited_nsec > 300000000,
                        "three on one CPU hardly waited");
        expect_near(after.value[METRIC_CPU_WAIT] - before.value[METRIC_CPU_WAIT],
                        sum_after.waited_nsec - sum_before.waited_nsec, 30, 100000, "cpu.wait");
        expect_near(after.value[METRIC_CPU_SWITCHES] - before.value[METRIC_CPU_SWITCHES],
                        sum_after.arrivals - sum_before.arrivals, 0, 1, "cpu.switches");

        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                worker_stop(workers + i);
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
 * that the task is in at the next one (kernel/sched/fair.c, update_curr), the meter to the group that it ran
 * in: so each move is worth up to a tick, one way or the other, and only the sum of both groups is the same
 * to the nanosecond.
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
        expect_near(from, kernel_from, 15, 50 * MOVE_SLACK_NSEC, "cpu.time of the group it left");
        expect_near(to, kernel_to, 15, 50 * MOVE_SLACK_NSEC, "cpu.time of the group it went to");
        worker_stop(&worker);
        meter_free(meter);
}

/* Moved by another while it never leaves its CPU: from the next refresh on it is its new group's. */
Test(sched_meter, moved_while_running) {
        TestGroup from = group_make("a"), to = group_make("b");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        Worker hog = start_alone(NULL);
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
                burn_msec(60);
                last = reading_take(meter, slot, group);
                expect_same_growth(&first, &last, "cpu.time after the move");
                cr_expect(last.meter > first.meter, "move %u: it is not counted", i);
        }
        worker_stop(&hog);
        meter_free(meter);
}

/* After a slot is taken away, what runs on is charged to nobody; given again, it begins at 0. */
Test(sched_meter, slot_given_again) {
        TestGroup group = group_make("a"), other = group_make("b");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        Worker hog = start_alone(&group);
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

/* Real-time, so that what else runs on this machine has no part in it. */
static void go_real_time(void) {
        struct sched_param param = { .sched_priority = 1 };

        pin_to_cpu(1);
        (void) sched_setscheduler(0, SCHED_RR, &param);
}

static void sleep_and_wake(void *userdata) {
        go_real_time();
        for (unsigned i = 0; i < 100; i++) {
                usleep(500);
                burn_msec(1);
        }
}

static void burn_and_yield(void *userdata) {
        go_real_time();
        for (;;) {
                burn_msec(2);
                sched_yield();
        }
}

typedef struct Ascribed {
        uint64_t all, to_other; /* of what SLOT waited, in ns */
} Ascribed;

static void add_ascribed(uint32_t victim, uint32_t culprit, uint64_t nsec, void *userdata) {
        Ascribed *ascribed = userdata;

        if (victim != SLOT)
                return;
        ascribed->all += nsec;
        if (culprit == OTHER_SLOT)
                ascribed->to_other += nsec;
}

static Ascribed read_ascribed(const Meter *meter) {
        Ascribed ascribed = {};

        cr_assert(meter_each_culprit(meter, add_ascribed, &ascribed) == 0);
        return ascribed;
}

/* A neighbour that is always there, and one that shares the CPU with it alone: whose fault it is, is no
 * question. */
Test(sched_meter, culprit) {
        TestGroup victim_group = group_make("a"), hog_group = group_make("b");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        Worker victim, hog;
        Ascribed ascribed;
        Sample sample;

        if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
                cr_skip_test("needs two CPUs");
        meter_must_add(meter, SLOT, &victim_group);
        meter_must_add(meter, OTHER_SLOT, &hog_group);
        victim = worker_start(&victim_group, sleep_and_wake, NULL);
        hog = worker_start(&hog_group, burn_and_yield, NULL);
        worker_begin(&hog);
        worker_run(&victim);
        worker_stop(&hog);

        sample = meter_must_read(meter, SLOT);
        ascribed = read_ascribed(meter);
        cr_expect(ascribed.all <= sample.value[METRIC_CPU_WAIT], "more is ascribed than was waited");
        cr_expect(ascribed.all >= sample.value[METRIC_CPU_WAIT] / 10 * 9,
                        "of %" PRIu64 " ns only %" PRIu64 " are ascribed", sample.value[METRIC_CPU_WAIT],
                        ascribed.all);
        cr_expect(ascribed.to_other >= ascribed.all / 10 * 9, "of %" PRIu64 " ns %" PRIu64 " are the hog's",
                        ascribed.all, ascribed.to_other);
        worker_stop(&victim);

        cr_assert(meter_remove(meter, OTHER_SLOT) == 0);
        cr_expect_eq(read_ascribed(meter).to_other, 0, "the slot's next tenant is blamed");
        meter_free(meter);
}

/* Each wait is in the bucket of its length: between what the lower bounds add up to, and the upper, is the
 * sum. */
Test(sched_meter, histogram) {
        TestGroup group = group_make("a");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        uint64_t low = 0, high = 0, wait;
        Worker workers[3];
        Sample sample;

        meter_must_add(meter, SLOT, &group);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                workers[i] = worker_start(&group, burn_in_turns, NULL);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                worker_begin(workers + i);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                worker_finish(workers + i);

        sample = meter_must_read(meter, SLOT);
        wait = sample.value[METRIC_CPU_WAIT];
        cr_assert(sample_has_duration(&sample, DURATION_CPU_WAIT));
        for (size_t i = 0; i + 1 < HISTOGRAM_BUCKETS; i++) {
                low += sample.duration[DURATION_CPU_WAIT].bucket[i] *
                       (i > 0 ? histogram_bound_nsec(i - 1) : 0);
                high += sample.duration[DURATION_CPU_WAIT].bucket[i] * histogram_bound_nsec(i);
        }
        cr_expect_eq(sample.duration[DURATION_CPU_WAIT].bucket[HISTOGRAM_BUCKETS - 1], 0,
                        "nobody waited that long");
        cr_expect(low <= wait && wait <= high,
                        "%" PRIu64 " ns of wait, by the buckets %" PRIu64 " to %" PRIu64, wait, low, high);
        cr_expect(histogram_count(&sample.duration[DURATION_CPU_WAIT]) <= sample.value[METRIC_CPU_SWITCHES]);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                worker_stop(workers + i);
        meter_free(meter);
}

static void change_cpus(void *userdata) {
        for (unsigned i = 0; i < 200; i++)
                pin_to_cpu(i % 2);
}

static uint64_t status_figure(pid_t pid, const char *key) {
        char path[64], line[256];
        uint64_t value = UINT64_MAX;
        _cleanup_fclose_ FILE *f = NULL;

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        f = fopen(path, "re");
        cr_assert(f, "%s: %m", path);
        while (value == UINT64_MAX && fgets(line, sizeof(line), f))
                if (strncmp(line, key, strlen(key)) == 0)
                        (void) sscanf(line + strlen(key), ":%" SCNu64, &value);
        return value;
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

Test(sched_meter, preemptions) {
        TestGroup group = group_make("a");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        uint64_t kernel = 0;
        Worker workers[3];
        Sample before, after;

        meter_must_add(meter, SLOT, &group);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++) {
                workers[i] = worker_start(&group, burn_in_turns, NULL);
                worker_run(workers + i);
                kernel -= status_figure(workers[i].pid, "nonvoluntary_ctxt_switches");
        }
        before = meter_must_read(meter, SLOT);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                worker_begin(workers + i);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                worker_finish(workers + i);
        after = meter_must_read(meter, SLOT);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                kernel += status_figure(workers[i].pid, "nonvoluntary_ctxt_switches");
        cr_expect(kernel > 10, "three on one CPU took it from each other %" PRIu64 " times", kernel);
        expect_near(after.value[METRIC_CPU_PREEMPTIONS] - before.value[METRIC_CPU_PREEMPTIONS], kernel, 30, 2,
                        "cpu.preemptions");
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                worker_stop(workers + i);
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
        Sample sample;

        cr_assert(meter_new(&options, &features, &meter) == 0);
        meter_must_add(meter, SLOT, &group);
        worker = worker_start(&group, burn, &msec);
        worker_run(&worker);
        sample = meter_must_read(meter, SLOT);
        cr_expect(sample.value[METRIC_CPU_TIME] > 40000000 && sample_has(&sample, METRIC_CPU_PREEMPTIONS));
        cr_expect(!sample_has_duration(&sample, DURATION_CPU_WAIT), "the basic level has no histogram");
        cr_expect_eq(meter_each_culprit(meter, add_ascribed, NULL), -EOPNOTSUPP);
        meter_free(meter);

        options.basic = false;
        cr_assert(meter_new(&options, &features, &meter) == 0);
        meter_must_add(meter, SLOT, &group);
        worker_run(&worker);
        sample = meter_must_read(meter, SLOT);
        cr_expect(sample_has_duration(&sample, DURATION_CPU_WAIT) &&
                                        histogram_count(&sample.duration[DURATION_CPU_WAIT]) > 0,
                        "the old level's program went on");
        worker_stop(&worker);
        meter_free(meter);
}
