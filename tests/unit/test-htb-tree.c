/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a plan becomes in HTB's units, and the order of the difference of two trees. */

#include "enforce/htb-tree.h"
#include "enforce/uplink.h"

#include <criterion/criterion.h>
#include <string.h>

#define FRAME 1518U

static const HtbPackets packets = { FRAME, 65536 };
#define TICKS_PER_MSEC (1000000U / 64U)
#define MBPS 1000000ULL

static NetClass default_class = { SLOT_DEFAULT, 1, MBPS, UNLIMITED };

Test(htb_tree, class_of_plan) {
        static const struct {
                const char *name;
                uint64_t capacity_bps;
                NetClass class;
                HtbClass expected;
        } cases[] = {
                { "in bounds", 30 * MBPS, { 2, 1, 10 * MBPS, 20 * MBPS },
                                { .priority = 1,
                                                .rate_bytes = 1250000,
                                                .ceil_bytes = 2500000,
                                                .buffer_ticks = 40 * TICKS_PER_MSEC,
                                                .cbuffer_ticks = 10 * TICKS_PER_MSEC,
                                                .quantum_bytes = 50000 } },
                { "no floor is a 20,000th of the link", 400 * MBPS, { 2, 2, 0, 20 * MBPS },
                                { .priority = 2,
                                                .rate_bytes = 2500,
                                                .ceil_bytes = 2500000,
                                                .buffer_ticks = 2428800000 / 64,
                                                .cbuffer_ticks = 10 * TICKS_PER_MSEC,
                                                .quantum_bytes = FRAME } },
                { "no floor, and no ceiling to speak of, whose burst ends at 60 s", 30 * MBPS, { 2, 2, 0, 8 },
                                { .priority = 2,
                                                .rate_bytes = 1,
                                                .ceil_bytes = 1,
                                                .buffer_ticks = 60000 * (TICKS_PER_MSEC),
                                                .cbuffer_ticks = 60000 * (TICKS_PER_MSEC),
                                                .quantum_bytes = FRAME } },
                { "no floor and no ceiling", 30 * MBPS, { 2, 2, 0, 0 },
                                { .priority = 2,
                                                .rate_bytes = 1,
                                                .ceil_bytes = 1,
                                                .buffer_ticks = 60000 * (TICKS_PER_MSEC),
                                                .cbuffer_ticks = 60000 * (TICKS_PER_MSEC),
                                                .quantum_bytes = FRAME } },
                { "a floor of 1 byte/s is one", 30 * MBPS, { 2, 2, 8, 20 * MBPS },
                                { .priority = 2,
                                                .rate_bytes = 1,
                                                .ceil_bytes = 2500000,
                                                .buffer_ticks = 60000 * (TICKS_PER_MSEC),
                                                .cbuffer_ticks = 10 * TICKS_PER_MSEC,
                                                .quantum_bytes = FRAME } },
                { "no ceiling is the capacity", 30 * MBPS, { 2, 1, 10 * MBPS, UNLIMITED },
                                { .priority = 1,
                                                .rate_bytes = 1250000,
                                                .ceil_bytes = 3750000,
                                                .buffer_ticks = 40 * TICKS_PER_MSEC,
                                                .cbuffer_ticks = 10 * TICKS_PER_MSEC,
                                                .quantum_bytes = 50000 } },
                { "no ceiling below the floor", 30 * MBPS, { 2, 1, 10 * MBPS, 5 * MBPS },
                                { .priority = 1,
                                                .rate_bytes = 1250000,
                                                .ceil_bytes = 1250000,
                                                .buffer_ticks = 40 * TICKS_PER_MSEC,
                                                .cbuffer_ticks = 10 * TICKS_PER_MSEC,
                                                .quantum_bytes = 50000 } },
                { "no floor above the capacity", 30 * MBPS, { 2, 1, 40 * MBPS, UNLIMITED },
                                { .priority = 1,
                                                .rate_bytes = 3750000,
                                                .ceil_bytes = 3750000,
                                                .buffer_ticks = 40 * TICKS_PER_MSEC,
                                                .cbuffer_ticks = 10 * TICKS_PER_MSEC,
                                                .quantum_bytes = 150000 } },
                { "bits that make no byte go", 30 * MBPS, { 2, 1, 10 * MBPS + 7, 20 * MBPS + 7 },
                                { .priority = 1,
                                                .rate_bytes = 1250000,
                                                .ceil_bytes = 2500000,
                                                .buffer_ticks = 40 * TICKS_PER_MSEC,
                                                .cbuffer_ticks = 10 * TICKS_PER_MSEC,
                                                .quantum_bytes = 50000 } },
                { "burst of a slow class is four frames", 30 * MBPS, { 2, 1, MBPS, MBPS },
                                { .priority = 1,
                                                .rate_bytes = 125000,
                                                .ceil_bytes = 125000,
                                                .buffer_ticks = 48576000 / 64,
                                                .cbuffer_ticks = 48576000 / 64,
                                                .quantum_bytes = 5000 } },
                { "64-bit rates, and turns of 4 ms on a fast link", 400000 * MBPS,
                                { 2, 1, 100000 * MBPS, UNLIMITED },
                                { .priority = 1,
                                                .rate_bytes = 12500000000,
                                                .ceil_bytes = 50000000000,
                                                .buffer_ticks = 40 * TICKS_PER_MSEC,
                                                .cbuffer_ticks = 10 * TICKS_PER_MSEC,
                                                .quantum_bytes = 50000000 } },
                { "quantum fits the kernel's int", UNLIMITED, { 2, 1, UNLIMITED, UNLIMITED },
                                { .priority = 1,
                                                .rate_bytes = UINT64_MAX / 8,
                                                .ceil_bytes = UINT64_MAX / 8,
                                                .buffer_ticks = 40 * TICKS_PER_MSEC,
                                                .cbuffer_ticks = 10 * TICKS_PER_MSEC,
                                                .quantum_bytes = INT32_MAX } },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                NetClass classes[] = { default_class, cases[i].class };
                NetPlan plan = { "eth0", cases[i].capacity_bps, classes, ELEMENTSOF(classes) };
                _cleanup_htb_tree_ HtbTree tree = HTB_TREE_NULL;
                const HtbClass *class, *expected = &cases[i].expected;
                NetClass rounded, shown;

                cr_assert_eq(htb_tree_from_plan(&plan, &packets, HTB_LEAF_FQ_CODEL, &tree), 0, "%s",
                                cases[i].name);
                cr_assert_eq(tree.n, 3);
                class = &tree.classes[2];
                cr_expect_eq(class->minor, UPLINK_MINOR_SLOT_BASE + 2, "%s", cases[i].name);
                cr_expect_eq(class->parent_minor, UPLINK_MINOR_ROOT, "%s", cases[i].name);
                cr_expect_eq(class->priority, expected->priority, "%s", cases[i].name);
                cr_expect_eq(class->rate_bytes, expected->rate_bytes, "%s", cases[i].name);
                cr_expect_eq(class->ceil_bytes, expected->ceil_bytes, "%s", cases[i].name);
                cr_expect_eq(class->buffer_ticks, expected->buffer_ticks, "%s: buffer %u", cases[i].name,
                                class->buffer_ticks);
                cr_expect_eq(class->cbuffer_ticks, expected->cbuffer_ticks, "%s: cbuffer %u", cases[i].name,
                                class->cbuffer_ticks);
                cr_expect_eq(class->quantum_bytes, expected->quantum_bytes, "%s: quantum %u", cases[i].name,
                                class->quantum_bytes);
                cr_expect_eq(class->leaf.kind, HTB_LEAF_FQ_CODEL, "%s", cases[i].name);

                htb_class_to_model(class, &shown);
                htb_class_round(&plan, &cases[i].class, &rounded);
                cr_expect(net_class_equal(&rounded, &shown), "%s: floor %lu, ceiling %lu", cases[i].name,
                                (unsigned long) rounded.floor_bps, (unsigned long) rounded.ceil_bps);
        }
}

