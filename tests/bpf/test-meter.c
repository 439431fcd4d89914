/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What outlives the process: pins, and what becomes of them when programs, groups and tables are others. */

#include "host.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

TestSuite(meter, .init = host_init, .fini = host_deinit, .timeout = 120);

#define SLOT 2U
#define OTHER_SLOT 3U
#define SLOTS 16U
#define CLASSID_BASE 0x48470010U

static void burn_and_send(void *userdata) {
        struct sockaddr_in name = {
                .sin_family = AF_INET, .sin_port = htons(7), .sin_addr = { htonl(INADDR_LOOPBACK) }
        };
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        (void) sendto(fd, "", 1, 0, (struct sockaddr *) &name, sizeof(name));
        burn_msec(30);
}

/* Names of all pins, sorted: equal before and after where every link was left as it was. */
static char *list_pins(void) {
        _cleanup_free_ char *dir = NULL;
        struct dirent **entries = NULL;
        char *names = NULL;
        size_t size;
        FILE *f;
        int n;

        cr_assert(asprintf(&dir, "%s/headgate/meter", host_bpffs()) > 0);
        f = open_memstream(&names, &size);
        n = scandir(dir, &entries, NULL, alphasort);
        for (int i = 0; i < n; i++) {
                if (entries[i]->d_name[0] != '.')
                        fprintf(f, "%s\n", entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
        fclose(f);
        return names;
}

static const char *pin_dir(void) {
        static char dir[128];

        snprintf(dir, sizeof(dir), "%s/headgate", host_bpffs());
        return dir;
}

/* Killed where it stands, with everything in place; what the group used meanwhile is there at the next start.
 */
Test(meter, counts_over_a_kill) {
        TestGroup group = group_make("a");
        Worker worker = worker_start(&group, burn_and_send, NULL);
        _cleanup_free_ char *pins = NULL, *pins_after = NULL;
        uint64_t cpu_before;
        Sample closing, opening;
        int ready[2];
        Meter *meter;
        pid_t pid;

        (void) host_bpffs();
        cr_assert(pipe2(ready, O_CLOEXEC) == 0);
        pid = fork();
        if (pid == 0) {
                die_with_parent();
                meter = meter_make(pin_dir(), SLOTS, CLASSID_BASE);
                meter_must_add(meter, SLOT, &group);
                worker_run(&worker);
                closing = meter_must_read(meter, SLOT);
                if (write(ready[1], &closing, sizeof(closing)) != sizeof(closing))
                        abort();
                for (;;)
                        pause();
        }
        cr_assert(read(ready[0], &closing, sizeof(closing)) == sizeof(closing));
        pins = list_pins();
        cr_assert(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);

        /* Nothing ran: what closed is what opens. */
        meter = meter_make(pin_dir(), SLOTS, CLASSID_BASE);
        cr_expect(meter_read(meter, SLOT, &opening) == -ENOENT);
        meter_must_add(meter, SLOT, &group);
        opening = meter_must_read(meter, SLOT);
        cr_expect(closing.present == opening.present);
        cr_expect(closing.value[METRIC_CPU_TIME] >= 30000000);
        for (Metric m = 0; m < METRIC_MAX; m++)
                cr_expect(!metric_info(m)->counter || closing.value[m] == opening.value[m], "%s",
                                metric_info(m)->name);
        pins_after = list_pins();
        cr_expect(strcmp(pins, pins_after) == 0, "before:\n%s\nafter:\n%s", pins, pins_after);
        meter_free(meter);

        /* With nobody there, it counts on. */
        cpu_before = group_cpu_nsec(&group);
        worker_run(&worker);
        meter = meter_make(pin_dir(), SLOTS, CLASSID_BASE);
        meter_must_add(meter, SLOT, &group);
        opening = meter_must_read(meter, SLOT);
        expect_near(opening.value[METRIC_CPU_TIME] - closing.value[METRIC_CPU_TIME],
                        group_cpu_nsec(&group) - cpu_before, 1, 100000, "cpu.time with no daemon");
        cr_expect(opening.value[METRIC_CPU_SWITCHES] > closing.value[METRIC_CPU_SWITCHES]);

        worker_stop(&worker);
        cr_expect(meter_release(meter) == 0);
        meter_free(meter);
}

static uint32_t pinned_link_id(const char *name) {
        char path[256];
        struct bpf_link_info info = {};
        uint32_t size = sizeof(info);
        _cleanup_close_ int fd = -EBADF;

        snprintf(path, sizeof(path), "%s/meter/%s", pin_dir(), name);
        fd = bpf_obj_get(path);
        cr_assert(fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0, "%s: %m", path);
        return info.id;
}

static void switch_often(void *userdata) {
        pin_to_cpu(0);
        for (unsigned i = 0; i < 700; i++) {
                burn_msec(1);
                for (unsigned k = 0; k < 100; k++)
                        sched_yield();
        }
}

/* Each start gives the tracepoint its own program, as another version would: between the old and the new no
 * switch and no CPU time is missed. */
Test(meter, replaced_without_a_gap) {
        TestGroup group = group_make("a");
        Meter *meter = meter_make(pin_dir(), SLOTS, CLASSID_BASE);
        uint64_t arrivals = 0, cpu_before;
        Worker workers[2];
        Sample before, after;
        uint32_t link_id;

        meter_must_add(meter, SLOT, &group);
        for (size_t i = 0; i < ELEMENTSOF(workers); i++) {
                workers[i] = worker_start(&group, switch_often, NULL);
                arrivals -= worker_schedstat(workers + i).arrivals;
        }
        before = meter_must_read(meter, SLOT);
        cpu_before = group_cpu_nsec(&group);
        link_id = pinned_link_id("sched-switch-stub-1");
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                worker_begin(workers + i);
        for (unsigned i = 0; i < 10; i++) {
                meter_free(meter);
                meter = meter_make(pin_dir(), SLOTS, CLASSID_BASE);
                meter_must_add(meter, SLOT, &group);
        }
        for (size_t i = 0; i < ELEMENTSOF(workers); i++) {
                worker_finish(workers + i);
                arrivals += worker_schedstat(workers + i).arrivals;
        }
        after = meter_must_read(meter, SLOT);

        cr_expect(pinned_link_id("sched-switch-stub-1") == link_id, "the link was made anew");
        expect_near(after.value[METRIC_CPU_SWITCHES] - before.value[METRIC_CPU_SWITCHES], arrivals, 0, 1,
                        "cpu.switches");
        expect_near(after.value[METRIC_CPU_TIME] - before.value[METRIC_CPU_TIME],
                        group_cpu_nsec(&group) - cpu_before, 0, 200000, "cpu.time");
        for (size_t i = 0; i < ELEMENTSOF(workers); i++)
                worker_stop(workers + i);
        cr_expect(meter_release(meter) == 0);
        meter_free(meter);
}

/* The same name, another group: its predecessor's counts stay the tenant's, and it is counted as well. */
Test(meter, group_made_anew) {
        for (unsigned restart = 0; restart < 2; restart++) {
                TestGroup group = group_make("a");
                Worker worker = worker_start(&group, burn_and_send, NULL);
                Meter *meter = meter_make(pin_dir(), SLOTS, CLASSID_BASE);
                _cleanup_free_ char *pins = NULL;
                uint64_t id = group.id;
                char old[32];
                Sample before, after;

                meter_must_add(meter, SLOT, &group);
                worker_run(&worker);
                worker_stop(&worker);
                group_remove(&group);
                before = meter_must_read(meter, SLOT);

                if (restart) {
                        meter_free(meter);
                        meter = meter_make(pin_dir(), SLOTS, CLASSID_BASE);
                }
                group = group_make("a");
                cr_assert(group.id != id);
                meter_must_add(meter, SLOT, &group);
                worker = worker_start(&group, burn_and_send, NULL);
                worker_run(&worker);
                after = meter_must_read(meter, SLOT);
                expect_near(after.value[METRIC_CPU_TIME] - before.value[METRIC_CPU_TIME],
                                group_cpu_nsec(&group), 10, 300000, "cpu.time of the second group");

                snprintf(old, sizeof(old), "-%016" PRIx64 "-", id);
                pins = list_pins();
                cr_expect(!strstr(pins, old), "the first group's links are left:\n%s", pins);
                worker_stop(&worker);
                group_remove(&group);
                cr_expect(meter_release(meter) == 0);
                meter_free(meter);
        }
}

/* A tenant is given another slot, as where the slots were not kept: its links are updated, not doubled. */
Test(meter, group_of_another_slot) {
        TestGroup group = group_make("a");
        Meter *meter = meter_make(pin_dir(), SLOTS, CLASSID_BASE);
        _cleanup_free_ char *pins = NULL;
        Worker worker;
        Sample sample;

        meter_must_add(meter, SLOT, &group);
        meter_free(meter);
        meter = meter_make(pin_dir(), SLOTS, CLASSID_BASE);
        meter_must_add(meter, OTHER_SLOT, &group);
        worker = worker_start(&group, burn_and_send, NULL);
        worker_run(&worker);
        sample = meter_must_read(meter, OTHER_SLOT);
        expect_near(sample.value[METRIC_CPU_TIME], group_cpu_nsec(&group), 10, 300000, "cpu.time");
        cr_expect(meter_read(meter, SLOT, &sample) == -ENOENT);

        pins = list_pins();
        cr_expect(strstr(pins, "-3-48470013-") && !strstr(pins, "-2-48470012-"), "%s", pins);
        worker_stop(&worker);
        cr_expect(meter_release(meter) == 0);
        meter_free(meter);
}

/* For more slots there are other tables: all goes on in them. For fewer all begins anew, and nothing is lost
 * of what comes. */
Test(meter, table_of_another_size) {
        static const struct {
                uint32_t slots;
                bool goes_on;
        } cases[] = { { 2 * SLOTS, true }, { 2 * SLOTS, true }, { 7 * SLOTS, true }, { SLOTS, false } };
        static const Metric metrics[] = { METRIC_CPU_TIME, METRIC_CPU_SWITCHES, METRIC_CPU_PRESSURE,
                METRIC_NET_LOCAL_EGRESS_BYTES };
        TestGroup group = group_make("a"), other = group_make("b");
        Worker worker = worker_start(&group, burn_and_send, NULL);
        Meter *meter = meter_make(pin_dir(), SLOTS, CLASSID_BASE);
        Histogram waits, waits_before;

        meter_must_add(meter, SLOT, &group);
        meter_must_add(meter, OTHER_SLOT, &other);
        worker_run(&worker);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Sample closing = meter_must_read(meter, SLOT), opening, sample;
                uint64_t cpu_before;

                cr_assert_eq(meter_read_duration(meter, SLOT, DURATION_CPU_WAIT, &waits_before), 0);
                meter_free(meter);
                cpu_before = group_cpu_nsec(&group);
                meter = meter_make(pin_dir(), cases[i].slots, CLASSID_BASE);
                cr_expect(!meter_lost(meter) == cases[i].goes_on, "case %zu: %s", i, meter_lost(meter));
                cr_expect(meter_carried(meter) == (i != 1), "case %zu", i); /* at last the lists alone */
                cr_expect(cases[i].goes_on || strstr(meter_lost(meter), "sched_rows_"), "%s",
                                meter_lost(meter));
                meter_must_add(meter, SLOT, &group);
                meter_must_add(meter, OTHER_SLOT, &other);
                opening = meter_must_read(meter, SLOT);
                cr_assert_eq(meter_read_duration(meter, SLOT, DURATION_CPU_WAIT, &waits), 0);
                for (size_t k = 0; k < ELEMENTSOF(metrics); k++) {
                        const uint64_t before = closing.value[metrics[k]], now = opening.value[metrics[k]];

                        cr_expect(metrics[k] == METRIC_CPU_PRESSURE || before > 0, "%s: nothing to lose",
                                        metric_info(metrics[k])->name);
                        cr_expect(cases[i].goes_on ? now >= before : now == 0 || k == 2,
                                        "case %zu: %s was %lu and is %lu", i, metric_info(metrics[k])->name,
                                        before, now);
                }
                cr_expect(cases[i].goes_on ? histogram_count(&waits) >= histogram_count(&waits_before)
                                           : histogram_count(&waits) < histogram_count(&waits_before),
                                "case %zu: %lu waits were %lu", i, histogram_count(&waits),
                                histogram_count(&waits_before));
                cr_expect(meter_must_read(meter, OTHER_SLOT).value[METRIC_CPU_TIME] == 0,
                                "case %zu: it is another's", i);
                worker_run(&worker);
                sample = meter_must_read(meter, SLOT);
                expect_near(sample.value[METRIC_CPU_TIME] - opening.value[METRIC_CPU_TIME],
                                group_cpu_nsec(&group) - cpu_before, 1, 100000, "cpu.time");
        }

        worker_stop(&worker);
        cr_expect(meter_release(meter) == 0);
        meter_free(meter);
}

/* Ended when there were the new tables already, and programs that count in the old ones still. */
Test(meter, ended_before_its_programs_were_others) {
        TestGroup group = group_make("a");
        Worker worker = worker_start(&group, burn_and_send, NULL);
        Meter *meter = meter_make(pin_dir(), SLOTS, CLASSID_BASE);
        Sample closing, opening;

        meter_must_add(meter, SLOT, &group);
        worker_run(&worker);
        closing = meter_must_read(meter, SLOT);
        meter_free(meter);
        meter_free(meter_make(pin_dir(), 2 * SLOTS, CLASSID_BASE));

        meter = meter_make(pin_dir(), 2 * SLOTS, CLASSID_BASE);
        cr_expect_not(meter_carried(meter));
        meter_must_add(meter, SLOT, &group);
        worker_run(&worker);
        opening = meter_must_read(meter, SLOT);
        cr_expect_gt(closing.value[METRIC_NET_LOCAL_EGRESS_BYTES], 0);
        cr_expect_eq(opening.value[METRIC_NET_LOCAL_EGRESS_BYTES],
                        2 * closing.value[METRIC_NET_LOCAL_EGRESS_BYTES], "%lu bytes, then %lu",
                        closing.value[METRIC_NET_LOCAL_EGRESS_BYTES],
                        opening.value[METRIC_NET_LOCAL_EGRESS_BYTES]);
        cr_expect_geq(opening.value[METRIC_CPU_TIME], closing.value[METRIC_CPU_TIME] + 30000000);
        worker_stop(&worker);
        cr_expect(meter_release(meter) == 0);
        meter_free(meter);
}

static void pin_some_map(const char *name) {
        _cleanup_close_ int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), 8, 1, NULL);
        char path[256];

        snprintf(path, sizeof(path), "%s/meter/%s", pin_dir(), name);
        cr_assert(fd >= 0 && bpf_obj_pin(fd, path) == 0, "%s: %m", path);
}

