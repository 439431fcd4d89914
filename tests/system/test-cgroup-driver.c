/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Both control-group drivers against a real kernel, and systemd's against a real PID 1: what is set is read
 * back by the test itself, from the kernel's files. HEADGATE_TEST_DRIVER says which (cgroupfs where it is not
 * set); needs root. What the node has no controller for is skipped and named.
 *
 * cgroupfs works below a group that each test makes for itself and removes; systemd below headgate.slice,
 * with tenants that no one else has. Run with --jobs 1.
 */

#include "enforce/cgroup-driver.h"
#include "util/strv.h"

#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define MIB (1024ULL * 1024)
#define WAIT_SEC 20

static CgroupDriver *driver;
static FeatureSet features;
static char root[64], mount_path[PATH_MAX - 64];
static bool is_systemd;

/* The test's own way to the files. */
static bool read_text(const char *group, const char *file, char *ret, size_t size) {
        char path[PATH_MAX];
        ssize_t n;
        int fd;

        (void) snprintf(path, sizeof(path), "%s%s/%s", mount_path, group, file);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        n = read(fd, ret, size - 1);
        close(fd);
        if (n < 0)
                return false;
        ret[n] = '\0';
        ret[strcspn(ret, "\n")] = '\0';
        return true;
}

static bool write_text(const char *group, const char *file, const char *text) {
        char path[PATH_MAX];
        bool written;
        int fd;

        (void) snprintf(path, sizeof(path), "%s%s/%s", mount_path, group, file);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        written = write(fd, text, strlen(text)) >= 0;
        close(fd);
        return written;
}

static int change_directory(int (*change)(const char *), const char *group) {
        char path[PATH_MAX];

        (void) snprintf(path, sizeof(path), "%s%s", mount_path, group);
        return change(path) < 0 ? -errno : 0;
}

static int make_directory(const char *path) {
        return mkdir(path, 0755);
}

static void assert_text(const char *group, const char *file, const char *expected) {
        char text[128];

        cr_assert(read_text(group, file, text, sizeof(text)), "%s/%s cannot be read", group, file);
        cr_assert_str_eq(text, expected, "%s/%s is %s, not %s", group, file, text, expected);
}

static bool within(bool (*holds)(const void *), const void *argument) {
        for (time_t end = time(NULL) + WAIT_SEC; time(NULL) < end; (void) poll(NULL, 0, 10))
                if (holds(argument))
                        return true;
        return false;
}

static void find_mount(void) {
        _cleanup_cgroup_mounts_ CgroupMounts mounts = { 0 };
        static char text[65536];
        FILE *f = fopen("/proc/self/mountinfo", "re");

        cr_assert_not_null(f);
        text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
        fclose(f);
        cr_assert_eq(cgroup_mounts_parse(text, &mounts), 0);
        cr_assert_not_null(mounts.unified, "no cgroup2 mount");
        cr_assert_lt(strlen(mounts.unified), sizeof(mount_path));
        (void) strcpy(mount_path, mounts.unified);
}

static void setup(void) {
        const char *name = getenv("HEADGATE_TEST_DRIVER");
        CgroupDriverKind kind = cgroup_driver_kind_from_string(name ? name : "cgroupfs");

        cr_assert_geq((int) kind, 0, "HEADGATE_TEST_DRIVER=%s", name);
        is_systemd = kind == CGROUP_DRIVER_SYSTEMD;
        find_mount();
        if (!is_systemd) {
                char available[256], plus[CONTROLLERS_TEXT_SIZE];

                /* What a manager that delegates would have done before us. */
                cr_assert(read_text("/", "cgroup.controllers", available, sizeof(available)));
                controllers_format(controllers_parse(available), plus);
                if (*plus)
                        cr_assert(write_text("/", "cgroup.subtree_control", plus), "%s", plus);
                (void) snprintf(root, sizeof(root), "/headgate-test-%d", getpid());
                cr_assert_eq(change_directory(make_directory, root), 0);
        }
        cr_assert_eq(cgroup_driver_new(kind, root, &features, &driver), 0);
}

static void teardown(void) {
        if (!driver)
                return;
        (void) cgroup_driver_remove_parent(driver);
        driver = cgroup_driver_free(driver);
        feature_set_deinit(&features);
        if (!is_systemd)
                cr_expect_eq(change_directory(rmdir, root), 0, "something was left in %s", root);
}

