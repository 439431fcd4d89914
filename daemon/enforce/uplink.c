/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Observe, diff, apply for one uplink's HTB tree. The numbers are htb-tree.c's, the bytes tc-message.c's,
 * the socket netlink.c's. Trusts nothing that it wrote earlier: each call looks the interface, its root qdisc
 * and its classes up (uplink-change.c has the one that does not). Touches no root qdisc but the kernel's
 * default one and ours, and no qdisc that somebody put into a class of ours.
 */

#include "uplink-edt.h"
#include "uplink-internal.h"

#include <assert.h>
#include <fcntl.h>
#include <linux/pkt_sched.h>
#include <netlink/msg.h>
#include <stdarg.h>
#include <string.h>

void uplink_set_words(Uplink *uplink, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(uplink->words, sizeof(uplink->words), format, arguments);
        va_end(arguments);
}

int uplink_request(Uplink *uplink, int made, struct nl_msg *message, NetlinkHandler handler, void *userdata) {
        int r;

        if (made < 0)
                return made;
        r = netlink_request(uplink->netlink, message, handler, userdata);
        nlmsg_free(message);
        if (r < 0 && netlink_words(uplink->netlink)[0] != '\0')
                uplink_set_words(uplink, "%s", netlink_words(uplink->netlink));
        return r;
}

int uplink_refuse_foreign(Uplink *uplink, const TcQdisc *root) {
        uplink_set_words(uplink,
                        "the root qdisc is %s %x:, which is not ours and was left alone; "
                        "take-over = yes in its [uplink] section puts ours in its place until release, "
                        "'tc qdisc del dev %s root' takes it away",
                        root->kind, TC_H_MAJ(root->handle) >> 16, uplink->name);
        return -EBUSY;
}

/* By the other discipline than HTB. */
static bool root_is_paced(const TcQdisc *root) {
        return root->handle == UPLINK_HANDLE &&
               (strcmp(root->kind, "mq") == 0 || strcmp(root->kind, "fq") == 0);
}

/* 1 if the kernel knows this kind of qdisc, 0 if not. */
static int probe_kind(Uplink *uplink, const char *kind) {
        struct nl_msg *message = NULL;
        int r;

        r = tc_message_probe(kind, &message);
        r = uplink_request(uplink, r, message, NULL, NULL);
        if (r == -EINVAL)
                return 1;
        /* The loopback interface has a qdisc that somebody made: this can't tell. */
        if (r == -EEXIST)
                return strcmp(kind, "htb") == 0;
        return r == -ENOENT ? 0 : r;
}

static const char *const leaf_words[HTB_LEAF_KIND_MAX] = {
        [HTB_LEAF_FIFO] = "a FIFO as long as its floor or ceiling needs in each class: no fq_codel and no "
                          "fq in this kernel, so flows of one tenant may delay each other",
        [HTB_LEAF_FQ] = "fq in each class: no fq_codel in this kernel, so a tenant's flows have their turns, "
                        "but each may wait for what it sent itself",
        [HTB_LEAF_FQ_CODEL] = "fq_codel in each class",
};

/* A probe is a change that cannot succeed: none is sent where the answer is in sight. */
static bool has_leaf(const char *kind, void *userdata) {
        Uplink *uplink = userdata;

        return htb_leaf_kind(kind) == uplink->best || probe_kind(uplink, kind) > 0;
}

/* `seen`: one of these there is for certain. */
static void choose_leaf(Uplink *uplink, HtbLeafKind seen) {
        uplink->best = seen;
        uplink->best = htb_leaf_choose(has_leaf, uplink);
}

