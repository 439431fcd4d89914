/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the kernel has on an interface: the interface itself, its root qdisc, and the classes of our tree.
 * Looks all of it up, each time, and changes nothing.
 */

#include "ifb.h"
#include "uplink-internal.h"

#include <linux/pkt_sched.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>

void uplink_sight_deinit(UplinkSight *sight) {
        htb_tree_deinit(&sight->tree);
        free(sight->leaves);
}

static int take_link(const struct nlmsghdr *header, void *userdata) {
        return tc_message_parse_link(header, userdata);
}

static int take_leaf(UplinkSight *sight, const TcQdisc *qdisc) {
        if (sight->n_leaves == sight->leaves_allocated) {
                size_t allocated = 2 * sight->leaves_allocated + 64;
                TcQdisc *leaves = reallocarray(sight->leaves, allocated, sizeof(TcQdisc));

                if (!leaves)
                        return -ENOMEM;
                sight->leaves = leaves;
                sight->leaves_allocated = allocated;
        }
        sight->leaves[sight->n_leaves++] = *qdisc;
        return 0;
}

static int compare_parent(const void *a, const void *b) {
        uint32_t x = ((const TcQdisc *) a)->parent, y = ((const TcQdisc *) b)->parent;

        return x < y ? -1 : x > y;
}

/* What is in each class, where we made it. */
static void join_leaves(UplinkSight *sight) {
        if (sight->n_leaves == 0)
                return;
        qsort(sight->leaves, sight->n_leaves, sizeof(TcQdisc), compare_parent);
        for (size_t i = 0; i < sight->tree.n; i++) {
                HtbClass *class = &sight->tree.classes[i];
                const TcQdisc key = { .parent = UPLINK_HANDLE | class->minor };
                const TcQdisc *leaf = bsearch(
                                &key, sight->leaves, sight->n_leaves, sizeof(TcQdisc), compare_parent);

                if (leaf && htb_leaf_is_ours(&leaf->leaf, sight->best, class->minor))
                        class->leaf = leaf->leaf;
        }
}

/* Somebody asked for it, below our root. */
static bool is_below_ours(const TcQdisc *qdisc) {
        return qdisc->parent != TC_H_ROOT && TC_H_MAJ(qdisc->parent) == UPLINK_HANDLE && qdisc->handle != 0;
}

static int take_root(const struct nlmsghdr *header, void *userdata) {
        UplinkSight *sight = userdata;
        TcQdisc qdisc;
        int r;

        r = tc_message_parse_qdisc(header, &qdisc);
        if (r <= 0 || qdisc.ifindex != sight->link.ifindex)
                return r;
        if (qdisc.parent == TC_H_ROOT)
                sight->root = qdisc;
        uplink_note_guest(&sight->guests, &qdisc, sight->best);
        if (!is_below_ours(&qdisc) || qdisc.leaf.kind == HTB_LEAF_NONE)
                return r;
        if (sight->best < qdisc.leaf.kind)
                sight->best = qdisc.leaf.kind;
        return take_leaf(sight, &qdisc);
}

static int take_class(const struct nlmsghdr *header, void *userdata) {
        UplinkSight *sight = userdata;
        HtbClass class;
        int r;

        r = tc_message_parse_class(header, sight->link.ifindex, &class);
        if (r <= 0)
                return r;
        if (sight->tree.n == sight->allocated) {
                size_t allocated = 2 * sight->allocated + 64;
                HtbClass *classes = reallocarray(sight->tree.classes, allocated, sizeof(HtbClass));

                if (!classes)
                        return -ENOMEM;
                sight->tree.classes = classes;
                sight->allocated = allocated;
        }
        sight->tree.classes[sight->tree.n++] = class;
        return 0;
}