Test(htb_tree, root_of_plan) {
        NetPlan plan = { "eth0", 30 * MBPS, &default_class, 1 };
        _cleanup_htb_tree_ HtbTree tree = HTB_TREE_NULL;

        cr_assert_eq(htb_tree_from_plan(&plan, &packets, HTB_LEAF_FQ_CODEL, &tree), 0);
        cr_expect_eq(tree.n, 2);
        cr_expect_eq(tree.classes[0].minor, UPLINK_MINOR_ROOT);
        cr_expect_eq(tree.classes[0].parent_minor, 0);
        cr_expect_eq(tree.classes[0].rate_bytes, 3750000);
        cr_expect_eq(tree.classes[0].ceil_bytes, 3750000);
        cr_expect_eq(tree.classes[0].leaf.kind, HTB_LEAF_NONE);
        cr_expect_eq(tree.classes[1].minor, UPLINK_MINOR_SLOT_BASE + SLOT_DEFAULT);
}

/* What is spare is shared by quantum: these must be as the floors are, whatever the link. */
Test(htb_tree, quanta_are_in_proportion) {
        static const uint64_t capacities[] = { 20 * MBPS, 100 * MBPS, 1000 * MBPS, 10000 * MBPS,
                400000 * MBPS };

        for (size_t i = 0; i < ELEMENTSOF(capacities); i++) {
                uint64_t percent = capacities[i] / 100;
                NetClass classes[] = {
                        { 0, 1, 2 * percent, UNLIMITED },
                        { 2, 1, 10 * percent, UNLIMITED },
                        { 3, 1, 20 * percent, UNLIMITED },
                };
                NetPlan plan = { "eth0", capacities[i], classes, ELEMENTSOF(classes) };
                _cleanup_htb_tree_ HtbTree tree = HTB_TREE_NULL;

                cr_assert_eq(htb_tree_from_plan(&plan, &packets, HTB_LEAF_FQ_CODEL, &tree), 0);
                cr_expect_geq(tree.classes[1].quantum_bytes, FRAME, "%zu", i);
                cr_expect_float_eq(tree.classes[3].quantum_bytes / (double) tree.classes[2].quantum_bytes, 2,
                                0.001, "%zu", i);
                cr_expect_float_eq(tree.classes[2].quantum_bytes / (double) tree.classes[1].quantum_bytes, 5,
                                0.01, "%zu", i);
        }
}

