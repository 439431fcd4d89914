/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * TCP has no SO_PEERCRED. But where both ends are on this host, the kernel has the other end's socket, too,
 * and says who made it: sock_diag(7), for which no privilege is needed. It believes no address: who is not
 * found is remote only where his address is not ours.
 */

#include "peer.h"

#include "util/cleanup.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

typedef union Endpoint {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
} Endpoint;

typedef struct Question {
        struct nlmsghdr head;
        struct inet_diag_req_v2 body;
} Question;

static const void *endpoint_address(const Endpoint *end, size_t *ret_size) {
        bool v6 = end->any.sa_family == AF_INET6;

        *ret_size = v6 ? sizeof(end->v6.sin6_addr) : sizeof(end->v4.sin_addr);
        return v6 ? (const void *) &end->v6.sin6_addr : &end->v4.sin_addr;
}

/* Of the socket from `theirs` to `ours`. */
static Question make_question(const Endpoint *theirs, const Endpoint *ours) {
        Question question = {
                .head = { sizeof(question), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 0, 0 },
                .body = { .sdiag_family = (__u8) theirs->any.sa_family,
                                .sdiag_protocol = IPPROTO_TCP,
                                .idiag_states = UINT32_MAX },
        };
        struct inet_diag_sockid *id = &question.body.id;
        const void *address;
        size_t size;

        /* The ports are at one place in both families. */
        id->idiag_sport = theirs->v4.sin_port;
        id->idiag_dport = ours->v4.sin_port;
        address = endpoint_address(theirs, &size);
        memcpy(id->idiag_src, address, size);
        address = endpoint_address(ours, &size);
        memcpy(id->idiag_dst, address, size);
        id->idiag_if = theirs->any.sa_family == AF_INET6 ? theirs->v6.sin6_scope_id : 0;
        id->idiag_cookie[0] = id->idiag_cookie[1] = INET_DIAG_NOCOOKIE;
        return question;
}

/* -ENOENT: there is no such socket. One that was closed lives on without an inode, and is root's then. */
static int ask_kernel(const Question *question, uid_t *ret_uid) {
        struct {
                struct nlmsghdr head;
                union {
                        struct nlmsgerr error;
                        struct inet_diag_msg socket;
                };
                char attributes[4096];
        } answer = {};
        _cleanup_close_ int fd = -EBADF;
        ssize_t n;

        fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
        if (fd < 0 || send(fd, question, sizeof(*question), 0) < 0)
                return -errno;
        n = recv(fd, &answer, sizeof(answer), MSG_DONTWAIT);
        if (n < 0)
                return -errno;
        if (answer.head.nlmsg_type == NLMSG_ERROR && n >= (ssize_t) NLMSG_LENGTH(sizeof(answer.error)))
                return answer.error.error < 0 ? answer.error.error : -EPROTO;
        if (answer.head.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
                        n < (ssize_t) NLMSG_LENGTH(sizeof(answer.socket)))
                return -EPROTO;
        /* A listener at that port is found, too, where nothing else is. */
        if (answer.socket.idiag_state == TCP_LISTEN || answer.socket.idiag_inode == 0 ||
                        answer.socket.id.idiag_dport != question->body.id.idiag_dport)
                return -ENOENT;
        *ret_uid = answer.socket.idiag_uid;
        return 0;
}

/* Whether packets to him would come from himself, or from the loopback: nothing is sent. */
static bool is_this_host(const Endpoint *theirs) {
        socklen_t size = theirs->any.sa_family == AF_INET6 ? sizeof(theirs->v6) : sizeof(theirs->v4);
        _cleanup_close_ int fd = -EBADF;
        const void *his, *source;
        Endpoint from = {};
        size_t n;

        fd = socket(theirs->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, &theirs->any, size) < 0 || getsockname(fd, &from.any, &size) < 0)
                return false;
        if (from.any.sa_family == AF_INET && ntohl(from.v4.sin_addr.s_addr) >> 24 == 127)
                return true;
        his = endpoint_address(theirs, &n);
        source = endpoint_address(&from, &n);
        return memcmp(his, source, n) == 0;
}

int peer_find(int fd, uid_t *ret_uid) {
        socklen_t ours_size = sizeof(Endpoint), theirs_size = sizeof(Endpoint);
        Endpoint ours = {}, theirs = {};
        Question question;
        int r;

        if (getsockname(fd, &ours.any, &ours_size) < 0 || getpeername(fd, &theirs.any, &theirs_size) < 0)
                return -errno;
        question = make_question(&theirs, &ours);
        r = ask_kernel(&question, ret_uid);
        if (r >= 0)
                return 0;
        if (!is_this_host(&theirs))
                return PEER_REMOTE;
        return r == -ENOENT ? -ESRCH : r;
}
