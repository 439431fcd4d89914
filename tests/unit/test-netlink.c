/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Batches and answers, over a socket pair whose other end plays the kernel: what it does rarely (a lost
 * reply, a dump that changed, an answer to an earlier question) can be had here at will. All answers are
 * written before they are read.
 */

#include "enforce/netlink.h"
#include "enforce/tc-filter.h"

#include <criterion/criterion.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

typedef struct Pair {
        Netlink *netlink;
        int kernel;
} Pair;

static Pair pair_new(void) {
        Pair pair = { 0 };
        int fds[2];

        cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        cr_assert_eq(netlink_new_from_fd(fds[0], &pair.netlink), 0);
        pair.kernel = fds[1];
        return pair;
}

static void pair_free(Pair *pair) {
        netlink_free(pair->netlink);
        close(pair->kernel);
}
#define _cleanup_pair_ _cleanup_(pair_free)

static void answer(const Pair *pair, uint16_t type, uint16_t flags, uint32_t sequence, const void *body,
                size_t size) {
        char buffer[256] = { 0 };
        struct nlmsghdr header = { (uint32_t) (NLMSG_HDRLEN + size), type, flags, sequence, 0 };

        memcpy(buffer, &header, sizeof(header));
        if (size > 0)
                memcpy(buffer + NLMSG_HDRLEN, body, size);
        cr_assert_eq(send(pair->kernel, buffer, header.nlmsg_len, 0), (ssize_t) header.nlmsg_len);
}

static void answer_error(const Pair *pair, uint32_t sequence, int error, const char *words) {
        struct {
                struct nlmsgerr error;
                struct nlattr attribute;
                char words[32];
        } body = { .error.error = error };
        size_t length = strlen(words) + 1;

        body.attribute.nla_type = NLMSGERR_ATTR_MSG;
        body.attribute.nla_len = (uint16_t) (NLA_HDRLEN + length);
        memcpy(body.words, words, length);
        answer(pair, NLMSG_ERROR, NLM_F_CAPPED | (length > 1 ? NLM_F_ACK_TLVS : 0), sequence, &body,
                        length > 1 ? sizeof(body.error) + NLA_HDRLEN + NLA_ALIGN(length)
                                   : sizeof(body.error));
}

static void answer_done(const Pair *pair, uint16_t flags, uint32_t sequence, int error) {
        answer(pair, NLMSG_DONE, NLM_F_MULTI | flags, sequence, &error, sizeof(error));
}

static int count(const struct nlmsghdr *header, void *userdata) {
        ++*(unsigned *) userdata;
        return 0;
}

static int refuse(const struct nlmsghdr *header, void *userdata) {
        ++*(unsigned *) userdata;
        return -ENOMEM;
}

static int ask(const Pair *pair, uint16_t flags, NetlinkHandler handler, unsigned *n) {
        struct nl_msg *message = nlmsg_alloc_simple(RTM_GETTCLASS, NLM_F_REQUEST | flags);
        int r = netlink_request(pair->netlink, message, handler, n);

        nlmsg_free(message);
        return r;
}

Test(netlink, dump) {
        _cleanup_pair_ Pair pair = pair_new();
        unsigned n = 0;

        answer(&pair, RTM_NEWTCLASS, NLM_F_MULTI, 1, NULL, 0);
        answer(&pair, RTM_NEWTCLASS, NLM_F_MULTI, 1, NULL, 0);
        answer_done(&pair, 0, 1, 0);
        cr_expect_eq(ask(&pair, NLM_F_DUMP, count, &n), 0);
        cr_expect_eq(n, 2);
}