static void unpin(const char *name) {
        char path[256];

        snprintf(path, sizeof(path), "%s/meter/%s", pin_dir(), name);
        cr_assert(unlink(path) == 0, "%s: %m", path);
}

/* As an upgrade, or a downgrade, finds them: they go, and are named once; the others count on. */
Test(meter, tables_of_other_layouts) {
        TestGroup group = group_make("a");
        Worker worker = worker_start(&group, burn_and_send, NULL);
        Meter *meter = meter_make(pin_dir(), SLOTS, CLASSID_BASE);
        _cleanup_free_ char *before = NULL, *after = NULL;
        Sample closing, opening;

        cr_expect_null(meter_lost(meter));
        meter_must_add(meter, SLOT, &group);
        worker_run(&worker);
        closing = meter_must_read(meter, SLOT);
        meter_free(meter);
        before = list_pins();
        unpin("sched_rows_2");
        pin_some_map("sched_rows_0");
        pin_some_map("sched_rows_27");

        meter = meter_make(pin_dir(), SLOTS, CLASSID_BASE);
        cr_assert_not_null(meter_lost(meter));
        cr_expect(strstr(meter_lost(meter), "sched_rows_0") && strstr(meter_lost(meter), "sched_rows_27"),
                        "%s", meter_lost(meter));
        after = list_pins();
        cr_expect(strcmp(before, after) == 0, "before:\n%s\nafter:\n%s", before, after);
        meter_must_add(meter, SLOT, &group);
        opening = meter_must_read(meter, SLOT);
        cr_expect(closing.value[METRIC_CPU_TIME] >= 30000000 && opening.value[METRIC_CPU_TIME] == 0);
        cr_expect(opening.value[METRIC_CPU_PRESSURE] >= closing.value[METRIC_CPU_PRESSURE]);
        worker_run(&worker);
        opening = meter_must_read(meter, SLOT);
        cr_expect(opening.value[METRIC_CPU_TIME] >= 30000000);
        meter_free(meter);

        meter = meter_make(pin_dir(), SLOTS, CLASSID_BASE);
        cr_expect_null(meter_lost(meter));
        worker_stop(&worker);
        cr_expect(meter_release(meter) == 0);
        meter_free(meter);
}