/* cr_skip() alone would leave without what .fini clears away. */
#define skip(why)             \
        do {                  \
                teardown();   \
                cr_skip(why); \
        } while (0)

static TenantGroup *ensure(const char *tenant_id) {
        TenantGroup *group = NULL;
        int r = tenant_group_ensure(driver, tenant_id, &group);

        cr_assert_eq(r, 0, "%s: %s", tenant_id, strerror(-r));
        return group;
}

typedef struct Child {
        pid_t pid;
        int pidfd;
} Child;

static Child spawn(void) {
        Child child = { .pid = fork() };

        cr_assert_geq(child.pid, 0);
        if (child.pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        child.pidfd = (int) syscall(SYS_pidfd_open, child.pid, 0);
        cr_assert_geq(child.pidfd, 0);
        return child;
}

static bool has_exited(const void *pidfd) {
        struct pollfd p = { .fd = *(const int *) pidfd, .events = POLLIN };

        return poll(&p, 1, 0) > 0;
}

/* Waits for the child's end and tells the signal that ended it. */
static int reap(Child *child) {
        int status = 0;

        cr_assert(within(has_exited, &child->pidfd), "the process did not end");
        cr_assert_eq(waitpid(child->pid, &status, 0), child->pid);
        close(child->pidfd);
        return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void assert_place(pid_t pid, const char *group) {
        _cleanup_free_ char *path = NULL;

        cr_assert_eq(process_find_group(pid, &path), 0);
        cr_assert_str_eq(path, group, "%d is in %s, not %s", pid, path, group);
}

static void attach(TenantGroup *group, const Child *child, char **ret_path) {
        int r = tenant_group_attach(group, &child->pidfd, 1, ret_path);

        cr_assert_eq(r, 0, "attach: %s", strerror(-r));
}

static bool is_empty(const void *group) {
        return tenant_group_populated((TenantGroup *) group) == 0;
}

/* Removes the group, by now without processes, whose end its cgroup.events may not yet tell. */
static void remove_group(TenantGroup *group) {
        _cleanup_free_ char *tenant_id = strdup(group->tenant_id);
        int r;

        cr_assert(within(is_empty, group));
        r = tenant_group_remove(driver, tenant_id);
        cr_assert_eq(r, 0, "remove %s: %s", tenant_id, strerror(-r));
        cr_assert_not(tenant_group_alive(group));
        tenant_group_free(group);
}

TestSuite(cgroup_driver, .init = setup, .fini = teardown, .timeout = 300);

Test(cgroup_driver, features_say_what_holds) {
        for (int i = 0; i < SETTING_MAX; i++) {
                const SettingInfo *info = setting_info((Setting) i);
                const Feature *feature = feature_set_get(&features, info->feature);

                cr_assert_not_null(feature, "%s", info->feature);
                if (!(cgroup_driver_settings(driver) & (1U << i)))
                        cr_assert_not(feature->available, "%s: %s", info->feature, feature->words);
                cr_log_info("%s: %s", info->feature, feature->words);
        }
        cr_assert(feature_set_get(&features, "cgroup")->available);
}

Test(cgroup_driver, every_setting) {
        const struct {
                Setting setting;
                uint64_t value;
                const char *text;
        } cases[] = {
                { SETTING_CPU_WEIGHT, 250, "250" },
                { SETTING_CPU_WEIGHT, 1, "1" },
                { SETTING_CPU_MAX, 500000, "50000 100000" },
                { SETTING_CPU_MAX, 2500000, "250000 100000" },
                { SETTING_CPU_MAX, 5000, "1000 200000" },
                { SETTING_CPU_MAX, UNLIMITED, "max 100000" },
                { SETTING_MEMORY_MIN, 16 * MIB, "16777216" },
                { SETTING_MEMORY_MIN, 0, "0" },
                { SETTING_MEMORY_LOW, 32 * MIB + 1, "33554432" },
                { SETTING_MEMORY_LOW, 0, "0" },
                { SETTING_MEMORY_HIGH, 64 * MIB, "67108864" },
                { SETTING_MEMORY_HIGH, UNLIMITED, "max" },
                { SETTING_MEMORY_MAX, 128 * MIB, "134217728" },
                { SETTING_MEMORY_MAX, UNLIMITED, "max" },
                { SETTING_SWAP_MAX, 0, "0" },
                { SETTING_SWAP_MAX, UNLIMITED, "max" },
                { SETTING_TASKS_MAX, 77, "77" },
                { SETTING_TASKS_MAX, 5000000, "max" },
                { SETTING_TASKS_MAX, UNLIMITED, "max" },
        };
        TenantGroup *group = ensure("test-settings");
        size_t skipped = 0;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const char *file = setting_info(cases[i].setting)->file;
                Settings changes = { 0 }, holds;
                int r;

                settings_put(&changes, cases[i].setting, cases[i].value);
                r = tenant_group_apply(group, &changes);
                cr_assert_eq(r, 0, "%s: %s", file, strerror(-r));
                cr_assert_eq(tenant_group_observe(group, &holds), 0);
                if (!(cgroup_driver_settings(driver) & (1U << cases[i].setting))) {
                        cr_assert_not(settings_has(&holds, cases[i].setting), "%s", file);
                        skipped++;
                        continue;
                }
                assert_text(tenant_group_path(group), file, cases[i].text);
                cr_assert(settings_has(&holds, cases[i].setting), "%s", file);
                cr_assert_eq(holds.value[cases[i].setting], setting_round(cases[i].setting, cases[i].value),
                                "%s", file);
        }
        remove_group(group);
        if (skipped == ELEMENTSOF(cases))
                skip("no cpu, memory and pids controllers here");
        /* A warning would be a failure to Criterion's exit code. */
        cr_log_info("%zu of %zu values skipped", skipped, ELEMENTSOF(cases));
}

Test(cgroup_driver, all_in_one_change) {
        TenantGroup *group = ensure("test-all-at-once");
        Settings changes = { 0 }, holds;

        settings_put(&changes, SETTING_CPU_IDLE, 0);
        settings_put(&changes, SETTING_CPU_WEIGHT, 333);
        settings_put(&changes, SETTING_CPU_MAX, 1500000);
        settings_put(&changes, SETTING_MEMORY_MIN, 8 * MIB);
        settings_put(&changes, SETTING_MEMORY_LOW, 16 * MIB);
        settings_put(&changes, SETTING_MEMORY_HIGH, 96 * MIB);
        settings_put(&changes, SETTING_MEMORY_MAX, 128 * MIB);
        settings_put(&changes, SETTING_SWAP_MAX, 0);
        settings_put(&changes, SETTING_TASKS_MAX, 55);
        cr_assert_eq(tenant_group_apply(group, &changes), 0);
        cr_assert_eq(tenant_group_observe(group, &holds), 0);
        cr_assert_eq(holds.present, cgroup_driver_settings(driver));
        for (int i = 0; i < SETTING_MAX; i++)
                if (settings_has(&holds, (Setting) i))
                        cr_assert_eq(holds.value[i], changes.value[i], "%s", setting_info((Setting) i)->file);
        remove_group(group);
}

Test(cgroup_driver, idle_class_and_weight) {
        TenantGroup *group;
        Settings changes = { 0 }, holds;

        if (!(cgroup_driver_settings(driver) & (1U << SETTING_CPU_IDLE)))
                skip("no cpu.idle here");
        group = ensure("test-idle");
        settings_put(&changes, SETTING_CPU_IDLE, 1);
        settings_put(&changes, SETTING_CPU_WEIGHT, 400);
        cr_assert_eq(tenant_group_apply(group, &changes), 0);
        assert_text(tenant_group_path(group), "cpu.idle", "1");
        cr_assert_eq(tenant_group_observe(group, &holds), 0);
        cr_assert_eq(holds.value[SETTING_CPU_IDLE], 1);
        cr_assert_not(settings_has(&holds, SETTING_CPU_WEIGHT), "an idle group's weight says nothing");

        /* A weight for a group that stays idle is not an error. */
        changes = (Settings){ 0 };
        settings_put(&changes, SETTING_CPU_WEIGHT, 400);
        cr_assert_eq(tenant_group_apply(group, &changes), 0);
        assert_text(tenant_group_path(group), "cpu.idle", "1");

        settings_put(&changes, SETTING_CPU_IDLE, 0);
        cr_assert_eq(tenant_group_apply(group, &changes), 0);
        assert_text(tenant_group_path(group), "cpu.idle", "0");
        assert_text(tenant_group_path(group), "cpu.weight", "400");
        remove_group(group);
}

Test(cgroup_driver, parent) {
        Settings changes = { 0 }, holds;
        uint64_t siblings, before;

        cr_assert_eq(cgroup_parent_observe(driver, &holds, &before), 0);
        if (!(cgroup_driver_settings(driver) & (1U << SETTING_CPU_WEIGHT))) {
                cr_assert_eq(before, 0);
                skip("no cpu and memory controllers here");
        }
        settings_put(&changes, SETTING_CPU_WEIGHT, 1234);
        settings_put(&changes, SETTING_MEMORY_MIN, 4 * MIB);
        settings_put(&changes, SETTING_MEMORY_LOW, 8 * MIB);
        cr_assert_eq(cgroup_parent_apply(driver, &changes), 0);
        assert_text(cgroup_driver_parent(driver), "cpu.weight", "1234");
        assert_text(cgroup_driver_parent(driver), "memory.min", "4194304");
        assert_text(cgroup_driver_parent(driver), "memory.low", "8388608");
        cr_assert_eq(cgroup_parent_observe(driver, &holds, &siblings), 0);
        cr_assert_eq(holds.value[SETTING_CPU_WEIGHT], 1234);
        cr_assert_eq(siblings, before, "our own weight is not a sibling's");
        settings_put(&changes, SETTING_CPU_WEIGHT, 100);
        settings_put(&changes, SETTING_MEMORY_MIN, 0);
        settings_put(&changes, SETTING_MEMORY_LOW, 0);
        cr_assert_eq(cgroup_parent_apply(driver, &changes), 0);
}

Test(cgroup_driver, attach_signal_and_remove) {
        TenantGroup *group = ensure("test-attach");
        Child a = spawn(), b = spawn();
        const int both[] = { a.pidfd, b.pidfd };
        char *path = NULL;
        size_t length = strlen(tenant_group_path(group));

        cr_assert_eq(tenant_group_populated(group), 0);
        cr_assert_eq(tenant_group_attach(group, both, 2, &path), 0);
        cr_assert_eq(strncmp(path, tenant_group_path(group), length), 0, "%s", path);
        assert_place(a.pid, path);
        assert_place(b.pid, path);
        cr_assert_eq(tenant_group_populated(group), 1);
        cr_assert_eq(tenant_group_remove(driver, "test-attach"), -EBUSY);
        cr_assert(tenant_group_alive(group));
        cr_assert_eq(cgroup_driver_remove_parent(driver), -EBUSY);
        free(path);

        cr_assert_eq(tenant_group_signal(group, SIGUSR1), 0);
        cr_assert_eq(reap(&a), SIGUSR1);
        cr_assert_eq(reap(&b), SIGUSR1);
        cr_assert(within(is_empty, group));
        cr_assert_eq(tenant_group_signal(group, SIGUSR1), 0, "nobody is no error");
        remove_group(group);
}

/* A second attach comes beside the first. */
Test(cgroup_driver, attach_again) {
        TenantGroup *group = ensure("test-again");
        Child a = spawn(), b = spawn();
        char *first = NULL, *second = NULL;

        attach(group, &a, &first);
        attach(group, &b, &second);
        assert_place(a.pid, first);
        assert_place(b.pid, second);
        cr_assert_eq(strcmp(first, second) != 0, is_systemd);
        free(first);
        free(second);
        cr_assert_eq(tenant_group_kill(group), 0);
        cr_assert_eq(reap(&a), SIGKILL);
        cr_assert_eq(reap(&b), SIGKILL);
        remove_group(group);
}

Test(cgroup_driver, attach_refuses) {
        TenantGroup *group = ensure("test-refuse");
        Child gone = spawn(), here = spawn();
        const int pidfds[] = { here.pidfd, gone.pidfd };
        int many[17];
        _cleanup_free_ char *before = NULL;
        char *path = NULL;
        int r;

        cr_assert_eq(process_find_group(here.pid, &before), 0);
        for (size_t i = 0; i < ELEMENTSOF(many); i++)
                many[i] = here.pidfd;
        cr_assert_eq(tenant_group_attach(group, many, ELEMENTSOF(many), &path), -E2BIG);
        cr_assert_eq(tenant_group_attach(group, many, 0, &path), -EINVAL);
        cr_assert_eq(tenant_group_attach(group, (int[]){ STDERR_FILENO }, 1, &path), -EINVAL);
        cr_assert_eq(tenant_group_attach(group, (int[]){ -1 }, 1, &path), -EBADF);

        cr_assert_eq(kill(gone.pid, SIGKILL), 0);
        cr_assert(within(has_exited, &gone.pidfd));
        r = tenant_group_attach(group, pidfds, 2, &path);
        cr_assert_eq(r, -ESRCH, "%d", r);
        cr_assert_null(path);
        assert_place(here.pid, before);
        reap(&gone);
        cr_assert_eq(kill(here.pid, SIGKILL), 0);
        reap(&here);
        remove_group(group);
}

/* What happens when a pid was another's when it was moved: made by hand, as the moment cannot be met. */
Test(cgroup_driver, attach_undoes) {
        _cleanup_free_ char *before = NULL, *own = NULL;
        TenantGroup *group, *elsewhere;
        Child meant, gone, impostor;
        Process *processes;

        if (is_systemd)
                skip("moves by hand are for our own groups");
        group = ensure("test-undo");
        meant = spawn();
        gone = spawn();
        impostor = spawn();
        /* Where the one that is gone was is not where the other belongs. */
        elsewhere = ensure("test-undo-from");
        cr_assert_eq(group_put_process(driver, tenant_group_path(elsewhere), gone.pid), 0);
        cr_assert_eq(process_find_group(getpid(), &own), 0);
        cr_assert_eq(process_find_group(meant.pid, &before), 0);
        cr_assert_eq(processes_identify((int[]){ meant.pidfd, gone.pidfd }, 2, &processes), 0);
        cr_assert_eq(processes[0].pid, meant.pid);
        cr_assert_str_eq(processes[0].group, before);

        processes[1].pid = impostor.pid;
        cr_assert_eq(kill(gone.pid, SIGKILL), 0);
        reap(&(Child){ gone.pid, dup(gone.pidfd) });
        cr_assert_eq(group_put_process(driver, tenant_group_path(group), meant.pid), 0);
        cr_assert_eq(group_put_process(driver, tenant_group_path(group), impostor.pid), 0);
        assert_place(impostor.pid, tenant_group_path(group));
        cr_assert(processes_placed(processes, 1, tenant_group_path(group)));
        cr_assert_not(processes_placed(processes, 2, tenant_group_path(group)));

        processes_undo(driver, processes, 2, tenant_group_path(group));
        assert_place(meant.pid, before);
        assert_place(impostor.pid, own);
        processes_free(processes, 2);
        close(gone.pidfd);
        cr_assert_eq(kill(meant.pid, SIGKILL), 0);
        cr_assert_eq(kill(impostor.pid, SIGKILL), 0);
        reap(&meant);
        reap(&impostor);
        remove_group(elsewhere);
        remove_group(group);
}

static bool is_frozen(const void *path) {
        char text[128];
        uint64_t frozen = 0;
        char file[PATH_MAX];
        FILE *f;

        (void) snprintf(file, sizeof(file), "%s%s/cgroup.events", mount_path, (const char *) path);
        f = fopen(file, "re");
        if (!f)
                return false;
        text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
        fclose(f);
        return cgroup_events_parse(text, "frozen", &frozen) == 0 && frozen == 1;
}

Test(cgroup_driver, freeze_and_kill) {
        TenantGroup *group = ensure("test-freeze");
        Child child = spawn();
        char *path = NULL;

        attach(group, &child, &path);
        free(path);
        cr_assert_eq(tenant_group_freeze(group, true), 0);
        cr_assert(within(is_frozen, tenant_group_path(group)));
        cr_assert_eq(tenant_group_freeze(group, false), 0);
        assert_text(tenant_group_path(group), "cgroup.freeze", "0");
        cr_assert_eq(tenant_group_freeze(group, true), 0);
        cr_assert(within(is_frozen, tenant_group_path(group)));
        /* What is frozen still dies. */
        cr_assert_eq(tenant_group_kill(group), 0);
        cr_assert_eq(reap(&child), SIGKILL);
        remove_group(group);
}

Test(cgroup_driver, list) {
        TenantGroup *a = ensure("test-list-a"), *b = ensure("test-list-b");
        _cleanup_strv_ char **ids = NULL;
        char **after = NULL;

        cr_assert_eq(cgroup_driver_list(driver, &ids), 0);
        cr_assert(strv_contains(ids, "test-list-a"));
        cr_assert(strv_contains(ids, "test-list-b"));
        if (!is_systemd)
                cr_assert_eq(strv_length(ids), 2);
        remove_group(a);
        cr_assert_eq(cgroup_driver_list(driver, &after), 0);
        cr_assert_not(strv_contains(after, "test-list-a"));
        cr_assert(strv_contains(after, "test-list-b"));
        strv_free(after);
        remove_group(b);
}

Test(cgroup_driver, made_anew_is_another) {
        TenantGroup *old = ensure("test-anew"), *same, *anew;
        Settings changes = { 0 }, holds;
        uint64_t id = tenant_group_id(old), bytes;

        same = ensure("test-anew");
        cr_assert_eq(tenant_group_id(same), id);
        tenant_group_free(same);

        cr_assert_eq(tenant_group_remove(driver, "test-anew"), 0);
        cr_assert_eq(tenant_group_remove(driver, "test-anew"), 0, "gone is gone");
        cr_assert_not(tenant_group_alive(old));
        anew = ensure("test-anew");
        cr_assert_neq(tenant_group_id(anew), id);
        cr_assert_not(tenant_group_alive(old), "one of the same name is not the same");
        settings_put(&changes, SETTING_CPU_MAX, 500000);
        cr_assert_eq(tenant_group_apply(old, &changes), -ENOLINK);
        cr_assert_eq(tenant_group_observe(old, &holds), -ENOLINK);
        cr_assert_eq(tenant_group_freeze(old, true), -ENOLINK);
        cr_assert_eq(tenant_group_kill(old), -ENOLINK);
        cr_assert_eq(tenant_group_populated(old), -ENOLINK);
        cr_assert_eq(tenant_group_memory_current(old, &bytes), -ENOLINK);
        cr_assert_eq(tenant_group_signal(old, SIGTERM), -ENOLINK);
        tenant_group_free(old);
        remove_group(anew);
}

/* The parent may go too; the next tenant brings it back. */
Test(cgroup_driver, parent_made_anew) {
        TenantGroup *group;

        if (is_systemd)
                skip("other tenants may live in headgate.slice");
        cr_assert_eq(cgroup_driver_remove_parent(driver), 0);
        group = ensure("test-parent");
        cr_assert(tenant_group_alive(group));
        remove_group(group);
}

Test(cgroup_driver, hostile_ids) {
        static const char *const ids[] = { "", ".", "..", "../x", "a/b", "a--b", "-a", "A", "cgroup.procs",
                "a b" };

        for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
                TenantGroup *group = NULL;

                cr_assert_eq(tenant_group_ensure(driver, ids[i], &group), -EINVAL, "%s", ids[i]);
                cr_assert_eq(tenant_group_remove(driver, ids[i]), -EINVAL, "%s", ids[i]);
                cr_assert_null(group);
        }
}