Test(htb_tree, refuses) {
        static const struct {
                const char *name;
                uint64_t capacity_bps;
                size_t n;
                NetClass classes[3];
        } cases[] = {
                { "no capacity", 7, 1, { { 0, 1, 8, 8 } } },
                { "no classes", MBPS, 0, { { 0, 1, 8, 8 } } },
                { "no default class", MBPS, 1, { { 1, 1, 8, 8 } } },
                { "a slot twice", MBPS, 3, { { 0, 1, 8, 8 }, { 2, 1, 8, 8 }, { 2, 1, 8, 8 } } },
                { "slots that fall", MBPS, 3, { { 0, 1, 8, 8 }, { 3, 1, 8, 8 }, { 2, 1, 8, 8 } } },
                { "a slot that is no minor", MBPS, 2, { { 0, 1, 8, 8 }, { HTB_SLOT_MAX + 1, 1, 8, 8 } } },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                NetPlan plan = { "eth0", cases[i].capacity_bps, (NetClass *) cases[i].classes, cases[i].n };
                HtbTree tree = HTB_TREE_NULL;

                cr_expect_eq(htb_tree_from_plan(&plan, &packets, HTB_LEAF_FQ_CODEL, &tree), -EINVAL, "%s",
                                cases[i].name);
                cr_expect_null(tree.classes, "%s", cases[i].name);
        }
}

Test(htb_tree, sort_drops_what_came_twice) {
        HtbClass classes[] = { { .minor = 3 }, { .minor = 1 }, { .minor = 3 }, { .minor = 2 },
                { .minor = 1 } };
        HtbTree tree = { classes, ELEMENTSOF(classes) };

        htb_tree_sort(&tree);
        cr_assert_eq(tree.n, 3);
        for (size_t i = 0; i < 3; i++)
                cr_expect_eq(classes[i].minor, i + 1);
}

#define ROOT(rate) \
        { .minor = UPLINK_MINOR_ROOT, .level = 7, .rate_bytes = (rate), .ceil_bytes = (rate) }
