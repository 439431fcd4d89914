/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a slot keeps of counters that live and die with their groups. No kernel: the counters are made up. */

#include "meter/group-carried.h"

#include <criterion/criterion.h>

#define SLOTS 4U
#define PLACES 3U
#define SLOT 2U

static GroupCarried *carried;

static void make_with(bool falls_by_parts) {
        static const Metric counters[] = { METRIC_CPU_TIME, METRIC_CPU_THROTTLED, METRIC_MEMORY_OOM_KILLS };

        cr_assert_eq(group_carried_new(&(GroupCarriedOptions){ NULL, "rows", "gone", counters, 3, SLOTS,
                                                       PLACES, falls_by_parts },
                                     &carried),
                        0);
}

static void make(void) {
        make_with(/* falls_by_parts= */ false);
}

static void end(void) {
        group_carried_free(carried);
}

TestSuite(group_carried, .init = make, .fini = end);

static uint32_t place(uint64_t id, bool adopted) {
        uint32_t at;

        cr_assert_eq(group_carried_place(carried, SLOT, id, adopted, &at), 0);
        return at;
}

static void note(uint32_t at, uint64_t oom_kills) {
        Sample now = {};

        sample_put(&now, METRIC_MEMORY_OOM_KILLS, oom_kills);
        group_carried_note(carried, at, &now);
}

static uint64_t sum(uint32_t slot) {
        Sample sample = {};

        sample_put(&sample, METRIC_CPU_TIME, 77); /* another's */
        group_carried_sum(carried, slot, 1ULL << METRIC_MEMORY_OOM_KILLS, &sample);
        cr_expect_not(sample_has(&sample, METRIC_CPU_THROTTLED), "it comes from nowhere");
        cr_expect_eq(sample.value[METRIC_CPU_TIME], 77);
        return sample.value[METRIC_MEMORY_OOM_KILLS];
}

Test(group_carried, an_own_group_counts_from_its_beginning) {
        note(place(1, false), 5);
        cr_expect_eq(sum(SLOT), 5);
        cr_expect_eq(sum(SLOT + 1), 0);
}

Test(group_carried, an_adopted_one_from_its_first_note) {
        uint32_t at = place(1, true);

        note(at, 100);
        cr_expect_eq(sum(SLOT), 0);
        note(at, 103);
        cr_expect_eq(sum(SLOT), 3);
        cr_expect_eq(place(1, true), at, "asked again it is where it was");
        note(at, 104);
        cr_expect_eq(sum(SLOT), 4);
}

/* One goes while another runs on: nothing of either is lost, however much the other counted meanwhile. */
Test(group_carried, what_is_gone_stays) {
        uint32_t own = place(1, false), adopted = place(2, true);

        note(own, 10);
        note(adopted, 1000);
        note(adopted, 1007);
        cr_expect_eq(sum(SLOT), 17);
        group_carried_leave(carried, 2);
        cr_expect_eq(sum(SLOT), 17);
        note(own, 5000);
        cr_expect_eq(sum(SLOT), 5007);
        /* The same group again: what it counted in between was not its tenant's. */
        adopted = place(2, true);
        note(adopted, 2000);
        cr_expect_eq(sum(SLOT), 5007);
        note(adopted, 2001);
        cr_expect_eq(sum(SLOT), 5008);
        group_carried_leave(carried, 77); /* nobody's */
        cr_expect_eq(sum(SLOT), 5008);
}

Test(group_carried, a_controller_taken_and_given) {
        uint32_t at = place(1, true);

        note(at, 50);
        note(at, 60);
        note(at, 3);
        cr_expect_eq(sum(SLOT), 13);
}

Test(group_carried, another_slot) {
        uint32_t at = place(1, false);

        note(at, 4);
        cr_assert_eq(group_carried_place(carried, SLOT + 1, 1, true, &at), 0);
        note(at, 6);
        note(at, 7);
        cr_expect_eq(sum(SLOT), 4, "what it was counted stays");
        cr_expect_eq(sum(SLOT + 1), 1);
        group_carried_clear(carried, SLOT);
        cr_expect_eq(sum(SLOT), 0);
        cr_expect_eq(sum(SLOT + 1), 1);
}

Test(group_carried, no_more_than_there_are_places) {
        uint32_t at;

        for (uint64_t id = 1; id <= PLACES; id++)
                note(place(id, false), 1);
        cr_expect_eq(group_carried_place(carried, SLOT, 9, false, &at), -ENOSPC);
        group_carried_leave(carried, 2);
        note(place(9, false), 1);
        cr_expect_eq(sum(SLOT), PLACES + 1);
}

/* A sum over devices, one of which went with what it had: the others' part is not counted again. */
Test(group_carried, a_device_that_goes) {
        uint32_t at;

        group_carried_free(carried);
        make_with(/* falls_by_parts= */ true);
        at = place(1, false);
        note(at, 101);
        note(at, 100);
        cr_expect_eq(sum(SLOT), 101);
        note(at, 105);
        cr_expect_eq(sum(SLOT), 106);
}

/* One that is told: what the others counted meanwhile is counted, however much it is. */
Test(group_carried, a_device_that_is_told_to_go) {
        Sample lost = {};
        uint32_t at;

        group_carried_free(carried);
        make_with(/* falls_by_parts= */ true);
        at = place(1, false);
        sample_put(&lost, METRIC_MEMORY_OOM_KILLS, 60);
        group_carried_lose(carried, at, &lost); /* nothing was noted that could be */
        note(at, 100);
        group_carried_lose(carried, at, &lost);
        note(at, 45);
        cr_expect_eq(sum(SLOT), 105);
        group_carried_lose(carried, at, &(Sample){});
        note(at, 500);
        cr_expect_eq(sum(SLOT), 560);
}
