/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What fq is asked for, by the kernel's numbers of its attributes (net/sched/sch_fq.c). */

#include "enforce/edt-message.h"
#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

#define PRIOMAP 16 /* Linux refuses one of a wrong length, from 6.7 on */

static void nl_msg_free_p(struct nl_msg **message) {
        nlmsg_free(*message);
}

Test(edt_message, fq_of_a_queue) {
        _cleanup_(nl_msg_free_p) struct nl_msg *message = NULL;
        struct nlattr *attributes[TCA_MAX + 1], *options[32];
        const struct tcmsg *body;
        const struct tc_prio_qopt *bands;

        cr_assert_eq(edt_message_queue_add(7, 2, &message), 0);
        cr_assert_eq(nlmsg_parse(nlmsg_hdr(message), sizeof(*body), attributes, TCA_MAX, NULL), 0);
        body = nlmsg_data(nlmsg_hdr(message));
        cr_expect(body->tcm_ifindex == 7 && body->tcm_parent == 0x48470002 && body->tcm_handle == 0);
        cr_expect_str_eq(nla_get_string(attributes[TCA_KIND]), "fq");
        cr_assert_eq(nla_parse_nested(options, ELEMENTSOF(options) - 1, attributes[TCA_OPTIONS], NULL), 0);
        for (size_t i = PRIOMAP + 1; i < ELEMENTSOF(options); i++)
                cr_expect_null(options[i], "%zu", i);
        cr_assert(options[PRIOMAP] && nla_len(options[PRIOMAP]) == sizeof(*bands));
        bands = nla_data(options[PRIOMAP]);
        cr_expect_eq(bands->bands, 3);
        for (unsigned i = 0; i <= TC_PRIO_MAX; i++)
                cr_expect_eq(bands->priomap[i], i == 1 ? 0 : 1, "of the control class's minor, 0x11, %u", i);
        cr_expect_eq(nla_get_u32(options[TCA_FQ_PLIMIT]), 200000);
}

Test(edt_message, a_root_of_many_queues_has_no_options) {
        _cleanup_(nl_msg_free_p) struct nl_msg *message = NULL;
        struct nlattr *attributes[TCA_MAX + 1];
        const struct tcmsg *body;

        cr_assert_eq(edt_message_root_add(7, "mq", &message), 0);
        cr_assert_eq(nlmsg_parse(nlmsg_hdr(message), sizeof(*body), attributes, TCA_MAX, NULL), 0);
        body = nlmsg_data(nlmsg_hdr(message));
        cr_expect(body->tcm_parent == TC_H_ROOT && body->tcm_handle == 0x48470000);
        cr_expect_str_eq(nla_get_string(attributes[TCA_KIND]), "mq");
        cr_expect_null(attributes[TCA_OPTIONS]);
}