static int probe(Uplink *uplink, uint64_t capacity_bps, FeatureSet *features) {
        _cleanup_sight_ UplinkSight sight = { 0 };
        char feature[sizeof("net.egress@") + IFNAMSIZ];
        int htb, r;

        r = uplink_look(uplink, &sight);
        if (r < 0)
                return r;
        uplink->fast = edt_suits(root_is_paced(&sight.root), capacity_bps);

        choose_leaf(uplink, sight.best);

        snprintf(feature, sizeof(feature), "net.egress@%s", uplink->name);
        if (sight.owner == ROOT_FOREIGN && !uplink->take_over) {
                (void) uplink_refuse_foreign(uplink, &sight.root);
                return feature_set_put(features, feature, false, "no floors and ceilings on %s: %s",
                                uplink->name, uplink->words);
        }

        htb = sight.owner == ROOT_OURS ? 1 : probe_kind(uplink, "htb");
        if (htb == 0)
                return feature_set_put(features, feature, false,
                                "no floors and ceilings on %s: this kernel has no HTB (CONFIG_NET_SCH_HTB)",
                                uplink->name);
        if (htb < 0)
                return feature_set_put(features, feature, false,
                                "no floors and ceilings on %s: qdiscs can't be changed: %s", uplink->name,
                                strerror(-htb));

        return feature_set_put(features, feature, true, "HTB at the root, %s", leaf_words[uplink->best]);
}

/* What the kernel takes for an interface's name (dev_valid_name()), and no way out of a sysfs path. */
static bool ifname_is_valid(const char *ifname) {
        size_t length = strlen(ifname);

        return length > 0 && length < IFNAMSIZ && strcmp(ifname, ".") != 0 && strcmp(ifname, "..") != 0 &&
               strcspn(ifname, "/: \t\n\v\f\r") == length;
}

/* Whether departure times are to be used, as far as the configuration and the link say. */
static bool wants_edt(const Uplink *uplink) {
        return uplink->discipline == NET_DISCIPLINE_EDT ||
               (uplink->discipline == NET_DISCIPLINE_AUTO && uplink->fast);
}

static int choose_discipline(Uplink *uplink, const UplinkOptions *options, FeatureSet *features) {
        char feature[sizeof("net.egress@") + IFNAMSIZ];
        const char *lack;

        if (options->pin_dir) {
                uplink->pin_dir = strdup(options->pin_dir);
                if (!uplink->pin_dir)
                        return -ENOMEM;
        }
        if (!wants_edt(uplink))
                return 0;
        lack = !uplink->pin_dir                ? "nothing can be pinned"
               : probe_kind(uplink, "fq") <= 0 ? "this kernel has no fq (CONFIG_NET_SCH_FQ)"
                                               : NULL;
        snprintf(feature, sizeof(feature), "net.egress@%s", uplink->name);
        if (lack && options->discipline == NET_DISCIPLINE_AUTO)
                return 0;
        uplink->lacks_edt = lack;
        uplink->edt = true;
        if (lack)
                return feature_set_put(features, feature, false,
                                "no floors and ceilings on %s by times of departure: %s", uplink->name, lack);
        /* What a foreign root is in the way of has been said. */
        if (!feature_set_get(features, feature)->available)
                return 0;
        return feature_set_put(features, feature, true,
                        "a BPF program gives each packet the time of its departure, fq keeps it");
}

/* The kernel's bridge hands what it forwards to the port's queues, past its own (br_dev_queue_push_xmit()).
 */
static int say_bridge(const Uplink *uplink, FeatureSet *features) {
        char feature[sizeof("net.bridge@") + IFNAMSIZ];

        if (!uplink->seen.is_bridge)
                return 0;
        snprintf(feature, sizeof(feature), "net.bridge@%s", uplink->name);
        return feature_set_put(features, feature, true,
                        "%s is a bridge: what this node itself sends through it is shaped, what it forwards "
                        "from one of its ports to another is not; name the port that is the uplink, not the "
                        "bridge",
                        uplink->name);
}

int uplink_new(const UplinkOptions *options, FeatureSet *features, Uplink **ret) {
        _cleanup_(uplink_free_p) Uplink *uplink = NULL;
        int r;

        if (!ifname_is_valid(options->ifname))
                return -EINVAL;
        uplink = calloc(1, sizeof(Uplink));
        if (!uplink)
                return -ENOMEM;
        strcpy(uplink->name, options->ifname);
        uplink->keep_dir = options->keep_dir;
        uplink->take_over = options->take_over;
        uplink->discipline = options->discipline;
        uplink->guarded_slots = options->guarded_slots;
        uplink->floods = (FloodGuard) FLOOD_GUARD_NULL;

        r = netlink_new(&uplink->netlink);
        if (r < 0)
                return r;
        r = probe(uplink, options->capacity_bps, features);
        if (r >= 0)
                r = choose_discipline(uplink, options, features);
        if (r >= 0)
                r = say_bridge(uplink, features);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(uplink);
        return 0;
}

