/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One filter at a handle and priority of our own, behind all others at the hook: what it takes they would not
 * see again, since packets that come back from an IFB pass the hook. Its classifier is a program without
 * direct action, whose word decides whether its action, mirred, takes the packet: bpf_redirect() into an IFB
 * loses packets.
 */

#include "enforce/net-ingress.h"
#include "enforce/netlink.h"
#include "enforce/tc-filter.h"
#include "enforce/uplink.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

#include "bpf/net-ingress.h"
#include "bpf/net-ingress.skel.h"

#define FILTER_HANDLE UPLINK_HTB_MAJOR
#define FILTER_PRIORITY 0xff48U
#define FILTER_PARENT TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
#define FILTER_INFO TC_H_MAKE(FILTER_PRIORITY << 16, htons(ETH_P_ALL))
#define FILTER_NAME_PREFIX NET_INGRESS_PROGRAM_NAME ":["

/* And the interface's index. */
#define DEVICE_PREFIX "hg-in-"
#define PROGRAM_PIN "net-ingress-program-"

/* Packets that a class without a queue of its own may hold: an IFB has 32 by itself. */
#define QUEUE_LENGTH 200U

struct NetIngress {
        Netlink *netlink;
        unsigned ifindex;
        char ifname[IF_NAMESIZE], device[IF_NAMESIZE];
        char *pin_dir; /* NULL: nothing is pinned */
};

static void nl_msg_free_p(struct nl_msg **message) {
        nlmsg_free(*message);
}
#define _cleanup_nl_msg_ _cleanup_(nl_msg_free_p)

static void skeleton_destroy(struct net_ingress_bpf **skeleton) {
        net_ingress_bpf__destroy(*skeleton);
}

static int request(
                const NetIngress *ingress, struct nl_msg *message, NetlinkHandler handler, void *userdata) {
        return netlink_request(ingress->netlink, message, handler, userdata);
}

/* --- the IFB --- */

typedef struct Device {
        int ifindex;
        bool is_ifb, is_up;
} Device;

static int take_device(const struct nlmsghdr *header, void *userdata) {
        struct nlattr *attributes[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1];
        const struct ifinfomsg *link = nlmsg_data(header);
        Device *device = userdata;

        if (header->nlmsg_type != RTM_NEWLINK || nlmsg_parse((struct nlmsghdr *) header, sizeof(*link),
                                                                 attributes, IFLA_MAX, NULL) < 0)
                return 0;
        device->ifindex = link->ifi_index;
        device->is_up = link->ifi_flags & IFF_UP;
        device->is_ifb = attributes[IFLA_LINKINFO] &&
                         nla_parse_nested(info, IFLA_INFO_MAX, attributes[IFLA_LINKINFO], NULL) >= 0 &&
                         info[IFLA_INFO_KIND] && strcmp(nla_get_string(info[IFLA_INFO_KIND]), "ifb") == 0;
        return 0;
}

static struct nl_msg *link_message(int type, int flags, const struct ifinfomsg *link, const char *name) {
        _cleanup_nl_msg_ struct nl_msg *message = nlmsg_alloc_simple(type, NLM_F_REQUEST | flags);

        if (!message || nlmsg_append(message, (void *) link, sizeof(*link), NLMSG_ALIGNTO) < 0 ||
                        (name && nla_put_string(message, IFLA_IFNAME, name) < 0))
                return NULL;
        return TAKE_PTR(message);
}

/* -ENODEV: there is none of that name. */
static int look_at_device(const NetIngress *ingress, Device *ret) {
        _cleanup_nl_msg_ struct nl_msg *message =
                        link_message(RTM_GETLINK, 0, &(struct ifinfomsg){}, ingress->device);

        *ret = (Device){};
        return message ? request(ingress, message, take_device, ret) : -ENOMEM;
}

static int take_arrived(const struct nlmsghdr *header, void *userdata) {
        struct nlattr *attributes[IFLA_MAX + 1];
        struct rtnl_link_stats64 stats;

        if (header->nlmsg_type != RTM_NEWLINK ||
                        nlmsg_parse((struct nlmsghdr *) header, sizeof(struct ifinfomsg), attributes,
                                        IFLA_MAX, NULL) < 0 ||
                        !attributes[IFLA_STATS64])
                return 0;
        nla_memcpy(&stats, attributes[IFLA_STATS64], sizeof(stats));
        *(uint64_t *) userdata = stats.rx_bytes;
        return 0;
}

