/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "pair.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define NODE_ADDRESS "192.0.2.1"
#define PEER_ADDRESS "192.0.2.2"
#define CARRIER_WAIT_MSEC 10000

static int new_namespace(void) {
        int fd;

        if (geteuid() != 0)
                cr_skip_test("needs root, to make network namespaces and qdiscs");
        if (unshare(CLONE_NEWNET) < 0)
                cr_skip_test("cannot make a network namespace: %s", strerror(errno));
        fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        cr_assert_geq(fd, 0);
        return fd;
}

void pair_close(Pair *pair) {
        close(pair->peer);
        close(pair->node);
}

static char *_printf_(1, 0) run_va(const char *format, va_list arguments) {
        _cleanup_free_ char *command = NULL, *output = NULL;
        size_t size = 0;
        FILE *pipe, *memory;
        char buffer[4096];
        int status;

        cr_assert_gt(vasprintf(&command, format, arguments), 0);
        pipe = popen(command, "re");
        memory = open_memstream(&output, &size);
        cr_assert(pipe && memory);
        while (fgets(buffer, sizeof(buffer), pipe))
                fputs(buffer, memory);
        fclose(memory);
        status = pclose(pipe);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "'%s' failed", command);
        return TAKE_PTR(output);
}

char *run(const char *format, ...) {
        va_list arguments;
        char *output;

        va_start(arguments, format);
        output = run_va(format, arguments);
        va_end(arguments);
        return output;
}

char *run_sorted(const char *command) {
        return run("(%s) | LC_ALL=C sort", command);
}

char *show_all(void) {
        return run_sorted("tc -d qdisc show dev " UPLINK "; tc -d class show dev " UPLINK
                          "; tc filter show dev " UPLINK "; tc filter show dev " UPLINK " egress");
}

char *show_class(unsigned minor) {
        return run("tc -d class show dev " UPLINK " | grep '^class htb 4847:%x ' || true", minor);
}

/* That there is one is announced a moment after the other end is up: looked at anew with each announcement.
 */
static void await_carrier(int announcements) {
        struct pollfd poll_fd = { .fd = announcements, .events = POLLIN };
        _cleanup_free_ char *shown = NULL;
        char news[8192];

        for (;;) {
                free(shown);
                shown = run("ip -o link show dev " UPLINK);
                if (strstr(shown, "state UP"))
                        return;
                cr_assert_eq(poll(&poll_fd, 1, CARRIER_WAIT_MSEC), 1, UPLINK " has no carrier: %s", shown);
                while (recv(announcements, news, sizeof(news), MSG_DONTWAIT) > 0)
                        ;
        }
}

static int listen_to_links(void) {
        const struct sockaddr_nl name = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

        cr_assert(fd >= 0 && bind(fd, (const struct sockaddr *) &name, sizeof(name)) == 0, "%m");
        return fd;
}

/* Options of iproute2's for the two ends. */
static void plug(const Pair *pair, const char *options) {
        _cleanup_close_ int announcements = listen_to_links();

        /* IPv6 would send packets of its own, which the counters would show. */
        free(run("f=/proc/sys/net/ipv6/conf/default/disable_ipv6; test ! -e $f || echo 1 >$f"));
        free(run("ip link add " UPLINK " address 02:00:00:00:00:01 %s type veth"
                 " peer name peer0 address 02:00:00:00:00:02 &&"
                 " ip link set peer0 netns /proc/%d/fd/%d && ip address add " NODE_ADDRESS "/24 dev " UPLINK
                 " &&"
                 " ip link set " UPLINK " up &&"
                 " ip neigh replace " PEER_ADDRESS " lladdr 02:00:00:00:00:02 nud permanent dev " UPLINK,
                        options, getpid(), pair->peer));
        cr_assert_eq(setns(pair->peer, CLONE_NEWNET), 0);
        free(run("ip address add " PEER_ADDRESS "/24 dev peer0 && ip link set peer0 up"));
        cr_assert_eq(setns(pair->node, CLONE_NEWNET), 0);
        await_carrier(announcements);
}

