/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A root qdisc of somebody else's, from a dump to a text and back. No kernel: the dumps are made up. */

#include "enforce/foreign-root.h"

#include <criterion/criterion.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

#include "util/cleanup.h"

#define IFINDEX 7
#define HANDLE 0x80010000U
#define BOOT "01234567-89ab-cdef-0123-456789abcdef"

static void nl_msg_free_p(struct nl_msg **message) {
        nlmsg_free(*message);
}
#define _cleanup_nl_msg_ _cleanup_(nl_msg_free_p)

static struct nl_msg *dumped(uint16_t type, int ifindex, uint32_t parent, uint32_t handle, const char *kind,
                size_t options_bytes) {
        struct nl_msg *message = nlmsg_alloc_simple(type, NLM_F_MULTI);
        struct tcmsg body = { .tcm_ifindex = ifindex, .tcm_parent = parent, .tcm_handle = handle };
        static const uint8_t options[FOREIGN_ROOT_OPTIONS_MAX + 4] = { 1, 2, 0xff, 4 };

        nlmsg_append(message, &body, sizeof(body), NLMSG_ALIGNTO);
        nla_put_string(message, TCA_KIND, kind);
        if (options_bytes > 0)
                nla_put(message, TCA_OPTIONS, (int) options_bytes, options);
        return message;
}

