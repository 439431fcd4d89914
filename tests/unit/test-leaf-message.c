/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a class's queue is asked for, by the kernel's numbers of its attributes, and read back. */

#include "enforce/tc-message.h"

#include "enforce/leaf-message.h"

#include <criterion/criterion.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#define PRIOMAP 16 /* TCA_FQ_PRIOMAP, since Linux 6.7 */

static void nl_msg_free_p(struct nl_msg **message) {
        nlmsg_free(*message);
}
#define _cleanup_nl_msg_ _cleanup_(nl_msg_free_p)

static const HtbLeaf leaves[] = {
        { HTB_LEAF_FIFO, 0, 131072, 0, 0 },
        { HTB_LEAF_FQ, 128, 0, 690, 86 },
        { HTB_LEAF_FQ_CODEL, 128, 1U << 25, 0, 0 },
};

/* With its message's TCA_OPTIONS. */
static struct nl_msg *message_of(const HtbLeaf *leaf, bool anew, struct nlattr **ret_options) {
        struct nlattr *attributes[TCA_MAX + 1];
        struct nl_msg *message = NULL;

        cr_assert_eq(tc_message_new(RTM_NEWQDISC, 0, 7, 0x48470012, 0, htb_leaf_name(leaf->kind), &message),
                        0);
        cr_assert_eq(leaf_options_put(message, leaf, anew), 0);
        cr_assert_eq(nlmsg_parse(nlmsg_hdr(message), sizeof(struct tcmsg), attributes, TCA_MAX, NULL), 0);
        *ret_options = attributes[TCA_OPTIONS];
        return message;
}

Test(leaf_message, reads_back) {
        for (size_t i = 0; i < ELEMENTSOF(leaves); i++) {
                struct nlattr *options;
                _cleanup_nl_msg_ _unused_ struct nl_msg *message = message_of(&leaves[i], true, &options);
                TcQdisc qdisc;

                cr_assert_eq(tc_message_parse_qdisc(nlmsg_hdr(message), &qdisc), 1);
                cr_expect(htb_leaf_equal(&qdisc.leaf, &leaves[i]), "%s", htb_leaf_name(leaves[i].kind));
        }
}

/* The kernel refuses a change that says how many flows there are, though they be as many. */
Test(leaf_message, flows_of_fq_codel_are_said_once) {
        for (unsigned anew = 0; anew < 2; anew++) {
                struct nlattr *options, *attributes[TCA_FQ_CODEL_MAX + 1];
                _cleanup_nl_msg_ _unused_ struct nl_msg *message = message_of(&leaves[2], anew, &options);

                cr_assert_eq(nla_parse_nested(attributes, TCA_FQ_CODEL_MAX, options, NULL), 0);
                cr_expect_eq(!!attributes[TCA_FQ_CODEL_FLOWS], anew);
                cr_assert_not_null(attributes[TCA_FQ_CODEL_MEMORY_LIMIT]);
                cr_expect_eq(nla_get_u32(attributes[TCA_FQ_CODEL_MEMORY_LIMIT]), 1U << 25);
        }
}

Test(leaf_message, fq_neither_paces_nor_prefers) {
        struct nlattr *options, *attributes[32];
        _cleanup_nl_msg_ _unused_ struct nl_msg *message = message_of(&leaves[1], true, &options);
        const struct tc_prio_qopt *bands;

        cr_assert_eq(nla_parse_nested(attributes, ELEMENTSOF(attributes) - 1, options, NULL), 0);
        cr_expect_eq(nla_get_u32(attributes[TCA_FQ_RATE_ENABLE]), 0);
        cr_expect_eq(nla_get_u32(attributes[TCA_FQ_BUCKETS_LOG]), 7);
        cr_expect_eq(nla_get_u32(attributes[TCA_FQ_PLIMIT]), 690);
        cr_expect_eq(nla_get_u32(attributes[TCA_FQ_FLOW_PLIMIT]), 86);
        cr_expect_null(attributes[TCA_FQ_FLOW_MAX_RATE]);
        cr_assert(attributes[PRIOMAP] && nla_len(attributes[PRIOMAP]) == sizeof(*bands));
        bands = nla_data(attributes[PRIOMAP]);
        for (unsigned i = 1; i <= TC_PRIO_MAX; i++)
                cr_expect_eq(bands->priomap[i], bands->priomap[0], "%u", i);
}

Test(leaf_message, others_are_none) {
        struct nlattr *options;
        _cleanup_nl_msg_ _unused_ struct nl_msg *message = message_of(&leaves[1], true, &options);
        struct nlattr *attributes[TCA_FQ_MAX + 1];
        HtbLeaf leaf = { .kind = HTB_LEAF_FOREIGN };

        leaf_options_parse("pfifo", NULL, &leaf);
        cr_expect_eq(leaf.kind, HTB_LEAF_NONE);
        for (size_t i = 0; i < ELEMENTSOF(leaves); i++) {
                leaf.kind = HTB_LEAF_FOREIGN;
                leaf_options_parse(htb_leaf_name(leaves[i].kind), NULL, &leaf);
                cr_expect_eq(leaf.kind, HTB_LEAF_NONE, "%s without options", htb_leaf_name(leaves[i].kind));
        }
        cr_assert_eq(nla_parse_nested(attributes, TCA_FQ_MAX, options, NULL), 0);
        *(uint32_t *) nla_data(attributes[TCA_FQ_RATE_ENABLE]) = 1;
        leaf_options_parse("fq", options, &leaf);
        cr_expect(leaf.kind == HTB_LEAF_FQ && !htb_leaf_is_ours(&leaf, HTB_LEAF_FQ, 0x12), "one that paces");
}
