/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Says which interfaces came, went or changed, and on which somebody, us among them, changed a qdisc, class
 * or filter: the kernel's own announcements. It looks nothing up.
 */

#include "util/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

struct nlmsghdr;

typedef struct LinkChange {
        bool traffic; /* qdisc, class or filter; else the interface itself */
        int ifindex;
        const char *name; /* of the interface; NULL where traffic is. As long as the message. */
        uint32_t port;    /* netlink port of who did it; 0: the kernel */
} LinkChange;

/* 0 with the change, -ENODATA where the message announces none of these. */
int link_change_parse(const struct nlmsghdr *header, LinkChange *ret);

typedef struct LinkWatch LinkWatch;

/* In the network namespace of the calling thread. `buffer_bytes`: of the socket. */
int link_watch_new(int buffer_bytes, LinkWatch **ret);
LinkWatch *link_watch_free(LinkWatch *watch);
DEFINE_CLEANUP(LinkWatch *, link_watch_free);

int link_watch_fd(const LinkWatch *watch); /* readable with news; the watch's own */

typedef void (*LinkWatchTell)(const LinkChange *change, void *userdata);
/* Reads some of the news: 1 where the kernel dropped some, and anything may have changed. */
int link_watch_read(LinkWatch *watch, LinkWatchTell tell, void *userdata);
