/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The one place that talks to rtnetlink. The socket is libnl's; sending and receiving are not, because libnl
 * sends one message a call and folds ENOBUFS, a lost reply, into "out of memory". Messages are made and read
 * elsewhere.
 *
 * The kernel works through a datagram of many messages before send() returns, and answers each that fails; so
 * only the last of a datagram asks for an acknowledgement, and when that has come, every error has come
 * before it.
 */

#include "netlink.h"

#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

/* Each system call costs as much as three changes of a class. */
#define CHUNK_MESSAGES 256U
/* More than CHUNK_MESSAGES answers of the kernel, as it charges them to a socket: an error's with words takes
 * some 1,280 bytes of it, and the kernel's default bound (net.core.rmem_max) lets us have 425,984. */
#define SOCKET_BUFFER (256 * 1024)
/* The kernel fills at most 32 KiB of a dump at once. */
#define RECEIVE_SIZE (64U * 1024U)
#define TIMEOUT_SEC 5

struct Netlink {
        struct nl_sock *socket; /* NULL where only the fd was given */
        int fd;
        uint32_t sequence; /* the last that was used */
        char words[160];
        char *buffer; /* RECEIVE_SIZE */
};

static int errno_from_libnl(int nle) {
        switch (nle < 0 ? -nle : nle) {
        case NLE_SUCCESS:
                return 0;
        case NLE_NOMEM:
                return -ENOMEM;
        case NLE_PERM:
                return -EPERM;
        case NLE_BUSY:
        case NLE_EXIST:
                return -EADDRINUSE;
        case NLE_AF_NOSUPPORT:
        case NLE_PROTO_MISMATCH:
                return -EPROTONOSUPPORT;
        default:
                return -EIO;
        }
}

Netlink *netlink_free(Netlink *netlink) {
        if (!netlink)
                return NULL;
        if (netlink->socket)
                nl_socket_free(netlink->socket);
        else if (netlink->fd >= 0)
                close(netlink->fd);
        free(netlink->buffer);
        free(netlink);
        return NULL;
}

void netlink_message_free_p(struct nl_msg **message) {
        nlmsg_free(*message);
}

static int netlink_set_up(Netlink *netlink) {
        struct timeval timeout = { .tv_sec = TIMEOUT_SEC };

        netlink->buffer = malloc(RECEIVE_SIZE);
        if (!netlink->buffer)
                return -ENOMEM;
        if (setsockopt(netlink->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
                return -errno;
        return 0;
}

int netlink_new(Netlink **ret) {
        _cleanup_(netlink_free_p) Netlink *netlink = calloc(1, sizeof(Netlink));
        int one = 1, r;

        if (!netlink)
                return -ENOMEM;
        netlink->fd = -EBADF;
        netlink->socket = nl_socket_alloc();
        if (!netlink->socket)
                return -ENOMEM;
        r = nl_connect(netlink->socket, NETLINK_ROUTE);
        if (r < 0)
                return errno_from_libnl(r);
        netlink->fd = nl_socket_get_fd(netlink->socket);

        r = nl_socket_set_buffer_size(netlink->socket, SOCKET_BUFFER, SOCKET_BUFFER);
        if (r < 0)
                return errno_from_libnl(r);
        /* Errors with words, and without the request in them; both are older than any kernel we support. */
        if (setsockopt(netlink->fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one)) < 0 ||
                        setsockopt(netlink->fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one)) < 0)
                return -errno;

        r = netlink_set_up(netlink);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(netlink);
        return 0;
}

int netlink_new_from_fd(int fd, Netlink **ret) {
        _cleanup_close_ int owned = fd;
        _cleanup_(netlink_free_p) Netlink *netlink = calloc(1, sizeof(Netlink));
        int r;

        if (!netlink)
                return -ENOMEM;
        netlink->fd = TAKE_FD(owned);
        r = netlink_set_up(netlink);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(netlink);
        return 0;
}

uint32_t netlink_port(const Netlink *netlink) {
        return netlink->socket ? nl_socket_get_local_port(netlink->socket) : 0;
}

const char *netlink_words(const Netlink *netlink) {
        return netlink->words;
}

