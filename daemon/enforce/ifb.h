/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The IFB of an interface, in which what comes in there is queued: "hg-in-3" of the interface with the index
 * 3. What sends to it is not decided here (net-ingress.h). An interface of another kind that has its name is
 * left alone.
 */

#include "enforce/netlink.h"

#include <net/if.h>
#include <stdbool.h>

typedef struct Ifb {
        int ifindex;
        bool is_up;
} Ifb;

void ifb_name(unsigned of_ifindex, char ret[static IF_NAMESIZE]);
/* The index that such a name is of; 0 where it is none. */
unsigned ifb_name_of(const char *name);

/* -ENODEV: there is none of that name. -EBUSY: it is of another kind. */
int ifb_look(Netlink *netlink, const char *name, Ifb *ret);
/* Makes it where there is none, and brings it up. -EOPNOTSUPP: this kernel has no IFB. */
int ifb_ensure(Netlink *netlink, const char *name);
/* Nothing where there is none. */
int ifb_remove(Netlink *netlink, const char *name);
/* Those of interfaces that are no more, with which their filters went. */
void ifb_drop_stale(void);