bool uplink_is_outgrown(const Uplink *uplink, uint64_t capacity_bps) {
        return uplink->discipline == NET_DISCIPLINE_AUTO &&
               uplink->fast != edt_suits(uplink->fast, capacity_bps);
}

const char *uplink_how(const Uplink *uplink) {
        return uplink->edt ? "times of departure and fq" : "HTB";
}

const char *uplink_fallback(const Uplink *uplink) {
        return uplink->fallback[0] ? uplink->fallback : NULL;
}

Uplink *uplink_free(Uplink *uplink) {
        if (!uplink)
                return NULL;
        edt_pacer_free(uplink->pacer);
        flood_guard_close(&uplink->floods);
        net_stats_deinit(&uplink->parting);
        free(uplink->pin_dir);
        netlink_free(uplink->netlink);
        free(uplink);
        return NULL;
}

int uplink_floods_fd(const Uplink *uplink) {
        return flood_guard_fd(&uplink->floods);
}

const char *uplink_name(const Uplink *uplink) {
        return uplink->name;
}

const char *uplink_words(const Uplink *uplink) {
        return uplink->words;
}

int uplink_speed(const char *ifname, uint64_t *ret_bps) {
        char path[sizeof("/sys/class/net//speed") + IFNAMSIZ];
        _cleanup_fclose_ FILE *file = NULL;
        long long mbps;

        if (!ifname_is_valid(ifname))
                return -EINVAL;
        snprintf(path, sizeof(path), "/sys/class/net/%s/speed", ifname);
        file = fopen(path, "re");
        if (!file)
                return errno == ENOENT ? -EOPNOTSUPP : -errno;
        /* A link that is down, and one whose driver does not know, fail to read (EINVAL) or say -1. */
        if (fscanf(file, "%lld", &mbps) != 1 || mbps <= 0 || mbps >= INT32_MAX)
                return -EOPNOTSUPP;
        *ret_bps = (uint64_t) mbps * 1000000U;
        return 0;
}

int uplink_batch_put(NetlinkBatch *batch, int made, struct nl_msg *message) {
        return made < 0 ? made : netlink_batch_put(batch, message);
}

/* The messages that make what is seen into what is wanted. */
static int batch_from_difference(
                Uplink *uplink, const HtbTree *want, const UplinkSight *sight, NetlinkBatch *batch) {
        _cleanup_free_ HtbChange *changes = NULL;
        int ifindex = sight->link.ifindex, r;
        struct nl_msg *message = NULL;
        size_t n = 0;

        r = htb_tree_diff(want, &sight->tree, &changes, &n);
        if (r < 0)
                return r;

        if (sight->owner == ROOT_MISSHAPEN || sight->owner == ROOT_FOREIGN) {
                r = tc_message_root_delete(ifindex, sight->root.handle, &message);
                r = uplink_batch_put(batch, r, message);
                if (r < 0)
                        return r;
        }
        if (sight->owner != ROOT_OURS) {
                r = tc_message_root_add(ifindex, &message);
                r = uplink_batch_put(batch, r, message);
                if (r < 0)
                        return r;
        }
        memset(uplink->too_full, 0, sizeof(uplink->too_full));
        return uplink_put_changes(uplink, ifindex, changes, n, /* flags= */ 0, batch);
}

