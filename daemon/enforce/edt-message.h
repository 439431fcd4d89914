/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * rtnetlink messages of the qdiscs that keep the times of departure: fq, below mq where a device has several
 * queues. Opens no socket. What they answer reads tc_message_parse_qdisc().
 */

#include <stdint.h>

struct nl_msg;

/* Our root: "mq", or "fq" for a device of one queue. -EEXIST, from the kernel, where a root of anyone's is.
 */
int edt_message_root_add(int ifindex, const char *kind, struct nl_msg **ret);
/* An fq for one queue, from 1 on, in place of the kernel's default one. */
int edt_message_queue_add(int ifindex, uint32_t queue, struct nl_msg **ret);

/* fq's options; 0 buckets are what no kernel takes. */
int fq_options_put(struct nl_msg *message, uint32_t buckets_log);
/* Of its options, which of fq's bands a packet is in: all in one, but those whose priority ends in these four
 * bits before them; -1: none. */
int fq_bands_put(struct nl_msg *message, int first);