/* "a" and "a-b" are neighbours: a dash in a slice's name would make the one the other's parent. */
Test(cgroup_driver, dashes_do_not_nest) {
        TenantGroup *a = ensure("test-dash"), *ab = ensure("test-dash-b");
        char below[PATH_MAX];

        (void) snprintf(below, sizeof(below), "%s/", tenant_group_path(a));
        cr_assert_neq(strncmp(tenant_group_path(ab), below, strlen(below)), 0, "%s is in %s",
                        tenant_group_path(ab), below);
        remove_group(a);
        cr_assert(tenant_group_alive(ab));
        remove_group(ab);
}

Test(cgroup_driver, foreign_groups_are_left) {
        char beside[128], among[128], text[128];
        TenantGroup *group;
        _cleanup_strv_ char **ids = NULL;
        char pid[16];
        Child child;

        if (is_systemd)
                skip("headgate.slice is systemd's to fill");
        child = spawn();
        (void) snprintf(beside, sizeof(beside), "%s/foreign", root);
        (void) snprintf(among, sizeof(among), "%s/Foreign", cgroup_driver_parent(driver));
        cr_assert_eq(change_directory(make_directory, beside), 0);
        cr_assert_eq(change_directory(make_directory, among), 0);
        (void) snprintf(pid, sizeof(pid), "%d", child.pid);
        cr_assert(write_text(beside, "cgroup.procs", pid));

        group = ensure("test-foreign");
        cr_assert_eq(cgroup_driver_list(driver, &ids), 0);
        cr_assert_eq(strv_length(ids), 1);
        cr_assert_eq(tenant_group_signal(group, SIGKILL), 0);
        cr_assert_eq(tenant_group_freeze(group, true), 0);
        cr_assert_eq(tenant_group_kill(group), 0);
        remove_group(group);
        cr_assert_eq(cgroup_driver_remove_parent(driver), -EBUSY, "a foreign group is in it");

        cr_assert(read_text(beside, "cgroup.procs", text, sizeof(text)));
        cr_assert_str_eq(text, pid);
        assert_text(beside, "cgroup.freeze", "0");
        assert_place(child.pid, beside);
        cr_assert_eq(change_directory(rmdir, among), 0, "still there, and ours to remove");
        cr_assert_eq(kill(child.pid, SIGKILL), 0);
        reap(&child);
        cr_assert_eq(change_directory(rmdir, beside), 0);
}

