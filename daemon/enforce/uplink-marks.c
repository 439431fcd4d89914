/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "enforce/uplink-marks.h"

#include "enforce/ifb.h"
#include "enforce/tc-filter.h"
#include "uplink-internal.h"

#include <linux/pkt_sched.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/edt-pacer.h"
#include "bpf/net-class.h"
#include "bpf/net-ingress.h"

static const char *const programs[] = { NET_CLASS_PROGRAM_NAME, EDT_PACER_PROGRAM_NAME,
        NET_INGRESS_PROGRAM_NAME };

typedef struct Search {
        UplinkMarks marked, hooks;
} Search;

static int put(UplinkMarks *marks, unsigned ifindex) {
        unsigned *grown;

        for (size_t i = 0; i < marks->n; i++)
                if (marks->ifindex[i] == ifindex)
                        return 0;
        grown = reallocarray(marks->ifindex, marks->n + 1, sizeof(unsigned));
        if (!grown)
                return -ENOMEM;
        marks->ifindex = grown;
        grown[marks->n++] = ifindex;
        return 0;
}

/* What is queued in an IFB of ours goes with it. */
static bool is_our_ifb(unsigned ifindex) {
        char name[IF_NAMESIZE];

        return if_indextoname(ifindex, name) && ifb_name_of(name) > 0;
}

static int take_qdisc(const struct nlmsghdr *header, void *userdata) {
        Search *search = userdata;
        RootOwner owner;
        TcQdisc qdisc;
        int r;

        r = tc_message_parse_qdisc(header, &qdisc);
        if (r <= 0)
                return r;
        if (strcmp(qdisc.kind, "clsact") == 0)
                return put(&search->hooks, (unsigned) qdisc.ifindex);
        if (qdisc.parent != TC_H_ROOT || qdisc.ifindex <= 0)
                return 0;
        owner = uplink_root_owner(&qdisc);
        if ((owner != ROOT_OURS && owner != ROOT_MISSHAPEN) || is_our_ifb((unsigned) qdisc.ifindex))
                return 0;
        return put(&search->marked, (unsigned) qdisc.ifindex);
}

static int find_ifbs(UplinkMarks *marked) {
        struct if_nameindex *interfaces = if_nameindex();
        int r = 0;

        for (struct if_nameindex *i = interfaces; r >= 0 && i && i->if_index > 0; i++) {
                unsigned ifindex = ifb_name_of(i->if_name);

                if (ifindex > 0)
                        r = put(marked, ifindex);
        }
        if_freenameindex(interfaces);
        return r;
}

static int find_once(Netlink *netlink, Search *search) {
        struct nl_msg *message = NULL;
        int r;

        r = tc_message_qdisc_dump(&message);
        if (r < 0)
                return r;
        r = netlink_request(netlink, message, take_qdisc, search);
        nlmsg_free(message);
        for (size_t i = 0; r >= 0 && i < search->hooks.n; i++) {
                r = tc_hook_bears(netlink, search->hooks.ifindex[i], programs, ELEMENTSOF(programs));
                if (r > 0)
                        r = put(&search->marked, search->hooks.ifindex[i]);
        }
        return r < 0 ? r : find_ifbs(&search->marked);
}

int uplink_marks_find(UplinkMarks *ret) {
        _cleanup_(netlink_free_p) Netlink *netlink = NULL;
        Search search = {};
        int r;

        r = netlink_new(&netlink);
        if (r < 0)
                return r;
        r = -EAGAIN;
        for (unsigned n = 0; netlink_try_again(r, &n);)
                r = find_once(netlink, &search);
        uplink_marks_deinit(&search.hooks);
        if (r < 0) {
                uplink_marks_deinit(&search.marked);
                return r;
        }
        *ret = search.marked;
        return 0;
}

void uplink_marks_deinit(UplinkMarks *marks) {
        free(marks->ifindex);
        *marks = (UplinkMarks){};
}
