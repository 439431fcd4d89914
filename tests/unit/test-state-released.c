/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Generations of what was released, which the state remembers for a week, so that none comes back. */

#include "state-directory.h"

#define WEEK (7ULL * 24 * 3600 * 1000000) /* microseconds */
#define NOW 1796000000000000ULL           /* since 1970 */

TestSuite(state_released, .init = make_directory, .fini = remove_directory);

static uint64_t released_generation(const State *state, const char *id) {
        uint64_t generation;

        cr_assert_eq(state_released_generation(state, id, &generation), 0);
        return generation;
}

Test(state_released, are_remembered_for_a_week) {
        Node node = {};
        char **lost;
        State *state = open_state(&node, &lost);

        cr_assert_eq(state_put_released(state, "a", 3, WEEK), 0);
        cr_expect_eq(released_generation(state, "a"), 3);
        cr_assert_eq(state_put_released(state, "a", 2, WEEK), 0);
        cr_expect_eq(released_generation(state, "a"), 3, "never back to a lower one");
        cr_expect_eq(released_generation(state, "b"), 0);
        cr_assert_eq(state_put_released(state, "b", 1, 2 * WEEK + 1), 0);
        cr_expect_eq(released_generation(state, "a"), 0);
        state_free(state);
}

/* Enough of them that each is looked at. */
static void release_others(State *state, uint64_t now_usec) {
        for (int i = 0; i < 8; i++) {
                char id[16];

                snprintf(id, sizeof(id), "other-%d", i);
                cr_assert_eq(state_put_released(state, id, 1, now_usec), 0);
        }
}

Test(state_released, are_not_forgotten_by_a_clock_that_is_not_trusted) {
        Node node = {};
        char **lost;
        State *state = open_state(&node, &lost);

        cr_assert_eq(state_put_released(state, "dated", 3, NOW), 0);
        cr_assert_eq(state_put_released(state, "in-the-dark", 4, 0), 0);
        release_others(state, 0);
        cr_expect_eq(released_generation(state, "dated"), 3, "nothing goes by a clock that is not trusted");
        release_others(state, NOW + WEEK);
        cr_expect_eq(released_generation(state, "dated"), 3);
        cr_expect_eq(released_generation(state, "in-the-dark"), 4, "its week has just begun");
        release_others(state, NOW + WEEK + 1);
        cr_expect_eq(released_generation(state, "dated"), 0);
        release_others(state, NOW + 2 * WEEK);
        cr_expect_eq(released_generation(state, "in-the-dark"), 4);
        release_others(state, NOW + 2 * WEEK + 1);
        cr_expect_eq(released_generation(state, "in-the-dark"), 0, "nor is it kept for good");
        state_free(state);
}

Test(state_released, of_a_day_to_come_are_not_kept_until_then) {
        Node node = {};
        char **lost;
        State *state = open_state(&node, &lost);

        cr_assert_eq(state_put_released(state, "to-come", 5, 2 * NOW), 0);
        release_others(state, NOW);
        release_others(state, NOW + WEEK);
        cr_expect_eq(released_generation(state, "to-come"), 5);
        release_others(state, NOW + WEEK + 1);
        cr_expect_eq(released_generation(state, "to-come"), 0);
        state_free(state);
}

Test(state_released, many_go_in_their_time) {
        Node node = {}, again = {};
        char **lost, id[16];
        State *state = open_state(&node, &lost);
        int left = 0;

        cr_assert_eq(state_begin(state), 0);
        for (int i = 0; i < 100; i++) {
                snprintf(id, sizeof id, "old-%d", i);
                cr_assert_eq(state_put_released(state, id, 1, WEEK), 0);
        }
        for (int i = 0; i < 101; i++) {
                snprintf(id, sizeof id, "new-%d", i);
                cr_assert_eq(state_put_released(state, id, 1, 2 * WEEK + 1), 0);
        }
        cr_assert_eq(state_commit(state), 0);
        for (int i = 0; i < 100; i++) {
                snprintf(id, sizeof id, "old-%d", i);
                left += released_generation(state, id) != 0;
        }
        cr_expect_eq(left, 0, "%d of 100 are still there", left);
        state_free(state);
        state_free(open_state(&again, &lost));
        cr_expect_null(lost, "what was swept is not missed");
}
