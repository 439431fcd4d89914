/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An uplink whose packets get the time of their departure from our program (edt-pacer.h), kept by fq, below
 * mq where the device has several queues: no lock is one for all of them. Observes, compares and changes as
 * uplink.c does for HTB, with the same respect for what is not ours. A queue's fq that somebody put there is
 * as good as ours; any other qdisc that somebody put there is left, and the uplink is not shaped as long.
 */

#include "uplink-edt.h"

#include "edt-message.h"

#include <errno.h>
#include <linux/pkt_sched.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>

#define QUEUES_MAX 4096U

typedef struct EdtSight {
        TcLink link;
        TcQdisc root;            /* zeroed: none */
        bool has_fq[QUEUES_MAX]; /* by queue, from 0 */
        HtbLeafKind best;        /* queue of a class that the kernel has */
        UplinkGuests guests;
        bool missing; /* a queue has no fq */
} EdtSight;

static int take_qdisc(const struct nlmsghdr *header, void *userdata) {
        EdtSight *sight = userdata;
        TcQdisc qdisc;
        uint32_t queue;
        int r;

        r = tc_message_parse_qdisc(header, &qdisc);
        if (r <= 0 || qdisc.ifindex != sight->link.ifindex)
                return r;
        queue = TC_H_MIN(qdisc.parent) - 1;
        if (qdisc.parent == TC_H_ROOT)
                sight->root = qdisc;
        else if (TC_H_MAJ(qdisc.parent) == UPLINK_HANDLE && queue < QUEUES_MAX)
                sight->has_fq[queue] = strcmp(qdisc.kind, "fq") == 0;
        uplink_note_guest(&sight->guests, &qdisc, sight->best);
        return r;
}

static uint32_t queues_of(const TcLink *link) {
        return link->queues < QUEUES_MAX ? link->queues : QUEUES_MAX;
}

static const char *root_kind(const EdtSight *sight) {
        return sight->link.queues > 1 ? "mq" : "fq";
}

static bool root_is_ours(const EdtSight *sight) {
        return sight->root.handle == UPLINK_HANDLE && strcmp(sight->root.kind, root_kind(sight)) == 0;
}

static int look_once(Uplink *uplink, EdtSight *sight) {
        struct nl_msg *message = NULL;
        int r;

        *sight = (EdtSight){ .best = uplink->best };
        r = uplink_look_up_link(uplink, &sight->link);
        if (r < 0)
                return r;
        r = tc_message_qdisc_dump(&message);
        r = uplink_request(uplink, r, message, take_qdisc, sight);
        if (r < 0)
                return r;
        for (uint32_t i = 0; sight->link.queues > 1 && i < queues_of(&sight->link); i++)
                sight->missing = sight->missing || !sight->has_fq[i];
        return 0;
}

/* The caller frees. */
static int look(Uplink *uplink, EdtSight **ret) {
        _cleanup_free_ EdtSight *sight = malloc(sizeof(EdtSight));
        int r = sight ? -EAGAIN : -ENOMEM;

        for (unsigned n = 0; netlink_try_again(r, &n);)
                r = look_once(uplink, sight);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(sight);
        return 0;
}

static bool root_is_foreign(const EdtSight *sight) {
        return sight->root.handle != 0 && sight->root.handle != UPLINK_HANDLE;
}

static int refuse_foreign(Uplink *uplink, const EdtSight *sight) {
        if (root_is_foreign(sight) && !uplink->take_over)
                return uplink_refuse_foreign(uplink, &sight->root);
        return uplink_refuse_guest(uplink, &sight->root, &sight->guests);
}

/* A root of ours of another discipline, or for another number of queues, goes first; so does one that is
 * taken over, by this handle. */
static int apply_qdiscs(Uplink *uplink, const EdtSight *sight, uint32_t handle, unsigned *changes) {
        _cleanup_netlink_batch_ NetlinkBatch batch = NETLINK_BATCH_NULL;
        struct nl_msg *message = NULL;
        int ifindex = sight->link.ifindex, r = 0;
        bool ours = root_is_ours(sight);

        if (!ours && handle != 0) {
                r = tc_message_root_delete(ifindex, handle, &message);
                r = uplink_batch_put(&batch, r, message);
        }
        if (!ours && r >= 0) {
                r = edt_message_root_add(ifindex, root_kind(sight), &message);
                r = uplink_batch_put(&batch, r, message);
        }
        for (uint32_t i = 0; r >= 0 && sight->link.queues > 1 && i < queues_of(&sight->link); i++) {
                if (ours && sight->has_fq[i])
                        continue;
                r = edt_message_queue_add(ifindex, i + 1, &message);
                r = uplink_batch_put(&batch, r, message);
        }
        if (r < 0)
                return r;
        *changes += batch.n;
        return netlink_send_batch(uplink->netlink, &batch);
}

