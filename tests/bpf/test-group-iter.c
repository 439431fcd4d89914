/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The iterator's figures against the files of the groups; where the host has no such controller, their
 * absence. */

#include "host.h"
#include "meter/group-files.h"
#include "meter/group-iter.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

TestSuite(group_iter, .init = host_init, .fini = host_deinit, .timeout = 120);

#define SLOT 2U
#define OTHER_SLOT 3U
#define SLOTS 16U
#define PLACES 64U
#define BYTES (24U << 20)

static void hold_memory(void *userdata) {
        char *bytes = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        memset(bytes, 1, BYTES);
}

static void burn(void *userdata) {
        burn_msec(100);
}

static void contend(void *userdata) {
        pin_to_cpu(0);
        burn_msec(100);
}

static void set_file(const TestGroup *group, const char *file, const char *text) {
        char path[PATH_MAX + 64];
        _cleanup_close_ int fd = -EBADF;

        snprintf(path, sizeof(path), "%s/%s", group->path, file);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        cr_assert(fd >= 0 && write(fd, text, strlen(text)) > 0, "%s: %m", path);
}

static void expect_file(const Sample *sample, Metric metric, const TestGroup *group, const char *file,
                const char *key, uint64_t factor, uint64_t slack) {
        uint64_t value;

        if (group_figure(group, file, key, &value)) {
                cr_expect(sample_has(sample, metric), "%s is absent", metric_info(metric)->name);
                expect_near(sample->value[metric], value * factor, 0, slack, metric_info(metric)->name);
        } else
                cr_expect(!sample_has(sample, metric), "%s comes from nowhere", metric_info(metric)->name);
}

/* Pages are charged in batches a CPU: the file and the counter are read one after the other. */
static void expect_files(const Sample *sample, const TestGroup *group) {
        uint64_t max, high;

        expect_file(sample, METRIC_MEMORY_CURRENT, group, "memory.current", NULL, 1, 1 << 20);
        expect_file(sample, METRIC_MEMORY_PEAK, group, "memory.peak", NULL, 1, 0);
        expect_file(sample, METRIC_MEMORY_OOM_KILLS, group, "memory.events", "oom_kill", 1, 0);
        if (group_figure(group, "memory.events", "max", &max) &&
                        group_figure(group, "memory.events", "high", &high))
                cr_expect(sample_has(sample, METRIC_MEMORY_LIMIT_HITS) &&
                                                sample->value[METRIC_MEMORY_LIMIT_HITS] == max + high,
                                "its limits: %" PRIu64 " and %" PRIu64 " by the file", max, high);
        expect_file(sample, METRIC_CPU_THROTTLED, group, "cpu.stat", "throttled_usec", 1000, 0);
}

Test(group_iter, as_the_files) {
        TestGroup group = group_make("a"), below = group_make("a/b"), idle = group_make("c");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        Worker worker = worker_start(&below, hold_memory, NULL);
        uint64_t value;
        Sample sample;

        meter_must_add(meter, SLOT, &group);
        meter_must_add(meter, OTHER_SLOT, &idle);
        worker_run(&worker);
        if (group_figure(&group, "cpu.stat", "throttled_usec", &value)) {
                Worker burner = worker_start(&below, burn, NULL);

                set_file(&group, "cpu.max", "20000 100000");
                worker_run(&burner);
                set_file(&group, "cpu.max", "max");
                worker_stop(&burner);
        }

        sample = meter_must_read(meter, SLOT);
        expect_files(&sample, &group);
        cr_expect(!sample_has(&sample, METRIC_MEMORY_CURRENT) ||
                        sample.value[METRIC_MEMORY_CURRENT] >= BYTES);
        cr_expect(!sample_has(&sample, METRIC_CPU_THROTTLED) || sample.value[METRIC_CPU_THROTTLED] > 0);
        sample = meter_must_read(meter, OTHER_SLOT);
        expect_files(&sample, &idle);
        worker_stop(&worker);
        meter_free(meter);
}

/* On every kernel that is supported: a meter falls back to files without a word to its caller. */
Test(group_iter, is_in_the_kernel) {
        GroupIter *iter = NULL;

        cr_assert(group_iter_new(NULL, SLOTS, PLACES, /* in_kernel= */ true, group_parent(), false, &iter) ==
                        0);
        cr_expect(group_iter_in_kernel(iter));
        group_iter_free(iter);
}

