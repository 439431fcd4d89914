/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What tasks wait that share a CPU, against schedstat and status of each: how often, how long, and whose
 * fault. */

#include "host.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "bpf/sched-meter.h"

TestSuite(sched_waits, .init = host_init, .fini = host_deinit, .timeout = 120);

#define SLOT 2U
#define OTHER_SLOT 3U
#define SLOTS 16U
/* The host's own tasks come between, now and then. */
#define TRIES 8

static Schedstat schedstat_sum(const Worker *workers, size_t n) {
        Schedstat sum = {};

        for (size_t i = 0; i < n; i++) {
                Schedstat stat = worker_schedstat(workers + i);

                sum.waited_nsec += stat.waited_nsec;
                sum.arrivals += stat.arrivals;
        }
        return sum;
}

static void burn_in_turns(void *userdata) {
        pin_to_cpu(0);
        for (unsigned i = 0; i < 20; i++) {
                burn_msec(10);
                sched_yield();
        }
}

Test(sched_waits, wait_and_switches) {
        TestGroup group = group_make("a");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        Schedstat sum_before, sum_after;
        Worker workers[3];
        Sample before, after;

        meter_must_add(meter, SLOT, &group);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++) {
                workers[i] = worker_start(&group, burn_in_turns, NULL);
                worker_run(workers + i);
        }

        before = meter_must_read(meter, SLOT);
        sum_before = schedstat_sum(workers, ELEMENTSOF(workers));
        workers_run(workers, ELEMENTSOF(workers));
        after = meter_must_read(meter, SLOT);
        sum_after = schedstat_sum(workers, ELEMENTSOF(workers));

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

