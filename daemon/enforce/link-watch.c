/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "enforce/link-watch.h"

#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#define RECEIVE_SIZE 16384U
#define READS_MAX 256 /* a call */

struct LinkWatch {
        int fd;
        char buffer[RECEIVE_SIZE] __attribute__((__aligned__(NLMSG_ALIGNTO)));
};

static int parse_link(const struct nlmsghdr *header, LinkChange *ret) {
        struct nlattr *attributes[IFLA_MAX + 1];
        const struct ifinfomsg *link = nlmsg_data(header);

        if (nlmsg_parse((struct nlmsghdr *) header, sizeof(*link), attributes, IFLA_MAX, NULL) < 0 ||
                        !attributes[IFLA_IFNAME])
                return -EBADMSG;
        *ret = (LinkChange){
                .ifindex = link->ifi_index,
                .name = nla_get_string(attributes[IFLA_IFNAME]),
                .port = header->nlmsg_pid,
        };
        return 0;
}

int link_change_parse(const struct nlmsghdr *header, LinkChange *ret) {
        switch (header->nlmsg_type) {
        case RTM_NEWLINK:
        case RTM_DELLINK:
                return parse_link(header, ret);
        case RTM_NEWQDISC:
        case RTM_DELQDISC:
        case RTM_NEWTCLASS:
        case RTM_DELTCLASS:
        case RTM_NEWTFILTER:
        case RTM_DELTFILTER:
                if (nlmsg_datalen(header) < (int) sizeof(struct tcmsg))
                        return -EBADMSG;
                *ret = (LinkChange){
                        .traffic = true,
                        .ifindex = ((const struct tcmsg *) nlmsg_data(header))->tcm_ifindex,
                        .port = header->nlmsg_pid,
                };
                return 0;
        default:
                return -ENODATA;
        }
}

int link_watch_new(int buffer_bytes, LinkWatch **ret) {
        const struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK | RTMGRP_TC };
        _cleanup_(link_watch_free_p) LinkWatch *watch = calloc(1, sizeof(*watch));

        if (!watch)
                return -ENOMEM;
        watch->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
        if (watch->fd < 0)
                return -errno;
        if (setsockopt(watch->fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof(buffer_bytes)) < 0 ||
                        bind(watch->fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        *ret = TAKE_PTR(watch);
        return 0;
}

LinkWatch *link_watch_free(LinkWatch *watch) {
        if (!watch)
                return NULL;
        cleanup_close(&watch->fd);
        free(watch);
        return NULL;
}

int link_watch_fd(const LinkWatch *watch) {
        return watch->fd;
}

static void take_datagram(const LinkWatch *watch, int size, LinkWatchTell tell, void *userdata) {
        const struct nlmsghdr *header = (const struct nlmsghdr *) watch->buffer;
        LinkChange change;

        for (; nlmsg_ok(header, size); header = nlmsg_next((struct nlmsghdr *) header, &size))
                if (link_change_parse(header, &change) >= 0)
                        tell(&change, userdata);
}

int link_watch_read(LinkWatch *watch, LinkWatchTell tell, void *userdata) {
        bool lost = false;

        for (unsigned i = 0; i < READS_MAX; i++) {
                struct sockaddr_nl from = {};
                socklen_t length = sizeof(from);
                ssize_t n = recvfrom(watch->fd, watch->buffer, sizeof(watch->buffer), MSG_TRUNC,
                                (struct sockaddr *) &from, &length);

                if (n < 0 && errno == EAGAIN)
                        break;
                if (n < 0 && errno != ENOBUFS && errno != EINTR)
                        return -errno;
                if (n < 0 || (size_t) n > sizeof(watch->buffer))
                        lost = lost || n >= 0 || errno == ENOBUFS;
                else if (from.nl_pid == 0) /* from the kernel, and no other process */
                        take_datagram(watch, (int) n, tell, userdata);
        }
        return lost;
}