static int apply_once(Uplink *uplink, const NetPlan *plan, unsigned *changes) {
        _cleanup_netlink_batch_ NetlinkBatch batch = NETLINK_BATCH_NULL;
        _cleanup_htb_tree_ HtbTree want = HTB_TREE_NULL;
        _cleanup_sight_ UplinkSight sight = { 0 };
        NetStats parting = {};
        int r;

        r = uplink_look(uplink, &sight);
        if (r < 0)
                return r;
        if (sight.owner == ROOT_FOREIGN && !uplink->take_over)
                return uplink_refuse_foreign(uplink, &sight.root);
        if (sight.owner == ROOT_FOREIGN)
                r = uplink_take_over_root(uplink, sight.link.ifindex, &sight.root.handle);
        else if (sight.owner == ROOT_MISSHAPEN)
                r = uplink_refuse_guest(uplink, &sight.root, &sight.guests);
        if (r < 0)
                return r;

        r = htb_tree_from_plan(plan, &sight.link.packets, uplink->best, &want);
        if (r < 0)
                return r;
        (void) uplink_guard_open(uplink, sight.link.ifindex);
        r = batch_from_difference(uplink, &want, &sight, &batch);
        if (r < 0)
                return r;

        if (sight.owner == ROOT_MISSHAPEN)
                uplink_edt_read_parting(uplink, sight.link.ifindex, &parting);
        *changes += batch.n;
        r = netlink_send_batch(uplink->netlink, &batch);
        uplink_keep_reading(uplink, &parting, /* are_gone= */ r >= 0);
        if (r >= 0)
                uplink_guard_all(uplink, &sight, &want);
        if (r < 0 && netlink_words(uplink->netlink)[0] != '\0')
                uplink_set_words(uplink, "%s", netlink_words(uplink->netlink));
        return r;
}

/* Errors that a second look may resolve: the interface or a class came or went between the look and the
 * change. */
static bool is_race(int error) {
        return error == -EAGAIN || error == -ENOBUFS || error == -EEXIST || error == -ENOENT ||
               error == -ENODEV;
}

/* What the other discipline left on the interface, once HTB does its work. */
static int leave_edt(Uplink *uplink) {
        unsigned ifindex = if_nametoindex(uplink->name);
        int r = -EAGAIN;

        if (!uplink->pin_dir || uplink->left_edt_of == ifindex)
                return 0;
        for (unsigned n = 0; netlink_try_again(r, &n);)
                r = edt_pacer_remove(uplink->pin_dir, ifindex);
        if (r >= 0)
                uplink->left_edt_of = ifindex;
        return r;
}

static int apply_htb(Uplink *uplink, const NetPlan *plan, unsigned *changes) {
        int r = -EAGAIN;

        for (unsigned i = 0; i < NETLINK_ATTEMPTS && is_race(r); i++) {
                /* Also the answer to a leaf whose module has gone: ask again before the next attempt. */
                if (r == -ENOENT)
                        choose_leaf(uplink, HTB_LEAF_NONE);
                r = apply_once(uplink, plan, changes);
        }
        return r < 0 ? r : leave_edt(uplink);
}

/* For good, or it would be one thing now and another the next moment; so not for what may pass. Where HTB
 * can't be, either, what is in the way of the pacer is to be said. */
static int fall_back(Uplink *uplink, const NetPlan *plan, int error, unsigned *changes) {
        char words[sizeof(uplink->words)];

        snprintf(words, sizeof(words), "%s", uplink->words[0] ? uplink->words : strerror(-error));
        if (apply_htb(uplink, plan, changes) < 0) {
                memcpy(uplink->words, words, sizeof(words));
                return error;
        }
        uplink->edt = uplink->paced = false;
        uplink->pacer = edt_pacer_free(uplink->pacer);
        memcpy(uplink->fallback, words, sizeof(words));
        return 0;
}

static int apply_edt(Uplink *uplink, const NetPlan *plan, unsigned *changes) {
        int r = -EAGAIN;

        for (unsigned i = 0; i < NETLINK_ATTEMPTS && is_race(r); i++)
                r = uplink_edt_apply(uplink, plan, changes);
        if (uplink->discipline == NET_DISCIPLINE_AUTO && edt_error_lasts(r))
                r = fall_back(uplink, plan, r, changes);
        return r;
}

