/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* When two plans of an uplink are the same, and whose class is where in one. */

#include "model/network.h"
#include "util/cleanup.h"

#include <criterion/criterion.h>

Test(network, plans_that_differ) {
        static const struct {
                const char *name;
                uint64_t capacity_bps;
                uint16_t overhead_bytes;
                size_t n;
                NetClass last;
                bool same_link, equal;
        } cases[] = {
                { "in nothing", 100, 4, 2, { 2, 1, 10, 20 }, true, true },
                { "in capacity", 101, 4, 2, { 2, 1, 10, 20 }, false, false },
                { "in overhead", 100, 0, 2, { 2, 1, 10, 20 }, false, false },
                { "in how many", 100, 4, 1, { 2, 1, 10, 20 }, true, false },
                { "in slot", 100, 4, 2, { 3, 1, 10, 20 }, true, false },
                { "in priority", 100, 4, 2, { 2, 2, 10, 20 }, true, false },
                { "in floor", 100, 4, 2, { 2, 1, 11, 20 }, true, false },
                { "in ceiling", 100, 4, 2, { 2, 1, 10, 21 }, true, false },
        };
        NetClass classes[] = { { SLOT_DEFAULT, 1, 1, 100 }, { 2, 1, 10, 20 } };
        const NetPlan plan = { "eth0", 100, classes, ELEMENTSOF(classes), 4 };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                NetClass others[] = { classes[0], cases[i].last };
                const NetPlan other = { "eth0", cases[i].capacity_bps, others, cases[i].n,
                        cases[i].overhead_bytes };

                cr_expect_eq(net_plan_same_link(&plan, &other), cases[i].same_link, "%s", cases[i].name);
                cr_expect_eq(net_plan_equal(&plan, &other), cases[i].equal, "%s", cases[i].name);
        }
}

Test(network, a_slot_has_its_class) {
        NetClass classes[] = { { SLOT_DEFAULT, 1, 1, 100 }, { 2, 1, 10, 20 }, { 7, 1, 10, 20 },
                { 9, 1, 10, 20 } };
        static const struct {
                uint32_t slot;
                size_t at;
                bool found;
        } cases[] = { { SLOT_DEFAULT, 0, true }, { 2, 1, true }, { 3, 2, false }, { 7, 2, true },
                { 8, 3, false }, { 9, 3, true }, { 10, 4, false } };
        const NetPlan plan = { "eth0", 100, classes, ELEMENTSOF(classes), 4 }, none = { "eth0", 100 };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                bool found = !cases[i].found;

                cr_expect_eq(net_plan_search(&plan, cases[i].slot, &found), cases[i].at, "slot %u",
                                cases[i].slot);
                cr_expect_eq(found, cases[i].found, "slot %u", cases[i].slot);
                cr_expect_eq(net_plan_find_class(&plan, cases[i].slot),
                                cases[i].found ? &classes[cases[i].at] : NULL, "slot %u", cases[i].slot);
        }
        cr_expect_null(net_plan_find_class(&none, 2));
}
