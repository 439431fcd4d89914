/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Messages of an uplink's tree, built and read back with no socket and no privilege: by our reader, and where
 * it has one by libnl-route's, which knows nothing of ours.
 */

#include "enforce/tc-message.h"
#include "enforce/uplink.h"

#include <criterion/criterion.h>
#include <linux/gen_stats.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/object.h>
#include <netlink/route/class.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/qdisc/htb.h>
#include <netlink/route/tc.h>
#include <string.h>

#define IFINDEX 7

static void nl_msg_free_p(struct nl_msg **message) {
        nlmsg_free(*message);
}
#define _cleanup_nl_msg_ _cleanup_(nl_msg_free_p)

static void take_object(struct nl_object *object, void *userdata) {
        nl_object_get(object);
        *(struct nl_object **) userdata = object;
}

/* The message in libnl-route's eyes. */
static struct nl_object *read_with_libnl(struct nl_msg *message) {
        struct nl_object *object = NULL;

        nlmsg_set_proto(message, NETLINK_ROUTE);
        cr_assert_geq(nl_msg_parse(message, take_object, &object), 0);
        cr_assert_not_null(object);
        return object;
}

static const HtbClass classes[] = {
        { .minor = 0x12,
                        .parent_minor = 1,
                        .priority = 1,
                        .rate_bytes = 1250000,
                        .ceil_bytes = 3750000,
                        .buffer_ticks = 625000,
                        .cbuffer_ticks = 625001,
                        .quantum_bytes = 50000 },
        { .minor = 0x12,
                        .parent_minor = 1,
                        .priority = 2,
                        .rate_bytes = 1,
                        .ceil_bytes = 1,
                        .buffer_ticks = 937500000,
                        .cbuffer_ticks = 937500000,
                        .quantum_bytes = 1518 },
        { .minor = 0x12,
                        .parent_minor = 1,
                        .rate_bytes = UINT32_MAX,
                        .ceil_bytes = UINT32_MAX,
                        .quantum_bytes = 1 },
        { .minor = 0x12,
                        .parent_minor = 1,
                        .rate_bytes = UINT32_MAX,
                        .ceil_bytes = UINT32_MAX + 1ULL,
                        .quantum_bytes = 1 },
        { .minor = 0xffff,
                        .parent_minor = 1,
                        .rate_bytes = 12500000000,
                        .ceil_bytes = 50000000000,
                        .buffer_ticks = 1,
                        .cbuffer_ticks = 2,
                        .quantum_bytes = INT32_MAX },
        { .minor = 1,
                        .parent_minor = 0,
                        .rate_bytes = 12500000000,
                        .ceil_bytes = 12500000000,
                        .quantum_bytes = 3 },
};

/* As the kernel shows what it made of it: with the kind, which it does not read. */
static void add_kind(struct nl_msg *message) {
        cr_assert_eq(nla_put_string(message, TCA_KIND, "htb"), 0);
}

/* All that a message carries. */
static bool class_equal(const HtbClass *a, const HtbClass *b) {
        return a->minor == b->minor && a->parent_minor == b->parent_minor && a->level == b->level &&
               a->priority == b->priority && a->rate_bytes == b->rate_bytes &&
               a->ceil_bytes == b->ceil_bytes && a->buffer_ticks == b->buffer_ticks &&
               a->cbuffer_ticks == b->cbuffer_ticks && a->quantum_bytes == b->quantum_bytes &&
               a->leaf.kind == b->leaf.kind;
}

Test(tc_message, class_reads_back) {
        for (size_t i = 0; i < ELEMENTSOF(classes); i++)
                for (HtbChangeKind kind = HTB_CHANGE_ADD; kind <= HTB_CHANGE_SET; kind++) {
                        HtbChange change = { kind, 0, classes[i] };
                        _cleanup_nl_msg_ struct nl_msg *message = NULL;
                        HtbClass class;

                        cr_assert_eq(tc_message_change(IFINDEX, &change, &message), 0);
                        add_kind(message);
                        cr_assert_eq(tc_message_parse_class(nlmsg_hdr(message), IFINDEX, &class), 1);
                        cr_expect(class_equal(&class, &classes[i]), "class %zu", i);
                        cr_expect_eq(!!(nlmsg_hdr(message)->nlmsg_flags & NLM_F_CREATE),
                                        kind == HTB_CHANGE_ADD);
                        cr_expect_eq(!!(nlmsg_hdr(message)->nlmsg_flags & NLM_F_EXCL),
                                        kind == HTB_CHANGE_ADD);
                }
}

