/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/node.h"
#include "support/calendar-make.h"

#include <criterion/criterion.h>
#include <string.h>

static Node node;

/* Those that are marked, in order; "all". They are looked at then. */
static const char *look(void) {
        static char text[256];
        size_t n = 0;

        text[0] = '\0';
        for (size_t i = 0; i < node.calendar.marks.n; i++)
                n += (size_t) snprintf(text + n, sizeof text - n, "%s%s", i > 0 ? " " : "",
                                node.calendar.marks.ids[i]);
        if (node.calendar.marks.all)
                strcpy(text, "all");
        calendar_unmark(&node.calendar);
        return text;
}

static void no_steps(Allocation *allocation, AllocationState state, const Instant *now, void *userdata) {
        cr_assert_eq(calendar_set_state(&node.calendar, allocation, state, now), 0);
}

Test(calendar_marks, whoever_changes_is_marked) {
        ResourceSet missing = RESOURCE_SET_NULL, left = RESOURCE_SET_NULL;
        Allocation *a;
        Tenant *tenant;

        a = made_hold(&node.calendar, &(Made){ "a", "acme", 10, 20, .cpu = 100 });
        cr_expect_str_eq(look(), "acme", "put");
        cr_expect_str_eq(look(), "", "and looked at");
        cr_assert_eq(node_add_tenant(&node, "acme", 100, &tenant), 0);
        cr_expect_str_eq(look(), "acme", "added");
        made_hold(&node.calendar, &(Made){ "b", "best", 10, 20, .cpu = 100 });
        cr_expect_str_eq(look(), "best");
        cr_assert_eq(calendar_advance(&node.calendar, &(Instant){ 15, 15 }, false,
                                     &(CalendarSteps){ .enter = no_steps }, NULL),
                        0);
        cr_expect_str_eq(look(), "acme best", "active");
        cr_assert_eq(resource_set_put(&left, RESOURCE_CPU, "", (Amount){ 100, 50 }), 0);
        cr_assert_eq(resource_set_put(&missing, RESOURCE_CPU, "", (Amount){ 100, 50 }), 0);
        calendar_exchange_missing(&node.calendar, a, &missing, &left);
        cr_expect_str_eq(look(), "acme", "short of something");
        cr_expect_eq(node.calendar.n_short, 1);
        cr_expect_eq(missing.n + left.n, 0, "handed out: what was noted before");
        made_hold(&node.calendar, &(Made){ "a", "acme", 10, 30, .cpu = 100 });
        cr_expect_eq(node.calendar.n_short, 0, "another took its place");
        cr_expect_str_eq(look(), "acme");
        allocation_free(calendar_take(&node.calendar, "a"));
        cr_expect_str_eq(look(), "acme", "taken");
        node_remove_tenant(&node, "acme");
        cr_expect_str_eq(look(), "acme", "gone");
        node_deinit(&node);
}

Test(calendar_marks, all_take_the_place_of_many) {
        for (int i = 0; i < 1000; i++)
                calendar_mark(&node.calendar, i % 2 ? "acme" : "best");
        cr_expect_str_eq(look(), "all");
        calendar_mark(&node.calendar, "acme");
        calendar_mark(&node.calendar, "acme");
        cr_expect_eq(node.calendar.marks.n, 1, "one after another is one");
        calendar_mark_all(&node.calendar);
        cr_expect_str_eq(look(), "all");
        node_deinit(&node);
}

/* Who looks at nothing but the number hears of each, marked already or not. */
Test(calendar_marks, each_mark_is_counted) {
        uint64_t before = node.calendar.n_marked;

        calendar_mark(&node.calendar, "acme");
        calendar_mark(&node.calendar, "acme");
        cr_expect_eq(node.calendar.n_marked, before + 2);
        calendar_mark_all(&node.calendar);
        calendar_mark(&node.calendar, "acme");
        cr_expect_eq(node.calendar.n_marked, before + 4);
        calendar_unmark(&node.calendar);
        cr_expect_eq(node.calendar.n_marked, before + 4);
        node_deinit(&node);
}

Test(calendar_marks, the_node_finds_those_that_are_here) {
        size_t cursor = 0;
        Tenant *acme, *best;

        cr_assert_eq(node_add_tenant(&node, "acme", 100, &acme), 0);
        cr_assert_eq(node_add_tenant(&node, "best", 100, &best), 0);
        calendar_unmark(&node.calendar);
        calendar_mark(&node.calendar, "gone");
        calendar_mark(&node.calendar, "best");
        cr_expect_eq(node_next_marked(&node, &cursor), best);
        cr_expect_null(node_next_marked(&node, &cursor));
        calendar_mark_all(&node.calendar);
        cursor = 0;
        cr_expect_eq(node_next_marked(&node, &cursor), acme);
        cr_expect_eq(node_next_marked(&node, &cursor), best);
        cr_expect_null(node_next_marked(&node, &cursor));
        node_deinit(&node);
}
