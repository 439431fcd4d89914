/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The options of the qdisc in a class, to bytes and back. Opens no socket, and chooses nothing. */

#include "htb-leaf.h"

struct nl_msg;
struct nlattr;

/* TCA_OPTIONS, `anew` of one that is made, else of one that is there and is to be changed: how many buckets
 * an fq_codel has can be said once. -ENOMEM. */
int leaf_options_put(struct nl_msg *message, const HtbLeaf *leaf, bool anew);
/* Of a qdisc of this name. HTB_LEAF_NONE as its kind: we make none such, or its options are not understood;
 * `options` may be NULL. */
void leaf_options_parse(const char *name, const struct nlattr *options, HtbLeaf *ret);
