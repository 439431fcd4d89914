/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What is remembered of devices within a turn. Which device is a layer is seen in a guest, where there are
 * some (tests/system/test-block-layers).
 */

#include "meter/block-layer.h"

#include <criterion/criterion.h>
#include <linux/major.h>

Test(block_layer, of_what_is_not_there) {
        cr_expect(block_is_layer(LOOP_MAJOR, 0));
        cr_expect_not(block_is_layer(4000, 1)); /* no such device */
}

/* Groups name the same devices, in the same order or another. */
Test(block_layer, each_is_looked_at_once_a_turn) {
        BlockLayers layers = {};

        for (unsigned turn = 0; turn < 2; turn++) {
                for (unsigned group = 0; group < 3; group++)
                        for (unsigned i = 0; i < 20; i++) {
                                unsigned minor = group == 1 ? 19 - i : i;
                                unsigned major = minor % 2 ? LOOP_MAJOR : 4000;

                                cr_expect_eq(block_layers_have(major, minor, &layers), minor % 2);
                        }
                cr_expect_eq(layers.n, 20);
                block_layers_forget(&layers);
                cr_expect_eq(layers.n, 0);
        }
        block_layers_deinit(&layers);
}