void pair_plug(const Pair *pair) {
        plug(pair, "");
}

static Pair new_pair(const char *options) {
        Pair pair;

        pair.peer = new_namespace();
        pair.node = new_namespace();
        plug(&pair, options);
        return pair;
}

Pair pair_new(void) {
        return new_pair("");
}

Pair pair_new_single_queue(void) {
        return new_pair("numtxqueues 1 numrxqueues 1");
}

bool pair_add_ipv6(const Pair *pair) {
        static const struct {
                const char *device, *address, *neighbour, *hardware;
        } ends[] = {
                { UPLINK, "2001:db8::1", "2001:db8::2", "02:00:00:00:00:02" },
                { "peer0", "2001:db8::2", "2001:db8::1", "02:00:00:00:00:01" },
        };
        const int namespaces[] = { pair->node, pair->peer };

        if (access("/proc/sys/net/ipv6", F_OK) < 0)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(ends); i++) {
                cr_assert_eq(setns(namespaces[i], CLONE_NEWNET), 0);
                free(run("echo 0 >/proc/sys/net/ipv6/conf/%s/disable_ipv6;"
                         " ip -6 address add %s/64 dev %s nodad &&"
                         " ip -6 neigh replace %s lladdr %s nud permanent dev %s",
                                ends[i].device, ends[i].address, ends[i].device, ends[i].neighbour,
                                ends[i].hardware, ends[i].device));
        }
        cr_assert_eq(setns(pair->node, CLONE_NEWNET), 0);
        return true;
}

static int udp_socket(const char *address, uint16_t port, bool listen_there) {
        struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(port) };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), size = 1 << 20;

        cr_assert_geq(fd, 0);
        cr_assert_eq(inet_pton(AF_INET, address, &name.sin_addr), 1);
        cr_assert_eq(setsockopt(fd, SOL_SOCKET, listen_there ? SO_RCVBUFFORCE : SO_SNDBUFFORCE, &size,
                                     sizeof(size)),
                        0);
        if (listen_there)
                cr_assert_eq(bind(fd, (struct sockaddr *) &name, sizeof(name)), 0, "%s", strerror(errno));
        else
                cr_assert_eq(connect(fd, (struct sockaddr *) &name, sizeof(name)), 0, "%s", strerror(errno));
        return fd;
}

int udp_sender(uint16_t port, uint32_t class_id) {
        int fd = udp_socket(PEER_ADDRESS, port, /* listen_there= */ false);

        cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &class_id, sizeof(class_id)), 0);
        return fd;
}

int udp_receiver(const Pair *pair, uint16_t port) {
        int fd;

        cr_assert_eq(setns(pair->peer, CLONE_NEWNET), 0);
        fd = udp_socket(PEER_ADDRESS, port, /* listen_there= */ true);
        cr_assert_eq(setns(pair->node, CLONE_NEWNET), 0);
        return fd;
}

int tc_listener(void) {
        struct sockaddr_nl name = { .nl_family = AF_NETLINK, .nl_groups = 1U << (RTNLGRP_TC - 1) };
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE), size = 1 << 24;

        cr_assert_geq(fd, 0);
        cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)), 0);
        cr_assert_eq(bind(fd, (struct sockaddr *) &name, sizeof(name)), 0);
        return fd;
}

unsigned tc_listener_count(int listener) {
        unsigned n = 0;
        char buffer[16384];
        ssize_t size;

        /* The kernel has told before it acknowledged the change: there is nothing to wait for. */
        while ((size = recv(listener, buffer, sizeof(buffer), 0)) > 0) {
                struct nlmsghdr *header = (struct nlmsghdr *) buffer;

                for (unsigned left = (unsigned) size; NLMSG_OK(header, left);
                                header = NLMSG_NEXT(header, left))
                        /* Our root takes the place of the kernel's default, which it also tells of. */
                        n += ((struct tcmsg *) NLMSG_DATA(header))->tcm_handle != 0;
        }
        cr_assert_eq(errno, EAGAIN, "%s", strerror(errno));
        return n;
}
