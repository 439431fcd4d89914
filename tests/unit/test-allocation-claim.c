/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/allocation-claim.h"

#include <criterion/criterion.h>
#include <string.h>

typedef struct Named {
        const char *name;
        uint64_t reserved;
} Named;

static void put(ResourceSet *set, const Named *named) {
        char target[RESOURCE_TARGET_SIZE];
        ResourceKind kind;

        cr_assert_eq(resource_parse_name(named->name, &kind, target), 0, "%s", named->name);
        cr_assert_eq(resource_set_put(set, kind, target, (Amount){ named->reserved, UNLIMITED }), 0);
}

/* What is asked for, and what it claims where the default uplink is eth0. */
static const struct {
        const char *name;
        Named asked[4], claims[4];
} cases[] = {
        { "as it is named", { { "cpu", 500 }, { "memory", 7 } }, { { "cpu", 500 }, { "memory", 7 } } },
        { "nothing reserved", { { "cpu", 0 }, { "tasks", 0 } }, {} },
        { "the default uplink", { { "net.egress", 5 } }, { { "net.egress@eth0", 5 } } },
        { "another uplink", { { "net.egress@eth1", 5 } }, { { "net.egress@eth1", 5 } } },
        { "the default uplink by both names", { { "net.egress", 5 }, { "net.egress@eth0", 2 } },
                        { { "net.egress@eth0", 7 } } },
        { "every block device that is there", { { "io.read", 5 } },
                        { { "io.read@8:0", 5 }, { "io.read@8:16", 5 } } },
        { "one of them, and all", { { "io.read", 5 }, { "io.read@8:16", 2 } },
                        { { "io.read@8:0", 5 }, { "io.read@8:16", 7 } } },
        { "one that was there", { { "io.read@8:32", 5 } }, { { "io.read@8:32", 5 } } },
        { "one of which nothing is known", { { "io.read@8:48", 5 }, { "io.write", 5 } }, {} },
};

static void put_devices(Calendar *calendar) {
        static const ResourceKind kind = RESOURCE_IO_READ;

        cr_assert_eq(resource_set_put(&calendar->devices, kind, "8:0", (Amount){ 0, 1 }), 0);
        cr_assert_eq(resource_set_put(&calendar->devices, kind, "8:16", (Amount){ 0, 1 }), 0);
        cr_assert_eq(resource_set_put(&calendar->devices, kind, "8:32", (Amount){ 0, 0 }), 0);
}

Test(allocation_claim, is_what_the_calendar_sums) {
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_resource_set_ ResourceSet claims = RESOURCE_SET_NULL;
                Calendar calendar = { .default_uplink = "eth0" };
                _cleanup_allocation_ Allocation *a = NULL;
                size_t n = 0;

                put_devices(&calendar);
                cr_assert_eq(allocation_new(&a), 0);
                for (size_t k = 0; cases[i].asked[k].name; k++)
                        put(&a->resources, &cases[i].asked[k]);
                cr_assert_eq(allocation_claims(&calendar, a, &claims), 0);
                for (; cases[i].claims[n].name; n++) {
                        char name[RESOURCE_NAME_SIZE];

                        cr_assert_lt(n, claims.n, "%s: %s", cases[i].name, cases[i].claims[n].name);
                        resource_format_name(claims.entries[n].kind, claims.entries[n].target, name);
                        cr_expect_str_eq(name, cases[i].claims[n].name, "%s", cases[i].name);
                        cr_expect_eq(claims.entries[n].amount.reserved, cases[i].claims[n].reserved, "%s: %s",
                                        cases[i].name, name);
                }
                cr_expect_eq(claims.n, n, "%s", cases[i].name);
                calendar_deinit(&calendar);
        }
}

