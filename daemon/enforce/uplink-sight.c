/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the kernel has on an interface: the interface itself, its root qdisc, and the classes of our tree.
 * Looks all of it up, each time, and changes nothing.
 */

#include "uplink-internal.h"

#include <linux/pkt_sched.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>

void uplink_sight_deinit(UplinkSight *sight) {
        htb_tree_deinit(&sight->tree);
        free(sight->fifos);
}

static int take_link(const struct nlmsghdr *header, void *userdata) {
        return htb_message_parse_link(header, userdata);
}

static int take_fifo(UplinkSight *sight, const HtbQdisc *qdisc) {
        if (sight->n_fifos == sight->fifos_allocated) {
                size_t allocated = 2 * sight->fifos_allocated + 64;
                HtbQdisc *fifos = reallocarray(sight->fifos, allocated, sizeof(HtbQdisc));

                if (!fifos)
                        return -ENOMEM;
                sight->fifos = fifos;
                sight->fifos_allocated = allocated;
        }
        sight->fifos[sight->n_fifos++] = *qdisc;
        return 0;
}

static int compare_parent(const void *a, const void *b) {
        uint32_t x = ((const HtbQdisc *) a)->parent, y = ((const HtbQdisc *) b)->parent;

        return x < y ? -1 : x > y;
}

/* How much the FIFO in each class holds. */
static void join_fifos(UplinkSight *sight) {
        if (sight->n_fifos == 0)
                return;
        qsort(sight->fifos, sight->n_fifos, sizeof(HtbQdisc), compare_parent);
        for (size_t i = 0; i < sight->tree.n; i++) {
                const HtbQdisc key = { .parent = UPLINK_HANDLE | sight->tree.classes[i].minor };
                const HtbQdisc *fifo =
                                bsearch(&key, sight->fifos, sight->n_fifos, sizeof(HtbQdisc), compare_parent);

                if (fifo)
                        sight->tree.classes[i].queue_bytes = fifo->fifo_bytes;
        }
}

static bool is_our_fifo(const HtbQdisc *qdisc, bool fq_codel) {
        return strcmp(qdisc->kind, "bfifo") == 0 && htb_fifo_is_ours(qdisc->fifo_bytes, fq_codel);
}

static int take_root(const struct nlmsghdr *header, void *userdata) {
        UplinkSight *sight = userdata;
        HtbQdisc qdisc;
        int r;

        r = htb_message_parse_qdisc(header, &qdisc);
        if (r <= 0 || qdisc.ifindex != sight->link.ifindex)
                return r;
        if (qdisc.parent == TC_H_ROOT)
                sight->root = qdisc;
        if (TC_H_MAJ(qdisc.parent) >> 16 == UPLINK_HTB_MAJOR && strcmp(qdisc.kind, "fq_codel") == 0)
                sight->fq_codel = true;
        uplink_note_guest(&sight->guests, &qdisc, sight->fq_codel);
        if (TC_H_MAJ(qdisc.parent) >> 16 == UPLINK_HTB_MAJOR && qdisc.handle != 0 && qdisc.fifo_bytes > 0 &&
                        is_our_fifo(&qdisc, sight->fq_codel))
                r = take_fifo(sight, &qdisc);
        return r;
}

static int take_class(const struct nlmsghdr *header, void *userdata) {
        UplinkSight *sight = userdata;
        HtbClass class;
        int r;

        r = htb_message_parse_class(header, sight->link.ifindex, &class);
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

RootOwner uplink_root_owner(const HtbQdisc *root) {
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

void uplink_note_guest(UplinkGuests *guests, const HtbQdisc *qdisc, bool fq_codel) {
        if (qdisc->parent == TC_H_ROOT || TC_H_MAJ(qdisc->parent) >> 16 != UPLINK_HTB_MAJOR ||
                        qdisc->handle == 0)
                return;
        if (strcmp(qdisc->kind, "fq") != 0)
                strcpy(guests->of_queue, qdisc->kind);
        if (strcmp(qdisc->kind, "fq_codel") != 0 && !is_our_fifo(qdisc, fq_codel))
                strcpy(guests->of_class, qdisc->kind);
}

int uplink_refuse_guest(Uplink *uplink, const HtbQdisc *root, const UplinkGuests *guests) {
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

int uplink_look_up_link(Uplink *uplink, HtbLink *ret) {
        struct nl_msg *message = NULL;
        HtbLink link = { 0 };
        int r;

        r = htb_message_link_get(uplink->name, &message);
        r = uplink_request(uplink, r, message, take_link, &link);
        if (r < 0)
                return r;
        /* IFLA_IFNAME also finds an interface by an alternative name, which may move to another. */
        if (link.ifindex <= 0 || strcmp(link.name, uplink->name) != 0)
                return -ENODEV;
        *ret = link;
        return 0;
}

static int look_once(Uplink *uplink, UplinkSight *ret) {
        _cleanup_sight_ UplinkSight sight = { .fq_codel = uplink->fq_codel };
        struct nl_msg *message = NULL;
        int r;

        r = uplink_look_up_link(uplink, &sight.link);
        if (r < 0)
                return r;

        /* The kernel has no filter for this dump; asking for one qdisc would tell all who listen for changes.
         */
        r = htb_message_qdisc_dump(&message);
        r = uplink_request(uplink, r, message, take_root, &sight);
        if (r < 0)
                return r;
        sight.owner = uplink_root_owner(&sight.root);

        if (sight.owner == ROOT_OURS) {
                r = htb_message_class_dump(sight.link.ifindex, &message);
                r = uplink_request(uplink, r, message, take_class, &sight);
                if (r < 0)
                        return r;
                htb_tree_sort(&sight.tree);
                join_fifos(&sight);
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