#define LEAF(slot, rate, ceil)                                                               \
        {                                                                                    \
                .minor = UPLINK_MINOR_SLOT_BASE + (slot), .parent_minor = UPLINK_MINOR_ROOT, \
                .rate_bytes = (rate), .ceil_bytes = (ceil), .leaf.kind = HTB_LEAF_FIFO       \
        }
#define LEAF_BELOW(slot, parent)                                                                             \
        {                                                                                                    \
                .minor = UPLINK_MINOR_SLOT_BASE + (slot), .parent_minor = UPLINK_MINOR_SLOT_BASE + (parent), \
                .rate_bytes = 1, .ceil_bytes = 9                                                             \
        }

/* Changes as text: "+" add, "=" set, "-" delete, and of queues "q" add, "s" set, "Q" replace; then "r" for
 * the root class, or the slot. */
static void changes_to_text(const HtbChange *changes, size_t n, char *ret, size_t size) {
        size_t length = 0;

        ret[0] = '\0';
        for (size_t i = 0; i < n; i++) {
                uint16_t minor = changes[i].class.minor;

                length += (size_t) snprintf(
                                ret + length, size - length, i > 0 ? " %c" : "%c", "+=-qsQ"[changes[i].kind]);
                if (minor == UPLINK_MINOR_ROOT)
                        length += (size_t) snprintf(ret + length, size - length, "r");
                else
                        length += (size_t) snprintf(ret + length, size - length, "%d",
                                        (int) minor - (int) UPLINK_MINOR_SLOT_BASE);
        }
}