Test(tc_message, libnl_reads_the_same_class) {
        for (size_t i = 0; i < ELEMENTSOF(classes); i++) {
                HtbChange change = { HTB_CHANGE_ADD, 0, classes[i] };
                _cleanup_nl_msg_ struct nl_msg *message = NULL;
                struct rtnl_class *class;
                uint64_t rate = 0, ceil = 0;

                cr_assert_eq(tc_message_change(IFINDEX, &change, &message), 0);
                add_kind(message);
                class = (struct rtnl_class *) read_with_libnl(message);
                cr_expect_str_eq(rtnl_tc_get_kind(TC_CAST(class)), "htb");
                cr_expect_eq(rtnl_tc_get_ifindex(TC_CAST(class)), IFINDEX);
                cr_expect_eq(rtnl_tc_get_handle(TC_CAST(class)), UPLINK_HTB_MAJOR << 16 | classes[i].minor);
                cr_expect_eq(rtnl_tc_get_parent(TC_CAST(class)),
                                UPLINK_HTB_MAJOR << 16 | classes[i].parent_minor);
                cr_expect_eq(rtnl_htb_get_rate64(class, &rate), 0);
                cr_expect_eq(rtnl_htb_get_ceil64(class, &ceil), 0);
                cr_expect_eq(rate, classes[i].rate_bytes, "class %zu", i);
                cr_expect_eq(ceil, classes[i].ceil_bytes, "class %zu", i);
                cr_expect_eq(rtnl_htb_get_quantum(class), classes[i].quantum_bytes);
                cr_expect_eq(rtnl_htb_get_prio(class), classes[i].priority);
                nl_object_put((struct nl_object *) class);
        }
}