Test(sched_waits, preemptions) {
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
        workers_run(workers, ELEMENTSOF(workers));
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

static void burn_on_any(void *userdata) {
        burn_msec(200);
}

static void send_to_cpu(pid_t pid, unsigned cpu) {
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        cr_assert(sched_setaffinity(pid, sizeof(set), &set) == 0);
}

/* More than there are CPUs, each sent from one to the other again and again, whether it runs or is queued. */
Test(sched_waits, taken_to_another_cpu_while_queued) {
        TestGroup group = group_make("a");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        Schedstat sum_before, sum_after;
        Worker workers[6];
        Sample before, after;
        uint64_t moves;

        if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
                cr_skip_test("one CPU: there is nowhere to move to");
        if (access("/proc/schedstat", F_OK) < 0)
                cr_skip_test("this kernel does not sum waits by queue (CONFIG_SCHEDSTATS)");
        meter_must_add(meter, SLOT, &group);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                workers[i] = worker_start(&group, burn_on_any, NULL);
        before = meter_must_read(meter, SLOT);
        sum_before = schedstat_sum(workers, ELEMENTSOF(workers));
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                worker_begin(workers + i);
        for (unsigned round = 0; round < 60; round++) {
                for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                        send_to_cpu(workers[i].pid, (round + i) % 2);
                burn_msec(2);
        }
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                worker_finish(workers + i);
        after = meter_must_read(meter, SLOT);
        sum_after = schedstat_sum(workers, ELEMENTSOF(workers));

        moves = after.value[METRIC_CPU_MIGRATIONS] - before.value[METRIC_CPU_MIGRATIONS];
        cr_expect(moves > 30, "they were taken to another CPU %" PRIu64 " times", moves);
        expect_near(after.value[METRIC_CPU_WAIT] - before.value[METRIC_CPU_WAIT],
                        sum_after.waited_nsec - sum_before.waited_nsec, 30, 100000, "cpu.wait");
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                worker_stop(workers + i);
        meter_free(meter);
}

/* Real-time, so that what else runs on this machine has little part in it. */
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

/* Of what SLOT waited, in ns. */
typedef struct Ascribed {
        uint64_t waited, all, to_other, to_more;
} Ascribed;

static void add_ascribed(uint32_t victim, uint32_t culprit, uint64_t nsec, void *userdata) {
        Ascribed *ascribed = userdata;

        if (victim != SLOT)
                return;
        ascribed->all += nsec;
        if (culprit == OTHER_SLOT)
                ascribed->to_other += nsec;
}

static Ascribed read_ascribed(Meter *meter) {
        Ascribed ascribed = { .waited = meter_must_read(meter, SLOT).value[METRIC_CPU_WAIT] };

        cr_assert(meter_each_culprit(meter, add_ascribed, &ascribed) == 0);
        ascribed.to_more = meter_read_unascribed(meter, SLOT);
        ascribed.all += ascribed.to_more;
        cr_expect(ascribed.all <= ascribed.waited, "more is ascribed than was waited");
        return ascribed;
}

/* A neighbour that is always there, and one that shares the CPU with it alone. */
typedef struct Quarrel {
        TestGroup victim_group, hog_group;
        Worker victim, hog;
} Quarrel;

static Quarrel quarrel_begin(Meter *meter) {
        Quarrel quarrel;

        if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
                cr_skip_test("needs two CPUs");
        quarrel.victim_group = group_make("a");
        quarrel.hog_group = group_make("b");
        meter_must_add(meter, SLOT, &quarrel.victim_group);
        meter_must_add(meter, OTHER_SLOT, &quarrel.hog_group);
        quarrel.victim = worker_start(&quarrel.victim_group, sleep_and_wake, NULL);
        quarrel.hog = worker_start(&quarrel.hog_group, burn_and_yield, NULL);
        worker_begin(&quarrel.hog);
        return quarrel;
}

/* What the victim waited in one go. */
static Ascribed quarrel_go_on(Quarrel *quarrel, Meter *meter) {
        Ascribed before = read_ascribed(meter), after;

        worker_run(&quarrel->victim);
        after = read_ascribed(meter);
        return (Ascribed){ after.waited - before.waited, after.all - before.all,
                after.to_other - before.to_other, after.to_more - before.to_more };
}

static void quarrel_end(Quarrel *quarrel) {
        worker_stop(&quarrel->hog);
        worker_stop(&quarrel->victim);
}

static bool is_nearly_all(uint64_t part, uint64_t waited) {
        return part > waited / 10 * 9;
}

/* Where the host's own tasks had the CPU, which the kernel gives them a twentieth of, it is theirs, and tried
 * again. */
Test(sched_waits, culprit) {
        Meter *meter = meter_make(NULL, SLOTS, 0);
        Quarrel quarrel = quarrel_begin(meter);
        Ascribed ascribed = quarrel_go_on(&quarrel, meter);

        for (unsigned i = 1; i < TRIES && !is_nearly_all(ascribed.to_other, ascribed.waited); i++)
                ascribed = quarrel_go_on(&quarrel, meter);
        cr_expect(is_nearly_all(ascribed.to_other, ascribed.waited),
                        "of %" PRIu64 " ns %" PRIu64 " are ascribed, %" PRIu64 " to the hog", ascribed.waited,
                        ascribed.all, ascribed.to_other);
        quarrel_end(&quarrel);

        cr_assert(meter_remove(meter, OTHER_SLOT) == 0);
        cr_expect_eq(read_ascribed(meter).to_other, 0, "the slot's next tenant is blamed");
        meter_free(meter);
}

static void fill_pairs(void) {
        int n_cpus = libbpf_num_possible_cpus();
        uint64_t *nsec = calloc((size_t) n_cpus, sizeof(uint64_t));
        char path[PATH_MAX];
        int fd, r = 0;

        snprintf(path, sizeof(path), "%s/meter/sched_pairs_%d", host_bpffs(), SCHED_METER_LAYOUT);
        fd = bpf_obj_get(path);
        cr_assert(fd >= 0, "%s: %m", path);
        for (uint32_t i = 0; r == 0 && i < CULPRIT_PAIRS + SLOTS; i++)
                r = bpf_map_update_elem(fd, &(struct sched_pair){ SLOTS + i, SLOTS + i }, nsec, BPF_ANY);
        cr_assert(r == -E2BIG, "%d: the table is not full", r);
        close(fd);
        free(nsec);
}

/* With no room for another pair it is not known whose fault, but that it was somebody's. */
Test(sched_waits, no_more_room_for_pairs) {
        Meter *meter = meter_make(host_bpffs(), SLOTS, 0);
        Quarrel quarrel;
        Ascribed ascribed;

        fill_pairs();
        quarrel = quarrel_begin(meter);
        ascribed = quarrel_go_on(&quarrel, meter);
        for (unsigned i = 1; i < TRIES && !is_nearly_all(ascribed.to_more, ascribed.waited); i++)
                ascribed = quarrel_go_on(&quarrel, meter);
        cr_expect_eq(ascribed.to_other, 0);
        cr_expect(is_nearly_all(ascribed.to_more, ascribed.waited), "of %" PRIu64 " ns %" PRIu64 " are told",
                        ascribed.waited, ascribed.to_more);
        quarrel_end(&quarrel);

        cr_assert(meter_remove(meter, SLOT) == 0);
        meter_must_add(meter, SLOT, &quarrel.victim_group);
        cr_expect_eq(read_ascribed(meter).to_more, 0, "the slot's next tenant has them");
        meter_free(meter);
}

/* Each wait is in the bucket of its length: between what the lower bounds add up to, and the upper, is the
 * sum. */
static void expect_sum_of_buckets(const Histogram *waits, uint64_t wait) {
        uint64_t low = 0, high = 0;

        cr_expect_eq(waits->sum_nsec, wait);
        for (size_t i = 0; i + 1 < HISTOGRAM_BUCKETS; i++) {
                low += waits->bucket[i] * (i > 0 ? histogram_bound_nsec(i - 1) : 0);
                high += waits->bucket[i] * histogram_bound_nsec(i);
        }
        cr_expect_eq(waits->bucket[HISTOGRAM_BUCKETS - 1], 0, "nobody waited that long");
        cr_expect(low <= wait && wait <= high,
                        "%" PRIu64 " ns of wait, by the buckets %" PRIu64 " to %" PRIu64, wait, low, high);
}

Test(sched_waits, histogram) {
        TestGroup group = group_make("a"), other = group_make("b");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        Worker workers[3];
        Histogram waits, again;
        Sample sample;

        meter_must_add(meter, SLOT, &group);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                workers[i] = worker_start(&group, burn_in_turns, NULL);
        workers_run(workers, ELEMENTSOF(workers));

        sample = meter_must_read(meter, SLOT);
        cr_assert_eq(meter_read_duration(meter, SLOT, DURATION_CPU_WAIT, &waits), 0);
        expect_sum_of_buckets(&waits, sample.value[METRIC_CPU_WAIT]);
        cr_expect(histogram_count(&waits) <= sample.value[METRIC_CPU_SWITCHES]);

        /* What is read is mapped anew after a rest; and a slot's next tenant begins with none. */
        meter_rest(meter);
        cr_assert_eq(meter_read_duration(meter, SLOT, DURATION_CPU_WAIT, &again), 0);
        cr_expect_arr_eq(&again, &waits, sizeof(waits));
        cr_assert_eq(meter_remove(meter, SLOT), 0);
        cr_expect_eq(meter_read_duration(meter, SLOT, DURATION_CPU_WAIT, &again), -EOPNOTSUPP);
        meter_must_add(meter, SLOT, &other);
        cr_assert_eq(meter_read_duration(meter, SLOT, DURATION_CPU_WAIT, &again), 0);
        cr_expect_eq(histogram_count(&again), 0);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                worker_stop(workers + i);
        meter_free(meter);
}

static Meter *meter_of_level(bool basic, const TestGroup *group) {
        _cleanup_(feature_set_deinit) FeatureSet features = FEATURE_SET_NULL;
        const MeterOptions options = {
                .pin_dir = host_bpffs(), .slots = SLOTS, .cgroup_root = group_parent(), .basic = basic
        };
        Meter *meter;

        cr_assert_eq(meter_new(&options, &features, &meter), 0);
        meter_must_add(meter, SLOT, group);
        return meter;
}

/* What the workers wait that share a CPU, by cpu.wait. */
static uint64_t wait_together(Meter *meter, Worker *workers, size_t n) {
        uint64_t before = meter_must_read(meter, SLOT).value[METRIC_CPU_WAIT], wait;

        workers_run(workers, n);
        wait = meter_must_read(meter, SLOT).value[METRIC_CPU_WAIT] - before;
        cr_expect(wait > 100000000, "two on one CPU hardly waited");
        return wait;
}

/* Through the basic level, which goes on with cpu.wait alone, the histogram begins anew, and its sum and the
 * culprits with it: who has the slot may be another by then. */
Test(sched_waits, histogram_after_the_basic_level) {
        TestGroup group = group_make("a");
        Meter *meter = meter_of_level(/* basic= */ false, &group);
        Worker workers[2];
        uint64_t wait;
        Histogram waits;

        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                workers[i] = worker_start(&group, burn_in_turns, NULL);
        wait = wait_together(meter, workers, ELEMENTSOF(workers));
        cr_assert_eq(meter_read_duration(meter, SLOT, DURATION_CPU_WAIT, &waits), 0);
        cr_expect(waits.sum_nsec >= wait && read_ascribed(meter).all > 0);
        meter_free(meter);

        meter = meter_of_level(/* basic= */ true, &group);
        wait_together(meter, workers, ELEMENTSOF(workers));
        meter_free(meter);

        meter = meter_of_level(/* basic= */ false, &group);
        cr_expect_eq(read_ascribed(meter).all, 0, "the culprits are of before");
        wait = wait_together(meter, workers, ELEMENTSOF(workers));
        cr_assert_eq(meter_read_duration(meter, SLOT, DURATION_CPU_WAIT, &waits), 0);
        expect_sum_of_buckets(&waits, wait);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                worker_stop(workers + i);
        meter_free(meter);
}
