/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A change of one class of many: how many messages go to the kernel and come from it, counted where they pass
 * (send() and recv() of this program are wrapped), and what becomes of it where somebody was in the way.
 */

#include "counted.h"
#include "four.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "bpf/flood-guard.h"

#define MANY 1000U

static NetPlan plan_of(NetClass *classes, unsigned n) {
        for (unsigned i = 0; i < n; i++)
                classes[i] = (NetClass){ i, 1, MBPS, UNLIMITED };
        return (NetPlan){ UPLINK, 10000 * MBPS, classes, n };
}

static NetPlan copy_of(const NetPlan *plan, NetClass *classes) {
        NetPlan copy = *plan;

        memcpy(classes, plan->classes, plan->n_classes * sizeof(NetClass));
        copy.classes = classes;
        return copy;
}

/* As the caller of uplink_change() must have it: applied and read back. */
static void apply_and_read_back(Uplink *uplink, const NetPlan *plan) {
        NetPlan observed;

        cr_assert_eq(uplink_apply(uplink, plan, NULL), 0, "%s", uplink_words(uplink));
        cr_assert_eq(uplink_observe(uplink, plan, &observed), 0, "%s", uplink_words(uplink));
        free(observed.classes);
}

/* What uplink_expect() says is what a look shows. */
static void expect_seen(Uplink *uplink, const NetPlan *plan, const char *name) {
        NetPlan observed, expected;

        cr_assert_eq(uplink_observe(uplink, plan, &observed), 0, "%s: %s", name, uplink_words(uplink));
        cr_assert_eq(uplink_expect(uplink, plan, &expected), 0);
        cr_expect(net_plan_equal(&observed, &expected), "%s", name);
        free(observed.classes);
        free(expected.classes);
}

Test(uplink_change, of_one_class) {
        static const struct {
                const char *name;
                uint32_t slot; /* MANY: one that was not there */
                uint64_t floor_bps;
                uint8_t priority;
                unsigned messages;
        } cases[] = {
                { "more", 500, 3 * MBPS, 1, 1 },
                { "less", 500, 2 * MBPS, 1, 1 },
                { "another priority", 500, 2 * MBPS, 2, 1 },
                { "the default class", SLOT_DEFAULT, 5 * MBPS, 1, 1 },
                { "a class more", MANY, MBPS, 1, 2 },
                { "as it is", MANY, MBPS, 1, 0 },
                { "none", 500, 0, 1, 1 },
        };
        _cleanup_pair_ Pair pair = pair_new();
        _cleanup_free_ NetClass *before = calloc(MANY + 1, sizeof(NetClass)),
                                *after = calloc(MANY + 1, sizeof(NetClass));
        NetPlan from = plan_of(before, MANY), to;
        _cleanup_uplink_ Uplink *uplink = open_uplink(NULL);

        apply_and_read_back(uplink, &from);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const unsigned expected = cases[i].messages;
                unsigned changes = 999;

                to = copy_of(&from, after);
                if (cases[i].slot == MANY)
                        to.n_classes = MANY + 1;
                after[cases[i].slot] =
                                (NetClass){ cases[i].slot, cases[i].priority, cases[i].floor_bps, UNLIMITED };
                asked = told = 0;
                cr_expect_eq(uplink_change(uplink, &from, &to, &changes), 1, "%s", cases[i].name);
                cr_expect_eq(changes, expected, "%s: %u", cases[i].name, changes);
                cr_expect_eq(asked, expected, "%s: %u messages to the kernel", cases[i].name, asked);
                cr_expect_eq(told, expected, "%s: %u messages from it", cases[i].name, told);
                expect_seen(uplink, &to, cases[i].name);
                from = copy_of(&to, before);
        }

        /* And one less: it loses its rate, then it goes. */
        to = copy_of(&from, after);
        to.n_classes--;
        asked = told = 0;
        cr_expect_eq(uplink_change(uplink, &from, &to, &(unsigned){ 0 }), 1);
        cr_expect_eq(asked, 2);
        cr_expect_eq(told, 2);
        expect_seen(uplink, &to, "one less");
}

