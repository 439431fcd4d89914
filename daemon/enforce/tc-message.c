/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Makes and reads the rtnetlink messages of one uplink's HTB tree (linux/pkt_sched.h, net/sched/sch_htb.c).
 * Pure: no socket, and no opinion on what the numbers should be.
 */

#include "edt-message.h"
#include "tc-message.h"
#include "leaf-message.h"
#include "netlink.h"
#include "uplink.h"

#include <assert.h>
#include <linux/gen_stats.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

#define OUR_CLASS(minor) (UPLINK_HANDLE | (minor))

/* The largest of ours, a class with 64-bit rates, has 132 bytes. */
#define MESSAGE_SIZE 256U

#define LOOPBACK_INDEX 1

/* What the shaper sees of a full packet is the MTU, the Ethernet header and at most one VLAN tag. */
#define FRAME_HEADER_BYTES 18U

/* IFLA_GSO_IPV4_MAX_SIZE and its brother of linux/if_link.h since Linux 6.3: IPv4's own, where
 * IFLA_GSO_MAX_SIZE has become IPv6's. */
enum { LINK_GSO_IPV4 = 63, LINK_GRO_IPV4 = 64, LINK_ATTRIBUTES };

static int message_new(
                uint16_t type, uint16_t flags, const void *body, size_t body_size, struct nl_msg **ret) {
        _cleanup_nl_msg_ struct nl_msg *message = nlmsg_alloc_size(MESSAGE_SIZE);

        if (!message || !nlmsg_put(message, NL_AUTO_PORT, 0, type, 0, NLM_F_REQUEST | flags) ||
                        nlmsg_append(message, (void *) body, body_size, NLMSG_ALIGNTO) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(message);
        return 0;
}

int tc_message_new(uint16_t type, uint16_t flags, int ifindex, uint32_t parent, uint32_t handle,
                const char *kind, struct nl_msg **ret) {
        _cleanup_nl_msg_ struct nl_msg *message = NULL;
        struct tcmsg body = {
                .tcm_family = AF_UNSPEC,
                .tcm_ifindex = ifindex,
                .tcm_parent = parent,
                .tcm_handle = handle,
        };
        int r;

        r = message_new(type, flags, &body, sizeof(body), &message);
        if (r < 0)
                return r;
        if (kind && nla_put_string(message, TCA_KIND, kind) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(message);
        return 0;
}

int tc_message_link_get(const char *ifname, struct nl_msg **ret) {
        _cleanup_nl_msg_ struct nl_msg *message = NULL;
        struct ifinfomsg body = { .ifi_family = AF_UNSPEC };
        int r;

        r = message_new(RTM_GETLINK, 0, &body, sizeof(body), &message);
        if (r < 0)
                return r;
        if (nla_put_string(message, IFLA_IFNAME, ifname) < 0 ||
                        nla_put_u32(message, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(message);
        return 0;
}

int tc_message_qdisc_dump(struct nl_msg **ret) {
        return tc_message_new(RTM_GETQDISC, NLM_F_DUMP, 0, 0, 0, NULL, ret);
}

int tc_message_class_dump(int ifindex, struct nl_msg **ret) {
        return tc_message_new(RTM_GETTCLASS, NLM_F_DUMP, ifindex, 0, 0, NULL, ret);
}

int tc_message_filter_dump(int ifindex, uint32_t parent, struct nl_msg **ret) {
        return tc_message_new(RTM_GETTFILTER, NLM_F_DUMP, ifindex, parent, 0, NULL, ret);
}

int tc_message_root_add(int ifindex, struct nl_msg **ret) {
        _cleanup_nl_msg_ struct nl_msg *message = NULL;
        struct tc_htb_glob options = {
                .version = TC_HTB_PROTOVER,
                .rate2quantum = 10, /* unused: each class has its quantum; but 0 is no divisor */
                .defcls = UPLINK_MINOR_SLOT_BASE + SLOT_DEFAULT,
        };
        struct nlattr *nest;
        int r;

        r = tc_message_new(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, ifindex, TC_H_ROOT, UPLINK_HANDLE, "htb",
                        &message);
        if (r < 0)
                return r;
        nest = nla_nest_start(message, TCA_OPTIONS);
        if (!nest || nla_put(message, TCA_HTB_INIT, sizeof(options), &options) < 0)
                return -ENOMEM;
        nla_nest_end(message, nest);
        *ret = TAKE_PTR(message);
        return 0;
}

int tc_message_root_delete(int ifindex, uint32_t handle, struct nl_msg **ret) {
        return tc_message_new(RTM_DELQDISC, 0, ifindex, TC_H_ROOT, handle, NULL, ret);
}

static void rate_to_kernel(uint64_t rate_bytes, uint16_t overhead_bytes, struct tc_ratespec *ret) {
        *ret = (struct tc_ratespec){
                /* A link layer that is named tells the kernel to expect no rate table. */
                .linklayer = TC_LINKLAYER_ETHERNET,
                .overhead = overhead_bytes,
                .rate = rate_bytes > UINT32_MAX ? UINT32_MAX : (uint32_t) rate_bytes,
        };
}

static int class_options_put(struct nl_msg *message, const HtbClass *class) {
        struct tc_htb_opt options = {
                .buffer = class->buffer_ticks,
                .cbuffer = class->cbuffer_ticks,
                .quantum = class->quantum_bytes,
                .prio = class->priority,
        };
        struct nlattr *nest;

        rate_to_kernel(class->rate_bytes, class->overhead_bytes, &options.rate);
        rate_to_kernel(class->ceil_bytes, class->overhead_bytes, &options.ceil);

        nest = nla_nest_start(message, TCA_OPTIONS);
        if (!nest || nla_put(message, TCA_HTB_PARMS, sizeof(options), &options) < 0)
                return -ENOMEM;
        if (class->rate_bytes > UINT32_MAX && nla_put_u64(message, TCA_HTB_RATE64, class->rate_bytes) < 0)
                return -ENOMEM;
        if (class->ceil_bytes > UINT32_MAX && nla_put_u64(message, TCA_HTB_CEIL64, class->ceil_bytes) < 0)
                return -ENOMEM;
        nla_nest_end(message, nest);
        return 0;
}

/* A class is of its qdisc's kind: the kernel reads none from a message of one (tc_ctl_tclass()). */
int tc_message_change(int ifindex, const HtbChange *change, struct nl_msg **ret) {
        static const struct {
                uint16_t type, flags;
        } shapes[] = {
                [HTB_CHANGE_ADD] = { RTM_NEWTCLASS, NLM_F_CREATE | NLM_F_EXCL },
                [HTB_CHANGE_SET] = { RTM_NEWTCLASS, 0 },
                [HTB_CHANGE_DELETE] = { RTM_DELTCLASS, 0 },
                [HTB_CHANGE_ADD_LEAF] = { RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL },
                /* One of its own kind, or the kernel refuses it; it loses nothing of what waits. */
                [HTB_CHANGE_SET_LEAF] = { RTM_NEWQDISC, 0 },
                /* One of another kind goes, with what waits in it. */
                [HTB_CHANGE_REPLACE_LEAF] = { RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE },
        };
        _cleanup_nl_msg_ struct nl_msg *message = NULL;
        const HtbClass *class = &change->class;
        uint16_t type, flags;
        int r;

        assert((size_t) change->kind < ELEMENTSOF(shapes));

        type = shapes[change->kind].type;
        flags = shapes[change->kind].flags;
        if (type == RTM_NEWQDISC)
                r = tc_message_new(type, flags, ifindex, OUR_CLASS(class->minor), /* handle= */ 0,
                                htb_leaf_name(class->leaf.kind), &message);
        else
                r = tc_message_new(type, flags, ifindex, OUR_CLASS(class->parent_minor),
                                OUR_CLASS(class->minor), /* kind= */ NULL, &message);
        if (r < 0)
                return r;
        if (type == RTM_NEWQDISC)
                r = leaf_options_put(message, &class->leaf, /* anew= */ change->kind != HTB_CHANGE_SET_LEAF);
        else if (type == RTM_NEWTCLASS)
                r = class_options_put(message, class);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(message);
        return 0;
}

int tc_message_probe(const char *kind, struct nl_msg **ret) {
        _cleanup_nl_msg_ struct nl_msg *message = NULL;
        int r;

        r = tc_message_new(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, LOOPBACK_INDEX, TC_H_ROOT, 0, kind,
                        &message);
        if (r < 0)
                return r;
        /* htb insists on options, fq_codel on at least one flow, fq on buckets. */
        if (strcmp(kind, "fq_codel") == 0)
                r = leaf_options_put(message, &(HtbLeaf){ .kind = HTB_LEAF_FQ_CODEL }, /* anew= */ true);
        else if (strcmp(kind, "fq") == 0)
                r = fq_options_put(message, /* buckets_log= */ 0);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(message);
        return 0;
}

static bool attribute_holds(const struct nlattr *attribute, size_t size) {
        return attribute && (size_t) nla_len(attribute) >= size;
}

/* A string attribute that may lack its NUL, cut to fit. */
static void attribute_copy_string(const struct nlattr *attribute, char *ret, size_t size) {
        size_t length = 0;

        if (attribute) {
                length = strnlen(nla_data(attribute), (size_t) nla_len(attribute));
                if (length > size - 1)
                        length = size - 1;
                memcpy(ret, nla_data(attribute), length);
        }
        ret[length] = '\0';
}

static int tc_message_parse(const struct nlmsghdr *header, uint16_t type, const struct tcmsg **ret_body,
                struct nlattr *ret_attributes[TCA_MAX + 1]) {
        if (header->nlmsg_type != type)
                return 0;
        if (nlmsg_parse((struct nlmsghdr *) header, sizeof(struct tcmsg), ret_attributes, TCA_MAX, NULL) < 0)
                return -EBADMSG;
        *ret_body = nlmsg_data(header);
        return 1;
}

/* Of two numbers that may lack: 0. */
static uint32_t larger_of(const struct nlattr *a, const struct nlattr *b) {
        uint32_t x = attribute_holds(a, sizeof(uint32_t)) ? nla_get_u32(a) : 0,
                 y = attribute_holds(b, sizeof(uint32_t)) ? nla_get_u32(b) : 0;

        return x > y ? x : y;
}

int tc_message_parse_link(const struct nlmsghdr *header, TcLink *ret) {
        struct nlattr *attributes[LINK_ATTRIBUTES], *info[IFLA_INFO_MAX + 1];
        const struct ifinfomsg *body;
        TcLink link = { 0 };

        if (header->nlmsg_type != RTM_NEWLINK)
                return 0;
        if (nlmsg_parse((struct nlmsghdr *) header, sizeof(struct ifinfomsg), attributes, LINK_ATTRIBUTES - 1,
                            NULL) < 0 ||
                        !attribute_holds(attributes[IFLA_MTU], sizeof(uint32_t)))
                return -EBADMSG;

        body = nlmsg_data(header);
        link.ifindex = body->ifi_index;
        link.packets.frame_bytes = nla_get_u32(attributes[IFLA_MTU]) + FRAME_HEADER_BYTES;
        link.packets.max_bytes = larger_of(attributes[IFLA_GSO_MAX_SIZE], attributes[LINK_GSO_IPV4]);
        link.taken_max_bytes = larger_of(attributes[IFLA_GRO_MAX_SIZE], attributes[LINK_GRO_IPV4]);
        link.queues = attribute_holds(attributes[IFLA_NUM_TX_QUEUES], sizeof(uint32_t))
                                      ? nla_get_u32(attributes[IFLA_NUM_TX_QUEUES])
                                      : 1;
        attribute_copy_string(attributes[IFLA_IFNAME], link.name, sizeof(link.name));
        link.is_bridge = attributes[IFLA_LINKINFO] &&
                         nla_parse_nested(info, IFLA_INFO_MAX, attributes[IFLA_LINKINFO], NULL) >= 0 &&
                         info[IFLA_INFO_KIND] && nla_strcmp(info[IFLA_INFO_KIND], "bridge") == 0;
        *ret = link;
        return 1;
}

int tc_message_parse_qdisc(const struct nlmsghdr *header, TcQdisc *ret) {
        struct nlattr *attributes[TCA_MAX + 1], *options[TCA_HTB_MAX + 1];
        const struct tcmsg *body;
        TcQdisc qdisc = { 0 };
        int r;

        r = tc_message_parse(header, RTM_NEWQDISC, &body, attributes);
        if (r <= 0)
                return r;

        qdisc.ifindex = body->tcm_ifindex;
        qdisc.parent = body->tcm_parent;
        qdisc.handle = body->tcm_handle;
        attribute_copy_string(attributes[TCA_KIND], qdisc.kind, sizeof(qdisc.kind));

        if (strcmp(qdisc.kind, "htb") == 0) {
                const struct tc_htb_glob *global;

                if (!attributes[TCA_OPTIONS] ||
                                nla_parse_nested(options, TCA_HTB_MAX, attributes[TCA_OPTIONS], NULL) < 0 ||
                                !attribute_holds(options[TCA_HTB_INIT], sizeof(*global)))
                        return -EBADMSG;
                global = nla_data(options[TCA_HTB_INIT]);
                qdisc.default_minor = global->defcls;
        }
        leaf_options_parse(qdisc.kind, attributes[TCA_OPTIONS], &qdisc.leaf);
        *ret = qdisc;
        return 1;
}

/* The header and attributes of a class of our tree on this interface. */
static int our_class_parse(const struct nlmsghdr *header, int ifindex, const struct tcmsg **ret_body,
                struct nlattr *ret_attributes[TCA_MAX + 1]) {
        int r;

        r = tc_message_parse(header, RTM_NEWTCLASS, ret_body, ret_attributes);
        if (r <= 0)
                return r;
        if ((*ret_body)->tcm_ifindex != ifindex || TC_H_MAJ((*ret_body)->tcm_handle) != UPLINK_HANDLE)
                return 0;
        if (!attribute_holds(ret_attributes[TCA_KIND], 1))
                return -EBADMSG;
        return nla_strcmp(ret_attributes[TCA_KIND], "htb") == 0;
}

/* The kernel's structs end in padding that the attribute lacks: as much as there is of each is read. */
static int stats_parse(struct nlattr *const attributes[TCA_MAX + 1], struct nlattr *ret[TCA_STATS_MAX + 1]) {
        if (!attributes[TCA_STATS2] ||
                        nla_parse_nested(ret, TCA_STATS_MAX, attributes[TCA_STATS2], NULL) < 0 ||
                        !attribute_holds(ret[TCA_STATS_BASIC], sizeof(uint64_t) + sizeof(uint32_t)) ||
                        !attribute_holds(ret[TCA_STATS_QUEUE], sizeof(struct gnet_stats_queue)))
                return -EBADMSG;
        return 1;
}

int tc_message_parse_class(const struct nlmsghdr *header, int ifindex, HtbClass *ret) {
        struct nlattr *attributes[TCA_MAX + 1], *options[TCA_HTB_MAX + 1], *stats[TCA_STATS_MAX + 1];
        struct gnet_stats_queue queue = {};
        const struct tc_htb_opt *parameters;
        const struct tcmsg *body;
        HtbClass class;
        int r;

        r = our_class_parse(header, ifindex, &body, attributes);
        if (r <= 0)
                return r;
        if (!attributes[TCA_OPTIONS] ||
                        nla_parse_nested(options, TCA_HTB_MAX, attributes[TCA_OPTIONS], NULL) < 0 ||
                        !attribute_holds(options[TCA_HTB_PARMS], sizeof(*parameters)))
                return -EBADMSG;

        parameters = nla_data(options[TCA_HTB_PARMS]);
        class = (HtbClass){
                .minor = (uint16_t) TC_H_MIN(body->tcm_handle),
                .parent_minor = body->tcm_parent == TC_H_ROOT ? 0 : (uint16_t) TC_H_MIN(body->tcm_parent),
                .level = parameters->level,
                .priority = parameters->prio,
                .rate_bytes = parameters->rate.rate,
                .ceil_bytes = parameters->ceil.rate,
                .buffer_ticks = parameters->buffer,
                .cbuffer_ticks = parameters->cbuffer,
                .quantum_bytes = parameters->quantum,
                .overhead_bytes = parameters->rate.overhead,
                .leaf.kind = body->tcm_info ? HTB_LEAF_FOREIGN : HTB_LEAF_NONE,
        };
        /* The kernel adds these where a rate does not fit 32 bits, and caps the short form. */
        if (attribute_holds(options[TCA_HTB_RATE64], sizeof(uint64_t)))
                class.rate_bytes = nla_get_u64(options[TCA_HTB_RATE64]);
        if (attribute_holds(options[TCA_HTB_CEIL64], sizeof(uint64_t)))
                class.ceil_bytes = nla_get_u64(options[TCA_HTB_CEIL64]);
        if (stats_parse(attributes, stats) > 0)
                nla_memcpy(&queue, stats[TCA_STATS_QUEUE], sizeof(queue));
        class.waiting_bytes = queue.backlog;
        class.waiting_packets = queue.qlen;
        *ret = class;
        return 1;
}

int tc_message_parse_stats(const struct nlmsghdr *header, int ifindex, NetClassStats *ret) {
        struct nlattr *attributes[TCA_MAX + 1], *stats[TCA_STATS_MAX + 1];
        struct gnet_stats_basic basic = {};
        struct gnet_stats_queue queue;
        struct tc_htb_xstats htb = {};
        const struct tcmsg *body;
        uint32_t minor;
        int r;

        r = our_class_parse(header, ifindex, &body, attributes);
        if (r <= 0)
                return r;
        minor = TC_H_MIN(body->tcm_handle);
        if (minor < UPLINK_MINOR_SLOT_BASE)
                return 0;
        r = stats_parse(attributes, stats);
        if (r < 0)
                return r;

        nla_memcpy(&basic, stats[TCA_STATS_BASIC], sizeof(basic));
        nla_memcpy(&queue, stats[TCA_STATS_QUEUE], sizeof(queue));
        if (attribute_holds(stats[TCA_STATS_APP], sizeof(htb)))
                nla_memcpy(&htb, stats[TCA_STATS_APP], sizeof(htb));
        *ret = (NetClassStats){
                .slot = minor - UPLINK_MINOR_SLOT_BASE,
                .bytes = basic.bytes,
                .packets = attribute_holds(stats[TCA_STATS_PKT64], sizeof(uint64_t))
                                           ? nla_get_u64(stats[TCA_STATS_PKT64])
                                           : basic.packets,
                .drops = queue.drops,
                .overlimits = queue.overlimits,
                .borrowed = htb.borrows,
                .backlog_bytes = queue.backlog,
                .backlog_packets = queue.qlen,
        };
        return 1;
}

int tc_message_parse_leaf_drops(
                const struct nlmsghdr *header, int ifindex, uint32_t *ret_slot, uint64_t *ret_drops) {
        struct nlattr *attributes[TCA_MAX + 1], *stats[TCA_STATS_MAX + 1];
        struct gnet_stats_queue queue;
        const struct tcmsg *body;
        int r;

        r = tc_message_parse(header, RTM_NEWQDISC, &body, attributes);
        if (r <= 0)
                return r;
        if (body->tcm_ifindex != ifindex || TC_H_MAJ(body->tcm_parent) != UPLINK_HANDLE ||
                        TC_H_MIN(body->tcm_parent) < UPLINK_MINOR_SLOT_BASE)
                return 0;
        r = stats_parse(attributes, stats);
        if (r < 0)
                return r;
        nla_memcpy(&queue, stats[TCA_STATS_QUEUE], sizeof(queue));
        *ret_slot = TC_H_MIN(body->tcm_parent) - UPLINK_MINOR_SLOT_BASE;
        *ret_drops = queue.drops;
        return 1;
}
