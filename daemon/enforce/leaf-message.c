/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "leaf-message.h"

#include "edt-message.h"
#include "util/cleanup.h"

#include <errno.h>
#include <linux/pkt_sched.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

static int fifo_put(struct nl_msg *message, const HtbLeaf *leaf) {
        const struct tc_fifo_qopt options = { .limit = leaf->bytes };

        return nla_put(message, TCA_OPTIONS, sizeof(options), &options) < 0 ? -ENOMEM : 0;
}

static int fq_put(struct nl_msg *message, const HtbLeaf *leaf) {
        struct nlattr *nest = nla_nest_start(message, TCA_OPTIONS);

        if (!nest || nla_put_u32(message, TCA_FQ_BUCKETS_LOG, (uint32_t) __builtin_ctz(leaf->flows)) < 0 ||
                        nla_put_u32(message, TCA_FQ_PLIMIT, leaf->packets) < 0 ||
                        nla_put_u32(message, TCA_FQ_FLOW_PLIMIT, leaf->flow_packets) < 0 ||
                        nla_put_u32(message, TCA_FQ_RATE_ENABLE, 0) < 0 ||
                        /* One band for all: who goes first is for HTB to say. */
                        fq_bands_put(message, /* first= */ -1) < 0)
                return -ENOMEM;
        nla_nest_end(message, nest);
        return 0;
}

static int fq_codel_put(struct nl_msg *message, const HtbLeaf *leaf, bool anew) {
        struct nlattr *nest = nla_nest_start(message, TCA_OPTIONS);

        if (!nest || (anew && nla_put_u32(message, TCA_FQ_CODEL_FLOWS, leaf->flows) < 0) ||
                        nla_put_u32(message, TCA_FQ_CODEL_MEMORY_LIMIT, leaf->bytes) < 0)
                return -ENOMEM;
        nla_nest_end(message, nest);
        return 0;
}

int leaf_options_put(struct nl_msg *message, const HtbLeaf *leaf, bool anew) {
        switch (leaf->kind) {
        case HTB_LEAF_FIFO:
                return fifo_put(message, leaf);
        case HTB_LEAF_FQ:
                return fq_put(message, leaf);
        case HTB_LEAF_FQ_CODEL:
                return fq_codel_put(message, leaf, anew);
        default:
                return 0;
        }
}

static bool fifo_parse(const struct nlattr *options, HtbLeaf *leaf) {
        if (!options || (size_t) nla_len(options) < sizeof(struct tc_fifo_qopt))
                return false;
        leaf->bytes = ((const struct tc_fifo_qopt *) nla_data(options))->limit;
        return true;
}

static bool get_u32(const struct nlattr *attribute, uint32_t *ret) {
        if (!attribute || (size_t) nla_len(attribute) < sizeof(uint32_t))
                return false;
        *ret = nla_get_u32(attribute);
        return true;
}

static bool fq_parse(const struct nlattr *options, HtbLeaf *leaf) {
        struct nlattr *attributes[TCA_FQ_MAX + 1];
        uint32_t buckets_log, paces;

        if (!options || nla_parse_nested(attributes, TCA_FQ_MAX, (struct nlattr *) options, NULL) < 0 ||
                        !get_u32(attributes[TCA_FQ_PLIMIT], &leaf->packets) ||
                        !get_u32(attributes[TCA_FQ_FLOW_PLIMIT], &leaf->flow_packets) ||
                        !get_u32(attributes[TCA_FQ_BUCKETS_LOG], &buckets_log) ||
                        !get_u32(attributes[TCA_FQ_RATE_ENABLE], &paces))
                return false;
        if (!paces && buckets_log < 32)
                leaf->flows = 1U << buckets_log;
        return true;
}

static bool fq_codel_parse(const struct nlattr *options, HtbLeaf *leaf) {
        struct nlattr *attributes[TCA_FQ_CODEL_MAX + 1];

        if (!options || nla_parse_nested(attributes, TCA_FQ_CODEL_MAX, (struct nlattr *) options, NULL) < 0 ||
                        !get_u32(attributes[TCA_FQ_CODEL_FLOWS], &leaf->flows) ||
                        !get_u32(attributes[TCA_FQ_CODEL_MEMORY_LIMIT], &leaf->bytes))
                return false;
        return true;
}

void leaf_options_parse(const char *name, const struct nlattr *options, HtbLeaf *ret) {
        HtbLeaf leaf = { .kind = htb_leaf_kind(name) };
        bool understood = false;

        if (leaf.kind == HTB_LEAF_FIFO)
                understood = fifo_parse(options, &leaf);
        else if (leaf.kind == HTB_LEAF_FQ)
                understood = fq_parse(options, &leaf);
        else if (leaf.kind == HTB_LEAF_FQ_CODEL)
                understood = fq_codel_parse(options, &leaf);
        *ret = understood ? leaf : (HtbLeaf){ .kind = HTB_LEAF_NONE };
}
