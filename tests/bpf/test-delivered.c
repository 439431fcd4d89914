/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sums of what was delivered outlive who kept them, begin anew with each window, and give way once they are
 * of nobody. */

#include "host.h"

#include "meter/delivered.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(delivered, .init = host_init, .fini = host_deinit, .timeout = 60);

#define ROWS 3

static bool lives(const char *id, void *userdata) {
        return strcmp(id, userdata) != 0;
}

static Delivered *open_table(const char *pin_dir) {
        Delivered *delivered;
        int r = delivered_new(pin_dir, ROWS, &delivered);

        cr_assert(r == 0, "%s", strerror(-r));
        return delivered;
}

/* Of window `start_usec`, where everybody lives but `gone`. */
static Delivery *find(Delivered *delivered, const char *id, uint64_t start_usec, const char *gone) {
        return delivered_find(delivered, id, start_usec, lives, (void *) gone);
}

Test(delivered, outlives_its_keeper) {
        _cleanup_free_ char *pin_dir = NULL;
        Delivered *delivered;
        Delivery *sum;

        cr_assert_eq(pin_dir_make(host_bpffs(), "delivered", &pin_dir), 0);
        delivered = open_table(pin_dir);
        sum = find(delivered, "a-1", 100, "");
        cr_assert_not_null(sum);
        cr_expect_eq(sum->present, 0);
        *sum = (Delivery){ 1, { 77 } };
        delivered_free(delivered);

        delivered = open_table(pin_dir);
        sum = find(delivered, "a-2", 100, "");
        cr_expect(sum && sum->present == 0, "another's");
        sum = find(delivered, "a-1", 100, "");
        cr_expect(sum && sum->present == 1 && sum->value[0] == 77, "its own");
        sum = find(delivered, "a-1", 200, "");
        cr_expect(sum && sum->present == 0 && sum->value[0] == 0, "the next window begins anew");
        delivered_free(delivered);
        cr_expect_eq(pin_dir_remove(pin_dir), 0);
}

Test(delivered, no_more_room) {
        Delivered *delivered = open_table(NULL);
        Delivery *b;

        cr_expect_not_null(find(delivered, "a", 1, ""));
        b = find(delivered, "b", 1, "");
        cr_assert_not_null(b);
        *b = (Delivery){ 1, { 77 } };
        cr_expect_not_null(find(delivered, "c", 1, ""));
        cr_expect_null(find(delivered, "d", 1, ""), "there is room for three");
        cr_expect_eq(b->value[0], 77, "and who has it keeps it");
        cr_expect_eq(find(delivered, "d", 1, "b"), b, "one of them is gone");
        cr_expect_eq(b->value[0], 0, "with what it had");
        delivered_free(delivered);
}