/* Groups that a tenant made below its own go with it, and their processes are reached by a signal. */
Test(cgroup_driver, nested_groups) {
        char nested[256], deeper[300], pid[16];
        TenantGroup *group;
        Child child;

        if (is_systemd)
                skip("systemd nests scopes; see attach_signal_and_remove");
        group = ensure("test-nested");
        child = spawn();
        (void) snprintf(nested, sizeof(nested), "%s/test-inner", tenant_group_path(group));
        (void) snprintf(deeper, sizeof(deeper), "%s/job.1", nested);
        cr_assert_eq(change_directory(make_directory, nested), 0);
        cr_assert_eq(change_directory(make_directory, deeper), 0);
        (void) snprintf(pid, sizeof(pid), "%d", child.pid);
        cr_assert(write_text(deeper, "cgroup.procs", pid));
        cr_assert_eq(tenant_group_remove(driver, "test-nested"), -EBUSY);
        cr_assert_eq(tenant_group_signal(group, SIGTERM), 0);
        cr_assert_eq(reap(&child), SIGTERM);
        remove_group(group);
}

static void fill_page_cache(void) {
        static char block[1 << 20];
        char path[] = "/var/tmp/headgate-test-XXXXXX";
        int fd = mkstemp(path);

        (void) unlink(path);
        for (int i = 0; i < 96; i++)
                if (write(fd, block, sizeof(block)) < 0)
                        _exit(EXIT_FAILURE);
        (void) fsync(fd);
        for (;;)
                pause();
}

