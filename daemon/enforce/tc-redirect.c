/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "enforce/tc-redirect.h"

#include <bpf/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

int tc_redirect_target(struct nlattr *actions) {
        struct nlattr *list[2], *action[TCA_ACT_MAX + 1], *options[TCA_MIRRED_MAX + 1];

        if (!actions || nla_parse_nested(list, 1, actions, NULL) < 0 || !list[1] ||
                        nla_parse_nested(action, TCA_ACT_MAX, list[1], NULL) < 0 ||
                        !action[TCA_ACT_OPTIONS] ||
                        nla_parse_nested(options, TCA_MIRRED_MAX, action[TCA_ACT_OPTIONS], NULL) < 0 ||
                        !options[TCA_MIRRED_PARMS] ||
                        nla_len(options[TCA_MIRRED_PARMS]) < (int) sizeof(struct tc_mirred))
                return 0;
        return (int) ((const struct tc_mirred *) nla_data(options[TCA_MIRRED_PARMS]))->ifindex;
}

static int put_mirred(struct nl_msg *message, int to) {
        struct tc_mirred mirred = {
                .action = TC_ACT_STOLEN, .eaction = TCA_EGRESS_REDIR, .ifindex = (__u32) to
        };
        struct nlattr *actions, *action, *options;

        actions = nla_nest_start(message, TCA_BPF_ACT);
        action = actions ? nla_nest_start(message, 1) : NULL;
        if (!action || nla_put_string(message, TCA_ACT_KIND, "mirred") < 0)
                return -ENOMEM;
        options = nla_nest_start(message, TCA_ACT_OPTIONS);
        if (!options || nla_put(message, TCA_MIRRED_PARMS, sizeof(mirred), &mirred) < 0)
                return -ENOMEM;
        nla_nest_end(message, options);
        nla_nest_end(message, action);
        nla_nest_end(message, actions);
        return 0;
}

int tc_redirect_attach(Netlink *netlink, const TcFilter *filter, int program_fd, int to_ifindex) {
        _cleanup_nl_msg_ struct nl_msg *message =
                        nlmsg_alloc_simple(RTM_NEWTFILTER, NLM_F_REQUEST | NLM_F_CREATE);
        struct tcmsg tc = tc_filter_place(filter);
        struct nlattr *options;
        char name[64];

        if (!message || nlmsg_append(message, &tc, sizeof(tc), NLMSG_ALIGNTO) < 0 ||
                        nla_put_string(message, TCA_KIND, "bpf") < 0)
                return -ENOMEM;
        /* As libbpf names its own. */
        snprintf(name, sizeof(name), "%s:[%u]", filter->program, tc_program_id(program_fd));
        options = nla_nest_start(message, TCA_OPTIONS);
        if (!options || nla_put_u32(message, TCA_BPF_FD, (uint32_t) program_fd) < 0 ||
                        nla_put_string(message, TCA_BPF_NAME, name) < 0 ||
                        put_mirred(message, to_ifindex) < 0)
                return -ENOMEM;
        nla_nest_end(message, options);
        return netlink_request(netlink, message, NULL, NULL);
}
