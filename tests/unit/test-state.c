/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "state.h"

#include "util/strv.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>

static char directory[] = "/tmp/headgate-state-XXXXXX";

static void make_directory(void) {
        cr_assert_not_null(mkdtemp(directory));
}

static void remove_directory(void) {
        char command[96];

        snprintf(command, sizeof command, "rm -r %s", directory);
        cr_expect_eq(system(command), 0);
}

TestSuite(state, .init = make_directory, .fini = remove_directory);

static State *open_state(Node *node, char ***ret_lost) {
        State *state = NULL;

        *ret_lost = NULL;
        cr_assert_eq(state_open(directory, false, 100, node, &state, ret_lost), 0);
        return state;
}

/* With something in every field, so that one that is forgotten shows. */
static Allocation *full_allocation(void) {
        Allocation *a;

        cr_assert_eq(allocation_new(&a), 0);
        a->id = strdup("a-1");
        a->tenant_id = strdup("acme");
        a->generation = UINT64_MAX - 1;
        a->issuer = strdup("central 算力");
        cr_assert_eq(string_map_put(&a->external_ids, "slurm", "42"), 0);
        a->project_id = strdup("p");
        a->reservation_id = strdup("r");
        a->start_usec = 5;
        a->start_given = true;
        a->end_usec = UINT64_MAX;
        a->duration_usec = 9;
        a->end_signal = 1;
        a->grace_usec = 8;
        a->on_end = ON_END_KILL;
        a->qos_class = QOS_CLASS_BURSTABLE;
        cr_assert_eq(resource_set_put(&a->resources, RESOURCE_NET_EGRESS, "eth1", (Amount){ 7, UNLIMITED }),
                        0);
        cr_assert_eq(strv_push(&a->users, "alice"), 0);
        cr_assert_eq(string_map_put(&a->labels, "k", "v"), 0);
        cr_assert_eq(string_map_put(&a->extensions, "x_k", "v"), 0);
        a->owner = 1234;
        a->state = ALLOCATION_ENDING;
        a->reason = strdup("its window closed");
        a->actual_start_usec = 6;
        a->actual_end_usec = 7;
        return a;
}

Test(state, what_was_committed_comes_back_whole) {
        _cleanup_allocation_ Allocation *a = full_allocation();
        const Allocation *back;
        Node node = {}, again = {};
        Tenant *tenant;
        char **lost;
        State *state = open_state(&node, &lost);

        cr_assert_eq(node_add_tenant(&node, "zeta", 100, &tenant), 0);
        cr_assert_eq(state_put_tenant(state, tenant), 0);
        cr_assert_eq(node_add_tenant(&node, "acme", 100, &tenant), 0);
        tenant->residual_memory_bytes = 4096;
        tenant->throttled = true;
        cr_assert_eq(state_begin(state), 0);
        cr_assert_eq(state_put_tenant(state, tenant), 0);
        cr_assert_eq(state_put_allocation(state, a), 0);
        cr_assert_eq(state_commit(state), 0);
        state_free(state);

        state = open_state(&again, &lost);
        cr_expect_null(lost);
        cr_assert_eq(again.calendar.n, 1);
        back = again.calendar.allocations[0];
        cr_expect(allocation_same_request(a, back));
        cr_expect_eq(back->owner, 1234);
        cr_expect_eq(back->state, ALLOCATION_ENDING);
        cr_expect_str_eq(back->reason, "its window closed");
        cr_expect_eq(back->actual_start_usec, 6);
        cr_expect_eq(back->actual_end_usec, 7);
        cr_expect_eq(node_find_tenant(&again, "zeta")->slot, SLOT_FIRST,
                        "slots name rows of counters: they must not move");
        cr_expect_eq(node_find_tenant(&again, "acme")->slot, SLOT_FIRST + 1);
        cr_expect_eq(node_find_tenant(&again, "acme")->residual_memory_bytes, 4096);
        cr_expect(node_find_tenant(&again, "acme")->throttled);
        state_free(state);
        node_deinit(&node);
        node_deinit(&again);
}

Test(state, what_was_rolled_back_does_not) {
        _cleanup_allocation_ Allocation *a = full_allocation();
        Node node = {}, again = {};
        char **lost;
        State *state = open_state(&node, &lost);

        cr_assert_eq(state_begin(state), 0);
        cr_assert_eq(state_put_allocation(state, a), 0);
        state_rollback(state);
        state_free(state);
        state = open_state(&again, &lost);
        cr_expect_eq(again.calendar.n, 0);
        state_free(state);
}

Test(state, released_generations_are_remembered_for_a_week) {
        const uint64_t week = 7ULL * 24 * 3600 * 1000000;
        uint64_t generation;
        Node node = {};
        char **lost;
        State *state = open_state(&node, &lost);

        cr_assert_eq(state_put_released(state, "a", 3, week), 0);
        cr_assert_eq(state_released_generation(state, "a", &generation), 0);
        cr_expect_eq(generation, 3);
        cr_assert_eq(state_put_released(state, "a", 2, week), 0);
        cr_assert_eq(state_released_generation(state, "a", &generation), 0);
        cr_expect_eq(generation, 3, "never back to a lower one");
        cr_assert_eq(state_released_generation(state, "b", &generation), 0);
        cr_expect_eq(generation, 0);
        cr_assert_eq(state_put_released(state, "b", 1, 2 * week + 1), 0);
        cr_assert_eq(state_released_generation(state, "a", &generation), 0);
        cr_expect_eq(generation, 0);
        state_free(state);
}

Test(state, a_damaged_file_is_set_aside_and_said) {
        Node node = {};
        char path[96], **lost;
        State *state;
        int fd;

        snprintf(path, sizeof path, "%s/state.sqlite", directory);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        cr_assert_geq(fd, 0);
        cr_assert_eq(write(fd, "this is no database, and never was one", 38), 38);
        close(fd);
        state = open_state(&node, &lost);
        cr_assert_eq(strv_length(lost), 1);
        cr_expect_not_null(strstr(lost[0], "set aside"));
        strcat(path, ".bad-1");
        cr_expect_eq(access(path, F_OK), 0);
        strv_free(lost);
        state_free(state);
}