Test(meter, remove_and_release) {
        TestGroup group = group_make("a");
        _cleanup_free_ char *none = NULL, *some = NULL, *again = NULL;
        struct stat st;
        char path[256];
        Meter *meter;
        Sample sample;

        meter = meter_make(pin_dir(), SLOTS, CLASSID_BASE);
        none = list_pins();
        cr_expect(strstr(none, "sched-switch-") && !strstr(none, "net-egress"));
        meter_must_add(meter, SLOT, &group);
        meter_must_add(meter, SLOT, &group);
        some = list_pins();
        cr_expect(strstr(some, "net-egress-") && strstr(some, "net-ingress-"));
        meter_free(meter);

        /* Not added since the restart, and removed all the same. */
        meter = meter_make(pin_dir(), SLOTS, CLASSID_BASE);
        cr_expect(meter_remove(meter, SLOT) == 0);
        again = list_pins();
        cr_expect(strcmp(none, again) == 0, "left over:\n%s", again);
        cr_expect(meter_read(meter, SLOT, &sample) == -ENOENT);

        cr_expect(meter_release(meter) == 0);
        snprintf(path, sizeof(path), "%s/meter", pin_dir());
        cr_expect(stat(path, &st) < 0 && errno == ENOENT);
        meter_free(meter);
}

