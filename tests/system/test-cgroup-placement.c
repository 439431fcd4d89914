/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* CPUs of groups by both drivers, against a real kernel: what is given is read back by the test itself. */

#include "driver.h"
#include "enforce/cgroup-placement.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(cgroup_placement, .init = driver_setup, .fini = driver_teardown, .timeout = 300);

static CpuSet one(unsigned number) {
        CpuSet set = {};

        cpu_set_add(&set, number);
        return set;
}

/* Where there are two CPUs and a controller. */
static void skip_where_nothing_can_be_placed(void) {
        if (!feature_set_get(&features, "cpuset")->available)
                skip("no cpuset controller");
        if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
                skip("one CPU alone");
}

Test(cgroup_placement, given_and_taken_off) {
        CpuSet cpus = one(1), nodes = one(0), none = {};
        GroupPlacement found;
        TenantGroup *group;

        skip_where_nothing_can_be_placed();
        group = ensure("test-placement");
        cr_assert_eq(tenant_group_observe_placement(group, &found), 0);
        cr_expect(cpu_set_is_empty(&found.placement.cpus), "a new group is anywhere");
        cr_assert_eq(tenant_group_place(group, &cpus, &nodes), 0);
        assert_text(tenant_group_path(group), "cpuset.cpus", "1");
        assert_text(tenant_group_path(group), "cpuset.cpus.effective", "1");
        assert_text(tenant_group_path(group), "cpuset.mems", "0");
        cr_assert_eq(tenant_group_observe_placement(group, &found), 0);
        cr_expect(found.available && cpu_set_equal(&found.placement.cpus, &cpus) &&
                        cpu_set_equal(&found.placement.nodes, &nodes) &&
                        cpu_set_equal(&found.usable_cpus, &cpus));
        cr_assert_eq(tenant_group_place(group, &none, &none), 0);
        cr_assert_eq(tenant_group_observe_placement(group, &found), 0);
        cr_expect(cpu_set_is_empty(&found.placement.cpus) && cpu_set_is_empty(&found.placement.nodes));
        remove_group(group);
}

/* What who delegates a group gives it, and what we leave as it is. */
static void give_root(const char *text) {
        if (!is_systemd)
                cr_assert(write_text(root, "cpuset.cpus.exclusive", text), "%s", text);
}

static void assert_root(const char *text) {
        if (!is_systemd)
                assert_text(root, "cpuset.cpus.exclusive", text);
}

Test(cgroup_placement, alone) {
        CpuSet cpus = one(1), none = {};
        GroupPlacement found;
        TenantGroup *group;

        skip_where_nothing_can_be_placed();
        group = ensure("test-alone");
        cr_assert_eq(tenant_group_place(group, &cpus, &none), 0);
        cr_assert_eq(tenant_group_observe_placement(group, &found), 0);
        cr_expect_eq(found.can_be_alone, feature_set_get(&features, "cpuset.exclusive")->available);
        if (found.can_be_alone) {
                give_root("0-1");
                cr_assert_eq(cgroup_parent_give(driver, &cpus), 0);
                cr_assert_eq(tenant_group_make_partition(group, &cpus), 0);
                assert_text(tenant_group_path(group), "cpuset.cpus.partition", "root");
                assert_text(tenant_group_path(group), "cpuset.cpus.exclusive", "1");
                cr_assert_eq(tenant_group_observe_placement(group, &found), 0);
                cr_expect(found.placement.alone && cpu_set_equal(&found.alone, &cpus));
        }
        cr_assert_eq(tenant_group_unmake_partition(group), 0);
        assert_text(tenant_group_path(group), "cpuset.cpus.partition", "member");
        cr_assert_eq(cgroup_parent_give(driver, &none), 0);
        if (found.can_be_alone)
                assert_root("0-1");
        cr_assert_eq(tenant_group_place(group, &none, &none), 0);
        cr_assert_eq(tenant_group_observe_placement(group, &found), 0);
        cr_expect(cpu_set_is_empty(&found.alone) && !found.placement.alone);
        remove_group(group);
}