/* So many that a dump is the cheaper way: they are sent, and it is left to the caller. */
Test(uplink_change, of_all_classes) {
        _cleanup_pair_ Pair pair = pair_new();
        _cleanup_free_ NetClass *before = calloc(MANY, sizeof(NetClass)),
                                *after = calloc(MANY, sizeof(NetClass));
        NetPlan from = plan_of(before, MANY), to = plan_of(after, MANY);
        _cleanup_uplink_ Uplink *uplink = open_uplink(NULL);
        unsigned changes = 0;

        apply_and_read_back(uplink, &from);
        for (unsigned i = 0; i < MANY; i++)
                after[i].floor_bps = 2 * MBPS;
        asked = told = 0;
        cr_expect_eq(uplink_change(uplink, &from, &to, &changes), 0);
        cr_expect_eq(changes, MANY);
        cr_expect_eq(asked, MANY);
        cr_expect_eq(told, 0);
        expect_seen(uplink, &to, "all");
}

/* It fails, and what looks at all makes it right. */
Test(uplink_change, somebody_was_in_the_way) {
        static const struct {
                const char *name, *command;
        } cases[] = {
                { "the class gone", "tc class del dev " UPLINK " classid 4847:12" },
                { "the class elsewhere",
                                "tc class del dev " UPLINK " classid 4847:12;"
                                " tc class add dev " UPLINK " parent 4847: classid 4847:12 htb rate 1mbit" },
                { "the tree gone", "tc qdisc del dev " UPLINK " root" },
                { "the interface another", NULL },
        };
        _cleanup_pair_ Pair pair = pair_new();
        _cleanup_uplink_ Uplink *uplink = open_uplink(NULL);
        NetClass classes[ELEMENTSOF(four)];
        NetPlan to = copy_of(&plan_of_four, classes);

        classes[2].floor_bps = 12 * MBPS;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                apply_and_read_back(uplink, &plan_of_four);
                free(run("%s", cases[i].command ? cases[i].command : "ip link del " UPLINK));
                if (!cases[i].command)
                        pair_plug(&pair);
                cr_expect_lt(uplink_change(uplink, &plan_of_four, &to, &(unsigned){ 0 }), 0, "%s",
                                cases[i].name);
                cr_expect_eq(uplink_apply(uplink, &to, NULL), 0, "%s: %s", cases[i].name,
                                uplink_words(uplink));
                EXPECT_CLASS(0x12, " parent 4847:1 ", " rate 12Mbit ", " ceil 20Mbit ");
        }
}

/* The kernel tells a class's qdisc to nobody who does not look: where it is to be as long as another floor
 * takes, all is looked at, and another's is left. */
Test(uplink_change, leaves_what_another_put_into_a_class) {
        static const char other[] = "qdisc pfifo 7: parent 4847:12 limit 7p";
        _cleanup_pair_ Pair pair = pair_new();
        _cleanup_uplink_ Uplink *uplink = open_uplink(NULL);
        NetClass classes[ELEMENTSOF(four)];
        NetPlan from = plan_of_four, to;

        from.capacity_bps = 1000 * MBPS;
        to = copy_of(&from, classes);
        apply_and_read_back(uplink, &from);
        free(run("tc qdisc replace dev " UPLINK " parent 4847:12 handle 7: pfifo limit 7"));
        classes[2].floor_bps = classes[2].ceil_bps = 500 * MBPS;
        cr_expect_eq(uplink_change(uplink, &from, &to, &(unsigned){ 0 }), -ESTALE);
        cr_expect_eq(uplink_apply(uplink, &to, NULL), 0, "%s", uplink_words(uplink));
        EXPECT_CLASS(0x12, " parent 4847:1 ", " rate 500Mbit ");
        {
                _cleanup_free_ char *shown = show_all();

                cr_expect(strstr(shown, other), "it is gone: %s", shown);
        }
}

static struct flood_row guarded(const Uplink *uplink, uint32_t slot) {
        struct flood_row row = {};

        cr_assert_eq(bpf_map_lookup_elem(uplink_floods_fd(uplink), &slot, &row), 0, "%m");
        return row;
}

/* What may be sent before a class's queue is full, in milliseconds; 0: nothing is dropped before it. */
static uint64_t guarded_msec(const Uplink *uplink, uint32_t slot) {
        struct flood_row row = guarded(uplink, slot);

        return row.psec_per_byte > 0 && row.queue_nsec != UINT64_MAX ? row.queue_nsec / 1000000 : 0;
}