static int netlink_transmit(Netlink *netlink, const void *data, size_t size) {
        ssize_t n;

        do
                n = send(netlink->fd, data, size, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        return (size_t) n == size ? 0 : -EIO;
}

/* One datagram into the buffer, which a message fits or is refused. */
static int netlink_receive(Netlink *netlink, size_t *ret_size) {
        ssize_t n;

        do
                n = recv(netlink->fd, netlink->buffer, RECEIVE_SIZE, MSG_TRUNC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EAGAIN ? -ETIMEDOUT : -errno;
        if (n == 0)
                return -ECONNRESET;
        if ((size_t) n > RECEIVE_SIZE)
                return -EMSGSIZE;
        *ret_size = (size_t) n;
        return 0;
}

/* The error in an NLMSG_ERROR, 0 where it acknowledges; with the kernel's words, if there are and none are
 * yet. */
static int error_from_message(Netlink *netlink, const struct nlmsghdr *header) {
        const struct nlmsgerr *error = nlmsg_data(header);
        struct nlattr *attributes[NLMSGERR_ATTR_MAX + 1];
        size_t size = sizeof(*error);

        if ((size_t) nlmsg_datalen(header) < size)
                return -EBADMSG;
        if (error->error >= 0)
                return 0;
        if (!(header->nlmsg_flags & NLM_F_CAPPED) && error->msg.nlmsg_len > NLMSG_HDRLEN)
                size += NLMSG_ALIGN(error->msg.nlmsg_len) - NLMSG_HDRLEN;
        if ((header->nlmsg_flags & NLM_F_ACK_TLVS) && (size_t) nlmsg_datalen(header) > size &&
                        netlink->words[0] == '\0' &&
                        nla_parse(attributes, NLMSGERR_ATTR_MAX,
                                        (struct nlattr *) ((char *) nlmsg_data(header) + size),
                                        nlmsg_datalen(header) - (int) size, NULL) >= 0 &&
                        attributes[NLMSGERR_ATTR_MSG])
                nla_strlcpy(netlink->words, attributes[NLMSGERR_ATTR_MSG], sizeof(netlink->words));
        return error->error;
}

static bool sequence_between(uint32_t sequence, uint32_t first, uint32_t last) {
        return sequence - first <= last - first;
}

typedef struct Answer {
        uint32_t first, last;   /* sequence numbers of what was asked; anything else is of an earlier question
                                 */
        NetlinkHandler handler; /* or NULL */
        void *userdata;
        int error; /* the first */
        bool interrupted, complete;
} Answer;

static void answer_take(Netlink *netlink, Answer *answer, const struct nlmsghdr *header) {
        int r = 0;

        if (!sequence_between(header->nlmsg_seq, answer->first, answer->last))
                return;
        if (header->nlmsg_flags & NLM_F_DUMP_INTR)
                answer->interrupted = true;

        switch (header->nlmsg_type) {
        case NLMSG_NOOP:
                return;
        case NLMSG_OVERRUN:
                r = -ENOBUFS;
                break;
        case NLMSG_ERROR:
                r = error_from_message(netlink, header);
                answer->complete |= header->nlmsg_seq == answer->last;
                break;
        case NLMSG_DONE:
                /* A dump that failed half-way says so here. */
                if ((size_t) nlmsg_datalen(header) >= sizeof(int))
                        memcpy(&r, nlmsg_data(header), sizeof(int));
                if (r > 0)
                        r = 0;
                answer->complete = true;
                break;
        default:
                if (answer->handler && answer->error >= 0)
                        r = answer->handler(header, answer->userdata);
        }
        if (r < 0 && answer->error >= 0)
                answer->error = r;
}

static int answer_collect(Netlink *netlink, Answer *answer) {
        while (!answer->complete) {
                const struct nlmsghdr *header = (const struct nlmsghdr *) netlink->buffer;
                size_t size = 0;
                int r, left;

                r = netlink_receive(netlink, &size);
                if (r < 0)
                        return r;
                for (left = (int) size; nlmsg_ok(header, left);
                                header = nlmsg_next((struct nlmsghdr *) header, &left))
                        answer_take(netlink, answer, header);
        }
        if (answer->error < 0)
                return answer->error;
        return answer->interrupted ? -EAGAIN : 0;
}

int netlink_request(Netlink *netlink, struct nl_msg *message, NetlinkHandler handler, void *userdata) {
        struct nlmsghdr *header = nlmsg_hdr(message);
        Answer answer = { .handler = handler, .userdata = userdata };
        int r;

        netlink->words[0] = '\0';
        answer.first = answer.last = header->nlmsg_seq = ++netlink->sequence;
        if ((header->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
                header->nlmsg_flags |= NLM_F_ACK;

        r = netlink_transmit(netlink, header, header->nlmsg_len);
        if (r < 0)
                return r;
        return answer_collect(netlink, &answer);
}

bool netlink_try_again(int error, unsigned *n) {
        return (error == -EAGAIN || error == -ENOBUFS) && (*n)++ < NETLINK_ATTEMPTS;
}

void netlink_batch_deinit(NetlinkBatch *batch) {
        free(batch->data);
        *batch = (NetlinkBatch) NETLINK_BATCH_NULL;
}

int netlink_batch_put(NetlinkBatch *batch, struct nl_msg *message) {
        const struct nlmsghdr *header = nlmsg_hdr(message);
        size_t size = NLMSG_ALIGN(header->nlmsg_len);

        if (batch->size + size > batch->allocated) {
                size_t allocated = 2 * batch->allocated + size + 4096;
                char *data = realloc(batch->data, allocated);

                if (!data) {
                        nlmsg_free(message);
                        return -ENOMEM;
                }
                batch->data = data;
                batch->allocated = allocated;
        }
        memcpy(batch->data + batch->size, header, header->nlmsg_len);
        memset(batch->data + batch->size + header->nlmsg_len, 0, size - header->nlmsg_len);
        batch->size += size;
        batch->n++;
        nlmsg_free(message);
        return 0;
}

int netlink_ask_batch(Netlink *netlink, NetlinkBatch *batch, NetlinkHandler handler, void *userdata) {
        size_t start = 0;

        netlink->words[0] = '\0';
        while (start < batch->size) {
                struct nlmsghdr *header = NULL;
                Answer answer = { netlink->sequence + 1, .handler = handler, .userdata = userdata };
                size_t end = start;
                int r;

                for (unsigned n = 0; n < CHUNK_MESSAGES && end < batch->size; n++) {
                        header = (struct nlmsghdr *) (batch->data + end);
                        header->nlmsg_seq = answer.last = ++netlink->sequence;
                        end += NLMSG_ALIGN(header->nlmsg_len);
                }
                header->nlmsg_flags |= NLM_F_ACK;

                r = netlink_transmit(netlink, batch->data + start, end - start);
                if (r >= 0)
                        r = answer_collect(netlink, &answer);
                if (r < 0)
                        return r;
                start = end;
        }
        return 0;
}

int netlink_send_batch(Netlink *netlink, NetlinkBatch *batch) {
        return netlink_ask_batch(netlink, batch, NULL, NULL);
}