/* Of IPv6's bound and IPv4's, which older kernels do not have, the greater; 0 where there is none. */
Test(tc_message, largest_packets_of_a_link) {
        enum { GSO_IPV4 = 63, GRO_IPV4 = 64 };
        static const struct {
                const char *name;
                uint32_t gso, gso_ipv4, gro, gro_ipv4, sent, taken;
        } cases[] = {
                { "Linux 6.1", 65536, 0, 65536, 0, 65536, 65536 },
                { "BIG TCP for IPv6", 524280, 65536, 196608, 65536, 524280, 196608 },
                { "and for IPv4 alone", 65536, 262144, 65536, 131072, 262144, 131072 },
                { "none said", 0, 0, 0, 0, 0, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const struct {
                        uint16_t type;
                        uint32_t value;
                } attributes[] = { { IFLA_MTU, 9000 }, { IFLA_GSO_MAX_SIZE, cases[i].gso },
                        { GSO_IPV4, cases[i].gso_ipv4 }, { IFLA_GRO_MAX_SIZE, cases[i].gro },
                        { GRO_IPV4, cases[i].gro_ipv4 } };
                _cleanup_nl_msg_ struct nl_msg *message = nlmsg_alloc_simple(RTM_NEWLINK, 0);
                struct ifinfomsg body = { .ifi_index = IFINDEX };
                TcLink link;

                cr_assert_eq(nlmsg_append(message, &body, sizeof(body), NLMSG_ALIGNTO), 0);
                for (size_t j = 0; j < ELEMENTSOF(attributes); j++)
                        if (attributes[j].value > 0)
                                nla_put_u32(message, attributes[j].type, attributes[j].value);
                cr_assert_eq(tc_message_parse_link(nlmsg_hdr(message), &link), 1, "%s", cases[i].name);
                cr_expect_eq(link.ifindex, IFINDEX, "%s", cases[i].name);
                cr_expect_eq(link.packets.frame_bytes, 9018, "%s", cases[i].name);
                cr_expect_eq(link.packets.max_bytes, cases[i].sent, "%s: %u", cases[i].name,
                                link.packets.max_bytes);
                cr_expect_eq(link.taken_max_bytes, cases[i].taken, "%s: %u", cases[i].name,
                                link.taken_max_bytes);
        }
}

Test(tc_message, slot_and_class_id_agree) {
        HtbClass class = { .minor = UPLINK_MINOR_SLOT_BASE + 5, .parent_minor = UPLINK_MINOR_ROOT };
        HtbChange change = { HTB_CHANGE_ADD, 0, class };
        _cleanup_nl_msg_ struct nl_msg *message = NULL;

        cr_assert_eq(tc_message_change(IFINDEX, &change, &message), 0);
        cr_expect_eq(((struct tcmsg *) nlmsg_data(nlmsg_hdr(message)))->tcm_handle, UPLINK_CLASSID(5));
}

Test(tc_message, root_reads_back) {
        _cleanup_nl_msg_ struct nl_msg *message = NULL;
        struct rtnl_qdisc *object;
        TcQdisc qdisc;

        cr_assert_eq(tc_message_root_add(IFINDEX, &message), 0);
        cr_assert_eq(tc_message_parse_qdisc(nlmsg_hdr(message), &qdisc), 1);
        cr_expect_eq(qdisc.ifindex, IFINDEX);
        cr_expect_eq(qdisc.parent, TC_H_ROOT);
        cr_expect_eq(qdisc.handle, 0x48470000);
        cr_expect_str_eq(qdisc.kind, "htb");
        cr_expect_eq(qdisc.default_minor, UPLINK_MINOR_SLOT_BASE + SLOT_DEFAULT);
        /* Without these two the kernel would replace a root that somebody put there since we looked. */
        cr_expect_eq(nlmsg_hdr(message)->nlmsg_flags, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL);

        object = (struct rtnl_qdisc *) read_with_libnl(message);
        cr_expect_eq(rtnl_htb_get_defcls(object), UPLINK_MINOR_SLOT_BASE + SLOT_DEFAULT);
        cr_expect_eq(rtnl_tc_get_parent(TC_CAST(object)), TC_H_ROOT);
        nl_object_put((struct nl_object *) object);
}

Test(tc_message, others) {
        static const HtbChange change = { HTB_CHANGE_SET, 0, { .minor = 0x12, .parent_minor = 1 } },
                               delete = { HTB_CHANGE_DELETE, 0, { .minor = 0x12, .parent_minor = 1 } },
                               add = { HTB_CHANGE_ADD_LEAF, 0,
                                       { .minor = 0x12, .parent_minor = 1, .leaf.kind = HTB_LEAF_FQ_CODEL } },
                               replace = { HTB_CHANGE_REPLACE_LEAF, 0,
                                       { .minor = 0x12,
                                                       .parent_minor = 1,
                                                       .leaf = { HTB_LEAF_FQ, 1, 0, 256, 32 } } },
                               set = { HTB_CHANGE_SET_LEAF, 0,
                                       { .minor = 0x12, .parent_minor = 1, .leaf.kind = HTB_LEAF_FIFO } };
        static const struct {
                const char *name;
                const HtbChange *change; /* NULL: deletion of the root */
                uint16_t type, flags;
                uint32_t parent, handle;
                const char *kind;
        } cases[] = {
                { "change class", &change, RTM_NEWTCLASS, 0, 0x48470001, 0x48470012, NULL },
                { "delete class", &delete, RTM_DELTCLASS, 0, 0x48470001, 0x48470012, NULL },
                { "add a queue", &add, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, 0x48470012, 0, "fq_codel" },
                { "one in place of another", &replace, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, 0x48470012,
                                0, "fq" },
                /* With _CREATE the kernel would put it in place of what somebody put there meanwhile. */
                { "change one", &set, RTM_NEWQDISC, 0, 0x48470012, 0, "bfifo" },
                { "delete root", NULL, RTM_DELQDISC, 0, TC_H_ROOT, 0x48470000, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_nl_msg_ struct nl_msg *message = NULL;
                struct nlattr *attributes[TCA_MAX + 1];
                const struct tcmsg *body;

                if (cases[i].change)
                        cr_assert_eq(tc_message_change(IFINDEX, cases[i].change, &message), 0);
                else
                        cr_assert_eq(tc_message_root_delete(IFINDEX, 0x48470000, &message), 0);
                body = nlmsg_data(nlmsg_hdr(message));
                cr_assert_eq(nlmsg_parse(nlmsg_hdr(message), sizeof(*body), attributes, TCA_MAX, NULL), 0);
                cr_expect_eq(nlmsg_hdr(message)->nlmsg_type, cases[i].type, "%s", cases[i].name);
                cr_expect_eq(nlmsg_hdr(message)->nlmsg_flags, NLM_F_REQUEST | cases[i].flags, "%s",
                                cases[i].name);
                cr_expect_eq(body->tcm_ifindex, IFINDEX, "%s", cases[i].name);
                cr_expect_eq(body->tcm_parent, cases[i].parent, "%s", cases[i].name);
                cr_expect_eq(body->tcm_handle, cases[i].handle, "%s", cases[i].name);
                cr_expect_eq(!!attributes[TCA_KIND], !!cases[i].kind, "%s", cases[i].name);
                if (cases[i].kind && attributes[TCA_KIND])
                        cr_expect_str_eq(nla_get_string(attributes[TCA_KIND]), cases[i].kind);
        }
}

/* No kernel makes a qdisc of these, and a leaf is not one of them. */
Test(tc_message, probes_can_only_be_refused) {
        static const HtbChange change = { HTB_CHANGE_ADD_LEAF, 0,
                { .minor = 0x12, .parent_minor = 1, .leaf = { HTB_LEAF_FQ_CODEL, 128, 1, 0, 0 } } };
        struct nlattr *attributes[TCA_MAX + 1], *options[TCA_FQ_CODEL_MAX + 1];
        _cleanup_nl_msg_ struct nl_msg *htb = NULL, *fq_codel = NULL, *leaf = NULL;

        cr_assert_eq(tc_message_probe("htb", &htb), 0);
        cr_assert_eq(nlmsg_parse(nlmsg_hdr(htb), sizeof(struct tcmsg), attributes, TCA_MAX, NULL), 0);
        cr_expect_null(attributes[TCA_OPTIONS]);

        cr_assert_eq(tc_message_probe("fq_codel", &fq_codel), 0);
        cr_assert_eq(nlmsg_parse(nlmsg_hdr(fq_codel), sizeof(struct tcmsg), attributes, TCA_MAX, NULL), 0);
        cr_assert_eq(nla_parse_nested(options, TCA_FQ_CODEL_MAX, attributes[TCA_OPTIONS], NULL), 0);
        cr_expect_eq(nla_get_u32(options[TCA_FQ_CODEL_FLOWS]), 0);

        cr_assert_eq(tc_message_change(IFINDEX, &change, &leaf), 0);
        cr_assert_eq(nlmsg_parse(nlmsg_hdr(leaf), sizeof(struct tcmsg), attributes, TCA_MAX, NULL), 0);
        cr_assert_eq(nla_parse_nested(options, TCA_FQ_CODEL_MAX, attributes[TCA_OPTIONS], NULL), 0);
        cr_expect_gt(nla_get_u32(options[TCA_FQ_CODEL_FLOWS]), 0);
}

/* A class as the kernel dumps it, with the attributes of 6.18 in its order. */
static struct nl_msg *dumped_class(int ifindex, uint32_t handle, const char *kind, bool packets64) {
        struct nl_msg *message = nlmsg_alloc_simple(RTM_NEWTCLASS, NLM_F_MULTI);
        struct tcmsg body = {
                .tcm_ifindex = ifindex, .tcm_handle = handle, .tcm_parent = 0x48470001, .tcm_info = 5
        };
        struct tc_htb_opt options = { .rate.rate = UINT32_MAX, .ceil.rate = UINT32_MAX, .prio = 1 };
        struct gnet_stats_queue queue = {
                .qlen = 3, .backlog = 4242, .drops = 5, .requeues = 6, .overlimits = 7
        };
        struct tc_htb_xstats htb = { .lends = 8, .borrows = 9 };
        uint32_t basic[3] = { 0x00000001, 0x00000002,
                99 }; /* bytes, in host order, then packets: no padding */
        struct nlattr *nest;
        uint64_t bytes = 0x200000001;

        memcpy(basic, &bytes, sizeof(bytes));
        nlmsg_append(message, &body, sizeof(body), NLMSG_ALIGNTO);
        nla_put_string(message, TCA_KIND, kind);
        nest = nla_nest_start(message, TCA_OPTIONS);
        nla_put(message, TCA_HTB_PARMS, sizeof(options), &options);
        nla_put_u64(message, TCA_HTB_RATE64, 5000000000);
        nla_put_u64(message, TCA_HTB_CEIL64, 6000000000);
        nla_nest_end(message, nest);
        nest = nla_nest_start(message, TCA_STATS2);
        nla_put(message, TCA_STATS_BASIC, sizeof(basic), basic);
        if (packets64)
                nla_put_u64(message, TCA_STATS_PKT64, 0x300000063);
        nla_put(message, TCA_STATS_QUEUE, sizeof(queue), &queue);
        nla_put(message, TCA_STATS_APP, sizeof(htb), &htb);
        nla_nest_end(message, nest);
        return message;
}

Test(tc_message, stats) {
        for (unsigned packets64 = 0; packets64 < 2; packets64++) {
                _cleanup_nl_msg_ struct nl_msg *message =
                                dumped_class(IFINDEX, UPLINK_CLASSID(5), "htb", packets64);
                NetClassStats stats = { 0 };
                HtbClass class = { 0 };

                cr_assert_eq(tc_message_parse_stats(nlmsg_hdr(message), IFINDEX, &stats), 1);
                cr_expect_eq(stats.slot, 5);
                cr_expect_eq(stats.bytes, 0x200000001);
                cr_expect_eq(stats.packets, packets64 ? 0x300000063 : 99);
                cr_expect_eq(stats.backlog_packets, 3);
                cr_expect_eq(stats.backlog_bytes, 4242);
                cr_expect_eq(stats.drops, 5);
                cr_expect_eq(stats.overlimits, 7);
                cr_expect_eq(stats.borrowed, 9);

                cr_assert_eq(tc_message_parse_class(nlmsg_hdr(message), IFINDEX, &class), 1);
                cr_expect_eq(class.rate_bytes, 5000000000);
                cr_expect_eq(class.ceil_bytes, 6000000000);
                cr_expect_eq(class.leaf.kind, HTB_LEAF_FOREIGN, "ours is told by its qdisc");
                cr_expect(class.waiting_packets == 3 && class.waiting_bytes == 4242);
        }
}

static struct nl_msg *dumped_leaf(int ifindex, uint32_t parent) {
        struct nl_msg *message = nlmsg_alloc_simple(RTM_NEWQDISC, NLM_F_MULTI);
        struct tcmsg body = { .tcm_ifindex = ifindex, .tcm_handle = 0x80010000, .tcm_parent = parent };
        struct gnet_stats_queue queue = { .drops = 41 };
        uint32_t basic[3] = {};
        struct nlattr *nest;

        nlmsg_append(message, &body, sizeof(body), NLMSG_ALIGNTO);
        nla_put_string(message, TCA_KIND, "fq_codel");
        nest = nla_nest_start(message, TCA_STATS2);
        nla_put(message, TCA_STATS_BASIC, sizeof(basic), basic);
        nla_put(message, TCA_STATS_QUEUE, sizeof(queue), &queue);
        nla_nest_end(message, nest);
        return message;
}

Test(tc_message, drops_of_leaves) {
        static const struct {
                const char *name;
                int ifindex;
                uint32_t parent;
                int expected;
        } cases[] = {
                { "in a slot's class", IFINDEX, 0x48470015, 1 },
                { "in the root class", IFINDEX, 0x48470001, 0 },
                { "at the root", IFINDEX, TC_H_ROOT, 0 },
                { "another interface", IFINDEX + 1, 0x48470015, 0 },
                { "another tree", IFINDEX, 0x00010015, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_nl_msg_ struct nl_msg *message = dumped_leaf(cases[i].ifindex, cases[i].parent);
                uint64_t drops = 0;
                uint32_t slot = 0;

                cr_expect_eq(tc_message_parse_leaf_drops(nlmsg_hdr(message), IFINDEX, &slot, &drops),
                                cases[i].expected, "%s", cases[i].name);
                cr_expect_eq(slot, cases[i].expected ? 5 : 0, "%s", cases[i].name);
                cr_expect_eq(drops, cases[i].expected ? 41 : 0, "%s", cases[i].name);
        }
}

Test(tc_message, of_others) {
        static const struct {
                const char *name;
                int ifindex;
                uint32_t handle;
                const char *kind;
                int class, stats;
        } cases[] = {
                { "ours", IFINDEX, 0x48470012, "htb", 1, 1 },
                { "the root class has no slot", IFINDEX, 0x48470001, "htb", 1, 0 },
                { "another interface", IFINDEX + 1, 0x48470012, "htb", 0, 0 },
                { "another tree", IFINDEX, 0x00010012, "htb", 0, 0 },
                { "another kind", IFINDEX, 0x48470012, "hfsc", 0, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_nl_msg_ struct nl_msg *message =
                                dumped_class(cases[i].ifindex, cases[i].handle, cases[i].kind, true);
                NetClassStats stats;
                HtbClass class;
                TcQdisc qdisc;
                TcLink link;

                cr_expect_eq(tc_message_parse_class(nlmsg_hdr(message), IFINDEX, &class), cases[i].class,
                                "%s", cases[i].name);
                cr_expect_eq(tc_message_parse_stats(nlmsg_hdr(message), IFINDEX, &stats), cases[i].stats,
                                "%s", cases[i].name);
                cr_expect_eq(tc_message_parse_qdisc(nlmsg_hdr(message), &qdisc), 0);
                cr_expect_eq(tc_message_parse_link(nlmsg_hdr(message), &link), 0);
        }
}

/* Cut at each byte, and with each byte flipped: an answer, and no read outside (the copy is as long as the
 * message). */
Test(tc_message, broken) {
        _cleanup_nl_msg_ struct nl_msg *class = dumped_class(IFINDEX, UPLINK_CLASSID(5), "htb", true),
                                       *leaf = dumped_leaf(IFINDEX, UPLINK_CLASSID(5)), *root = NULL;
        struct nl_msg *whole[] = { class, leaf, NULL };

        cr_assert_eq(tc_message_root_add(IFINDEX, &root), 0);
        whole[2] = root;
        for (size_t k = 0; k < ELEMENTSOF(whole); k++) {
                uint32_t length = nlmsg_hdr(whole[k])->nlmsg_len;

                for (uint32_t i = NLMSG_HDRLEN; i <= 2 * length; i++) {
                        uint32_t cut = i < length ? i : length;
                        _cleanup_free_ struct nlmsghdr *copy = malloc(cut);
                        NetClassStats stats;
                        HtbClass parsed;
                        uint64_t drops;
                        uint32_t slot;
                        TcQdisc qdisc;
                        TcLink link;

                        cr_assert_not_null(copy);
                        memcpy(copy, nlmsg_hdr(whole[k]), cut);
                        copy->nlmsg_len = cut;
                        if (i > length && i - length >= NLMSG_HDRLEN && i - length < length)
                                ((unsigned char *) copy)[i - length] ^= 0xff;
                        for (unsigned type = 0; type < 2; type++) {
                                if (type == 1)
                                        copy->nlmsg_type = RTM_NEWLINK;
                                (void) tc_message_parse_class(copy, IFINDEX, &parsed);
                                (void) tc_message_parse_stats(copy, IFINDEX, &stats);
                                (void) tc_message_parse_leaf_drops(copy, IFINDEX, &slot, &drops);
                                (void) tc_message_parse_qdisc(copy, &qdisc);
                                (void) tc_message_parse_link(copy, &link);
                        }
                        if (i < NLMSG_HDRLEN + sizeof(struct tcmsg)) {
                                copy->nlmsg_type = RTM_NEWTCLASS;
                                cr_expect_eq(tc_message_parse_class(copy, IFINDEX, &parsed), -EBADMSG,
                                                "cut at %u", i);
                        }
                }
        }
}