/* What one slot's groups show now; the others' is as it was. */
Test(group_iter, one_slot_alone) {
        TestGroup group = group_make("a"), other = group_make("b");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        Worker workers[] = { worker_start(&group, contend, NULL), worker_start(&other, contend, NULL) };
        Sample before, after;

        meter_must_add(meter, SLOT, &group);
        meter_must_add(meter, OTHER_SLOT, &other);
        before = meter_must_read(meter, OTHER_SLOT);
        workers_run(workers, ELEMENTSOF(workers));

        cr_assert(meter_refresh_slot(meter, SLOT) == 0);
        cr_assert(meter_read(meter, SLOT, &after) == 0);
        expect_files(&after, &group);
        cr_expect(!sample_has(&after, METRIC_CPU_PRESSURE) || after.value[METRIC_CPU_PRESSURE] > 0);
        cr_assert(meter_read(meter, OTHER_SLOT, &after) == 0);
        cr_expect(before.present == after.present);
        for (Metric m = METRIC_CPU_PRESSURE; m <= METRIC_IO_STALL; m++)
                cr_expect(!sample_has(&after, m) || before.value[m] == after.value[m], "%s",
                                metric_info(m)->name);
        after = meter_must_read(meter, OTHER_SLOT);
        cr_expect(!sample_has(&after, METRIC_CPU_PRESSURE) ||
                        after.value[METRIC_CPU_PRESSURE] > before.value[METRIC_CPU_PRESSURE]);
        cr_expect(meter_refresh_slot(meter, SLOTS) == -EINVAL);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                worker_stop(&workers[i]);
        meter_free(meter);
}

/* More than the group may have: killed, and counted. What was counted stays when the group is made anew. */
static void kill_in(TestGroup *group) {
        Worker worker = worker_start(group, hold_memory, NULL);
        struct stat st;
        char c;

        set_file(group, "memory.max", "8388608");
        if (stat("/proc/swaps", &st) == 0)
                set_file(group, "memory.swap.max", "0");
        worker_begin(&worker);
        cr_assert(read(worker.answer, &c, 1) == 0, "it was not killed");
        worker_stop(&worker);
}

Test(group_iter, kills_are_carried_over) {
        TestGroup group = group_make("a");
        Meter *meter;
        uint64_t value;

        if (!group_figure(&group, "memory.events", "oom_kill", &value))
                cr_skip_test("cgroup2 has no memory controller here");
        meter = meter_make(NULL, SLOTS, 0);
        for (unsigned i = 1; i <= 3; i++) {
                meter_must_add(meter, SLOT, &group);
                kill_in(&group);
                cr_expect(meter_must_read(meter, SLOT).value[METRIC_MEMORY_OOM_KILLS] == i);
                group_remove(&group);
                group = group_make("a");
        }
        meter_free(meter);
}

/* Removed before anybody looks: what it had counted is known, when it is looked at and when it is dropped. */
Test(group_iter, removed_between_two_looks) {
        TestGroup own = group_make("o"), groups[] = { group_make("a"), group_make("b") };
        Meter *meter;
        uint64_t value;

        if (!group_figure(&groups[0], "memory.events", "oom_kill", &value))
                cr_skip_test("cgroup2 has no memory controller here");
        meter = meter_make(NULL, SLOTS, 0);
        meter_must_add(meter, SLOT, &own); /* the slot is known as long as it has a group */
        for (size_t i = 0; i < ELEMENTSOF(groups); i++) {
                uint64_t id = groups[i].id;
                Sample sample;

                cr_assert(meter_add(meter, SLOT, groups[i].path, groups[i].fd, id, METER_GROUP_ADOPTED) == 0);
                (void) meter_must_read(meter, SLOT);
                kill_in(&groups[i]);
                group_remove(&groups[i]);
                if (i == 0) {
                        sample = meter_must_read(meter, SLOT);
                        cr_expect_eq(sample.value[METRIC_MEMORY_OOM_KILLS], 1);
                        cr_expect(sample.value[METRIC_MEMORY_CURRENT] < BYTES);
                }
                meter_drop(meter, id);
                cr_assert(meter_read(meter, SLOT, &sample) == 0);
                cr_expect_eq(sample.value[METRIC_MEMORY_OOM_KILLS], i + 1);
                cr_expect(sample.value[METRIC_MEMORY_LIMIT_HITS] > i);
        }
        meter_free(meter);
}

