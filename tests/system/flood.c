/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Traffic in a tenant, and what of it comes to the other end, for system tests to which the pace of a script
 * in an emulated guest would be a bound. It prints one JSON object when it is done, and judges nothing.
 *
 *     flood udp ADDRESS PORT FLOWS SIZE BITS/S [PACKETS]    until SIGTERM, or so many were sent: how many
 * were taken flood tcp ADDRESS PORT FLOWS                          until SIGTERM, as fast as they go flood
 * log ADDRESS PORT N                              at N ports from PORT on, by TCP and UDP: when what came,
 *                                                           {port: [[ms, bytes of payload], ...]}; "ready",
 * then until standard input ends
 */

#include "support/sender.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FLOWS_MAX 64U
#define PORTS_MAX 8U
#define LOG_MSEC 120000U /* as long as a log can be */
#define QUEUED_MAX (32 << 20)
#define TICK_NSEC 2000000U

static void fail(const char *what) {
        fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
        exit(1);
}

static int open_socket(int type) {
        int fd = socket(AF_INET, type, 0);

        if (fd < 0)
                fail("socket");
        return fd;
}

static struct sockaddr_in address_of(char *const *words, unsigned offset) {
        struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_port = htons((uint16_t) (strtoul(words[1], NULL, 10) + offset)),
        };

        if (inet_pton(AF_INET, words[0], &address.sin_addr) != 1)
                fail(words[0]);
        return address;
}

static int until_terminated(void) {
        sigset_t signals;
        int fd;

        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
                fail("signals");
        fd = signalfd(-1, &signals, SFD_CLOEXEC);
        if (fd < 0)
                fail("signals");
        return fd;
}

static void send_all(bool is_tcp, char *const *words) {
        const struct sockaddr_in address = address_of(words, 0);
        const unsigned flows = (unsigned) strtoul(words[2], NULL, 10);
        int sockets[FLOWS_MAX];
        const Sender sender = { sockets, flows < FLOWS_MAX ? flows : FLOWS_MAX, until_terminated() };

        for (unsigned i = 0; i < sender.n; i++) {
                sockets[i] = open_socket(is_tcp ? SOCK_STREAM : SOCK_DGRAM);
                if (connect(sockets[i], (const struct sockaddr *) &address, sizeof(address)) < 0)
                        fail("connect");
        }
        if (is_tcp) {
                sender_stream(&sender);
                printf("{}\n");
        } else
                printf("{\"packets\": %" PRIu64 "}\n",
                                sender_datagrams(&sender, (uint32_t) strtoul(words[3], NULL, 10),
                                                strtoull(words[4], NULL, 10), TICK_NSEC,
                                                words[5] ? strtoull(words[5], NULL, 10) : 0));
}

typedef struct Log {
        uint64_t begin_msec;
        unsigned n;
        unsigned ports[1024]; /* by descriptor: which of the ports it is of, from 1 on */
        bool listens[1024];
        uint32_t bytes[PORTS_MAX][LOG_MSEC];
} Log;

static uint64_t msec_of(const struct timespec *time) {
        return (uint64_t) time->tv_sec * 1000 + (uint64_t) time->tv_nsec / 1000000;
}

static uint64_t now_msec(void) {
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return msec_of(&now);
}

static void note(Log *log, int fd, uint64_t at_msec, size_t bytes) {
        if (at_msec >= log->begin_msec && at_msec - log->begin_msec < LOG_MSEC)
                log->bytes[log->ports[fd] - 1][at_msec - log->begin_msec] += (uint32_t) bytes;
}

/* A datagram by when the kernel had it, of a stream by when it was read. */
static bool take(Log *log, int fd) {
        static char buffer[65536];
        char control[256];
        struct iovec data = { buffer, sizeof(buffer) };
        struct msghdr message = {
                .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
        };
        ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);
        uint64_t at_msec = now_msec();

        if (n <= 0)
                return false;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
                        struct timespec when;

                        memcpy(&when, CMSG_DATA(c), sizeof(when));
                        at_msec = msec_of(&when);
                }
        note(log, fd, at_msec, (size_t) n);
        return true;
}

static void watch(Log *log, int poller, int fd, unsigned port, bool listens) {
        if (fd < 0 || fd >= (int) (sizeof(log->ports) / sizeof(log->ports[0])) ||
                        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &(struct epoll_event){ EPOLLIN, { .fd = fd } }) <
                                        0)
                fail("a socket");
        log->ports[fd] = port + 1;
        log->listens[fd] = listens;
}

static void listen_at(Log *log, int poller, char *const *words, unsigned port, int type) {
        const struct sockaddr_in address = address_of(words, port);
        static const int one = 1, size = QUEUED_MAX;
        int fd = open_socket(type);

        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
                        (type == SOCK_DGRAM && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size,
                                                               sizeof(size)) < 0) ||
                        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) < 0 ||
                        bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0 ||
                        (type == SOCK_STREAM && listen(fd, FLOWS_MAX) < 0))
                fail("a port");
        watch(log, poller, fd, port, type == SOCK_STREAM);
}

static void take_all(Log *log, int poller) {
        struct epoll_event events[64];

        for (;;) {
                int n = epoll_wait(poller, events, 64, -1);

                for (int i = 0; i < n; i++) {
                        int fd = events[i].data.fd;

                        if (fd == STDIN_FILENO)
                                return;
                        if (log->listens[fd]) {
                                watch(log, poller, accept4(fd, NULL, NULL, SOCK_CLOEXEC), log->ports[fd] - 1,
                                                false);
                                continue;
                        }
                        for (unsigned k = 0; k < 64 && take(log, fd); k++)
                                ;
                        if (events[i].events & (EPOLLHUP | EPOLLERR)) /* a stream that is over */
                                close(fd);
                }
        }
}

static void print(const Log *log, unsigned first_port) {
        printf("{");
        for (unsigned port = 0; port < log->n; port++) {
                const char *before = "";

                printf("%s\"%u\": [", port ? ", " : "", first_port + port);
                for (unsigned i = 0; i < LOG_MSEC; i++)
                        if (log->bytes[port][i] > 0) {
                                printf("%s[%" PRIu64 ", %" PRIu32 "]", before, log->begin_msec + i,
                                                log->bytes[port][i]);
                                before = ", ";
                        }
                printf("]");
        }
        printf("}\n");
}

static void log_all(char *const *words) {
        static Log log;
        int poller = epoll_create1(EPOLL_CLOEXEC);

        log.begin_msec = now_msec();
        log.n = (unsigned) strtoul(words[2], NULL, 10);
        if (log.n > PORTS_MAX)
                log.n = PORTS_MAX;
        for (unsigned port = 0; port < log.n; port++) {
                listen_at(&log, poller, words, port, SOCK_DGRAM);
                listen_at(&log, poller, words, port, SOCK_STREAM);
        }
        if (epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO,
                            &(struct epoll_event){ EPOLLIN, { .fd = STDIN_FILENO } }) < 0)
                fail("standard input");
        printf("ready\n");
        fflush(stdout);
        take_all(&log, poller);
        print(&log, (unsigned) strtoul(words[1], NULL, 10));
}

int main(int argc, char **argv) {
        if (argc >= 7 && strcmp(argv[1], "udp") == 0)
                send_all(false, argv + 2);
        else if (argc == 5 && strcmp(argv[1], "tcp") == 0)
                send_all(true, argv + 2);
        else if (argc == 5 && strcmp(argv[1], "log") == 0)
                log_all(argv + 2);
        else {
                fprintf(stderr, "flood: see its head\n");
                return 2;
        }
        return 0;
}