Test(foreign_root, judges) {
        static const struct {
                const char *name, *kind;
                uint16_t type;
                int ifindex;
                uint32_t parent, handle;
                size_t options;
                int expected;
        } cases[] = {
                { "a kind that is whole in its options", "tbf", RTM_NEWQDISC, IFINDEX, TC_H_ROOT, HANDLE, 40,
                                1 },
                { "one without options", "pfifo_fast", RTM_NEWQDISC, IFINDEX, TC_H_ROOT, HANDLE, 0, 1 },
                { "another interface's", "htb", RTM_NEWQDISC, IFINDEX + 1, TC_H_ROOT, HANDLE, 40, 0 },
                { "clsact", "clsact", RTM_NEWQDISC, IFINDEX, TC_H_INGRESS, 0xffff0000, 0, 0 },
                { "a child that the kernel makes", "pfifo_fast", RTM_NEWQDISC, IFINDEX, HANDLE | 1, 0, 24,
                                0 },
                { "a child of somebody's", "pfifo", RTM_NEWQDISC, IFINDEX, HANDLE | 1, 0x20000, 4,
                                -EOPNOTSUPP },
                { "a kind with classes", "htb", RTM_NEWQDISC, IFINDEX, TC_H_ROOT, HANDLE, 40, -EOPNOTSUPP },
                { "a kind of which less is dumped", "netem", RTM_NEWQDISC, IFINDEX, TC_H_ROOT, HANDLE, 40,
                                -EOPNOTSUPP },
                { "a filter", "u32", RTM_NEWTFILTER, IFINDEX, HANDLE, 1, 0, -EOPNOTSUPP },
                { "too many options", "sfq", RTM_NEWQDISC, IFINDEX, TC_H_ROOT, HANDLE,
                                FOREIGN_ROOT_OPTIONS_MAX + 4, -EOPNOTSUPP },
                { "another message", "tbf", RTM_NEWTCLASS, IFINDEX, TC_H_ROOT, HANDLE, 40, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_nl_msg_ struct nl_msg *message = dumped(cases[i].type, cases[i].ifindex,
                                cases[i].parent, cases[i].handle, cases[i].kind, cases[i].options);
                const char *words = NULL;
                ForeignRoot root;

                cr_expect_eq(foreign_root_parse(nlmsg_hdr(message), IFINDEX, &root, &words),
                                cases[i].expected, "%s", cases[i].name);
                cr_expect_eq(words != NULL, cases[i].expected == -EOPNOTSUPP, "%s", cases[i].name);
        }
}

Test(foreign_root, comes_back_as_it_was) {
        _cleanup_nl_msg_ struct nl_msg *message = dumped(RTM_NEWQDISC, IFINDEX, TC_H_ROOT, HANDLE, "tbf", 40),
                                       *again = NULL;
        struct nlattr *attributes[TCA_MAX + 1];
        char text[FOREIGN_ROOT_TEXT_SIZE];
        ForeignRoot root = {}, read = {};
        const char *words;

        cr_assert_eq(foreign_root_parse(nlmsg_hdr(message), IFINDEX, &root, &words), 1);
        foreign_root_format(&root, BOOT, text);
        cr_assert_eq(foreign_root_from_text(text, BOOT, &read), 0, "%s", text);
        cr_expect_eq(memcmp(&root, &read, sizeof(root)), 0);
        cr_expect_eq(foreign_root_from_text(text, "another-boot", &read), -ESTALE);

        cr_assert_eq(foreign_root_message(&read, &again), 0);
        cr_expect_eq(nlmsg_hdr(again)->nlmsg_type, RTM_NEWQDISC);
        cr_assert_eq(nlmsg_parse(nlmsg_hdr(again), sizeof(struct tcmsg), attributes, TCA_MAX, NULL), 0);
        cr_expect_str_eq(nla_get_string(attributes[TCA_KIND]), "tbf");
        cr_expect_eq(nla_len(attributes[TCA_OPTIONS]), 40);
        cr_expect_eq(((uint8_t *) nla_data(attributes[TCA_OPTIONS]))[2], 0xff);
        cr_expect_eq(((struct tcmsg *) nlmsg_data(nlmsg_hdr(again)))->tcm_handle, HANDLE);
}

/* 5000 us are held as 4882 units and dumped as 4999 us. */
Test(foreign_root, undoes_codels_rounding) {
        ForeignRoot root = {};
        const char *words;
        struct nl_msg *message = nlmsg_alloc_simple(RTM_NEWQDISC, NLM_F_MULTI);
        struct tcmsg body = { .tcm_ifindex = IFINDEX, .tcm_parent = TC_H_ROOT, .tcm_handle = HANDLE };
        struct nlattr *options;

        nlmsg_append(message, &body, sizeof(body), NLMSG_ALIGNTO);
        nla_put_string(message, TCA_KIND, "fq_codel");
        options = nla_nest_start(message, TCA_OPTIONS);
        nla_put_u32(message, TCA_FQ_CODEL_LIMIT, 1000);
        nla_put_u32(message, TCA_FQ_CODEL_TARGET, 4999);
        nla_nest_end(message, options);
        cr_assert_eq(foreign_root_parse(nlmsg_hdr(message), IFINDEX, &root, &words), 1);
        cr_expect_eq(nla_get_u32(nla_find((struct nlattr *) root.options, (int) root.options_bytes,
                                     TCA_FQ_CODEL_TARGET)),
                        5000);
        cr_expect_eq(nla_get_u32(nla_find((struct nlattr *) root.options, (int) root.options_bytes,
                                     TCA_FQ_CODEL_LIMIT)),
                        1000);
        nlmsg_free(message);
}

/* Given 127, as it is dumped, the kernel would make 127 of 128 flows. */
Test(foreign_root, leaves_sfq_its_own_limit) {
        static const struct {
                const char *name;
                uint32_t limit, flows, expected;
        } cases[] = {
                { "its own", 127, 128, 0 },
                { "given", 100, 100, 100 },
                { "given, and fewer flows", 1000, 128, 1000 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct tc_sfq_qopt options = { .limit = cases[i].limit, .flows = cases[i].flows };
                _cleanup_nl_msg_ struct nl_msg *message =
                                dumped(RTM_NEWQDISC, IFINDEX, TC_H_ROOT, HANDLE, "sfq", 0);
                ForeignRoot root = {};
                const char *words;

                nla_put(message, TCA_OPTIONS, sizeof(options), &options);
                cr_assert_eq(foreign_root_parse(nlmsg_hdr(message), IFINDEX, &root, &words), 1);
                memcpy(&options, root.options, sizeof(options));
                cr_expect_eq(options.limit, cases[i].expected, "%s", cases[i].name);
                cr_expect_eq(options.flows, cases[i].flows, "%s", cases[i].name);
        }
}

/* Cut at each byte: refused, and no read outside. */
Test(foreign_root, cut_texts) {
        const ForeignRoot root = { IFINDEX, HANDLE, "sfq", { 1, 2, 3 }, 3 };
        char text[FOREIGN_ROOT_TEXT_SIZE];
        ForeignRoot read;

        foreign_root_format(&root, BOOT, text);
        for (size_t n = 0; n < strlen(text); n++) {
                _cleanup_free_ char *cut = strndup(text, n);

                cr_expect_lt(foreign_root_from_text(cut, BOOT, &read), 0, "at %zu", n);
        }
}
