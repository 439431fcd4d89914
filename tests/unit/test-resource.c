/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/resource.h"

#include <criterion/criterion.h>
#include <string.h>

Test(resource, names_come_back) {
        static const char *const names[] = { "cpu", "memory", "swap", "tasks", "net.egress",
                "net.egress@eth1", "net.ingress", "net.ingress@eth1", "io.read", "io.write@8:0",
                "iops.read@259:12", "iops.write", "hugetlb.2M", "hugetlb.1G", "rdma.handles@mlx5_0",
                "rdma.objects@mlx5_0", "misc@sev_es" };

        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
                char target[RESOURCE_TARGET_SIZE], name[RESOURCE_NAME_SIZE];
                ResourceKind kind;

                cr_assert_eq(resource_parse_name(names[i], &kind, target), 0, "%s", names[i]);
                resource_format_name(kind, target, name);
                cr_expect_str_eq(name, names[i]);
        }
}

Test(resource, what_is_no_name) {
        static const char *const names[] = {
                "",
                "cpu@0",
                "CPU",
                "cpu ",
                "net",
                "net.egress@",
                "net.egress@..",
                "net.egress@a/b",
                "net.egress@a b",
                "net.egress@a2345678901234567890123456",
                "io.read@sda",
                "io.read@/dev/sda",
                "io.read@8",
                "io.read@8:",
                "io.read@8:0:1",
                "io.read@08:0",
                "hugetlb.2M@0",
                "rdma.handles",
                "misc",
        };

        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
                char target[RESOURCE_TARGET_SIZE];
                ResourceKind kind;

                cr_expect_eq(resource_parse_name(names[i], &kind, target), -EINVAL, "'%s'", names[i]);
        }
}

Test(resource, a_refusal_says_what_would_do) {
        static const struct {
                const char *name;
                FailureCode code;
                const char *says;
        } cases[] = {
                { "disk", FAILURE_UNKNOWN_KEY, "cpu, memory, swap" },
                { "io.read@sda", FAILURE_INVALID_ALLOCATION, "io.read@8:0" },
                { "rdma.handles", FAILURE_INVALID_ALLOCATION, "rdma.handles@mlx5_0" },
                { "misc", FAILURE_INVALID_ALLOCATION, "misc@sev" },
                { "cpu@0", FAILURE_INVALID_ALLOCATION, "no '@'" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_failure_ Failure failure = FAILURE_NULL;

                cr_expect_eq(resource_refuse_name("Resources", cases[i].name, &failure), (int) cases[i].code);
                cr_expect(strstr(failure.message, cases[i].says), "%s", failure.message);
                cr_expect(strstr(failure.message, cases[i].name), "%s", failure.message);
        }
}

Test(resource, sums_stop_at_unlimited) {
        cr_expect_eq(amount_add(1, 2), 3);
        cr_expect_eq(amount_add(UNLIMITED, 2), UNLIMITED);
        cr_expect_eq(amount_add(UNLIMITED - 1, 2), UNLIMITED);
}

Test(resource, sets_add_entry_by_entry) {
        _cleanup_resource_set_ ResourceSet a = RESOURCE_SET_NULL, b = RESOURCE_SET_NULL;

        cr_assert_eq(resource_set_put(&a, RESOURCE_NET_EGRESS, "eth1", (Amount){ 1, 2 }), 0);
        cr_assert_eq(resource_set_put(&a, RESOURCE_CPU, "", (Amount){ 100, 200 }), 0);
        cr_assert_eq(resource_set_put(&b, RESOURCE_CPU, "", (Amount){ 10, UNLIMITED }), 0);
        cr_assert_eq(resource_set_put(&b, RESOURCE_NET_EGRESS, "", (Amount){ 5, 6 }), 0);
        cr_assert_eq(resource_set_add(&a, &b), 0);
        cr_expect_eq(a.n, 3);
        cr_expect_eq(a.entries[0].kind, RESOURCE_CPU);
        cr_expect_eq(resource_set_get(&a, RESOURCE_CPU, "")->reserved, 110);
        cr_expect_eq(resource_set_get(&a, RESOURCE_CPU, "")->limit, UNLIMITED);
        cr_expect_eq(resource_set_get(&a, RESOURCE_NET_EGRESS, "eth1")->limit, 2);
        cr_expect_eq(resource_set_get(&a, RESOURCE_NET_EGRESS, "")->limit, 6);
        cr_expect_null(resource_set_get(&a, RESOURCE_MEMORY, ""));
}