RootOwner uplink_root_owner(const TcQdisc *root) {
        if (root->handle == 0)
                return ROOT_DEFAULT;
        if (root->handle != UPLINK_HANDLE)
                return ROOT_FOREIGN;
        /* The other discipline's. */
        if (strcmp(root->kind, "mq") == 0 || strcmp(root->kind, "fq") == 0)
                return ROOT_MISSHAPEN;
        if (strcmp(root->kind, "htb") != 0)
                return ROOT_FOREIGN;
        return root->default_minor == UPLINK_MINOR_SLOT_BASE + SLOT_DEFAULT ? ROOT_OURS : ROOT_MISSHAPEN;
}

void uplink_note_guest(UplinkGuests *guests, const TcQdisc *qdisc, HtbLeafKind best) {
        if (!is_below_ours(qdisc))
                return;
        if (strcmp(qdisc->kind, "fq") != 0)
                strcpy(guests->of_queue, qdisc->kind);
        if (!htb_leaf_is_ours(&qdisc->leaf, best, (uint16_t) TC_H_MIN(qdisc->parent)))
                strcpy(guests->of_class, qdisc->kind);
}

int uplink_refuse_guest(Uplink *uplink, const TcQdisc *root, const UplinkGuests *guests) {
        const bool is_htb = strcmp(root->kind, "htb") == 0;
        const char *kind = is_htb ? guests->of_class : guests->of_queue;

        if (root->handle != UPLINK_HANDLE || kind[0] == '\0')
                return 0;
        uplink_set_words(uplink,
                        "a %s of our %s %x: holds a %s that is not ours, and all was left alone; 'tc qdisc "
                        "show dev %s' tells where it is",
                        is_htb ? "class" : "queue", root->kind, UPLINK_HTB_MAJOR, kind, uplink->name);
        return -EBUSY;
}

static int look_up(Uplink *uplink, const char *name, TcLink *ret) {
        struct nl_msg *message = NULL;
        TcLink link = { 0 };
        int r;

        r = tc_message_link_get(name, &message);
        r = uplink_request(uplink, r, message, take_link, &link);
        if (r < 0)
                return r;
        /* IFLA_IFNAME also finds an interface by an alternative name, which may move to another. */
        if (link.ifindex <= 0 || strcmp(link.name, name) != 0)
                return -ENODEV;
        *ret = link;
        return 0;
}

int uplink_look_up_link(Uplink *uplink, TcLink *ret) {
        return look_up(uplink, uplink->name, ret);
}

/* What waits in an IFB is as large as the link that it is of has put together. */
static int look_up_source(Uplink *uplink, HtbPackets *packets) {
        const unsigned of = ifb_name_of(uplink->name);
        char name[IF_NAMESIZE];
        TcLink source;
        int r;

        if (of == 0 || !if_indextoname(of, name))
                return 0;
        r = look_up(uplink, name, &source);
        if (r < 0)
                return r;
        packets->max_bytes = source.taken_max_bytes;
        return 0;
}

static int look_once(Uplink *uplink, UplinkSight *ret) {
        _cleanup_sight_ UplinkSight sight = { .best = uplink->best };
        struct nl_msg *message = NULL;
        int r;

        r = uplink_look_up_link(uplink, &sight.link);
        if (r >= 0)
                r = look_up_source(uplink, &sight.link.packets);
        if (r < 0)
                return r;

        /* The kernel has no filter for this dump; asking for one qdisc would tell all who listen for changes.
         */
        r = tc_message_qdisc_dump(&message);
        r = uplink_request(uplink, r, message, take_root, &sight);
        if (r < 0)
                return r;
        sight.owner = uplink_root_owner(&sight.root);

        if (sight.owner == ROOT_OURS) {
                r = tc_message_class_dump(sight.link.ifindex, &message);
                r = uplink_request(uplink, r, message, take_class, &sight);
                if (r < 0)
                        return r;
                htb_tree_sort(&sight.tree);
                join_leaves(&sight);
        }

        *ret = sight;
        sight = (UplinkSight){ 0 };
        return 0;
}

int uplink_look(Uplink *uplink, UplinkSight *ret) {
        int r = -EAGAIN;

        for (unsigned n = 0; netlink_try_again(r, &n);)
                r = look_once(uplink, ret);
        if (r >= 0)
                uplink->seen = ret->link;
        return r;
}