int uplink_apply(Uplink *uplink, const NetPlan *plan, unsigned *ret_changes) {
        unsigned changes = 0;
        int r;

        uplink->words[0] = '\0';
        if (uplink->lacks_edt) {
                uplink_set_words(uplink, "%s", uplink->lacks_edt);
                return -EOPNOTSUPP;
        }
        r = uplink->edt ? apply_edt(uplink, plan, &changes) : apply_htb(uplink, plan, &changes);
        if (r < 0)
                return r;
        uplink->words[0] = '\0';
        if (ret_changes)
                *ret_changes = changes;
        return 0;
}

/* Those that uplink_apply() put off, or would, are none; how many are left. */
static size_t drop_put_off(Uplink *uplink, HtbChange *changes, size_t n) {
        size_t kept = 0;

        uplink->have_room = false;
        for (size_t i = 0; i < n; i++) {
                const bool known = changes[i].kind == HTB_CHANGE_SET_LEAF &&
                                   uplink->too_full[changes[i].class.minor - UPLINK_MINOR_SLOT_BASE];

                uplink->have_room = uplink->have_room || (known && !changes[i].too_full);
                if (!known && !changes[i].too_full)
                        changes[kept++] = changes[i];
        }
        return kept;
}

static void tell_classes(const HtbChange *changes, size_t n, const HtbTree *have, const HtbTree *want,
                UplinkDifference tell, void *userdata) {
        unsigned told = 0;

        for (size_t i = 0; i < n && told < UPLINK_DIFFERENCES_TOLD; i++) {
                uint16_t minor = changes[i].class.minor;
                char key[32], is[HTB_CLASS_TEXT_SIZE], should[HTB_CLASS_TEXT_SIZE];

                snprintf(key, sizeof(key), "class %x:%x", UPLINK_HTB_MAJOR, minor);
                htb_class_format(have, minor, is);
                htb_class_format(want, minor, should);
                if (htb_change_is_of_leaf(changes[i].kind)) {
                        if (strcmp(is, "none") == 0)
                                continue; /* it was told */
                        snprintf(key, sizeof(key), "qdisc in %x:%x", UPLINK_HTB_MAJOR, minor);
                        htb_class_format_leaf(have, minor, is);
                        htb_class_format_leaf(want, minor, should);
                }
                tell(key, is, should, userdata);
                told++;
        }
}

int uplink_compare(Uplink *uplink, const NetPlan *plan, UplinkDifference tell, void *userdata) {
        _cleanup_htb_tree_ HtbTree want = HTB_TREE_NULL;
        _cleanup_free_ HtbChange *changes = NULL;
        _cleanup_sight_ UplinkSight sight = { 0 };
        size_t n = 0;
        int r;

        if (uplink->edt)
                return uplink_edt_compare(uplink, plan, tell, userdata);
        r = uplink_look(uplink, &sight);
        if (r < 0)
                return r;
        if (sight.owner != ROOT_OURS) {
                char key[32];

                snprintf(key, sizeof(key), "qdisc %x:", UPLINK_HTB_MAJOR);
                tell(key, sight.root.handle ? sight.root.kind : "none", "htb", userdata);
                return 1;
        }
        r = htb_tree_from_plan(plan, &sight.link.packets, uplink->best, &want);
        if (r >= 0)
                r = htb_tree_diff(&want, &sight.tree, &changes, &n);
        if (r < 0)
                return r;
        n = drop_put_off(uplink, changes, n);
        tell_classes(changes, n, &sight.tree, &want, tell, userdata);
        return (int) n;
}

bool uplink_has_room(const Uplink *uplink) {
        return uplink->have_room;
}

uint32_t uplink_port(const Uplink *uplink) {
        return netlink_port(uplink->netlink);
}