static bool uses_64_mib(const void *group) {
        uint64_t bytes;

        return tenant_group_memory_current((TenantGroup *) group, &bytes) == 0 && bytes > 64 * MIB;
}

/* Below what is used: first squeezed, so that what can be reclaimed is, and memory.high is as it was
 * afterwards. */
Test(cgroup_driver, memory_max_below_use) {
        TenantGroup *group;
        Settings changes = { 0 };
        Child child = { .pid = -1 };
        char text[256], *path = NULL;
        uint64_t bytes;
        int gate[2];

        if (!(cgroup_driver_settings(driver) & (1U << SETTING_MEMORY_MAX)))
                skip("no memory controller here");
        group = ensure("test-squeeze");
        cr_assert_eq(pipe2(gate, O_CLOEXEC), 0);
        child.pid = fork();
        cr_assert_geq(child.pid, 0);
        if (child.pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                close(gate[1]);
                (void) !read(gate[0], text, 1); /* until it is in its group */
                fill_page_cache();
        }
        child.pidfd = (int) syscall(SYS_pidfd_open, child.pid, 0);
        attach(group, &child, &path);
        close(gate[0]);
        close(gate[1]);
        cr_assert(within(uses_64_mib, group));

        settings_put(&changes, SETTING_MEMORY_MAX, 32 * MIB);
        cr_assert_eq(tenant_group_apply(group, &changes), 0);
        assert_text(tenant_group_path(group), "memory.max", "33554432");
        assert_text(tenant_group_path(group), "memory.high", "max");
        cr_assert_eq(tenant_group_memory_current(group, &bytes), 0);
        cr_assert_leq(bytes, 32 * MIB);
        cr_assert_not(has_exited(&child.pidfd));
        free(path);
        cr_assert_eq(tenant_group_kill(group), 0);
        cr_assert_eq(reap(&child), SIGKILL);
        remove_group(group);
}