/* The program and the maps of the interface that has the name now. */
static int follow_pacer(Uplink *uplink, int ifindex) {
        int r;

        if (uplink->pacer && uplink->pacer_ifindex == ifindex)
                return 0;
        uplink->pacer = edt_pacer_free(uplink->pacer);
        r = edt_pacer_new(uplink->pin_dir, (unsigned) ifindex, &uplink->pacer);
        if (r < 0)
                snprintf(uplink->words, sizeof(uplink->words), "the pacer does not load: %s", strerror(-r));
        uplink->pacer_ifindex = ifindex;
        return r;
}

static int apply_pacer(Uplink *uplink, const NetPlan *plan, unsigned *changes) {
        _cleanup_free_ EdtEntry *entries = NULL;
        const char *words;
        size_t n;
        int r;

        r = edt_entries_from_plan(plan, &entries, &n);
        if (r >= 0)
                r = edt_pacer_set(uplink->pacer, plan->capacity_bps / 8, plan->overhead_bytes, entries, n,
                                changes);
        if (r < 0)
                return r;
        r = edt_pacer_attach(uplink->pacer, &words);
        if (r < 0)
                snprintf(uplink->words, sizeof(uplink->words), "%s (%s)", words, strerror(-r));
        *changes += r > 0;
        return r < 0 ? r : 0;
}

/* What an HTB of ours counted, as long as it is there. */
static void read_parting(Uplink *uplink, const EdtSight *sight, NetStats *ret) {
        if (sight->root.handle == UPLINK_HANDLE && strcmp(sight->root.kind, "htb") == 0)
                (void) uplink_read_classes(uplink, sight->link.ifindex, ret);
}

/* The pacer before the qdiscs: as long as no fq keeps the times that it gives, it still drops what is beyond
 * the horizon, so that at no moment between an HTB of ours and fq more departs than that. */
int uplink_edt_apply(Uplink *uplink, const NetPlan *plan, unsigned *changes) {
        _cleanup_free_ EdtSight *sight = NULL;
        NetStats parting = {};
        uint32_t handle = 0;
        int r;

        r = look(uplink, &sight);
        if (r >= 0)
                r = refuse_foreign(uplink, sight);
        if (r < 0)
                return r;
        handle = sight->root.handle;
        if (root_is_foreign(sight))
                r = uplink_take_over_root(uplink, sight->link.ifindex, &handle);
        if (r >= 0)
                r = follow_pacer(uplink, sight->link.ifindex);
        if (r >= 0) {
                if (!uplink->paced && uplink_guard_open(uplink, sight->link.ifindex) >= 0)
                        flood_guard_rest(&uplink->floods);
                read_parting(uplink, sight, &parting);
                r = apply_pacer(uplink, plan, changes);
        }
        if (r >= 0)
                r = apply_qdiscs(uplink, sight, handle, changes);
        if (r >= 0 && !uplink->paced)
                uplink_guard_nothing(uplink, (unsigned) sight->link.ifindex);
        if (r >= 0)
                uplink->paced = true;
        uplink_keep_reading(uplink, &parting, /* are_gone= */ r >= 0);
        return r < 0 ? r : 0;
}

/* What becomes of the qdiscs and the program is heard of by enforce/link-watch.h; of the maps nobody tells,
 * and the next look at all finds it. */
int uplink_edt_change(Uplink *uplink, const NetPlan *from, const NetPlan *to, unsigned *ret_changes) {
        _cleanup_free_ EdtEntry *have = NULL, *want = NULL;
        size_t n_have, n_want;
        unsigned changes = 0;
        int r;

        if (!uplink->paced || !uplink->pacer || (int) if_nametoindex(uplink->name) != uplink->pacer_ifindex)
                return -ESTALE;
        r = edt_entries_from_plan(from, &have, &n_have);
        if (r >= 0)
                r = edt_entries_from_plan(to, &want, &n_want);
        if (r >= 0)
                r = edt_pacer_change(uplink->pacer, have, n_have, want, n_want, &changes);
        if (r < 0)
                return r;
        *ret_changes = changes;
        return 1;
}

typedef struct Teller {
        UplinkDifference tell;
        void *userdata;
        int n;
} Teller;

static void tell_one(Teller *teller, const char *key, const char *have, const char *want) {
        if (teller->n++ < (int) UPLINK_DIFFERENCES_TOLD)
                teller->tell(key, have, want, teller->userdata);
}

static void tell_class(Teller *teller, const EdtEntry *have, const EdtEntry *want) {
        char key[32], is[EDT_CLASS_TEXT_SIZE], should[EDT_CLASS_TEXT_SIZE];

        if (have && want && edt_class_equal(&have->class, &want->class))
                return;
        snprintf(key, sizeof(key), "class %x:%x", UPLINK_HTB_MAJOR,
                        UPLINK_MINOR_SLOT_BASE + (have ? have->slot : want->slot));
        edt_class_format(have ? &have->class : NULL, is);
        edt_class_format(want ? &want->class : NULL, should);
        tell_one(teller, key, is, should);
}

