/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A socket of rtnetlink that sends many messages in one system call and says how it went. It knows no
 * message; it never retries: -ENOBUFS (replies were lost) and -EAGAIN (a dump changed under way) ask the
 * caller to look again.
 */

#include "util/cleanup.h"

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nl_msg;

typedef struct Netlink Netlink;

#define NETLINK_ATTEMPTS 5U

/* In the network namespace of the calling thread, for good. */
int netlink_new(Netlink **ret);
/* On a socket of packets that speaks for the kernel: for tests. Owns `fd` from here, also on failure. */
int netlink_new_from_fd(int fd, Netlink **ret);
Netlink *netlink_free(Netlink *netlink);
DEFINE_CLEANUP(Netlink *, netlink_free);

/* The socket's own port, which the kernel names as the origin of a change. */
uint32_t netlink_port(const Netlink *netlink);

/* What the kernel said of the last error, "" where it said nothing; good until the next call. */
const char *netlink_words(const Netlink *netlink);

void netlink_message_free_p(struct nl_msg **message);
#define _cleanup_nl_msg_ _cleanup_(netlink_message_free_p)

/* Called for each message of an answer; a negative return ends the calls and is returned in the end. */
typedef int (*NetlinkHandler)(const struct nlmsghdr *header, void *userdata);

/*
 * Sends one request and reads its whole answer: that of a dump to its end, else one message and the
 * acknowledgement. Kernel's errors as they are; -ETIMEDOUT where nothing came for 5 s.
 */
int netlink_request(Netlink *netlink, struct nl_msg *message, NetlinkHandler handler, void *userdata);

/* For loops over calls that may answer so: whether the last did, and it is worth another attempt, of which
 * `n` counts. Begins with -EAGAIN and 0. */
bool netlink_try_again(int error, unsigned *n);

/* Messages in a row, to be sent together. */
typedef struct NetlinkBatch {
        char *data; /* owned */
        size_t size, allocated;
        unsigned n;
} NetlinkBatch;

#define NETLINK_BATCH_NULL \
        { NULL, 0, 0, 0 }

/* Copies and frees the message. */
int netlink_batch_put(NetlinkBatch *batch, struct nl_msg *message);
void netlink_batch_deinit(NetlinkBatch *batch);
#define _cleanup_netlink_batch_ _cleanup_(netlink_batch_deinit)

/*
 * Sends in order, some 256 a system call. The kernel goes on behind a message that fails; we stop at the end
 * of that system call and return the first error.
 */
int netlink_send_batch(Netlink *netlink, NetlinkBatch *batch);
/* The same, with what the kernel answers to each, in their order: what it made of one that has NLM_F_ECHO. */
int netlink_ask_batch(Netlink *netlink, NetlinkBatch *batch, NetlinkHandler handler, void *userdata);