Test(meter, refusals) {
        TestGroup group = group_make("a");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        FeatureSet features = FEATURE_SET_NULL;
        MeterOptions none = { .slots = 0, .cgroup_root = "/" };
        Meter *other = NULL;

        cr_expect(meter_add(meter, 0, group.path, group.fd, group.id, METER_GROUP_OWN) == -EINVAL);
        cr_expect(meter_add(meter, SLOTS, group.path, group.fd, group.id, METER_GROUP_OWN) == -EINVAL);
        cr_expect(meter_add(meter, SLOT, "a", group.fd, group.id, METER_GROUP_OWN) == -EINVAL);
        cr_expect(meter_remove(meter, SLOTS) == -EINVAL);
        cr_expect(meter_groups_fd(meter) >= 0);
        cr_expect(meter_new(&none, &features, &other) == -EINVAL);
        meter_free(meter);
}

/* A directory that is no bpf file system: nothing is pinned, in words, and everything is counted. */
Test(meter, no_bpffs) {
        MeterOptions options = { .pin_dir = "/tmp/headgate", .slots = SLOTS, .cgroup_root = group_parent() };
        FeatureSet features = FEATURE_SET_NULL;
        Meter *meter = NULL;

        (void) host_bpffs();
        cr_assert(meter_new(&options, &features, &meter) == 0);
        cr_expect(!feature_set_get(&features, "meter.pins")->available);
        cr_expect(strstr(feature_set_get(&features, "meter.pins")->words, "not on a bpf file system"));
        cr_expect(feature_set_get(&features, "meter.cpu")->available);
        feature_set_deinit(&features);
        meter_free(meter);
}
