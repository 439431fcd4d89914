/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The kernel's announcements, made by hand; and a socket that lost some of them. */

#include "enforce/link-watch.h"

#include <criterion/criterion.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

#define PORT 4242

static struct nl_msg *make_message(int type, const void *body, size_t size) {
        struct nl_msg *message = nlmsg_alloc_simple(type, 0);

        cr_assert_not_null(message);
        cr_assert_geq(nlmsg_append(message, (void *) body, size, NLMSG_ALIGNTO), 0);
        nlmsg_hdr(message)->nlmsg_pid = PORT;
        return message;
}

Test(link_watch, links) {
        const int types[] = { RTM_NEWLINK, RTM_DELLINK };

        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                struct nl_msg *message = make_message(
                                types[i], &(struct ifinfomsg){ .ifi_index = 7 }, sizeof(struct ifinfomsg));
                LinkChange change = {};

                cr_assert_geq(nla_put_string(message, IFLA_IFNAME, "eth7"), 0);
                cr_assert_eq(link_change_parse(nlmsg_hdr(message), &change), 0);
                cr_expect_not(change.traffic);
                cr_expect_eq(change.ifindex, 7);
                cr_expect_eq(change.port, PORT);
                cr_expect_str_eq(change.name, "eth7");
                nlmsg_free(message);
        }
}

Test(link_watch, traffic) {
        const int types[] = { RTM_NEWQDISC, RTM_DELQDISC, RTM_NEWTCLASS, RTM_DELTCLASS, RTM_NEWTFILTER,
                RTM_DELTFILTER };

        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                struct nl_msg *message = make_message(
                                types[i], &(struct tcmsg){ .tcm_ifindex = 3 }, sizeof(struct tcmsg));
                LinkChange change = {};

                cr_assert_eq(link_change_parse(nlmsg_hdr(message), &change), 0);
                cr_expect(change.traffic);
                cr_expect_eq(change.ifindex, 3);
                cr_expect_eq(change.port, PORT);
                cr_expect_null(change.name);
                nlmsg_free(message);
        }
}

Test(link_watch, what_is_none) {
        static const struct {
                const char *name;
                int type;
                size_t size;
                int error;
        } cases[] = {
                { "an address", RTM_NEWADDR, 64, -ENODATA },
                { "a class cut short", RTM_NEWTCLASS, sizeof(struct tcmsg) - 4, -EBADMSG },
                { "a link without a name", RTM_NEWLINK, sizeof(struct ifinfomsg), -EBADMSG },
                { "a link cut short", RTM_NEWLINK, 4, -EBADMSG },
        };
        static const char zeros[64];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct nl_msg *message = make_message(cases[i].type, zeros, cases[i].size);
                LinkChange change = { .ifindex = 99 };

                cr_expect_eq(link_change_parse(nlmsg_hdr(message), &change), cases[i].error, "%s",
                                cases[i].name);
                cr_expect_eq(change.ifindex, 99, "%s: unchanged", cases[i].name);
                nlmsg_free(message);
        }
}
