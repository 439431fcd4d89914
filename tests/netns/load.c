/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "load.h"
#include "support/sender.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#define DATAGRAM_BYTES 1400U
#define NSEC_PER_SEC 1000000000ULL
#define TICK_NSEC 1000000ULL
#define PROBE_PAUSE_NSEC 500000L
#define LATE_MSEC 2000

struct Load {
        bool is_tcp;
        unsigned flows;
        int *senders, *receivers;
        int stop; /* readable when it is to end */
        uint64_t bps;
        pthread_t sending, taking;
};

/* Where a flow goes, and from which of a Pair's namespaces. */
typedef struct Place {
        LoadKind kind;
        const char *address;
        uint16_t port;
        int from, to;
} Place;

static bool is_ipv6(LoadKind kind) {
        return kind == LOAD_UDP6 || kind == LOAD_TCP6;
}

static bool is_tcp(LoadKind kind) {
        return kind == LOAD_TCP4 || kind == LOAD_TCP6;
}

static Place place_of(const Pair *pair, LoadKind kind, uint16_t port, bool comes_in) {
        static const char *const addresses[2][2] = { { "192.0.2.2", "2001:db8::2" },
                { "192.0.2.1", "2001:db8::1" } };

        return (Place){
                .kind = kind,
                .address = addresses[comes_in][is_ipv6(kind)],
                .port = port,
                .from = comes_in ? pair->peer : pair->node,
                .to = comes_in ? pair->node : pair->peer,
        };
}

static socklen_t address_of(const Place *place, struct sockaddr_storage *ret) {
        *ret = (struct sockaddr_storage){};
        if (is_ipv6(place->kind)) {
                struct sockaddr_in6 *six = (struct sockaddr_in6 *) ret;

                six->sin6_family = AF_INET6;
                six->sin6_port = htons(place->port);
                cr_assert_eq(inet_pton(AF_INET6, place->address, &six->sin6_addr), 1);
                return sizeof(*six);
        }
        struct sockaddr_in *four = (struct sockaddr_in *) ret;
        four->sin_family = AF_INET;
        four->sin_port = htons(place->port);
        cr_assert_eq(inet_pton(AF_INET, place->address, &four->sin_addr), 1);
        return sizeof(*four);
}

/* Leaves the thread in the namespace. */
static int new_socket(int namespace, LoadKind kind) {
        int fd;

        cr_assert_eq(setns(namespace, CLONE_NEWNET), 0);
        fd = socket(is_ipv6(kind) ? AF_INET6 : AF_INET,
                        (is_tcp(kind) ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
        cr_assert_geq(fd, 0, "%s", strerror(errno));
        return fd;
}

static int listen_at(const Place *place) {
        struct sockaddr_storage address;
        socklen_t length = address_of(place, &address);
        int fd = new_socket(place->to, place->kind), one = 1, size = 1 << 22;

        cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
        (void) setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
        cr_assert_eq(bind(fd, (struct sockaddr *) &address, length), 0, "%s", strerror(errno));
        if (is_tcp(place->kind))
                cr_assert_eq(listen(fd, 128), 0);
        return fd;
}

static int connect_to(const Place *place, uint32_t class_id) {
        struct sockaddr_storage address;
        socklen_t length = address_of(place, &address);
        int fd = new_socket(place->from, place->kind), size = 1 << 22;

        /* What of UDP waits is limited by the queue alone. */
        if (!is_tcp(place->kind))
                (void) setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
        cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &class_id, sizeof(class_id)), 0);
        cr_assert_eq(connect(fd, (struct sockaddr *) &address, length), 0, "%s", strerror(errno));
        return fd;
}

static void *send_all(void *userdata) {
        const Load *load = userdata;
        const Sender sender = { load->senders, load->flows, load->stop };

        if (load->is_tcp)
                sender_stream(&sender);
        else
                (void) sender_datagrams(&sender, DATAGRAM_BYTES, load->bps, TICK_NSEC, 0);
        return NULL;
}

static void *take_all(void *userdata) {
        const Load *load = userdata;
        static _Thread_local char buffer[1 << 18];
        int poller = epoll_create1(EPOLL_CLOEXEC);
        unsigned n_receivers = load->is_tcp ? load->flows : 1;

        for (unsigned i = 0; i < n_receivers; i++)
                (void) epoll_ctl(poller, EPOLL_CTL_ADD, load->receivers[i],
                                &(struct epoll_event){ EPOLLIN, { .fd = load->receivers[i] } });
        (void) epoll_ctl(poller, EPOLL_CTL_ADD, load->stop,
                        &(struct epoll_event){ EPOLLIN, { .fd = load->stop } });
        for (;;) {
                struct epoll_event events[64];
                int n = epoll_wait(poller, events, 64, -1);

                for (int i = 0; i < n; i++) {
                        if (events[i].data.fd == load->stop) {
                                close(poller);
                                return NULL;
                        }
                        if (load->is_tcp) {
                                (void) recv(events[i].data.fd, buffer, sizeof(buffer), MSG_DONTWAIT);
                                continue;
                        }
                        for (unsigned k = 0; k < 64; k++)
                                if (recv(events[i].data.fd, buffer, 1, MSG_DONTWAIT | MSG_TRUNC) < 0)
                                        break;
                }
        }
}

/* A socket is of the group that its process was in when it was opened. */
static int listen_for(const Place *place, const TestGroup *group) {
        TestGroup own;
        int fd;

        if (!group)
                return listen_at(place);
        own = group_own();
        group_move(group, getpid());
        fd = listen_at(place);
        group_move(&own, getpid());
        close(own.fd);
        return fd;
}