/* What follows is systemd's alone. */

static int run(const char *command) {
        int status = system(command);

        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static TenantGroup *ensure_limited(const char *tenant_id) {
        TenantGroup *group = ensure(tenant_id);
        Settings changes = { 0 };

        settings_put(&changes, SETTING_CPU_MAX, 300000);
        settings_put(&changes, SETTING_TASKS_MAX, 44);
        cr_assert_eq(tenant_group_apply(group, &changes), 0);
        return group;
}

static void assert_limited(const char *path) {
        assert_text(path, "cpu.max", "30000 100000");
        assert_text(path, "pids.max", "44");
}

Test(cgroup_driver, limits_outlive_reload_and_stop) {
        TenantGroup *group;
        char path[PATH_MAX];

        if (!is_systemd)
                skip("systemd's alone");
        group = ensure_limited("test-stop");
        (void) strcpy(path, tenant_group_path(group));
        cr_assert_eq(tenant_group_freeze(group, true), 0);
        cr_assert_eq(run("systemctl daemon-reload"), 0);
        assert_limited(path);
        assert_text(path, "cgroup.freeze", "1");
        cr_assert_eq(tenant_group_freeze(group, false), 0);

        /* Stopped by someone and started by a job that asks for the slice: it comes back limited. */
        cr_assert_eq(run("systemctl stop 'headgate-test\\x2dstop.slice'"), 0);
        cr_assert_not(tenant_group_alive(group));
        tenant_group_free(group);
        cr_assert_eq(run("systemd-run --quiet --wait --slice='headgate-test\\x2dstop.slice' true"), 0);
        assert_limited(path);
        group = ensure("test-stop");
        assert_limited(path);
        remove_group(group);

        /* And nothing of it is left once it was removed. */
        group = ensure("test-stop");
        assert_text(path, "cpu.max", "max 100000");
        assert_text(path, "pids.max", "max");
        remove_group(group);
}

#define UNIT "headgate-test-tied.service"

static void write_unit(void) {
        FILE *f = fopen("/run/systemd/system/" UNIT, "we");

        cr_assert_not_null(f);
        (void) fprintf(f, "[Service]\nExecStart=sleep infinity\n");
        fclose(f);
        cr_assert_eq(run("systemctl daemon-reload && systemctl start " UNIT), 0);
}

Test(cgroup_driver, attach_unit) {
        TenantGroup *group;
        char *path = NULL;

        if (!is_systemd) {
                group = ensure("test-unit");
                cr_assert_eq(tenant_group_attach_unit(group, UNIT, &path), -EOPNOTSUPP);
                remove_group(group);
                return;
        }
        write_unit();
        group = ensure_limited("test-unit");
        cr_assert_eq(tenant_group_attach_unit(group, "headgate-no-such.service", &path), -ENOENT);
        cr_assert_eq(tenant_group_attach_unit(group, "../x.service", &path), -EINVAL);
        cr_assert_eq(tenant_group_attach_unit(group, UNIT, &path), 0);
        cr_assert_str_eq(path, "/system.slice/" UNIT, "it goes on where it was: %s", path);
        free(path);
        cr_assert_eq(run("systemctl restart " UNIT), 0);
        cr_assert_eq(run("test \"$(systemctl show -P Slice " UNIT ")\" = 'headgate-test\\x2dunit.slice'"), 0);
        cr_assert_eq(tenant_group_populated(group), 1);
        cr_assert_eq(tenant_group_remove(driver, "test-unit"), -EBUSY);
        cr_assert_eq(run("systemctl stop " UNIT), 0);
        remove_group(group);

        /* The tie goes with the tenant. */
        cr_assert_eq(run("systemctl start " UNIT), 0);
        cr_assert_eq(run("test \"$(systemctl show -P ControlGroup " UNIT ")\" = /system.slice/" UNIT), 0);
        cr_assert_eq(run("systemctl stop " UNIT), 0);
        cr_assert_eq(access("/etc/systemd/system/" UNIT ".d", F_OK), -1);
        cr_assert_eq(unlink("/run/systemd/system/" UNIT), 0);
        cr_assert_eq(run("systemctl daemon-reload"), 0);
}
