/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A filter of ours (tc-filter.h) that sends what its program says so of to another interface: without direct
 * action, the program's word decides whether the filter's action, mirred, takes the packet. libbpf makes none
 * with actions.
 */

#include "enforce/tc-filter.h"

struct nlattr;

/* Puts it in its place, an earlier one of ours replaced in one step. */
int tc_redirect_attach(Netlink *netlink, const TcFilter *filter, int program_fd, int to_ifindex);
/* Where a filter's actions send to; 0: nowhere. */
int tc_redirect_target(struct nlattr *actions);
