/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/node.h"

#include <criterion/criterion.h>
#include <string.h>

#define SLOT_MAX (SLOT_FIRST + 3)

static Tenant *add(Node *node, const char *id, int expected) {
        Tenant *tenant = NULL;
        int r = node_add_tenant(node, id, SLOT_MAX, &tenant);

        cr_assert_eq(r, expected, "%s: %d, not %d", id, r, expected);
        return tenant;
}

Test(node, a_tenant_has_the_lowest_slot_that_is_free) {
        static const struct {
                const char *name;
                uint32_t taken[3]; /* 0: none */
                uint32_t slot;
        } cases[] = {
                { "none is taken", {}, SLOT_FIRST },
                { "the first is", { SLOT_FIRST }, SLOT_FIRST + 1 },
                { "a gap", { SLOT_FIRST, SLOT_FIRST + 2 }, SLOT_FIRST + 1 },
                { "a gap, in no order", { SLOT_FIRST + 2, SLOT_FIRST, SLOT_FIRST + 3 }, SLOT_FIRST + 1 },
                { "the first is free", { SLOT_FIRST + 1, SLOT_FIRST + 2, SLOT_FIRST + 3 }, SLOT_FIRST },
                { "the last is free", { SLOT_FIRST, SLOT_FIRST + 1, SLOT_FIRST + 2 }, SLOT_MAX },
                { "one is over the highest", { SLOT_MAX + 40 }, SLOT_FIRST },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Node node = {};

                for (size_t k = 0; k < ELEMENTSOF(cases[i].taken) && cases[i].taken[k]; k++) {
                        char id[] = { (char) ('a' + k), '\0' };

                        add(&node, id, 0)->slot = cases[i].taken[k];
                }
                cr_expect_eq(add(&node, "new", 0)->slot, cases[i].slot, "%s", cases[i].name);
                node_deinit(&node);
        }
}

Test(node, news_are_listed_once_and_go_with_their_tenant) {
        Node node = {};
        Tenant *a = add(&node, "a", 0), *b = add(&node, "b", 0);

        node_note_news(&node, a);
        node_note_news(&node, b);
        node_note_news(&node, a);
        cr_expect_eq(node.n_news, 2);
        cr_expect(a->changed && b->changed);
        node_remove_tenant(&node, "a");
        cr_expect_eq(node.n_news, 1);
        cr_expect_eq(node.news[0], b);
        node_deinit(&node);
}

Test(node, tenants_are_ordered_and_found) {
        static const char *const ids[] = { "m", "c", "z", "a" };
        Node node = {};

        for (size_t i = 0; i < ELEMENTSOF(ids); i++)
                add(&node, ids[i], 0);
        add(&node, "one-more", -ENOSPC);
        add(&node, "c", -EEXIST);
        for (size_t i = 1; i < node.n_tenants; i++)
                cr_expect_lt(strcmp(node.tenants[i - 1]->id, node.tenants[i]->id), 0);
        for (size_t i = 0; i < ELEMENTSOF(ids); i++)
                cr_expect_str_eq(node_find_tenant(&node, ids[i])->id, ids[i]);
        cr_expect_null(node_find_tenant(&node, "b"));
        cr_expect_null(node_find_tenant(&node, ""));
        cr_expect_null(node_find_tenant(&node, "zz"));

        node_remove_tenant(&node, "c");
        node_remove_tenant(&node, "c");
        cr_expect_null(node_find_tenant(&node, "c"));
        cr_expect_eq(node.n_tenants, 3);
        cr_expect_eq(add(&node, "one-more", 0)->slot, SLOT_FIRST + 1, "the slot of the one that went");
        node_deinit(&node);
}

/* Its name is the tenant's own, which goes with it. */
Test(node, a_culprit_that_goes_is_forgotten) {
        Node node = {};
        Tenant *alpha = add(&node, "alpha", 0), *beta = add(&node, "beta", 0);

        cr_assert_eq(blames_push(&alpha->blames, beta->id, 5), 0);
        cr_assert_eq(blames_push(&alpha->blames, BLAME_SYSTEM, 7), 0);
        node_remove_tenant(&node, "beta");
        cr_assert_eq(alpha->blames.n, 1);
        cr_expect_str_eq(alpha->blames.entries[0].culprit, BLAME_SYSTEM);
        node_deinit(&node);
}

Test(node, a_culprit_of_several_slots_is_one) {
        Blames blames = {};

        cr_assert_eq(blames_push(&blames, "@system", 5), 0);
        cr_assert_eq(blames_push(&blames, "beta", 7), 0);
        cr_assert_eq(blames_push(&blames, "@system", 4), 0);
        blames_sort(&blames);
        cr_assert_eq(blames.n, 2);
        cr_expect_str_eq(blames.entries[0].culprit, "@system");
        cr_expect_eq(blames.entries[0].nsec, 9);
        cr_expect_str_eq(blames.entries[1].culprit, "beta");
        blames_deinit(&blames);
}