Test(htb_tree, differences_in_order) {
        static const struct {
                const char *name;
                HtbClass want[4], have[5];
                bool bare; /* no class that is there has a queue of its own */
                const char *expected;
        } cases[] = {
                { "none", { ROOT(9), LEAF(0, 1, 9) }, { ROOT(9), LEAF(0, 1, 9) }, false, "" },
                { "all anew", { ROOT(9), LEAF(0, 1, 9), LEAF(2, 3, 9) }, { { 0 } }, false, "+r +0 q0 +2 q2" },
                { "one class alone", { ROOT(9), LEAF(0, 1, 9), LEAF(2, 4, 9) },
                                { ROOT(9), LEAF(0, 1, 9), LEAF(2, 3, 9) }, false, "=2" },
                { "no rate is promised twice", { ROOT(9), LEAF(0, 1, 9), LEAF(2, 5, 9), LEAF(3, 3, 9) },
                                { ROOT(9), LEAF(0, 1, 9), LEAF(2, 3, 9), LEAF(3, 5, 9) }, false, "=3 =2" },
                { "ceilings count where floors are the same",
                                { ROOT(9), LEAF(0, 1, 9), LEAF(2, 3, 9), LEAF(3, 3, 8) },
                                { ROOT(9), LEAF(0, 1, 9), LEAF(2, 3, 8), LEAF(3, 3, 9) }, false, "=3 =2" },
                { "one that goes leaves its rate to one that comes",
                                { ROOT(9), LEAF(0, 1, 9), LEAF(3, 3, 9) },
                                { ROOT(9), LEAF(0, 1, 9), LEAF(2, 3, 9) }, false, "=2 +3 q3 -2" },
                { "one that has none just goes", { ROOT(9), LEAF(0, 1, 9) },
                                { ROOT(9), LEAF(0, 1, 9), LEAF(2, 1, 9) }, false, "-2" },
                { "all of it at once", { ROOT(9), LEAF(0, 1, 9), LEAF(2, 2, 9), LEAF(4, 4, 9) },
                                { ROOT(7), LEAF(0, 1, 9), LEAF(2, 3, 9), LEAF(3, 3, 9) }, true,
                                "=r =2 =3 q0 q2 +4 q4 -3" },
                { "a larger link first", { ROOT(9), LEAF(0, 2, 9) }, { ROOT(5), LEAF(0, 1, 5) }, false,
                                "=r =0" },
                { "a smaller link last", { ROOT(5), LEAF(0, 1, 5) }, { ROOT(9), LEAF(0, 2, 9) }, false,
                                "=0 =r" },
                { "misplaced: deepest first, then anew", { ROOT(9), LEAF(0, 1, 9), LEAF(2, 1, 9) },
                                { ROOT(9), LEAF(0, 1, 9), LEAF_BELOW(2, 5),
                                                { .minor = UPLINK_MINOR_SLOT_BASE + 5, .level = 6 } },
                                false, "-2 -5 +2 q2" },
                { "misplaced, with a leaf", { ROOT(9), LEAF(0, 1, 9) }, { ROOT(9), LEAF_BELOW(0, 5) }, true,
                                "-0 +0 q0" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                HtbTree want = { (HtbClass *) cases[i].want, 0 }, have = HTB_TREE_NULL;
                _cleanup_free_ HtbChange *changes = NULL;
                HtbClass held[ELEMENTSOF(cases[i].have)];
                char text[128];
                size_t n = 0;

                memcpy(held, cases[i].have, sizeof(held));
                have.classes = held;
                while (want.n < ELEMENTSOF(cases[i].want) && want.classes[want.n].minor != 0)
                        want.n++;
                while (have.n < ELEMENTSOF(held) && held[have.n].minor != 0)
                        held[have.n++].leaf.kind = cases[i].bare ? HTB_LEAF_NONE : HTB_LEAF_FIFO;
                cr_assert_eq(htb_tree_diff(&want, &have, &changes, &n), 0, "%s", cases[i].name);
                changes_to_text(changes, n, text, sizeof(text));
                cr_expect_str_eq(text, cases[i].expected, "%s: got '%s'", cases[i].name, text);
        }
}

Test(htb_tree, each_parameter_makes_a_difference) {
        static const HtbClass base = LEAF(2, 3, 9);
        static const struct {
                const char *name;
                size_t offset, size;
                bool of_root; /* whether it also counts for the root class */
        } fields[] = {
#define FIELD(f, of_root) { #f, offsetof(HtbClass, f), sizeof(((HtbClass *) NULL)->f), of_root }
                FIELD(rate_bytes, true),
                FIELD(ceil_bytes, true),
                FIELD(buffer_ticks, true),
                FIELD(cbuffer_ticks, true),
                FIELD(quantum_bytes, false),
                FIELD(priority, false),
                FIELD(leaf.bytes, false),
                FIELD(leaf.packets, false),
                FIELD(leaf.flow_packets, false),
        };

        for (size_t i = 0; i < ELEMENTSOF(fields); i++)
                for (unsigned root = 0; root < 2; root++) {
                        HtbClass a = base, b;
                        HtbTree want = { &a, 1 }, have = { &b, 1 };
                        _cleanup_free_ HtbChange *changes = NULL;
                        size_t n = 0;

                        if (root) {
                                a.minor = UPLINK_MINOR_ROOT;
                                a.parent_minor = 0;
                        }
                        b = a;
                        ((char *) &b)[fields[i].offset] ^= 1;
                        cr_assert_eq(htb_tree_diff(&want, &have, &changes, &n), 0);
                        cr_expect_eq(n, root ? fields[i].of_root : 1, "%s, root %u", fields[i].name, root);
                }
}

/* What somebody put there stays; one of ours is as it should be, and loses nothing of what waits in it. */
Test(htb_tree, queues_are_as_they_should_be) {
        static const HtbLeaf fifo = { HTB_LEAF_FIFO, 0, 1000, 0, 0 },
                             longer_fifo = { HTB_LEAF_FIFO, 0, 2000, 0, 0 },
                             fq = { HTB_LEAF_FQ, 128, 0, 256, 32 },
                             longer_fq = { HTB_LEAF_FQ, 128, 0, 300, 32 },
                             fq_codel = { HTB_LEAF_FQ_CODEL, 128, 1U << 18, 0, 0 },
                             longer_fq_codel = { HTB_LEAF_FQ_CODEL, 128, 1U << 25, 0, 0 },
                             none = { .kind = HTB_LEAF_NONE }, foreign = { .kind = HTB_LEAF_FOREIGN };
        static const struct {
                const char *name;
                const HtbLeaf *want, *have;
                uint32_t waiting_bytes, waiting_packets;
                size_t n;
                HtbChangeKind kind;
                bool too_full;
        } cases[] = {
                { "a FIFO", &fifo, &fifo, 0, 0, 0, 0 },
                { "a FIFO that is too short", &longer_fifo, &fifo, 0, 0, 1, HTB_CHANGE_SET_LEAF },
                { "one that is too long, and full", &fifo, &longer_fifo, 2000, 2, 1, HTB_CHANGE_SET_LEAF },
                { "none yet", &fq_codel, &none, 0, 0, 1, HTB_CHANGE_ADD_LEAF },
                { "somebody's", &fq_codel, &foreign, 0, 0, 0, 0 },
                { "a FIFO where there is fq_codel by now", &fq_codel, &fifo, 1000, 1, 1,
                                HTB_CHANGE_REPLACE_LEAF },
                { "fq where there is", &fq_codel, &fq, 0, 0, 1, HTB_CHANGE_REPLACE_LEAF },
                { "fq", &fq, &fq, 900, 9, 0, 0 },
                { "fq that is too long, with room to spare", &fq, &longer_fq, 0, 256, 1,
                                HTB_CHANGE_SET_LEAF },
                { "one that is too full to be shorter", &fq, &longer_fq, 0, 257, 1, HTB_CHANGE_SET_LEAF,
                                true },
                { "one that is too short", &longer_fq, &fq, 0, 257, 1, HTB_CHANGE_SET_LEAF },
                { "fq_codel", &fq_codel, &fq_codel, 1, 1, 0, 0 },
                { "one of an earlier headgated's", &fq_codel, &longer_fq_codel, 0, 0, 1,
                                HTB_CHANGE_SET_LEAF },
                { "one that is too full to be shorter, with a page a packet", &fq_codel, &longer_fq_codel,
                                100 * 1514, 100, 1, HTB_CHANGE_SET_LEAF, true },
                { "one with little in it", &fq_codel, &longer_fq_codel, 10 * 1514, 10, 1,
                                HTB_CHANGE_SET_LEAF },
                { "one that is too short and full", &longer_fq_codel, &fq_codel, 1U << 18, 500, 1,
                                HTB_CHANGE_SET_LEAF },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                HtbClass a = LEAF(2, 3, 9), b = LEAF(2, 3, 9);
                HtbTree want = { &a, 1 }, have = { &b, 1 };
                _cleanup_free_ HtbChange *changes = NULL;
                size_t n = 9;

                a.leaf = *cases[i].want;
                b.leaf = *cases[i].have;
                b.waiting_bytes = cases[i].waiting_bytes;
                b.waiting_packets = cases[i].waiting_packets;
                cr_assert_eq(htb_tree_diff(&want, &have, &changes, &n), 0);
                cr_assert_eq(n, cases[i].n, "%s", cases[i].name);
                if (n > 0)
                        cr_expect(changes[0].kind == cases[i].kind &&
                                                        changes[0].too_full == cases[i].too_full &&
                                                        htb_leaf_equal(&changes[0].class.leaf, &a.leaf),
                                        "%s", cases[i].name);
        }
}

Test(htb_tree, a_class_for_people) {
        HtbClass class = {
                .minor = 0x12, .parent_minor = 1, .rate_bytes = 375000, .ceil_bytes = 625000, .priority = 1
        };
        const HtbTree tree = { &class, 1 };
        char text[HTB_CLASS_TEXT_SIZE];

        htb_class_format(&tree, 0x12, text);
        cr_expect_str_eq(text, "prio 1 rate 3000000bit ceil 5000000bit");
        htb_class_format(&tree, 0x13, text);
        cr_expect_str_eq(text, "none");
        htb_class_format_leaf(&tree, 0x12, text);
        cr_expect_str_eq(text, "none");
        class.leaf = (HtbLeaf){ .kind = HTB_LEAF_FIFO, .bytes = 131072 };
        htb_class_format_leaf(&tree, 0x12, text);
        cr_expect_str_eq(text, "bfifo limit 131072b");
        htb_class_format_leaf(&tree, 0x13, text);
        cr_expect_str_eq(text, "none");
}