Test(allocation_claim, is_told_by_the_name_of_the_request) {
        Calendar calendar = { .default_uplink = "eth0" };
        const Resource claim = { .kind = RESOURCE_NET_EGRESS, .target = "eth0" };
        _cleanup_allocation_ Allocation *a = NULL;

        cr_assert_eq(allocation_new(&a), 0);
        cr_expect_null(allocation_claim_entry(&calendar, a, &claim));
        cr_expect_str_eq(allocation_claim_name(&calendar, a, &claim).target, "eth0", "nobody named it");
        put(&a->resources, &(Named){ "net.egress", 5 });
        cr_expect_str_eq(allocation_claim_name(&calendar, a, &claim).target, "");
        put(&a->resources, &(Named){ "io.read", 5 });
        cr_expect_str_eq(allocation_claim_name(&calendar, a, &(Resource){ RESOURCE_IO_READ, "8:0", { 5, 0 } })
                                         .target,
                        "8:0", "of every device, the one that is meant");
}

Test(allocation_claim, follows_what_the_calendar_counts) {
        Calendar calendar = { .default_uplink = "eth0" };
        Allocation *a, *replaced;

        cr_assert_eq(allocation_new(&a), 0);
        a->id = strdup("a");
        a->tenant_id = strdup("t");
        a->start_usec = 10;
        a->end_usec = 20;
        put(&a->resources, &(Named){ "net.egress", 5 });
        put(&a->resources, &(Named){ "net.egress@eth0", 2 });
        cr_assert_eq(calendar_put(&calendar, a, &replaced), 0);
        cr_expect_eq(allocation_claim(a, RESOURCE_NET_EGRESS, "eth0"), 7);
        cr_expect_eq(allocation_claim(a, RESOURCE_NET_EGRESS, ""), 0, "a name is no claim");
        cr_expect_eq(timeline_level(calendar_reserved(&calendar, RESOURCE_NET_EGRESS, "eth0"), 15), 7);
        calendar_discount(&calendar, a);
        cr_expect_eq(timeline_level(calendar_reserved(&calendar, RESOURCE_NET_EGRESS, "eth0"), 15), 0);
        calendar_deinit(&calendar);
}

static uint64_t level(const Calendar *calendar, const char *device) {
        const Timeline *timeline = calendar_reserved(calendar, RESOURCE_IO_READ, device);

        return timeline ? timeline_level(timeline, 15) : 0;
}

Test(allocation_claim, follows_devices_that_come_and_go) {
        _cleanup_resource_set_ ResourceSet one = RESOURCE_SET_NULL, two = RESOURCE_SET_NULL;
        Calendar calendar = { .default_uplink = "eth0" };
        static const char *const names[] = { "io.read", "io.read@8:16" };
        Allocation *a, *replaced;

        cr_assert_eq(resource_set_put(&one, RESOURCE_IO_READ, "8:0", (Amount){ 0, 100 }), 0);
        cr_assert_eq(resource_set_copy(&one, &two), 0);
        cr_assert_eq(resource_set_put(&two, RESOURCE_IO_READ, "8:16", (Amount){ 0, 100 }), 0);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                cr_assert_eq(allocation_new(&a), 0);
                a->id = strdup(names[i]);
                a->tenant_id = strdup("t");
                a->start_usec = 10;
                a->end_usec = 20;
                put(&a->resources, &(Named){ names[i], 5 });
                cr_assert_eq(calendar_put(&calendar, a, &replaced), 0);
        }
        cr_expect_eq(level(&calendar, "8:0"), 0, "nothing is known yet");
        cr_assert_eq(calendar_set_devices(&calendar, &two), 0);
        cr_expect_eq(level(&calendar, "8:0"), 5);
        cr_expect_eq(level(&calendar, "8:16"), 10);
        cr_assert_eq(calendar_set_devices(&calendar, &one), 0);
        cr_expect_eq(level(&calendar, "8:0"), 5);
        cr_expect_eq(level(&calendar, "8:16"), 5, "who names it still claims it, and is short of it");
        calendar_deinit(&calendar);
}