int net_ingress_arrived(const NetIngress *ingress, uint64_t *ret_bytes) {
        const struct ifinfomsg link = { .ifi_index = (int) ingress->ifindex };
        _cleanup_nl_msg_ struct nl_msg *message = link_message(RTM_GETLINK, 0, &link, NULL);
        uint64_t bytes = UINT64_MAX;
        int r = message ? request(ingress, message, take_arrived, &bytes) : -ENOMEM;

        if (r < 0 || bytes == UINT64_MAX)
                return r < 0 ? r : -ENODATA;
        *ret_bytes = bytes;
        return 0;
}

static int make_device(const NetIngress *ingress) {
        _cleanup_nl_msg_ struct nl_msg *message = link_message(
                        RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &(struct ifinfomsg){}, ingress->device);
        struct nlattr *info;
        int r;

        if (!message || nla_put_u32(message, IFLA_TXQLEN, QUEUE_LENGTH) < 0)
                return -ENOMEM;
        info = nla_nest_start(message, IFLA_LINKINFO);
        if (!info || nla_put_string(message, IFLA_INFO_KIND, "ifb") < 0)
                return -ENOMEM;
        nla_nest_end(message, info);
        r = request(ingress, message, NULL, NULL);
        return r == -EEXIST ? 0 : r;
}

static int change_device(const NetIngress *ingress, int type, struct ifinfomsg link) {
        _cleanup_nl_msg_ struct nl_msg *message = link_message(type, 0, &link, NULL);

        return message ? request(ingress, message, NULL, NULL) : -ENOMEM;
}

static int ensure_device(const NetIngress *ingress) {
        Device device;
        int r;

        r = look_at_device(ingress, &device);
        if (r == -ENODEV) {
                r = make_device(ingress);
                if (r >= 0)
                        r = look_at_device(ingress, &device);
        }
        if (r < 0)
                return r;
        if (!device.is_ifb)
                return -EBUSY;
        return device.is_up ? 0
                            : change_device(ingress, RTM_NEWLINK,
                                              (struct ifinfomsg){ .ifi_index = device.ifindex,
                                                              .ifi_flags = IFF_UP,
                                                              .ifi_change = IFF_UP });
}

static int remove_device(const NetIngress *ingress) {
        Device device;
        int r;

        r = look_at_device(ingress, &device);
        if (r >= 0 && device.is_ifb)
                r = change_device(ingress, RTM_DELLINK, (struct ifinfomsg){ .ifi_index = device.ifindex });
        return r == -ENODEV ? 0 : r;
}

unsigned net_ingress_device_of(const char *device) {
        char name[IF_NAMESIZE];
        unsigned ifindex;

        if (sscanf(device, DEVICE_PREFIX "%u", &ifindex) != 1)
                return 0;
        snprintf(name, sizeof(name), DEVICE_PREFIX "%u", ifindex);
        return strcmp(name, device) == 0 ? ifindex : 0;
}

static void remove_stale_devices(Netlink *netlink) {
        struct if_nameindex *interfaces = if_nameindex();

        for (struct if_nameindex *i = interfaces; i && i->if_index > 0; i++) {
                NetIngress stale = { .netlink = netlink, .ifindex = net_ingress_device_of(i->if_name) };
                char ifname[IF_NAMESIZE];

                if (stale.ifindex == 0 || if_indextoname(stale.ifindex, ifname))
                        continue;
                snprintf(stale.device, sizeof(stale.device), "%s", i->if_name);
                (void) remove_device(&stale);
        }
        if_freenameindex(interfaces);
}

void net_ingress_drop_stale(void) {
        _cleanup_(netlink_free_p) Netlink *netlink = NULL;

        if (netlink_new(&netlink) >= 0)
                remove_stale_devices(netlink);
}

/* --- the filter --- */

typedef struct Filter {
        bool has_ours, has_foreign; /* at our handle and priority */
        uint32_t program_id;
        int to; /* the interface that its action sends to */
} Filter;

