/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * From one plan, which was read back here, to another: a message for each class that differs, and no look at
 * the others. What others changed meanwhile is not seen, unless it is in the way of a message: it is heard of
 * by enforce/link-watch.h, and then all is looked at. So where a class's queue is to be longer or shorter:
 * in its place may be what somebody put there, which is left.
 *
 * The kernel echoes to us what it tells all who listen: what it made of each message. So a class is read back
 * by its own change.
 */

#include "uplink-edt.h"
#include "uplink-internal.h"

#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <string.h>

/* Of more, a dump of all is the cheaper way to read back. */
#define READ_BACK_MAX 64U

int uplink_put_changes(Uplink *uplink, int ifindex, const HtbChange *changes, size_t n, uint16_t flags,
                NetlinkBatch *batch) {
        for (size_t i = 0; i < n; i++) {
                const HtbClass *class = &changes[i].class;
                struct nl_msg *message = NULL;
                int r;

                if (htb_change_is_of_leaf(changes[i].kind))
                        uplink->too_full[class->minor - UPLINK_MINOR_SLOT_BASE] = changes[i].too_full;
                if (changes[i].too_full)
                        continue;
                r = tc_message_change(ifindex, &changes[i], &message);
                if (r < 0)
                        return r;
                nlmsg_hdr(message)->nlmsg_flags |= flags;
                r = netlink_batch_put(batch, message);
                if (r < 0)
                        return r;
                uplink_guard_forget(uplink, &changes[i]);
                if (changes[i].kind == HTB_CHANGE_ADD && class->minor >= UPLINK_MINOR_SLOT_BASE)
                        uplink->added[class->minor - UPLINK_MINOR_SLOT_BASE] = true;
        }
        return 0;
}

/* The echoes come in the order of the messages. */
typedef struct Echoes {
        const Uplink *uplink;
        const HtbChange *changes;
        size_t n, next;
} Echoes;

static bool echo_says(const Echoes *echoes, const HtbChange *change, const struct nlmsghdr *header) {
        const int ifindex = echoes->uplink->seen.ifindex;
        TcQdisc leaf;
        HtbClass have;

        switch (change->kind) {
        case HTB_CHANGE_ADD:
        case HTB_CHANGE_SET:
                return tc_message_parse_class(header, ifindex, &have) > 0 &&
                       htb_class_holds(&change->class, &have) &&
                       (change->kind == HTB_CHANGE_ADD || have.leaf.kind != HTB_LEAF_NONE);
        case HTB_CHANGE_ADD_LEAF:
        case HTB_CHANGE_SET_LEAF:
        case HTB_CHANGE_REPLACE_LEAF:
                return tc_message_parse_qdisc(header, &leaf) > 0 && leaf.ifindex == ifindex &&
                       leaf.parent == (UPLINK_HANDLE | change->class.minor) &&
                       htb_leaf_equal(&leaf.leaf, &change->class.leaf);
        case HTB_CHANGE_DELETE:
                return header->nlmsg_type == RTM_DELTCLASS;
        }
        return false;
}

static int take_echo(const struct nlmsghdr *header, void *userdata) {
        Echoes *echoes = userdata;

        if (echoes->next == echoes->n || !echo_says(echoes, &echoes->changes[echoes->next], header))
                return -ESTALE;
        echoes->next++;
        return 0;
}

static int send_changes(Uplink *uplink, const HtbChange *changes, size_t n) {
        _cleanup_netlink_batch_ NetlinkBatch batch = NETLINK_BATCH_NULL;
        Echoes echoes = { uplink, changes, n, 0 };
        const bool echo = n <= READ_BACK_MAX;
        int r;

        r = uplink_put_changes(uplink, uplink->seen.ifindex, changes, n, echo ? NLM_F_ECHO : 0, &batch);
        if (r >= 0)
                r = netlink_ask_batch(uplink->netlink, &batch, echo ? take_echo : NULL, &echoes);
        if (r < 0)
                return r;
        if (echo && echoes.next < n)
                return -ESTALE;
        return echo;
}