Load *load_new(const Pair *pair, const LoadOptions *options) {
        const Place place = place_of(pair, options->kind, options->port, options->comes_in_for);
        Load *load = calloc(1, sizeof(Load));
        int listener;

        cr_assert_not_null(load);
        load->is_tcp = is_tcp(options->kind);
        load->flows = options->flows;
        load->bps = options->bps;
        load->senders = calloc(load->flows, sizeof(int));
        load->receivers = calloc(load->flows, sizeof(int));
        load->stop = eventfd(0, EFD_CLOEXEC);
        cr_assert(load->senders && load->receivers && load->stop >= 0);

        listener = listen_for(&place, options->comes_in_for);
        for (unsigned i = 0; i < load->flows; i++) {
                load->senders[i] = connect_to(&place, options->class_id);
                if (load->is_tcp)
                        load->receivers[i] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        }
        cr_assert_eq(setns(pair->node, CLONE_NEWNET), 0);
        if (load->is_tcp)
                close(listener);
        else
                load->receivers[0] = listener;
        cr_assert_eq(pthread_create(&load->taking, NULL, take_all, load), 0);
        cr_assert_eq(pthread_create(&load->sending, NULL, send_all, load), 0);
        return load;
}

Load *load_free(Load *load) {
        const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
        uint64_t one = 1;

        if (!load)
                return NULL;
        cr_assert_eq(write(load->stop, &one, sizeof(one)), (ssize_t) sizeof(one));
        pthread_join(load->sending, NULL);
        for (unsigned i = 0; i < load->flows; i++) {
                (void) setsockopt(load->senders[i], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
                close(load->senders[i]);
        }
        pthread_join(load->taking, NULL);
        for (unsigned i = 0; i < (load->is_tcp ? load->flows : 1); i++)
                close(load->receivers[i]);
        close(load->stop);
        free(load->senders);
        free(load->receivers);
        free(load);
        return NULL;
}

struct Probe {
        int sender, receiver;
        uint32_t bytes;
};

Probe *probe_new(const Pair *pair, uint16_t port, uint32_t class_id, uint32_t bytes) {
        const int of_sender = SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_SOFTWARE |
                              SOF_TIMESTAMPING_OPT_TSONLY,
                  one = 1;
        const Place place = place_of(pair, LOAD_UDP4, port, /* comes_in= */ false);
        Probe *probe = calloc(1, sizeof(Probe));

        cr_assert_not_null(probe);
        probe->bytes = bytes;
        probe->receiver = listen_at(&place);
        probe->sender = connect_to(&place, class_id);
        cr_assert_eq(setsockopt(probe->receiver, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)), 0);
        cr_assert_eq(setsockopt(probe->sender, SOL_SOCKET, SO_TIMESTAMPING, &of_sender, sizeof(of_sender)),
                        0);
        return probe;
}

Probe *probe_free(Probe *probe) {
        close(probe->sender);
        close(probe->receiver);
        free(probe);
        return NULL;
}

/* The kernel's time in the control message of this kind. */
static bool timestamp(int fd, int flags, int type, uint64_t *ret_nsec) {
        char payload[64], control[512];
        struct iovec data = { payload, sizeof(payload) };
        struct msghdr message = {
                .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
        };

        if (recvmsg(fd, &message, flags | MSG_DONTWAIT) < 0)
                return false;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == type) {
                        struct timespec when;

                        memcpy(&when, CMSG_DATA(c), sizeof(when)); /* the first of three is software's */
                        *ret_nsec = (uint64_t) when.tv_sec * NSEC_PER_SEC + (uint64_t) when.tv_nsec;
                        return true;
                }
        return false;
}

static void probe_send(const Probe *probe) {
        static const char data[PROBE_BYTES_MAX];

        cr_assert_eq(send(probe->sender, data, probe->bytes, 0), probe->bytes, "%s", strerror(errno));
}

size_t probe_run(Probe *probe, unsigned n, uint64_t *ret_nsec) {
        const struct timespec pause = { .tv_nsec = PROBE_PAUSE_NSEC };
        size_t came = 0;

        /* With the usual slack it would be woken along with the timers of the queue itself. */
        cr_assert_eq(prctl(PR_SET_TIMERSLACK, 1), 0);
        for (unsigned i = 0; i < n; i++) {
                struct pollfd arrival = { probe->receiver, POLLIN, 0 };
                uint64_t sent, received;

                probe_send(probe);
                if (poll(&arrival, 1, LATE_MSEC) == 1 &&
                                timestamp(probe->receiver, 0, SCM_TIMESTAMPNS, &received) &&
                                timestamp(probe->sender, MSG_ERRQUEUE, SCM_TIMESTAMPING, &sent))
                        ret_nsec[came++] = received - sent;
                nanosleep(&pause, NULL);
        }
        return came;
}

size_t probe_stream(Probe *probe, unsigned n, uint64_t bps) {
        const struct timespec pause = { .tv_nsec = (long) (probe->bytes * 8 * NSEC_PER_SEC / bps) };
        struct pollfd arrival = { probe->receiver, POLLIN, 0 };
        size_t came = 0;

        for (unsigned i = 0; i < n; i++) {
                probe_send(probe);
                nanosleep(&pause, NULL);
        }
        while (poll(&arrival, 1, 1000) == 1)
                came += recv(probe->receiver, NULL, 0, MSG_DONTWAIT | MSG_TRUNC) >= 0;
        return came;
}