static int mirred_target(struct nlattr *actions) {
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

static int take_filter(const struct nlmsghdr *header, void *userdata) {
        struct nlattr *attributes[TCA_MAX + 1], *options[TCA_BPF_MAX + 1];
        const struct tcmsg *tc = nlmsg_data(header);
        Filter *filter = userdata;

        if (header->nlmsg_type != RTM_NEWTFILTER || tc->tcm_handle != FILTER_HANDLE ||
                        TC_H_MAJ(tc->tcm_info) != FILTER_PRIORITY << 16 ||
                        nlmsg_parse((struct nlmsghdr *) header, sizeof(*tc), attributes, TCA_MAX, NULL) < 0)
                return 0;
        filter->has_foreign = true;
        if (!attributes[TCA_OPTIONS] ||
                        nla_parse_nested(options, TCA_BPF_MAX, attributes[TCA_OPTIONS], NULL) < 0 ||
                        !options[TCA_BPF_NAME] ||
                        strncmp(nla_get_string(options[TCA_BPF_NAME]), FILTER_NAME_PREFIX,
                                        strlen(FILTER_NAME_PREFIX)) != 0)
                return 0;
        *filter = (Filter){ .has_ours = true, .to = mirred_target(options[TCA_BPF_ACT]) };
        if (options[TCA_BPF_ID])
                filter->program_id = nla_get_u32(options[TCA_BPF_ID]);
        return 0;
}

static struct nl_msg *filter_message(const NetIngress *ingress, int type, int flags) {
        _cleanup_nl_msg_ struct nl_msg *message = nlmsg_alloc_simple(type, NLM_F_REQUEST | flags);
        struct tcmsg tc = {
                .tcm_family = AF_UNSPEC, .tcm_ifindex = (int) ingress->ifindex, .tcm_parent = FILTER_PARENT
        };

        if (type != RTM_GETTFILTER) {
                tc.tcm_handle = FILTER_HANDLE;
                tc.tcm_info = FILTER_INFO;
        }
        if (!message || nlmsg_append(message, &tc, sizeof(tc), NLMSG_ALIGNTO) < 0 ||
                        (type != RTM_GETTFILTER && nla_put_string(message, TCA_KIND, "bpf") < 0))
                return NULL;
        return TAKE_PTR(message);
}

static int look_at_filter(const NetIngress *ingress, Filter *ret) {
        _cleanup_nl_msg_ struct nl_msg *message = filter_message(ingress, RTM_GETTFILTER, NLM_F_DUMP);

        *ret = (Filter){};
        return message ? request(ingress, message, take_filter, ret) : -ENOMEM;
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

static int send_filter(const NetIngress *ingress, int program_fd, int to) {
        _cleanup_nl_msg_ struct nl_msg *message = filter_message(ingress, RTM_NEWTFILTER, NLM_F_CREATE);
        struct bpf_prog_info info = {};
        uint32_t size = sizeof(info);
        struct nlattr *options;
        char name[64];

        if (!message || bpf_obj_get_info_by_fd(program_fd, &info, &size) < 0)
                return message ? -errno : -ENOMEM;
        snprintf(name, sizeof(name), FILTER_NAME_PREFIX "%u]", info.id); /* as libbpf names its own */
        options = nla_nest_start(message, TCA_OPTIONS);
        if (!options || nla_put_u32(message, TCA_BPF_FD, (uint32_t) program_fd) < 0 ||
                        nla_put_string(message, TCA_BPF_NAME, name) < 0 || put_mirred(message, to) < 0)
                return -ENOMEM;
        nla_nest_end(message, options);
        return request(ingress, message, NULL, NULL);
}

static int load(int groups_fd, int addresses_fd, struct net_ingress_bpf **ret) {
        _cleanup_(skeleton_destroy) struct net_ingress_bpf *skeleton = net_ingress_bpf__open();
        int r;

        if (!skeleton)
                return -errno;
        skeleton->rodata->major = UPLINK_HTB_MAJOR;
        skeleton->rodata->minor_base = UPLINK_MINOR_SLOT_BASE;
        r = bpf_map__reuse_fd(skeleton->maps.groups, groups_fd);
        if (r == 0)
                r = bpf_map__reuse_fd(skeleton->maps.addresses, addresses_fd);
        if (r == 0)
                r = net_ingress_bpf__load(skeleton);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(skeleton);
        return 0;
}

int net_ingress_attach(NetIngress *ingress, int groups_fd, int addresses_fd, const char **ret_words) {
        _cleanup_(skeleton_destroy) struct net_ingress_bpf *skeleton = NULL;
        _cleanup_close_ int pinned_fd = -EBADF;
        _libbpf_silent_;
        int r, program_fd;
        Filter filter;
        Device device;

        *ret_words = "its IFB can't be brought up";
        r = ensure_device(ingress);
        if (r >= 0)
                r = look_at_device(ingress, &device);
        if (r < 0)
                return r;
        *ret_words = "its filters can't be read";
        r = look_at_filter(ingress, &filter);
        if (r < 0)
                return r;
        *ret_words = "a filter of another owner has our place";
        if (filter.has_foreign)
                return -EBUSY;
        *ret_words = "there are no tenants' groups to look for, since the meter did not load";
        if (groups_fd < 0)
                return -EOPNOTSUPP;
        *ret_words = "the program does not load";
        r = load(groups_fd, addresses_fd, &skeleton);
        if (r < 0)
                return r == -ENOMEM ? r : -EOPNOTSUPP;

        program_fd = bpf_program__fd(skeleton->progs.NET_INGRESS_PROGRAM);
        pinned_fd = tc_pin_get(ingress->pin_dir, PROGRAM_PIN, ingress->ifindex);
        if (filter.has_ours && filter.to == device.ifindex &&
                        tc_program_runs(filter.program_id, pinned_fd, program_fd, groups_fd) &&
                        tc_program_runs(filter.program_id, pinned_fd, program_fd, addresses_fd))
                return 0;
        *ret_words = "the filter can't be attached";
        r = send_filter(ingress, program_fd, device.ifindex);
        if (r >= 0)
                tc_pin_put(ingress->pin_dir, PROGRAM_PIN, ingress->ifindex, program_fd);
        return r;
}

bool net_ingress_alive(const NetIngress *ingress) {
        Filter filter;
        Device device;

        return if_nametoindex(ingress->ifname) == ingress->ifindex && look_at_device(ingress, &device) >= 0 &&
               device.is_ifb && device.is_up && look_at_filter(ingress, &filter) >= 0 && filter.has_ours &&
               filter.to == device.ifindex;
}

/* --- both --- */

static int open_ingress(const char *ifname, const char *pin_dir, NetIngress **ret) {
        _cleanup_(net_ingress_free_p) NetIngress *ingress = calloc(1, sizeof(*ingress));
        int r;

        if (!ingress)
                return -ENOMEM;
        r = netlink_new(&ingress->netlink);
        if (r < 0)
                return r;
        ingress->ifindex = if_nametoindex(ifname);
        if (ingress->ifindex == 0)
                return -ENODEV;
        snprintf(ingress->ifname, sizeof(ingress->ifname), "%s", ifname);
        snprintf(ingress->device, sizeof(ingress->device), DEVICE_PREFIX "%u", ingress->ifindex);
        r = tc_pins_open(pin_dir, &ingress->pin_dir);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(ingress);
        return 0;
}

int net_ingress_new(const char *ifname, const char *pin_dir, NetIngress **ret) {
        _cleanup_(net_ingress_free_p) NetIngress *ingress = NULL;
        int r;

        r = open_ingress(ifname, pin_dir, &ingress);
        if (r < 0)
                return r;
        remove_stale_devices(ingress->netlink);
        tc_pins_drop_stale(ingress->pin_dir, PROGRAM_PIN);
        r = ensure_device(ingress);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(ingress);
        return 0;
}

NetIngress *net_ingress_free(NetIngress *ingress) {
        if (!ingress)
                return NULL;
        netlink_free(ingress->netlink);
        free(ingress->pin_dir);
        free(ingress);
        return NULL;
}

bool net_ingress_stands(const NetIngress *ingress) {
        return if_nametoindex(ingress->ifname) == ingress->ifindex && if_nametoindex(ingress->device) > 0;
}

const char *net_ingress_device(const NetIngress *ingress) {
        return ingress->device;
}

/* The filter before the IFB: a filter that sends to what is no more loses packets. */
int net_ingress_remove(const char *ifname, const char *pin_dir) {
        _cleanup_(net_ingress_free_p) NetIngress *ingress = NULL;
        Filter filter;
        int r;

        r = open_ingress(ifname, pin_dir, &ingress);
        if (r < 0)
                return r == -ENODEV ? 0 : r;
        r = look_at_filter(ingress, &filter);
        if (r >= 0 && filter.has_ours) {
                _cleanup_nl_msg_ struct nl_msg *message = filter_message(ingress, RTM_DELTFILTER, 0);

                r = message ? request(ingress, message, NULL, NULL) : -ENOMEM;
                if (r < 0 && r != -ENOENT)
                        return r;
        }
        (void) tc_pin_remove(ingress->pin_dir, PROGRAM_PIN, ingress->ifindex);
        return remove_device(ingress);
}