/* 1, and words, where there is a difference. */
static int find_difference(Uplink *uplink, const NetPlan *expected, const UplinkSight *sight) {
        static const char *const wrong[] = {
                [HTB_CHANGE_ADD] = "is missing",
                [HTB_CHANGE_SET] = "has other rates",
                [HTB_CHANGE_DELETE] = "is still there",
                [HTB_CHANGE_ADD_LEAF] = "has no queue of its own",
                [HTB_CHANGE_SET_LEAF] = "has a queue of another length",
                [HTB_CHANGE_REPLACE_LEAF] = "has a queue of another kind",
        };
        _cleanup_htb_tree_ HtbTree want = HTB_TREE_NULL;
        _cleanup_free_ HtbChange *changes = NULL;
        size_t n = 0;
        int r;

        r = htb_tree_from_plan(expected, &sight->link.packets, uplink->best, &want);
        if (r >= 0)
                r = htb_tree_diff(&want, &sight->tree, &changes, &n);
        if (r >= 0)
                n = drop_put_off(uplink, changes, n);
        if (r < 0 || n == 0)
                return r;
        uplink_set_words(uplink, "class %x:%x %s, although the kernel took the change", UPLINK_HTB_MAJOR,
                        changes[0].class.minor, wrong[changes[0].kind]);
        return 1;
}

int uplink_observe(Uplink *uplink, const NetPlan *expected, NetPlan *ret) {
        _cleanup_sight_ UplinkSight sight = { 0 };
        _cleanup_free_ NetClass *classes = NULL;
        NetPlan plan = { .uplink = uplink->name };
        int r;

        uplink->words[0] = '\0';
        if (uplink->edt)
                return uplink_edt_observe(uplink, expected, ret);
        r = uplink_look(uplink, &sight);
        if (r < 0)
                return r;
        if (sight.owner == ROOT_FOREIGN)
                return uplink_refuse_foreign(uplink, &sight.root);
        r = expected ? find_difference(uplink, expected, &sight) : 0;
        if (r < 0)
                return r;

        classes = calloc(sight.tree.n + 1, sizeof(NetClass));
        if (!classes)
                return -ENOMEM;
        for (size_t i = 0; i < sight.tree.n; i++) {
                const HtbClass *class = &sight.tree.classes[i];

                if (class->minor == UPLINK_MINOR_ROOT)
                        plan.capacity_bps = class->rate_bytes * 8;
                else if (class->minor >= UPLINK_MINOR_SLOT_BASE)
                        htb_class_to_model(class, &classes[plan.n_classes++]);
        }
        plan.classes = TAKE_PTR(classes);
        *ret = plan;
        return r;
}

int uplink_give_back(Uplink *uplink, int ifindex, uint32_t handle) {
        _cleanup_netlink_batch_ NetlinkBatch batch = NETLINK_BATCH_NULL;
        struct nl_msg *message = NULL;
        ForeignRoot kept;
        int r;

        r = tc_message_root_delete(ifindex, handle, &message);
        r = uplink_batch_put(&batch, r, message);
        if (r >= 0 && uplink_kept_root(uplink, ifindex, &kept) >= 0) {
                r = foreign_root_message(&kept, &message);
                r = uplink_batch_put(&batch, r, message);
        }
        if (r >= 0)
                r = netlink_send_batch(uplink->netlink, &batch);
        if (r >= 0)
                uplink_forget_root(uplink);
        return r;
}

void uplink_keep_pins(
                const Uplink *uplink, void (*tell)(const char *name, int r, void *userdata), void *userdata) {
        if (uplink->pacer)
                edt_pacer_keep_pins(uplink->pacer, tell, userdata);
        flood_guard_keep_pin(&uplink->floods, uplink->pin_dir, tell, userdata);
}

int uplink_release(Uplink *uplink) {
        _cleanup_sight_ UplinkSight sight = { 0 };
        int r;

        uplink->words[0] = '\0';
        if (uplink->edt)
                return uplink_edt_release(uplink);
        r = leave_edt(uplink);
        if (r >= 0)
                r = uplink_look(uplink, &sight);
        if (r < 0)
                return r == -ENODEV ? 0 : r;
        uplink_guard_nothing(uplink, (unsigned) sight.link.ifindex);
        if (sight.owner != ROOT_OURS && sight.owner != ROOT_MISSHAPEN) {
                uplink_forget_root(uplink); /* who took ours away has no use for what was before */
                return 0;
        }
        return uplink_give_back(uplink, sight.link.ifindex, sight.root.handle);
}
