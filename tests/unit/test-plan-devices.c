/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "decide/plan.h"

#include <criterion/criterion.h>
#include <string.h>

static void add(Node *node, const char *id, AllocationState state, const char *device, uint32_t access) {
        Allocation *a, *replaced;

        cr_assert_eq(allocation_new(&a), 0);
        a->id = strdup(id);
        a->tenant_id = strdup("acme");
        a->state = state;
        cr_assert_eq(resource_set_put(&a->resources, RESOURCE_CPU, "", (Amount){ 0, 100 }), 0);
        if (device)
                cr_assert_eq(device_set_put(&a->devices, device, access), 0);
        cr_assert_eq(calendar_put(&node->calendar, a, &replaced), 0);
}

static const struct {
        const char *name;
        struct {
                AllocationState state;
                const char *device;
                uint32_t access;
        } allocations[3];
        bool closed, was; /* the configuration; an allocation that is over named one */
        bool guarded;
        const char *devices[2];
        uint32_t access; /* of the first */
} cases[] = {
        { "none names any", { { ALLOCATION_ACTIVE, NULL, 0 } }, .guarded = false },
        { "none names any, and the node is closed", { { ALLOCATION_ACTIVE, NULL, 0 } }, .closed = true,
                        .guarded = true },
        { "one does", { { ALLOCATION_ACTIVE, "/dev/a", DEVICE_READ }, { ALLOCATION_ACTIVE, NULL, 0 } },
                        .guarded = true, .devices = { "/dev/a" }, .access = DEVICE_READ },
        { "a union",
                        { { ALLOCATION_ACTIVE, "/dev/b", DEVICE_READ },
                                        { ALLOCATION_ACTIVE, "/dev/a", DEVICE_WRITE } },
                        .guarded = true, .devices = { "/dev/a", "/dev/b" }, .access = DEVICE_WRITE },
        { "a union of access",
                        { { ALLOCATION_ACTIVE, "/dev/a", DEVICE_READ },
                                        { ALLOCATION_HELD, "/dev/a", DEVICE_WRITE } },
                        .guarded = true, .devices = { "/dev/a" }, .access = DEVICE_READ | DEVICE_WRITE },
        { "suspended, it is kept", { { ALLOCATION_SUSPENDED, "/dev/a", DEVICE_READ } }, .guarded = true,
                        .devices = { "/dev/a" }, .access = DEVICE_READ },
        { "in its grace, too", { { ALLOCATION_ENDING, "/dev/a", DEVICE_READ } }, .guarded = true,
                        .devices = { "/dev/a" }, .access = DEVICE_READ },
        { "not before its window", { { ALLOCATION_PENDING, "/dev/a", DEVICE_READ } }, .guarded = true },
        { "nor after", { { ALLOCATION_ENDED, "/dev/a", DEVICE_READ } }, .was = true, .guarded = true },
        { "one that was refused leaves no trace", { { ALLOCATION_FAILED, "/dev/a", DEVICE_READ } },
                        .guarded = false },
};

Test(plan_devices, who_may_open_what) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                TenantPlan plan = {};
                Node node = {};
                Tenant *tenant;
                size_t n = 0;

                cr_assert_eq(node_add_tenant(&node, "acme", 100, &tenant), 0);
                tenant->guarded = cases[i].was;
                for (size_t k = 0; k < 3 && (k == 0 || cases[i].allocations[k].state); k++) {
                        char id[] = { 'a', (char) ('0' + k), '\0' };

                        add(&node, id, cases[i].allocations[k].state, cases[i].allocations[k].device,
                                        cases[i].allocations[k].access);
                }
                plan.tenant = tenant;
                cr_assert_eq(plan_make_devices(
                                             &(PlanInput){ .node = &node, .devices_closed = cases[i].closed },
                                             calendar_tenant(&node.calendar, "acme"), &plan),
                                0);
                cr_expect_eq(plan.guarded, cases[i].guarded, "%s", cases[i].name);
                while (n < 2 && cases[i].devices[n])
                        n++;
                cr_assert_eq(plan.devices.n, n, "%s", cases[i].name);
                for (size_t k = 0; k < n; k++)
                        cr_expect_str_eq(plan.devices.entries[k].name, cases[i].devices[k], "%s",
                                        cases[i].name);
                if (n > 0)
                        cr_expect_eq(plan.devices.entries[0].access, cases[i].access, "%s", cases[i].name);
                device_set_deinit(&plan.devices);
                node_deinit(&node);
        }
}
