/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sums of what was delivered outlive who kept them, begin anew with each start, and give way once they are of
 * nobody, or of who ended longest ago. */

#include "host.h"

#include "meter/delivered.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(delivered, .init = host_init, .fini = host_deinit, .timeout = 60);

#define ROWS 3

/* Whom these sums are of: when each has ended, by the letter at the end of its id; and who lost one. */
typedef struct Owners {
        uint64_t ended_usec[3]; /* of 'a', 'b' and 'c' */
        char lost[8];
} Owners;

static const Owners all_live = { .ended_usec = { UINT64_MAX, UINT64_MAX, UINT64_MAX } };

static uint64_t ended_usec(const char *id, void *userdata) {
        return ((const Owners *) userdata)->ended_usec[id[strlen(id) - 1] - 'a'];
}

static void note_lost(const char *id, void *userdata) {
        strcat(((Owners *) userdata)->lost, id);
}

static Delivered *open_table(const char *pin_dir) {
        Delivered *delivered;
        int r = delivered_new(pin_dir, ROWS, &delivered);

        cr_assert(r == 0, "%s", strerror(-r));
        return delivered;
}

static Delivery *find_of(Delivered *delivered, const char *id, uint64_t since_usec, Owners *owners) {
        return delivered_find(delivered, id, since_usec, &(DeliveredOwners){ ended_usec, note_lost, owners });
}

static Delivery *find(Delivered *delivered, const char *id, uint64_t since_usec) {
        Owners owners = all_live;

        return find_of(delivered, id, since_usec, &owners);
}

static void count_found(const char *id, uint64_t since_usec, Delivery *sum, void *userdata) {
        cr_expect_str_eq(id, "x-a");
        cr_expect_eq(since_usec, 100);
        cr_expect_eq(sum->value[0], 77);
        ++*(unsigned *) userdata;
}

Test(delivered, outlives_its_keeper) {
        _cleanup_free_ char *pin_dir = NULL;
        Delivered *delivered;
        unsigned n = 0;
        Delivery *sum;

        cr_assert_eq(pin_dir_make(host_bpffs(), "delivered", &pin_dir), 0);
        delivered = open_table(pin_dir);
        sum = find(delivered, "x-a", 100);
        cr_assert_not_null(sum);
        cr_expect_eq(sum->present, 0);
        *sum = (Delivery){ 1, { 77 } };
        delivered_free(delivered);

        delivered = open_table(pin_dir);
        delivered_each(delivered, count_found, &n);
        cr_expect_eq(n, 1, "%u are told of", n);
        sum = find(delivered, "x-b", 100);
        cr_expect(sum && sum->present == 0, "another's");
        sum = find(delivered, "x-a", 100);
        cr_expect(sum && sum->present == 1 && sum->value[0] == 77, "its own");
        sum = find(delivered, "x-a", 200);
        cr_expect(sum && sum->present == 0 && sum->value[0] == 0, "the next start begins anew");
        delivered_free(delivered);
        cr_expect_eq(pin_dir_remove(pin_dir), 0);
}

Test(delivered, who_gives_way) {
        static const struct {
                const char *name;
                Owners owners;
                const char *lost;
        } cases[] = {
                { "all live", { { UINT64_MAX, UINT64_MAX, UINT64_MAX } }, "" },
                { "one is gone", { { UINT64_MAX, 0, 5 } }, "b" },
                { "all are gone", { { 0, 0, 0 } }, "abc" },
                { "the longest ended", { { 9, UINT64_MAX, 5 } }, "c" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Delivered *delivered = open_table(NULL);
                Owners owners = cases[i].owners;
                Delivery *a, *new;

                a = find(delivered, "a", 1);
                cr_assert(a && find(delivered, "b", 1) && find(delivered, "c", 1));
                *a = (Delivery){ 1, { 77 } };
                new = find_of(delivered, "new-a", 1, &owners);
                cr_expect_str_eq(owners.lost, cases[i].lost, "%s: %s", cases[i].name, owners.lost);
                cr_expect_eq(!!new, !!*cases[i].lost, "%s", cases[i].name);
                cr_expect(!new || new->present == 0, "%s: with what another had", cases[i].name);
                cr_expect(strchr(cases[i].lost, 'a') || a->value[0] == 77, "%s: who has it keeps it",
                                cases[i].name);
                delivered_free(delivered);
        }
}
