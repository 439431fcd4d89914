/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What an Uplink is, and how its files ask the kernel: for uplink.c and uplink-stats.c alone. */

#include "enforce/htb-message.h"
#include "enforce/netlink.h"
#include "enforce/uplink.h"

#include <stdbool.h>

/* A dump that changed under way, or a lost reply, is asked for again; so is a change that another was quicker
 * with. */
#define UPLINK_ATTEMPTS 5U

struct Uplink {
        char name[IFNAMSIZ];
        Netlink *netlink;
        bool fq_codel;
        bool added[HTB_SLOT_MAX + 1]; /* classes that we made since they were last read, by slot */
        char words[256];
};

/* Sends what a maker of htb-message.h returned, and frees it. */
int uplink_request(Uplink *uplink, int made, struct nl_msg *message, NetlinkHandler handler, void *userdata);
/* The interface that has the name now. */
int uplink_look_up_link(Uplink *uplink, HtbLink *ret);
/* Errors after which a second look is worth it. */
bool uplink_is_passing(int error);
