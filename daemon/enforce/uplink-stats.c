/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the kernel counts of an uplink's classes: one dump of them, and where they hold queues of their own
 * one of these, since what such a queue drops later than at its tail its class does not know of. Changes
 * nothing.
 */

#include "uplink-edt.h"

#include <netlink/msg.h>
#include <string.h>

typedef struct Reading {
        NetStats stats; /* owned */
        size_t allocated;
} Reading;

void net_stats_deinit(NetStats *stats) {
        free(stats->classes);
        *stats = (NetStats){};
}

static void reading_deinit(Reading *reading) {
        net_stats_deinit(&reading->stats);
}

static int take_class(const struct nlmsghdr *header, void *userdata) {
        Reading *reading = userdata;
        NetStats *stats = &reading->stats;
        NetClassStats class;
        int r;

        r = htb_message_parse_stats(header, stats->ifindex, &class);
        if (r <= 0)
                return r;
        if (stats->n == reading->allocated) {
                size_t allocated = 2 * reading->allocated + 64;
                NetClassStats *grown = reallocarray(stats->classes, allocated, sizeof(NetClassStats));

                if (!grown)
                        return -ENOMEM;
                stats->classes = grown;
                reading->allocated = allocated;
        }
        stats->classes[stats->n++] = class;
        return 0;
}

static int compare_slot(const void *a, const void *b) {
        uint32_t x = ((const NetClassStats *) a)->slot, y = ((const NetClassStats *) b)->slot;

        return x < y ? -1 : x > y;
}

/* All that the class could not put into its queue, the queue has dropped: so its count is the whole. */
static int take_leaf(const struct nlmsghdr *header, void *userdata) {
        NetStats *stats = userdata;
        NetClassStats key = {}, *class;
        int r;

        r = htb_message_parse_leaf_drops(header, stats->ifindex, &key.slot, &key.drops);
        if (r <= 0)
                return r;
        class = bsearch(&key, stats->classes, stats->n, sizeof(NetClassStats), compare_slot);
        if (class)
                class->drops = key.drops;
        return 0;
}

static int read_once(Uplink *uplink, Reading *reading) {
        struct nl_msg *message = NULL;
        int r;

        reading->stats.n = 0;
        r = htb_message_class_dump(reading->stats.ifindex, &message);
        r = uplink_request(uplink, r, message, take_class, reading);
        if (r < 0)
                return r;
        /* There is always the default class. */
        if (reading->stats.n == 0)
                return -ENOENT;
        qsort(reading->stats.classes, reading->stats.n, sizeof(NetClassStats), compare_slot);
        if (!uplink->fq_codel)
                return 0;
        r = htb_message_qdisc_dump(&message);
        return uplink_request(uplink, r, message, take_leaf, &reading->stats);
}

int uplink_read_classes(Uplink *uplink, int ifindex, NetStats *ret) {
        _cleanup_(reading_deinit) Reading reading = { .stats.ifindex = ifindex };
        int r = -EAGAIN;

        for (unsigned i = 0; i < UPLINK_ATTEMPTS && uplink_is_passing(r); i++)
                r = read_once(uplink, &reading);
        if (r < 0)
                return r;
        *ret = reading.stats;
        reading.stats = (NetStats){};
        return 0;
}

static int read_htb(Uplink *uplink, NetStats *ret) {
        HtbLink link;
        int r;

        r = uplink_look_up_link(uplink, &link);
        if (r >= 0)
                r = uplink_read_classes(uplink, link.ifindex, ret);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ret->n; i++) {
                NetClassStats *class = &ret->classes[i];

                class->anew = uplink->added[class->slot];
                uplink->added[class->slot] = false;
        }
        return 0;
}

void uplink_keep_parting(Uplink *uplink, NetStats *stats) {
        if (stats->n == 0)
                return;
        net_stats_deinit(&uplink->parting);
        uplink->parting = *stats;
        *stats = (NetStats){};
        for (size_t i = 0; i < uplink->parting.n; i++) {
                NetClassStats *class = &uplink->parting.classes[i];

                class->drops += class->backlog_packets;
                class->backlog_packets = class->backlog_bytes = 0;
        }
}

/* A class that went comes before the one that has its slot now. */
static int add_parting(NetStats *parting, NetStats *stats) {
        NetClassStats *all;

        if (parting->n > 0 && parting->ifindex == stats->ifindex) {
                all = reallocarray(parting->classes, parting->n + stats->n, sizeof(NetClassStats));
                if (!all)
                        return -ENOMEM;
                parting->classes = all;
                memcpy(all + parting->n, stats->classes, stats->n * sizeof(NetClassStats));
                parting->n += stats->n;
                net_stats_deinit(stats);
                *stats = *parting;
                *parting = (NetStats){};
        }
        net_stats_deinit(parting);
        return 0;
}

int uplink_read_stats(Uplink *uplink, NetStats *ret) {
        NetStats stats = {};
        int r;

        uplink->words[0] = '\0';
        /* Where the pacer cannot be put, an HTB from before goes on. */
        r = uplink->paced ? uplink_edt_read_stats(uplink, &stats) : read_htb(uplink, &stats);
        if (r >= 0)
                r = add_parting(&uplink->parting, &stats);
        if (r < 0) {
                net_stats_deinit(&stats);
                return r;
        }
        *ret = stats;
        return 0;
}