/* Groups of one slot, one of them not below the parent: the sum. */
Test(group_iter, groups_elsewhere) {
        TestGroup group = group_make("a"), parent = group_make("p"), elsewhere;
        Worker worker, other;
        GroupIter *iter = NULL;
        uint64_t a, b;
        Sample sample = {};

        if (!group_figure(&group, "memory.current", NULL, &a))
                cr_skip_test("cgroup2 has no memory controller here");
        set_file(&parent, "cgroup.subtree_control", "+memory");
        elsewhere = group_make("p/e");
        worker = worker_start(&group, hold_memory, NULL);
        other = worker_start(&elsewhere, hold_memory, NULL);
        worker_run(&worker);
        worker_run(&other);

        cr_assert(group_iter_new(NULL, SLOTS, PLACES, /* in_kernel= */ true, parent.path, false, &iter) == 0);
        cr_expect(group_iter_in_kernel(iter));
        cr_assert(group_iter_add(iter, SLOT, group.path, group.fd, group.id, false) == 0);
        cr_assert(group_iter_add(iter, SLOT, elsewhere.path, elsewhere.fd, elsewhere.id, false) == 0);
        cr_assert(group_iter_run(iter) == 0);
        group_iter_read(iter, SLOT, &sample);
        cr_assert(group_figure(&group, "memory.current", NULL, &a));
        cr_assert(group_figure(&elsewhere, "memory.current", NULL, &b));
        expect_near(sample.value[METRIC_MEMORY_CURRENT], a + b, 0, 1 << 20, "the sum of two groups");

        group_iter_free(iter);
        worker_stop(&worker);
        worker_stop(&other);
}

/* Without the iterator the same figures come from the files, and the CPU time with them; also where it would
 * load. */
static void expect_from_files(bool in_kernel) {
        TestGroup group = group_make(in_kernel ? "a" : "b");
        Worker worker = worker_start(&group, burn, NULL);
        GroupIter *iter = NULL;
        Sample sample = {};

        worker_run(&worker);
        cr_assert(group_iter_new(NULL, SLOTS, PLACES, in_kernel, group_parent(), /* cpu_time= */ true,
                                  &iter) == 0);
        cr_expect(!group_iter_in_kernel(iter));
        cr_assert(group_iter_add(iter, SLOT, group.path, group.fd, group.id, false) == 0);
        cr_assert(group_iter_run(iter) == 0);
        group_iter_read(iter, SLOT, &sample);
        cr_expect(sample_has(&sample, METRIC_CPU_TIME) &&
                        sample.value[METRIC_CPU_TIME] == group_cpu_nsec(&group));
        expect_files(&sample, &group);
        worker_stop(&worker);
        group_iter_free(iter);
}

Test(group_iter, from_files) {
        expect_from_files(/* in_kernel= */ false);
        expect_from_files(/* in_kernel= */ true);
}

Test(group_iter, parse) {
        static const struct {
                const char *text, *key;
                bool ok;
                uint64_t value;
        } cases[] = {
                { "12\n", NULL, true, 12 },
                { "max\n", NULL, false, 0 },
                { "-1\n", NULL, false, 0 },
                { "", NULL, false, 0 },
                { "oom 1\noom_kill 2\noom_group_kill 3\n", "oom_kill", true, 2 },
                { "oom 1\noom_kill 2", "oom_kill", true, 2 },
                { "oom 1\n", "oom_kill", false, 0 },
                { "oom_kill \n", "oom_kill", false, 0 },
                { "oom_kill 18446744073709551615\n", "oom_kill", true, UINT64_MAX },
                { "oom_kill 18446744073709551616\n", "oom_kill", false, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t value = 0;

                cr_expect(group_files_parse(cases[i].text, cases[i].key, &value) == cases[i].ok, "case %zu",
                                i);
                cr_expect(value == cases[i].value, "case %zu", i);
        }
}