Test(netlink, dump_fails) {
        static const struct {
                const char *name;
                uint16_t message_flags, done_flags;
                int done_error, expected;
        } cases[] = {
                { "changed under way", NLM_F_DUMP_INTR, 0, 0, -EAGAIN },
                { "changed at its end", 0, NLM_F_DUMP_INTR, 0, -EAGAIN },
                { "broke off", 0, 0, -EMSGSIZE, -EMSGSIZE },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_pair_ Pair pair = pair_new();
                unsigned n = 0;

                answer(&pair, RTM_NEWTCLASS, NLM_F_MULTI | cases[i].message_flags, 1, NULL, 0);
                answer_done(&pair, cases[i].done_flags, 1, cases[i].done_error);
                cr_expect_eq(ask(&pair, NLM_F_DUMP, count, &n), cases[i].expected, "%s", cases[i].name);
        }
}

Test(netlink, lost_replies) {
        _cleanup_pair_ Pair pair = pair_new();
        unsigned n = 0;

        answer(&pair, NLMSG_OVERRUN, 0, 1, NULL, 0);
        answer_error(&pair, 1, 0, "");
        cr_expect_eq(ask(&pair, 0, count, &n), -ENOBUFS);
}

/* What is left of an earlier question that was given up is not taken for an answer to this one. */
Test(netlink, late_answers) {
        _cleanup_pair_ Pair pair = pair_new();
        unsigned n = 0;

        answer_error(&pair, 1, -EPERM, "");
        cr_expect_eq(ask(&pair, 0, count, &n), -EPERM);

        answer(&pair, RTM_NEWTCLASS, 0, 1, NULL, 0);
        answer_error(&pair, 1, -EPERM, "");
        answer(&pair, RTM_NEWTCLASS, 0, 2, NULL, 0);
        answer_error(&pair, 2, 0, "");
        cr_expect_eq(ask(&pair, 0, count, &n), 0);
        cr_expect_eq(n, 1);
}

Test(netlink, handler_that_fails) {
        _cleanup_pair_ Pair pair = pair_new();
        unsigned n = 0;

        answer(&pair, RTM_NEWTCLASS, NLM_F_MULTI, 1, NULL, 0);
        answer(&pair, RTM_NEWTCLASS, NLM_F_MULTI, 1, NULL, 0);
        answer_done(&pair, 0, 1, 0);
        cr_expect_eq(ask(&pair, NLM_F_DUMP, refuse, &n), -ENOMEM);
        cr_expect_eq(n, 1);

        /* The whole answer was read: the next question starts clean. */
        answer_done(&pair, 0, 2, 0);
        cr_expect_eq(ask(&pair, NLM_F_DUMP, count, &n), 0);
}

Test(netlink, peer_that_goes) {
        _cleanup_pair_ Pair pair = pair_new();
        unsigned n = 0;

        shutdown(pair.kernel, SHUT_RDWR);
        cr_expect_lt(ask(&pair, 0, count, &n), 0);
}

static void fill(NetlinkBatch *batch, unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                struct nl_msg *message = nlmsg_alloc_simple(RTM_NEWTCLASS, NLM_F_REQUEST);
                struct tcmsg body = { .tcm_handle = i };

                cr_assert_eq(nlmsg_append(message, &body, sizeof(body), NLMSG_ALIGNTO), 0);
                cr_assert_eq(netlink_batch_put(batch, message), 0);
        }
        cr_assert_eq(batch->n, n);
}

/* Reads one datagram of a batch: how many messages, each next in order, the last alone asking for an
 * acknowledgement. */
static unsigned read_chunk(const Pair *pair, uint32_t *sequence) {
        _Alignas(struct nlmsghdr) char buffer[16384];
        ssize_t size = recv(pair->kernel, buffer, sizeof(buffer), MSG_DONTWAIT);
        struct nlmsghdr *header = (struct nlmsghdr *) buffer;
        int left = (int) size;
        unsigned n = 0;

        cr_assert_gt(size, 0);
        for (; nlmsg_ok(header, left); header = nlmsg_next(header, &left)) {
                bool last = left <= (int) NLMSG_ALIGN(header->nlmsg_len);

                cr_expect_eq(header->nlmsg_seq, ++*sequence);
                cr_expect_eq(((struct tcmsg *) nlmsg_data(header))->tcm_handle, *sequence - 1);
                cr_expect_eq(!!(header->nlmsg_flags & NLM_F_ACK), last);
                n++;
        }
        return n;
}

