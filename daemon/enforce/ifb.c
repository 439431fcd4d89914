/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "enforce/ifb.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <string.h>

/* And the interface's index. */
#define NAME_PREFIX "hg-in-"

/* Packets that a class without a queue of its own may hold: an IFB has 32 by itself. */
#define QUEUE_LENGTH 200U

void ifb_name(unsigned of_ifindex, char ret[static IF_NAMESIZE]) {
        snprintf(ret, IF_NAMESIZE, NAME_PREFIX "%u", of_ifindex);
}

unsigned ifb_name_of(const char *name) {
        char same[IF_NAMESIZE];
        unsigned ifindex;

        if (sscanf(name, NAME_PREFIX "%u", &ifindex) != 1)
                return 0;
        ifb_name(ifindex, same);
        return strcmp(same, name) == 0 ? ifindex : 0;
}

typedef struct Device {
        Ifb ifb;
        bool is_ifb;
} Device;

static int take_device(const struct nlmsghdr *header, void *userdata) {
        struct nlattr *attributes[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1];
        const struct ifinfomsg *link = nlmsg_data(header);
        Device *device = userdata;

        if (header->nlmsg_type != RTM_NEWLINK || nlmsg_parse((struct nlmsghdr *) header, sizeof(*link),
                                                                 attributes, IFLA_MAX, NULL) < 0)
                return 0;
        device->ifb = (Ifb){ link->ifi_index, link->ifi_flags & IFF_UP };
        device->is_ifb = attributes[IFLA_LINKINFO] &&
                         nla_parse_nested(info, IFLA_INFO_MAX, attributes[IFLA_LINKINFO], NULL) >= 0 &&
                         info[IFLA_INFO_KIND] && nla_strcmp(info[IFLA_INFO_KIND], "ifb") == 0;
        return 0;
}

static struct nl_msg *link_message(int type, int flags, const struct ifinfomsg *link, const char *name) {
        _cleanup_nl_msg_ struct nl_msg *message = nlmsg_alloc_simple(type, NLM_F_REQUEST | flags);

        if (!message || nlmsg_append(message, (void *) link, sizeof(*link), NLMSG_ALIGNTO) < 0 ||
                        (name && nla_put_string(message, IFLA_IFNAME, name) < 0))
                return NULL;
        return TAKE_PTR(message);
}

int ifb_look(Netlink *netlink, const char *name, Ifb *ret) {
        _cleanup_nl_msg_ struct nl_msg *message = link_message(RTM_GETLINK, 0, &(struct ifinfomsg){}, name);
        Device device = {};
        int r;

        r = message ? netlink_request(netlink, message, take_device, &device) : -ENOMEM;
        if (r < 0)
                return r;
        if (!device.is_ifb)
                return -EBUSY;
        *ret = device.ifb;
        return 0;
}

static int make(Netlink *netlink, const char *name) {
        _cleanup_nl_msg_ struct nl_msg *message =
                        link_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &(struct ifinfomsg){}, name);
        struct nlattr *info;
        int r;

        if (!message || nla_put_u32(message, IFLA_TXQLEN, QUEUE_LENGTH) < 0)
                return -ENOMEM;
        info = nla_nest_start(message, IFLA_LINKINFO);
        if (!info || nla_put_string(message, IFLA_INFO_KIND, "ifb") < 0)
                return -ENOMEM;
        nla_nest_end(message, info);
        r = netlink_request(netlink, message, NULL, NULL);
        return r == -EEXIST ? 0 : r;
}

static int change(Netlink *netlink, int type, struct ifinfomsg link) {
        _cleanup_nl_msg_ struct nl_msg *message = link_message(type, 0, &link, NULL);

        return message ? netlink_request(netlink, message, NULL, NULL) : -ENOMEM;
}

int ifb_ensure(Netlink *netlink, const char *name) {
        Ifb ifb;
        int r;

        r = ifb_look(netlink, name, &ifb);
        if (r == -ENODEV) {
                r = make(netlink, name);
                if (r >= 0)
                        r = ifb_look(netlink, name, &ifb);
        }
        if (r < 0 || ifb.is_up)
                return r;
        return change(netlink, RTM_NEWLINK,
                        (struct ifinfomsg){ .ifi_index = ifb.ifindex,
                                        .ifi_flags = IFF_UP,
                                        .ifi_change = IFF_UP });
}

int ifb_remove(Netlink *netlink, const char *name) {
        Ifb ifb;
        int r;

        r = ifb_look(netlink, name, &ifb);
        if (r >= 0)
                r = change(netlink, RTM_DELLINK, (struct ifinfomsg){ .ifi_index = ifb.ifindex });
        return r == -ENODEV || r == -EBUSY ? 0 : r;
}

void ifb_drop_stale(void) {
        _cleanup_(netlink_free_p) Netlink *netlink = NULL;
        struct if_nameindex *interfaces;

        if (netlink_new(&netlink) < 0)
                return;
        interfaces = if_nameindex();
        for (struct if_nameindex *i = interfaces; i && i->if_index > 0; i++) {
                unsigned of_ifindex = ifb_name_of(i->if_name);
                char ifname[IF_NAMESIZE];

                if (of_ifindex > 0 && !if_indextoname(of_ifindex, ifname))
                        (void) ifb_remove(netlink, i->if_name);
        }
        if_freenameindex(interfaces);
}
