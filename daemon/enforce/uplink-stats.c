/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the kernel counts of an uplink's classes: one dump of them, and where they hold queues of their own
 * one of these, since what such a queue drops later than at its tail its class does not know of; and what was
 * dropped before it came to its class. Changes nothing.
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

        r = tc_message_parse_stats(header, stats->ifindex, &class);
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

        r = tc_message_parse_leaf_drops(header, stats->ifindex, &key.slot, &key.drops);
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
        r = tc_message_class_dump(reading->stats.ifindex, &message);
        r = uplink_request(uplink, r, message, take_class, reading);
        if (r < 0)
                return r;
        /* There is always the default class. */
        if (reading->stats.n == 0)
                return -ENOENT;
        qsort(reading->stats.classes, reading->stats.n, sizeof(NetClassStats), compare_slot);
        if (!htb_leaf_drops_later(uplink->best))
                return 0;
        r = tc_message_qdisc_dump(&message);
        return uplink_request(uplink, r, message, take_leaf, &reading->stats);
}

int uplink_read_classes(Uplink *uplink, int ifindex, NetStats *ret) {
        _cleanup_(reading_deinit) Reading reading = { .stats.ifindex = ifindex };
        int r = -EAGAIN;

        for (unsigned n = 0; netlink_try_again(r, &n);)
                r = read_once(uplink, &reading);
        if (r < 0)
                return r;
        (void) uplink_guard_open(uplink, ifindex);
        for (size_t i = 0; i < reading.stats.n; i++) {
                NetClassStats *class = &reading.stats.classes[i];

                class->drops += flood_guard_drops(&uplink->floods, class->slot);
                class->anew = uplink->added[class->slot];
                uplink->added[class->slot] = false;
        }
        *ret = reading.stats;
        reading.stats = (NetStats){};
        return 0;
}

static int read_htb(Uplink *uplink, NetStats *ret) {
        TcLink link;
        int r;

        r = uplink_look_up_link(uplink, &link);
        if (r >= 0)
                r = uplink_read_classes(uplink, link.ifindex, ret);
        return r;
}

static void forget_backlog(NetStats *stats) {
        for (size_t i = 0; i < stats->n; i++)
                stats->classes[i].backlog_packets = stats->classes[i].backlog_bytes = 0;
}

void uplink_keep_reading(Uplink *uplink, NetStats *stats, bool are_gone) {
        for (size_t i = 0; are_gone && i < stats->n; i++)
                stats->classes[i].drops += stats->classes[i].backlog_packets;
        forget_backlog(stats);
        if (stats->n > 0 && net_stats_add_kept(&uplink->parting, stats) >= 0)
                uplink->parting = *stats;
        else
                net_stats_deinit(stats);
        *stats = (NetStats){};
}

/* What was read before comes before what has its slot now. */
int net_stats_add_kept(NetStats *kept, NetStats *stats) {
        NetClassStats *all;

        if (kept->n > 0 && kept->ifindex == stats->ifindex) {
                all = reallocarray(kept->classes, kept->n + stats->n, sizeof(NetClassStats));
                if (!all)
                        return -ENOMEM;
                kept->classes = all;
                if (stats->n > 0)
                        memcpy(all + kept->n, stats->classes, stats->n * sizeof(NetClassStats));
                kept->n += stats->n;
                net_stats_deinit(stats);
                *stats = *kept;
                *kept = (NetStats){};
        }
        net_stats_deinit(kept);
        return 0;
}

int uplink_read_stats(Uplink *uplink, NetStats *ret) {
        NetStats stats = {};
        int r;

        uplink->words[0] = '\0';
        /* Where the pacer cannot be put, an HTB from before goes on. */
        r = uplink->paced ? uplink_edt_read_stats(uplink, &stats) : read_htb(uplink, &stats);
        if (r >= 0)
                r = net_stats_add_kept(&uplink->parting, &stats);
        if (r < 0) {
                net_stats_deinit(&stats);
                if (uplink->parting.n == 0)
                        return r;
                stats = uplink->parting;
                uplink->parting = (NetStats){};
        }
        *ret = stats;
        return 0;
}

bool uplink_keeps_stats(const Uplink *uplink) {
        return uplink->parting.n > 0;
}

void uplink_part(Uplink *uplink, NetStats *ret) {
        NetStats stats = {};

        (void) uplink_read_stats(uplink, &stats);
        forget_backlog(&stats);
        *ret = stats;
}