Test(netlink, batch) {
        _cleanup_netlink_batch_ NetlinkBatch batch = NETLINK_BATCH_NULL;
        _cleanup_pair_ Pair pair = pair_new();
        uint32_t sequence = 0;

        fill(&batch, 600);
        answer_error(&pair, 256, 0, "");
        answer_error(&pair, 512, 0, "");
        answer_error(&pair, 600, 0, "");
        cr_expect_eq(netlink_send_batch(pair.netlink, &batch), 0);
        cr_expect_eq(read_chunk(&pair, &sequence), 256);
        cr_expect_eq(read_chunk(&pair, &sequence), 256);
        cr_expect_eq(read_chunk(&pair, &sequence), 88);
}

Test(netlink, batch_stops_at_the_first_error) {
        _cleanup_netlink_batch_ NetlinkBatch batch = NETLINK_BATCH_NULL;
        _cleanup_pair_ Pair pair = pair_new();
        uint32_t sequence = 0;
        char byte;

        fill(&batch, 600);
        answer_error(&pair, 3, -EEXIST, "first");
        answer_error(&pair, 5, -ENOENT, "second");
        answer_error(&pair, 256, 0, "");
        cr_expect_eq(netlink_send_batch(pair.netlink, &batch), -EEXIST);
        cr_expect_str_eq(netlink_words(pair.netlink), "first");
        cr_expect_eq(read_chunk(&pair, &sequence), 256);
        cr_expect_lt(recv(pair.kernel, &byte, 1, MSG_DONTWAIT), 0, "no second chunk");
}

/* What was not asked for with these messages is not of the answer. */
Test(netlink, batch_with_echoes) {
        _cleanup_netlink_batch_ NetlinkBatch batch = NETLINK_BATCH_NULL;
        _cleanup_pair_ Pair pair = pair_new();
        struct tcmsg body = {};
        unsigned n = 0;

        fill(&batch, 2);
        answer(&pair, RTM_NEWTCLASS, 0, 9, &body, sizeof(body));
        answer(&pair, RTM_NEWTCLASS, 0, 1, &body, sizeof(body));
        answer(&pair, RTM_NEWTCLASS, 0, 2, &body, sizeof(body));
        answer_error(&pair, 2, 0, "");
        cr_expect_eq(netlink_ask_batch(pair.netlink, &batch, count, &n), 0);
        cr_expect_eq(n, 2);

        answer(&pair, RTM_NEWTCLASS, 0, 3, &body, sizeof(body));
        answer_error(&pair, 4, 0, "");
        cr_expect_eq(netlink_ask_batch(pair.netlink, &batch, refuse, &n), -ENOMEM, "what the handler says");
        cr_expect_eq(n, 3);
}

Test(netlink, nothing_to_send) {
        _cleanup_netlink_batch_ NetlinkBatch batch = NETLINK_BATCH_NULL;
        _cleanup_pair_ Pair pair = pair_new();

        cr_expect_eq(netlink_send_batch(pair.netlink, &batch), 0);
}

/* It is no sign that a filter of ours has gone: it is asked for again, so often and no more. */
Test(netlink, a_look_at_filters_that_was_interrupted) {
        const TcFilter filter = { .ifindex = 3, .program = "a_program" };

        for (uint32_t interrupted = 0; interrupted <= NETLINK_ATTEMPTS; interrupted++) {
                _cleanup_pair_ Pair pair = pair_new();
                TcSight sight;

                for (uint32_t i = 1; i <= interrupted; i++)
                        answer_done(&pair, NLM_F_DUMP_INTR, i, 0);
                for (uint32_t way = 1; way <= 2; way++)
                        answer_done(&pair, 0, interrupted + way, 0);
                cr_expect_eq(tc_filter_look_behind(pair.netlink, &filter, /* has_hook= */ true, &sight),
                                interrupted < NETLINK_ATTEMPTS ? 0 : -EAGAIN, "%u", interrupted);
        }
}
