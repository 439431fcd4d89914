/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which queue a class gets, how long, and which of those that are there are ours. */

#include "enforce/htb-leaf.h"
#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <string.h>

#define MBPS (1000000ULL / 8)
#define MINOR 0x12
#define FQ_CODEL_DEFAULT (32U << 20)
#define MINOR_CONTROL 0x37 /* its priority ends as TC_PRIO_CONTROL */

static const HtbPackets packets = { 1518, 65536 };

typedef struct Kernel {
        const char *kinds[3];
        unsigned asked;
} Kernel;

static bool kernel_has(const char *kind, void *userdata) {
        Kernel *kernel = userdata;

        kernel->asked++;
        for (size_t i = 0; i < ELEMENTSOF(kernel->kinds) && kernel->kinds[i]; i++)
                if (strcmp(kernel->kinds[i], kind) == 0)
                        return true;
        return false;
}

Test(htb_leaf, the_best_that_the_kernel_has) {
        static const struct {
                const char *label;
                Kernel kernel;
                unsigned asked; /* each question is a change that cannot be made */
                HtbLeafKind kind;
                const char *name;
        } cases[] = {
                { "both", { { "fq", "fq_codel" }, 0 }, 1, HTB_LEAF_FQ_CODEL, "fq_codel" },
                { "fq_codel alone", { { "fq_codel" }, 0 }, 1, HTB_LEAF_FQ_CODEL, "fq_codel" },
                { "fq alone", { { "fq" }, 0 }, 2, HTB_LEAF_FQ, "fq" },
                { "what it has is not asked for", { { "sfq", "codel" }, 0 }, 2, HTB_LEAF_FIFO, "bfifo" },
                { "nothing", { { NULL }, 0 }, 2, HTB_LEAF_FIFO, "bfifo" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Kernel kernel = cases[i].kernel;
                const HtbLeafKind kind = htb_leaf_choose(kernel_has, &kernel);

                cr_expect_eq(kind, cases[i].kind, "%s", cases[i].label);
                cr_expect_eq(kernel.asked, cases[i].asked, "%s: %u", cases[i].label, kernel.asked);
                cr_expect_str_eq(htb_leaf_name(kind), cases[i].name, "%s", cases[i].label);
                cr_expect_eq(htb_leaf_kind(cases[i].name), kind, "%s", cases[i].label);
        }
        cr_expect_eq(htb_leaf_kind("pfifo"), HTB_LEAF_NONE);
        cr_expect_eq(htb_leaf_kind(""), HTB_LEAF_NONE);
}

/* Its class knows of what it does not take; of what fq_codel drops later it does not. */
Test(htb_leaf, whose_drops_the_class_does_not_know) {
        cr_expect(htb_leaf_drops_later(HTB_LEAF_FQ_CODEL));
        cr_expect_not(htb_leaf_drops_later(HTB_LEAF_FQ));
        cr_expect_not(htb_leaf_drops_later(HTB_LEAF_FIFO));
}

/* What waits for its floor waits for 200 to 400 ms, where the largest packet is not more than that, and 20 to
 * 40 ms of its ceiling are not more, up to 1 MiB: who mostly borrows may wait for longer at its floor alone.
 */
Test(htb_leaf, is_as_long_as_floor_and_ceiling_take) {
        static const struct {
                const char *name;
                uint64_t rate_bytes, ceil_bytes;
                uint32_t fifo_bytes, packets, flow_packets, memory_bytes;
        } cases[] = {
                { "200 ms of the floor, to the next power of two", 30 * MBPS, 100 * MBPS, 1U << 20, 690, 86,
                                1U << 21 },
                { "the same on a faster link, as much as by default", 1000 * MBPS, 1000 * MBPS, 1U << 25,
                                10000, 1250, 1U << 25 },
                { "twice the largest packet", 1 * MBPS, 2 * MBPS, 1U << 17, 256, 32, 1U << 18 },
                { "of a small floor 20 ms of its ceiling", 1 * MBPS, 100 * MBPS, 1U << 18, 256, 32,
                                1U << 19 },
                { "of a fast one no more than 1 MiB", 1 * MBPS, 10000 * MBPS, 1U << 20, 690, 86, 1U << 21 },
                { "no floor", 1, 10000 * MBPS, 1U << 20, 690, 86, 1U << 21 },
                { "as long as there may be", UINT64_MAX / 8, UINT64_MAX / 8, 1U << 30, 10000, 1250,
                                1U << 25 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const HtbLeaf expected[] = {
                        { HTB_LEAF_FIFO, 0, cases[i].fifo_bytes, 0, 0 },
                        { HTB_LEAF_FQ, 128, 0, cases[i].packets, cases[i].flow_packets },
                        { HTB_LEAF_FQ_CODEL, 128, cases[i].memory_bytes, 0, 0 },
                };

                for (size_t j = 0; j < ELEMENTSOF(expected); j++) {
                        char text[HTB_LEAF_TEXT_SIZE];
                        HtbLeaf leaf;

                        htb_leaf_make(expected[j].kind, MINOR, cases[i].rate_bytes, cases[i].ceil_bytes,
                                        &packets, &leaf);
                        htb_leaf_format(&leaf, text);
                        cr_expect(htb_leaf_equal(&leaf, &expected[j]), "%s: %s", cases[i].name, text);
                        cr_expect(htb_leaf_is_ours(&leaf, HTB_LEAF_FQ_CODEL, MINOR), "%s: %s", cases[i].name,
                                        text);
                }
        }
}

/* The least queue takes the largest packet and some more, or none of these would ever go. */
Test(htb_leaf, holds_the_largest_packet) {
        static const struct {
                const char *name;
                uint32_t packet_bytes, fifo_bytes;
        } cases[] = {
                { "a kernel that does not say", 0, 1U << 17 },
                { "none is put together", 1514, 1U << 17 },
                { "the kernel's default", 65536, 1U << 17 },
                { "a little larger", 65537, 1U << 18 },
                { "the largest of BIG TCP", 8 * 65535, 1U << 20 },
                { "what no kernel has", UINT32_MAX, 1U << 30 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const HtbPackets of_link = { 1518, cases[i].packet_bytes };
                HtbLeaf fifo, fq_codel;

                htb_leaf_make(HTB_LEAF_FIFO, MINOR, MBPS, 2 * MBPS, &of_link, &fifo);
                htb_leaf_make(HTB_LEAF_FQ_CODEL, MINOR, MBPS, 2 * MBPS, &of_link, &fq_codel);
                cr_expect_eq(fifo.bytes, cases[i].fifo_bytes, "%s: %u", cases[i].name, fifo.bytes);
                cr_expect_eq(fq_codel.bytes,
                                2 * fifo.bytes < FQ_CODEL_DEFAULT ? 2 * fifo.bytes : FQ_CODEL_DEFAULT,
                                "%s: %u", cases[i].name, fq_codel.bytes);
                cr_expect(htb_leaf_is_ours(&fifo, HTB_LEAF_FQ_CODEL, MINOR), "%s", cases[i].name);
        }
}

/* A thousand tenants with a thousandth each of 10 Gbit/s, and open ceilings. */
Test(htb_leaf, a_thousand_are_promised_no_more_than_two_mib_each) {
        HtbLeaf leaf;

        htb_leaf_make(HTB_LEAF_FQ_CODEL, MINOR, 10 * MBPS, 10000 * MBPS, &packets, &leaf);
        cr_expect_leq(leaf.bytes, 2U << 20);
}

/* In a class whose packets fq would let pass by all flows it is no use. */
Test(htb_leaf, is_a_fifo_where_fq_is_one) {
        static const HtbLeafKind best[] = { HTB_LEAF_FIFO, HTB_LEAF_FQ, HTB_LEAF_FQ_CODEL },
                                 made[] = { HTB_LEAF_FIFO, HTB_LEAF_FIFO, HTB_LEAF_FQ_CODEL };

        for (size_t i = 0; i < ELEMENTSOF(best); i++) {
                HtbLeaf leaf;

                htb_leaf_make(best[i], MINOR_CONTROL, MBPS, MBPS, &packets, &leaf);
                cr_expect_eq(leaf.kind, made[i], "%zu", i);
                cr_expect(htb_leaf_is_ours(&leaf, best[i], MINOR_CONTROL), "%zu", i);
        }
}

Test(htb_leaf, whose_it_is) {
        static const struct {
                const char *name;
                HtbLeaf leaf;
                HtbLeafKind best;
                uint16_t minor;
                bool is_ours;
        } cases[] = {
                { "the kernel's own", { .kind = HTB_LEAF_NONE }, HTB_LEAF_FQ_CODEL, MINOR, false },
                { "the shortest FIFO", { HTB_LEAF_FIFO, 0, 1U << 17, 0, 0 }, HTB_LEAF_FQ_CODEL, MINOR, true },
                { "a longer one", { HTB_LEAF_FIFO, 0, 1U << 20, 0, 0 }, HTB_LEAF_FQ, MINOR, true },
                { "the longest", { HTB_LEAF_FIFO, 0, 1U << 30, 0, 0 }, HTB_LEAF_FQ_CODEL, MINOR, true },
                { "an operator's", { HTB_LEAF_FIFO, 0, 50000, 0, 0 }, HTB_LEAF_FQ_CODEL, MINOR, false },
                { "a longer one of his", { HTB_LEAF_FIFO, 0, 200000, 0, 0 }, HTB_LEAF_FQ, MINOR, false },
                { "shorter than any of ours", { HTB_LEAF_FIFO, 0, 1U << 16, 0, 0 }, HTB_LEAF_FQ, MINOR,
                                false },
                { "longer than any of ours", { HTB_LEAF_FIFO, 0, 1U << 31, 0, 0 }, HTB_LEAF_FQ, MINOR,
                                false },
                { "ours, which somebody changed", { HTB_LEAF_FIFO, 0, 50000, 0, 0 }, HTB_LEAF_FIFO, MINOR,
                                true },
                { "the same in a class where fq is none", { HTB_LEAF_FIFO, 0, 50000, 0, 0 }, HTB_LEAF_FQ,
                                MINOR_CONTROL, true },
                { "an fq of any length", { HTB_LEAF_FQ, 128, 0, 7, 7 }, HTB_LEAF_FQ, MINOR, true },
                { "one from when there was no fq_codel", { HTB_LEAF_FQ, 128, 0, 256, 32 }, HTB_LEAF_FQ_CODEL,
                                MINOR, true },
                { "one that paces", { HTB_LEAF_FQ, 0, 0, 256, 32 }, HTB_LEAF_FQ, MINOR, false },
                { "one as fq is by default", { HTB_LEAF_FQ, 1024, 0, 10000, 100 }, HTB_LEAF_FQ, MINOR,
                                false },
                { "an fq_codel of any length", { HTB_LEAF_FQ_CODEL, 128, 32U << 20, 0, 0 }, HTB_LEAF_FQ_CODEL,
                                MINOR, true },
                { "one as fq_codel is by default", { HTB_LEAF_FQ_CODEL, 1024, 32U << 20, 0, 0 },
                                HTB_LEAF_FQ_CODEL, MINOR, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                cr_expect_eq(htb_leaf_is_ours(&cases[i].leaf, cases[i].best, cases[i].minor),
                                cases[i].is_ours, "%s", cases[i].name);
}

Test(htb_leaf, for_people) {
        static const struct {
                HtbLeaf leaf;
                const char *text;
        } cases[] = {
                { { .kind = HTB_LEAF_NONE }, "none" },
                { { HTB_LEAF_FIFO, 0, 131072, 0, 0 }, "bfifo limit 131072b" },
                { { HTB_LEAF_FQ, 128, 0, 256, 32 }, "fq limit 256p flow_limit 32p" },
                { { HTB_LEAF_FQ_CODEL, 128, 524288, 0, 0 }, "fq_codel memory_limit 524288b" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char text[HTB_LEAF_TEXT_SIZE];

                htb_leaf_format(&cases[i].leaf, text);
                cr_expect_str_eq(text, cases[i].text);
        }
}