static uint64_t queue_msec(Uplink *uplink, uint32_t slot, uint64_t ceil_bps) {
        _cleanup_free_ char *shown = run("tc qdisc show dev " UPLINK " parent 4847:%x", 0x10 + slot);
        const char *limit = strstr(shown, "memory_limit") ?: strstr(shown, " limit");
        unsigned size = 0;
        char unit = 0;

        cr_assert(limit && sscanf(strpbrk(limit, "0123456789"), "%u%c", &size, &unit) == 2, "%s", shown);
        return (uint64_t) size *
               (unit == 'M'                  ? 1 << 20
                               : unit == 'K' ? 1 << 10
                                             : 1) *
               8 * 1000 / (ceil_bps * 9 / 8);
}

/* With an eighth more than its ceiling, and the queue that it has, where that is known. */
Test(uplink_change, tells_what_a_class_can_take) {
        _cleanup_pair_ Pair pair = pair_new();
        _cleanup_features_ FeatureSet features = FEATURE_SET_NULL;
        _cleanup_uplink_ Uplink *uplink = NULL;
        NetClass classes[ELEMENTSOF(four)];
        NetPlan to = copy_of(&plan_of_four, classes);

        cr_assert_eq(uplink_new(&(UplinkOptions){ .ifname = UPLINK, .guarded_slots = 4 }, &features, &uplink),
                        0);
        apply_and_read_back(uplink, &plan_of_four);
        cr_expect_eq(guarded_msec(uplink, 1), queue_msec(uplink, 1, 5 * MBPS), "%lu",
                        guarded_msec(uplink, 1));
        cr_expect_eq(guarded_msec(uplink, 2), queue_msec(uplink, 2, 20 * MBPS), "%lu",
                        guarded_msec(uplink, 2));

        classes[2].ceil_bps = 10 * MBPS;
        cr_expect_eq(uplink_change(uplink, &plan_of_four, &to, &(unsigned){ 0 }), 1);
        cr_expect_eq(guarded_msec(uplink, 2), queue_msec(uplink, 2, 10 * MBPS), "%lu",
                        guarded_msec(uplink, 2));

        free(run("tc qdisc replace dev " UPLINK " parent 4847:12 handle 7: pfifo limit 7"));
        apply_and_read_back(uplink, &to);
        cr_expect_eq(guarded_msec(uplink, 2), 0, "another's queue: %lu", guarded_msec(uplink, 2));
        cr_expect_eq(uplink_change(uplink, &to, &plan_of_four, &(unsigned){ 0 }), 1);
        cr_expect_eq(guarded_msec(uplink, 2), 0, "changed: %lu", guarded_msec(uplink, 2));

        to.n_classes = 2;
        cr_expect_eq(uplink_change(uplink, &plan_of_four, &to, &(unsigned){ 0 }), 1);
        cr_expect_eq(guarded(uplink, 2).psec_per_byte, 0, "it is gone, and of the default class");
        cr_expect_eq(uplink_release(uplink), 0);
        cr_expect_lt(uplink_floods_fd(uplink), 0);
}

/* What is not of classes alone. */
Test(uplink_change, refuses) {
        _cleanup_pair_ Pair pair = pair_new();
        _cleanup_uplink_ Uplink *uplink = open_uplink(NULL);
        NetClass classes[ELEMENTSOF(four)];
        NetPlan to = copy_of(&plan_of_four, classes), other = to;
        unsigned changes = 999;

        apply_and_read_back(uplink, &plan_of_four);
        other.capacity_bps = 2 * CAPACITY;
        cr_expect_eq(uplink_change(uplink, &plan_of_four, &other, &changes), -ESTALE, "another capacity");
        other = to;
        other.overhead_bytes = 24;
        cr_expect_eq(uplink_change(uplink, &plan_of_four, &other, &changes), -ESTALE, "another overhead");
        other = to;
        other.classes++;
        other.n_classes--;
        cr_expect_eq(uplink_change(uplink, &plan_of_four, &other, &changes), -ESTALE, "no default class");
        classes[3].slot = 2;
        cr_expect_eq(uplink_change(uplink, &plan_of_four, &to, &changes), -EINVAL, "a slot twice");
        cr_expect_eq(changes, 999);
}
