/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A state in a directory of the test's own, which is gone after it. For tests that are linked with the front.
 */

#include "state.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static char directory[] = "/tmp/headgate-state-XXXXXX";

static void make_directory(void) {
        cr_assert_not_null(mkdtemp(directory));
}

static void remove_directory(void) {
        char command[96];

        snprintf(command, sizeof command, "rm -r %s", directory);
        cr_expect_eq(system(command), 0);
}

static State *open_state(Node *node, char ***ret_lost) {
        State *state = NULL;

        *ret_lost = NULL;
        cr_assert_eq(state_open(directory, false, 100, node, &state, ret_lost), 0);
        return state;
}