static int tell_classes(const Uplink *uplink, const NetPlan *plan, Teller *teller) {
        _cleanup_free_ EdtEntry *want = NULL, *have = NULL;
        size_t n_want, n_have, i = 0, j = 0;
        uint64_t capacity;
        int r;

        r = edt_entries_from_plan(plan, &want, &n_want);
        if (r >= 0)
                r = edt_pacer_get(uplink->pacer, &capacity, &have, &n_have);
        if (r < 0)
                return r;
        if (capacity != plan->capacity_bps / 8)
                tell_one(teller, "capacity", "another", "as configured");
        while (i < n_want || j < n_have) {
                const EdtEntry *w = i < n_want ? &want[i] : NULL, *h = j < n_have ? &have[j] : NULL;

                if (w && h && w->slot != h->slot) {
                        if (w->slot < h->slot)
                                h = NULL;
                        else
                                w = NULL;
                }
                i += !!w;
                j += !!h;
                tell_class(teller, h, w);
        }
        return 0;
}

int uplink_edt_compare(Uplink *uplink, const NetPlan *plan, UplinkDifference tell, void *userdata) {
        Teller teller = { tell, userdata, 0 };
        _cleanup_free_ EdtSight *sight = NULL;
        int r;

        r = look(uplink, &sight);
        if (r >= 0)
                r = follow_pacer(uplink, sight->link.ifindex);
        if (r < 0)
                return r;
        if (!root_is_ours(sight)) {
                char key[32];

                snprintf(key, sizeof(key), "qdisc %x:", UPLINK_HTB_MAJOR);
                tell_one(&teller, key, sight->root.handle ? sight->root.kind : "none", root_kind(sight));
        } else if (sight->missing)
                tell_one(&teller, "queue", sight->guests.of_queue[0] ? sight->guests.of_queue : "none", "fq");
        if (!edt_pacer_is_attached(uplink->pacer))
                tell_one(&teller, "filter", "none", "net.pace");
        r = tell_classes(uplink, plan, &teller);
        return r < 0 ? r : teller.n;
}

static void keep_first(const char *key, const char *have, const char *want, void *userdata) {
        Uplink *uplink = userdata;

        if (!uplink->words[0])
                snprintf(uplink->words, sizeof(uplink->words),
                                "%s is %s, not %s, although the kernel took the change", key, have, want);
}

int uplink_edt_observe(Uplink *uplink, const NetPlan *expected, NetPlan *ret) {
        _cleanup_free_ EdtSight *sight = NULL;
        _cleanup_free_ EdtEntry *entries = NULL;
        _cleanup_free_ NetClass *classes = NULL;
        NetPlan plan = { .uplink = uplink->name };
        uint64_t capacity;
        int r, different = 0;
        size_t n;

        r = look(uplink, &sight);
        if (r >= 0)
                r = refuse_foreign(uplink, sight);
        if (r >= 0)
                r = follow_pacer(uplink, sight->link.ifindex);
        if (r >= 0)
                r = edt_pacer_get(uplink->pacer, &capacity, &entries, &n);
        if (r < 0)
                return r;
        if (expected) {
                different = uplink_edt_compare(uplink, expected, keep_first, uplink);
                if (different < 0)
                        return different;
        }
        classes = calloc(n + 1, sizeof(NetClass));
        if (!classes)
                return -ENOMEM;
        if (root_is_ours(sight) && edt_pacer_is_attached(uplink->pacer)) {
                plan.capacity_bps = capacity * 8;
                for (size_t i = 0; i < n; i++)
                        edt_entry_to_model(&entries[i], &classes[plan.n_classes++]);
        }
        plan.classes = TAKE_PTR(classes);
        *ret = plan;
        return different > 0;
}

int uplink_edt_read_stats(Uplink *uplink, NetStats *ret) {
        TcLink link;
        int r;

        r = uplink_look_up_link(uplink, &link);
        if (r < 0)
                return r;
        if (!uplink->pacer || uplink->pacer_ifindex != link.ifindex)
                return -ENOENT;
        r = edt_pacer_read_stats(uplink->pacer, &ret->classes, &ret->n);
        if (r >= 0)
                ret->ifindex = link.ifindex;
        return r;
}

void uplink_edt_read_parting(Uplink *uplink, int ifindex, NetStats *ret) {
        _cleanup_(edt_pacer_free_p) EdtPacer *pinned = NULL;
        EdtPacer *pacer = uplink->pacer_ifindex == ifindex ? uplink->pacer : NULL;

        if (!pacer && uplink->pin_dir && edt_pacer_open(uplink->pin_dir, (unsigned) ifindex, &pinned) >= 0)
                pacer = pinned;
        if (pacer && edt_pacer_read_stats(pacer, &ret->classes, &ret->n) >= 0)
                ret->ifindex = ifindex;
}

int uplink_edt_release(Uplink *uplink) {
        _cleanup_free_ EdtSight *sight = NULL;
        int r;

        uplink->pacer = edt_pacer_free(uplink->pacer);
        r = look(uplink, &sight);
        if (r < 0)
                return r == -ENODEV ? 0 : r;
        if (sight->root.handle == UPLINK_HANDLE) {
                r = uplink_give_back(uplink, sight->link.ifindex, UPLINK_HANDLE);
                if (r < 0)
                        return r;
        } else
                uplink_forget_root(uplink); /* who took ours away has no use for what was before */
        return edt_pacer_remove(uplink->pin_dir, (unsigned) sight->link.ifindex);
}