static int tree_add(HtbTree *tree, const Uplink *uplink, const NetPlan *plan, const NetClass *class) {
        /* At 0, 1, 2, 4, 8 ... of them. */
        if ((tree->n & (tree->n - 1)) == 0) {
                HtbClass *classes = reallocarray(tree->classes, 2 * tree->n + 1, sizeof(HtbClass));

                if (!classes)
                        return -ENOMEM;
                tree->classes = classes;
        }
        htb_class_from_plan(plan, class, &uplink->seen.packets, uplink->best, &tree->classes[tree->n++]);
        return 0;
}

/* Of both plans the classes that differ, as trees of these alone. */
static int trees_of_difference(
                const Uplink *uplink, const NetPlan *from, const NetPlan *to, HtbTree *have, HtbTree *want) {
        size_t i = 0, j = 0;
        int r = 0;

        while (r >= 0 && (i < from->n_classes || j < to->n_classes)) {
                const NetClass *h = i < from->n_classes ? &from->classes[i] : NULL;
                const NetClass *w = j < to->n_classes ? &to->classes[j] : NULL;

                if (w && (w->slot > HTB_SLOT_MAX || (j > 0 && w->slot <= to->classes[j - 1].slot)))
                        return -EINVAL;
                if (h && w && net_class_equal(h, w)) {
                        i++;
                        j++;
                        continue;
                }
                if (h && w && h->slot != w->slot) {
                        if (h->slot < w->slot)
                                w = NULL;
                        else
                                h = NULL;
                }
                i += !!h;
                j += !!w;
                if (h)
                        r = tree_add(have, uplink, from, h);
                if (w && r >= 0)
                        r = tree_add(want, uplink, to, w);
        }
        return r;
}

/* Of a class that is there already. */
static bool sets_a_queue(const HtbTree *have, const HtbChange *changes, size_t n) {
        for (size_t i = 0; i < n; i++)
                for (size_t j = 0; changes[i].kind == HTB_CHANGE_SET_LEAF && j < have->n; j++)
                        if (have->classes[j].minor == changes[i].class.minor)
                                return true;
        return false;
}

int uplink_change(Uplink *uplink, const NetPlan *from, const NetPlan *to, unsigned *ret_changes) {
        _cleanup_htb_tree_ HtbTree have = HTB_TREE_NULL, want = HTB_TREE_NULL;
        _cleanup_free_ HtbChange *changes = NULL;
        size_t n = 0;
        int r;

        uplink->words[0] = '\0';
        if (!net_plan_same_link(from, to) || to->n_classes == 0 || to->classes[0].slot != SLOT_DEFAULT)
                return -ESTALE;
        if (uplink->edt)
                return uplink_edt_change(uplink, from, to, ret_changes);
        if (uplink->seen.ifindex == 0)
                return -ESTALE;
        r = trees_of_difference(uplink, from, to, &have, &want);
        if (r >= 0)
                r = htb_tree_diff(&want, &have, &changes, &n);
        if (r >= 0 && sets_a_queue(&have, changes, n))
                return -ESTALE;
        if (r >= 0)
                r = send_changes(uplink, changes, n);
        if (r < 0)
                return r;
        uplink_guard_changes(uplink, changes, n);
        *ret_changes = (unsigned) n;
        return r;
}

int uplink_expect(const Uplink *uplink, const NetPlan *plan, NetPlan *ret) {
        NetClass *classes = calloc(plan->n_classes + 1, sizeof(NetClass));

        if (!classes)
                return -ENOMEM;
        for (size_t i = 0; i < plan->n_classes; i++)
                (uplink->edt ? edt_class_round : htb_class_round)(plan, &plan->classes[i], &classes[i]);
        *ret = (NetPlan){
                .uplink = uplink->name,
                .capacity_bps = plan->capacity_bps / 8 * 8,
                .classes = classes,
                .n_classes = plan->n_classes,
        };
        return 0;
}
