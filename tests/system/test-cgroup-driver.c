/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Both control-group drivers against a real kernel, and systemd's against a real PID 1: groups come and go,
 * and what is set is read back by the test itself, from the kernel's files. What the node has no controller
 * for is skipped and named.
 */

#include "driver.h"
#include "enforce/block-device.h"
#include "util/strv.h"

#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <glob.h>
#include <limits.h>
#include <signal.h>
#include <string.h>

TestSuite(cgroup_driver, .init = driver_setup, .fini = driver_teardown, .timeout = 300);

Test(cgroup_driver, features_say_what_holds) {
        for (int i = 0; i < SETTING_MAX; i++) {
                const SettingInfo *info = setting_info((Setting) i);
                const Feature *feature = feature_set_get(&features, info->feature);

                cr_assert_not_null(feature, "%s", info->feature);
                /* Huge pages of a size that there is not need no limit. */
                if (!(cgroup_driver_settings(driver) & (1U << i)) && info->controller != CONTROLLER_HUGETLB)
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
                { SETTING_OOM_GROUP, 1, "1" },
                { SETTING_IO_WEIGHT, 250, "default 250" },
                { SETTING_HUGETLB_2M, 5 * MIB, "4194304" },
                { SETTING_HUGETLB_2M, UNLIMITED, "max" },
                { SETTING_HUGETLB_1G, 0, "0" },
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
        settings_put(&changes, SETTING_CPU_BURST, 20000);
        settings_put(&changes, SETTING_OOM_GROUP, 1);
        settings_put(&changes, SETTING_IO_WEIGHT, 444);
        settings_put(&changes, SETTING_HUGETLB_2M, 4 * MIB);
        settings_put(&changes, SETTING_HUGETLB_1G, 0);
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

/* systemd takes a quota below the burst for a success that changes nothing. */
Test(cgroup_driver, a_quota_goes_below_the_burst) {
        TenantGroup *group;
        Settings changes = { 0 };

        if (!(cgroup_driver_settings(driver) & (1U << SETTING_CPU_BURST)))
                skip("no cpu.max.burst here");
        group = ensure("test-burst");
        settings_put(&changes, SETTING_CPU_MAX, 500000);
        settings_put(&changes, SETTING_CPU_BURST, 50000);
        cr_assert_eq(tenant_group_apply(group, &changes), 0);
        settings_put(&changes, SETTING_CPU_MAX, 200000);
        settings_put(&changes, SETTING_CPU_BURST, 20000);
        cr_assert_eq(tenant_group_apply(group, &changes), 0);
        assert_text(tenant_group_path(group), "cpu.max", "20000 100000");
        assert_text(tenant_group_path(group), "cpu.max.burst", "20000");

        /* Of a quota that rises the burst stays. */
        changes.present = 0;
        settings_put(&changes, SETTING_CPU_MAX, 300000);
        cr_assert_eq(tenant_group_apply(group, &changes), 0);
        assert_text(tenant_group_path(group), "cpu.max", "30000 100000");
        assert_text(tenant_group_path(group), "cpu.max.burst", "20000");
        remove_group(group);
}

/* From the groups of others below the parent first: the kernel refuses it while one of them passes it on. */
static void take_from_parent(CgroupController controller) {
        const char *parent = cgroup_driver_parent(driver);
        char minus[32], pattern[PATH_MAX];
        glob_t below;

        (void) snprintf(minus, sizeof(minus), "-%s", controller_to_string(controller));
        (void) snprintf(pattern, sizeof(pattern), "%s%s/*/", mount_path, parent);
        if (glob(pattern, GLOB_ONLYDIR, NULL, &below) == 0) {
                for (size_t i = 0; i < below.gl_pathc; i++)
                        (void) write_text(below.gl_pathv[i] + strlen(mount_path), CGROUP_CONTROLLERS_FILE,
                                        minus);
                globfree(&below);
        }
        cr_assert(write_text(parent, CGROUP_CONTROLLERS_FILE, minus), "%s", minus);
}

/* What was set is gone with it; it is set again in the files that there are by then. */
Test(cgroup_driver, controllers_that_were_taken_are_given_again) {
        const struct {
                Setting setting;
                uint64_t value;
        } cases[] = {
                { SETTING_CPU_MAX, 300000 },
                { SETTING_MEMORY_MAX, 128 * MIB },
                { SETTING_TASKS_MAX, 44 },
                { SETTING_IO_WEIGHT, 250 },
                { SETTING_HUGETLB_2M, 4 * MIB },
        };
        TenantGroup *group = ensure("test-taken");
        size_t skipped = 0;

        cr_assert_eq(cgroup_parent_give_controllers(driver), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const SettingInfo *info = setting_info(cases[i].setting);
                Settings changes = { 0 }, holds;
                const char *name = controller_to_string(info->controller);
                uint32_t have, wanted;

                if (!(cgroup_driver_settings(driver) & (1U << cases[i].setting))) {
                        skipped++;
                        continue;
                }
                settings_put(&changes, cases[i].setting, cases[i].value);
                cr_assert_eq(tenant_group_apply(group, &changes), 0);
                cr_assert_eq(tenant_group_observe(group, &holds), 0);

                take_from_parent(info->controller);
                cr_assert_eq(tenant_group_observe(group, &holds), 0, "%s", info->file);
                cr_assert_not(settings_has(&holds, cases[i].setting), "%s", info->file);
                cr_assert_eq(cgroup_parent_observe_controllers(driver, &have, &wanted), 0);
                cr_assert_eq(wanted & ~have, 1U << info->controller, "%s", name);

                cr_assert_eq(cgroup_parent_give_controllers(driver), 1, "%s", name);
                cr_assert_eq(cgroup_parent_observe_controllers(driver, &have, &wanted), 0);
                cr_assert_eq(have, wanted, "%s", name);
                cr_assert_eq(tenant_group_apply(group, &changes), 0, "%s", info->file);
                cr_assert_eq(tenant_group_observe(group, &holds), 0);
                cr_assert(settings_has(&holds, cases[i].setting), "%s", info->file);
                cr_assert_eq(holds.value[cases[i].setting], cases[i].value, "%s", info->file);
        }
        remove_group(group);
        if (skipped == ELEMENTSOF(cases))
                skip("no controller here");
}

/* The first of the lowest block devices; false: this node shows none. */
static bool find_disk(char *ret_number) {
        _cleanup_free_ BlockDevice *devices = NULL;
        _cleanup_free_ char *text = NULL;
        size_t n = 0;

        if (block_devices_text("", &text) < 0 || block_devices_read("", text, &devices, &n) < 0)
                return false;
        for (size_t i = 0; i < n; i++)
                if (devices[i].leaf) {
                        (void) strcpy(ret_number, devices[i].number);
                        return true;
                }
        return false;
}

Test(cgroup_driver, limits_by_device) {
        _cleanup_limit_set_ LimitSet wanted = LIMIT_SET_NULL, holds = LIMIT_SET_NULL, after = LIMIT_SET_NULL;
        LimitLine gone = { LIMIT_IO_MAX, "4095:7", { 5, UNLIMITED, UNLIMITED, UNLIMITED } };
        _cleanup_free_ LimitLine *changes = NULL, *reset = NULL;
        char disk[RESOURCE_TARGET_SIZE], text[LIMIT_TEXT_SIZE];
        TenantGroup *group;
        size_t n;

        if (!(cgroup_driver_limits(driver) & (1U << LIMIT_IO_MAX)) || !find_disk(disk))
                skip("no io.max, or no block device here");
        group = ensure("test-limits");
        cr_assert_eq(limit_set_put(&wanted, LIMIT_IO_MAX, disk, IO_MAX_WRITE_BYTES, 3 * MIB), 0);
        cr_assert_eq(limit_set_diff(&holds, &wanted, cgroup_driver_limits(driver), &changes, &n), 0);
        cr_assert_eq(tenant_group_apply_limits(group, changes, n), 0);
        (void) snprintf(text, sizeof(text), "%s rbps=max wbps=3145728 riops=max wiops=max", disk);
        assert_text(tenant_group_path(group), "io.max", text);
        cr_assert_eq(tenant_group_observe_limits(group, cgroup_driver_limits(driver), &holds), 0);
        cr_assert(limit_set_equal(&holds, &wanted));
        if (is_systemd) {
                cr_assert_eq(run("systemctl daemon-reload"), 0);
                assert_text(tenant_group_path(group), "io.max", text);
        }
        cr_assert_eq(tenant_group_apply_limits(group, &gone, 1), 0, "a device that has gone is passed over");

        cr_assert_eq(limit_set_diff(&holds, &(LimitSet) LIMIT_SET_NULL, cgroup_driver_limits(driver), &reset,
                                     &n),
                        0);
        cr_assert_eq(tenant_group_apply_limits(group, reset, n), 0);
        cr_assert_eq(tenant_group_observe_limits(group, cgroup_driver_limits(driver), &after), 0);
        cr_assert_eq(after.n, 0);
        remove_group(group);
}

Test(cgroup_driver, parent) {
        Settings changes = { 0 }, holds;
        SiblingWeights siblings, before;

        cr_assert_eq(cgroup_parent_observe(driver, &holds, &before), 0);
        if (!(cgroup_driver_settings(driver) & (1U << SETTING_CPU_WEIGHT))) {
                cr_assert_eq(before.cpu, 0);
                skip("no cpu and memory controllers here");
        }
        settings_put(&changes, SETTING_CPU_WEIGHT, 1234);
        settings_put(&changes, SETTING_IO_WEIGHT, 321);
        settings_put(&changes, SETTING_MEMORY_MIN, 4 * MIB);
        settings_put(&changes, SETTING_MEMORY_LOW, 8 * MIB);
        cr_assert_eq(cgroup_parent_apply(driver, &changes), 0);
        assert_text(cgroup_driver_parent(driver), "cpu.weight", "1234");
        assert_text(cgroup_driver_parent(driver), "memory.min", "4194304");
        assert_text(cgroup_driver_parent(driver), "memory.low", "8388608");
        cr_assert_eq(cgroup_parent_observe(driver, &holds, &siblings), 0);
        cr_assert_eq(holds.value[SETTING_CPU_WEIGHT], 1234);
        cr_assert_eq(holds.value[SETTING_IO_WEIGHT], 321);
        cr_assert_eq(siblings.cpu, before.cpu, "our own weight is not a sibling's");
        cr_assert_eq(siblings.io, before.io);
        settings_put(&changes, SETTING_IO_WEIGHT, 100);
        settings_put(&changes, SETTING_CPU_WEIGHT, 100);
        settings_put(&changes, SETTING_MEMORY_MIN, 0);
        settings_put(&changes, SETTING_MEMORY_LOW, 0);
        cr_assert_eq(cgroup_parent_apply(driver, &changes), 0);
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

/* As a daemon leaves it that was killed, or refused, between the two calls that make one. */
Test(cgroup_driver, configured_and_never_started_goes) {
        char path[PATH_MAX];

        if (!is_systemd)
                skip("a directory is made by one call");
        snprintf(path, sizeof path, "%s/headgate.slice/headgate-never.slice", mount_path);
        cr_assert_eq(run("systemctl set-property --runtime headgate-never.slice CPUWeight=79"), 0);
        cr_assert_eq(access(path, F_OK), 0, "systemd has not made it");
        cr_assert_eq(tenant_group_remove(driver, "never"), 0);
        cr_assert_eq(access(path, F_OK), -1, "it is left");
}

/* What somebody has in it is not stopped, though no process is there: a unit that has ended and stays, and
 * one that is to be started as soon as another is. */
Test(cgroup_driver, a_unit_without_a_process_stays) {
        TenantGroup *group;

        if (!is_systemd)
                skip("systemd's alone");
        group = ensure("test-used");
        cr_assert_eq(run("systemd-run --quiet --collect --unit=hg-test-stays -p Type=oneshot "
                         "--remain-after-exit "
                         "--slice='headgate-test\\x2dused.slice' true"),
                        0);
        cr_assert_eq(tenant_group_populated(group), 0);
        cr_expect_eq(tenant_group_remove(driver, "test-used"), -EBUSY);
        cr_expect_eq(run("systemctl --quiet is-active hg-test-stays"), 0, "it was stopped");
        cr_assert_eq(run("systemctl stop hg-test-stays"), 0);

        cr_assert_eq(run("systemd-run --quiet --collect --no-block --unit=hg-test-first -p Type=oneshot "
                         "sleep "
                         "infinity"),
                        0);
        cr_assert_eq(run("systemd-run --quiet --collect --no-block --unit=hg-test-waits -p "
                         "After=hg-test-first.service "
                         "--slice='headgate-test\\x2dused.slice' sleep infinity"),
                        0);
        cr_assert_eq(tenant_group_populated(group), 0);
        cr_expect_eq(tenant_group_remove(driver, "test-used"), -EBUSY);
        cr_expect_eq(run("systemctl list-jobs | grep -q hg-test-waits"), 0, "it is started no more");
        cr_assert_eq(run("systemctl stop hg-test-waits hg-test-first"), 0);
        remove_group(group);
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
