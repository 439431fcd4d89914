/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One filter at a handle and priority of our own, behind all others at the hook: what it takes they would not
 * see again, since packets that come back from an IFB pass the hook. It sends by its action (tc-redirect.h):
 * bpf_redirect() into an IFB loses packets.
 */

#include "enforce/net-ingress.h"
#include "enforce/ifb.h"
#include "enforce/netlink.h"
#include "enforce/tc-filter.h"
#include "enforce/tc-redirect.h"
#include "enforce/uplink.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

#include "bpf/lockdown.h"
#include "bpf/net-ingress.h"
#include "bpf/net-ingress.skel.h"

#define PROGRAM_PIN "net-ingress-program-"

struct NetIngress {
        Netlink *netlink;
        TcFilter filter;
        char ifname[IF_NAMESIZE], device[IF_NAMESIZE];
        char *pin_dir; /* NULL: nothing is pinned */
};

static void skeleton_destroy(struct net_ingress_bpf **skeleton) {
        net_ingress_bpf__destroy(*skeleton);
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
        struct ifinfomsg link = { .ifi_index = (int) ingress->filter.ifindex };
        _cleanup_nl_msg_ struct nl_msg *message = nlmsg_alloc_simple(RTM_GETLINK, NLM_F_REQUEST);
        uint64_t bytes = UINT64_MAX;
        int r;

        if (!message || nlmsg_append(message, &link, sizeof(link), NLMSG_ALIGNTO) < 0)
                return -ENOMEM;
        r = netlink_request(ingress->netlink, message, take_arrived, &bytes);
        if (r < 0 || bytes == UINT64_MAX)
                return r < 0 ? r : -ENODATA;
        *ret_bytes = bytes;
        return 0;
}

/* The interface has a clsact, or there is none to be seen. */
static int look_at_filter(const NetIngress *ingress, TcSight *ret) {
        return tc_filter_look_behind(ingress->netlink, &ingress->filter, /* has_hook= */ true, ret);
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
        const unsigned ifindex = ingress->filter.ifindex;
        _cleanup_close_ int pinned_fd = -EBADF;
        _libbpf_silent_;
        int r, program_fd;
        TcSight sight;
        Ifb ifb;

        *ret_words = "its IFB can't be brought up";
        r = ifb_ensure(ingress->netlink, ingress->device);
        if (r >= 0)
                r = ifb_look(ingress->netlink, ingress->device, &ifb);
        if (r < 0)
                return r;
        *ret_words = "its filters can't be read";
        r = look_at_filter(ingress, &sight);
        if (r < 0)
                return r;
        *ret_words = "a filter of another owner has our place";
        if (sight.has_foreign)
                return -EBUSY;
        *ret_words = "there are no tenants' groups to look for, since the meter did not load";
        if (groups_fd < 0)
                return -EOPNOTSUPP;
        *ret_words = lockdown_hides_memory() ? "the program does not load: " LOCKDOWN_WORDS
                                             : "the program does not load";
        r = load(groups_fd, addresses_fd, &skeleton);
        if (r < 0)
                return r == -ENOMEM ? r : -EOPNOTSUPP;

        program_fd = bpf_program__fd(skeleton->progs.NET_INGRESS_PROGRAM);
        pinned_fd = tc_pin_get(ingress->pin_dir, PROGRAM_PIN, ifindex);
        if (sight.has_ours && sight.to_ifindex == ifb.ifindex &&
                        tc_program_runs(sight.program_id, pinned_fd, program_fd, groups_fd) &&
                        tc_program_runs(sight.program_id, pinned_fd, program_fd, addresses_fd))
                return 0;
        *ret_words = "the filter can't be attached";
        r = tc_redirect_attach(ingress->netlink, &ingress->filter, program_fd, ifb.ifindex);
        if (r >= 0)
                tc_pin_put(ingress->pin_dir, PROGRAM_PIN, ifindex, program_fd);
        return r;
}

bool net_ingress_alive(const NetIngress *ingress) {
        TcSight sight;
        Ifb ifb;

        return if_nametoindex(ingress->ifname) == ingress->filter.ifindex &&
               ifb_look(ingress->netlink, ingress->device, &ifb) >= 0 && ifb.is_up &&
               look_at_filter(ingress, &sight) >= 0 && sight.has_ours && sight.to_ifindex == ifb.ifindex;
}

static int open_ingress(const char *ifname, const char *pin_dir, NetIngress **ret) {
        _cleanup_(net_ingress_free_p) NetIngress *ingress = calloc(1, sizeof(*ingress));
        int r;

        if (!ingress)
                return -ENOMEM;
        r = netlink_new(&ingress->netlink);
        if (r < 0)
                return r;
        ingress->filter = (TcFilter){ .ifindex = if_nametoindex(ifname),
                .ingress = true,
                .program = NET_INGRESS_PROGRAM_NAME,
                .last = true };
        if (ingress->filter.ifindex == 0)
                return -ENODEV;
        snprintf(ingress->ifname, sizeof(ingress->ifname), "%s", ifname);
        ifb_name(ingress->filter.ifindex, ingress->device);
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
        ifb_drop_stale();
        tc_pins_drop_stale(ingress->pin_dir, PROGRAM_PIN);
        r = ifb_ensure(ingress->netlink, ingress->device);
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
        return if_nametoindex(ingress->ifname) == ingress->filter.ifindex &&
               if_nametoindex(ingress->device) > 0;
}

const char *net_ingress_device(const NetIngress *ingress) {
        return ingress->device;
}

/* The filter before the IFB: a filter that sends to what is no more loses packets. */
int net_ingress_remove(const char *ifname, const char *pin_dir) {
        _cleanup_(net_ingress_free_p) NetIngress *ingress = NULL;
        int r;

        r = open_ingress(ifname, pin_dir, &ingress);
        if (r < 0)
                return r == -ENODEV ? 0 : r;
        r = tc_filter_detach(ingress->netlink, &ingress->filter, /* made= */ false);
        if (r < 0)
                return r;
        (void) tc_pin_remove(ingress->pin_dir, PROGRAM_PIN, ingress->filter.ifindex);
        return ifb_remove(ingress->netlink, ingress->device);
}
