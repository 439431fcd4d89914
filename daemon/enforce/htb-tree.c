/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The rules by which a plan becomes HTB's numbers, and the difference of two trees. Pure: no messages, no
 * sockets.
 *
 * Burst is 40 ms of rate: with HTB's smallest one a late timer costs a tenth of the rate. Of the ceiling it
 * is 10 ms, for a class that was idle sends so much more in its first second; the link as a whole has no such
 * second to keep. The kernel holds it as time.
 *
 * Quantum, the bytes that a class sends in one turn, decides how classes that borrow share what is spare. It
 * is the floor times one length of time T for the whole link, so that shares are as the floors and a change
 * of one class changes no other. T is what 100 frames take at capacity: a class of 1 % sends a frame a turn.
 * T is held between 4 ms (fast links, where one TSO packet is many frames) and 40 ms (slow ones, where all
 * wait for the round to end).
 *
 * HTB has no class without a rate, and charges a packet that goes by it whole: the class owes so much time,
 * up to a minute (mbuffer in sch_htb.c), and keeps owing it when its rate is changed. Of 1 byte/s every
 * packet is a minute's, in which a floor that the tenant was then given did not hold (46.7 of 60 Mbit/s
 * beside another's load). So a class that is promised nothing has a 20,000th of the link, no more than its
 * ceiling: a full frame is 2.4 s at 100 Mbit/s, 0.24 at 1 Gbit/s, and one of 64 KiB 10 s there. A thousand
 * such classes have a twentieth of the link together. It is of what the root lets go, and taken from nobody
 * unless all floors are in use at once.
 */

#include "htb-tree.h"
#include "uplink.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

/* PSCHED_SHIFT in include/net/pkt_sched.h: the same on every kernel since 2.6.31. */
#define TICK_NSEC 64ULL

#define NSEC_PER_SEC 1000000000ULL
#define USEC_PER_SEC 1000000ULL

#define BURST_NSEC 40000000ULL
#define CEIL_BURST_NSEC 10000000ULL
#define BURST_MIN_FRAMES 4U
/* Tokens stop at this age (mbuffer in sch_htb.c): more could not be collected. */
#define BURST_MAX_NSEC (60ULL * NSEC_PER_SEC)

#define NO_FLOOR_PART 20000U

#define ROUND_FRAMES 100U
#define ROUND_MIN_USEC 4000U
#define ROUND_MAX_USEC 40000U

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high) {
        return value < low ? low : value > high ? high : value;
}

/* value * factor / divisor, or UINT64_MAX where that does not fit. */
static uint64_t scale(uint64_t value, uint64_t factor, uint64_t divisor) {
        unsigned __int128 result = (unsigned __int128) value * factor / divisor;

        return result > UINT64_MAX ? UINT64_MAX : (uint64_t) result;
}

static uint32_t burst_ticks(uint64_t rate_bytes, uint32_t frame_bytes, uint64_t nsec) {
        uint64_t frames_nsec = scale(BURST_MIN_FRAMES * (uint64_t) frame_bytes, NSEC_PER_SEC, rate_bytes);

        return (uint32_t) (clamp(frames_nsec, nsec, BURST_MAX_NSEC) / TICK_NSEC);
}

static uint64_t round_usec(uint64_t capacity_bytes, uint32_t frame_bytes) {
        return clamp(scale(ROUND_FRAMES * (uint64_t) frame_bytes, USEC_PER_SEC, capacity_bytes),
                        ROUND_MIN_USEC, ROUND_MAX_USEC);
}

void htb_tree_deinit(HtbTree *tree) {
        free(tree->classes);
        *tree = (HtbTree) HTB_TREE_NULL;
}

/* Bytes a second, of which HTB has at least one. */
static void rates_from_plan(const NetPlan *plan, const NetClass *class, uint64_t *ret_capacity,
                uint64_t *ret_rate, uint64_t *ret_ceil) {
        const uint64_t floor = class->floor_bps / 8;

        *ret_capacity = clamp(plan->capacity_bps / 8, 1, UINT64_MAX);
        *ret_rate = floor > 0 ? clamp(floor, 1, *ret_capacity)
                              : clamp(*ret_capacity / NO_FLOOR_PART, 1,
                                                clamp(class->ceil_bps / 8, 1, UINT64_MAX));
        *ret_ceil = clamp(class->ceil_bps / 8, *ret_rate, *ret_capacity);
}

void htb_class_from_plan(const NetPlan *plan, const NetClass *class, const HtbPackets *packets,
                HtbLeafKind best, HtbClass *ret) {
        uint64_t capacity, rate, ceil;
        uint32_t frame = packets->frame_bytes;

        rates_from_plan(plan, class, &capacity, &rate, &ceil);

        *ret = (HtbClass){
                .minor = (uint16_t) (UPLINK_MINOR_SLOT_BASE + class->slot),
                .parent_minor = UPLINK_MINOR_ROOT,
                .priority = class->priority,
                .rate_bytes = rate,
                .ceil_bytes = ceil,
                .buffer_ticks = burst_ticks(rate, frame, BURST_NSEC),
                .cbuffer_ticks = burst_ticks(ceil, frame, CEIL_BURST_NSEC),
                .overhead_bytes = plan->overhead_bytes,
                .quantum_bytes = (uint32_t) clamp(
                                scale(rate, round_usec(capacity, frame), USEC_PER_SEC), frame, INT_MAX),
        };
        htb_leaf_make(best, ret->minor, rate, ceil, packets, &ret->leaf);
}

void htb_class_to_model(const HtbClass *class, NetClass *ret) {
        *ret = (NetClass){
                .slot = class->minor - UPLINK_MINOR_SLOT_BASE,
                .priority = (uint8_t) class->priority,
                .floor_bps = scale(class->rate_bytes, 8, 1),
                .ceil_bps = scale(class->ceil_bytes, 8, 1),
        };
}

void htb_class_round(const NetPlan *plan, const NetClass *class, NetClass *ret) {
        uint64_t capacity, rate, ceil;

        rates_from_plan(plan, class, &capacity, &rate, &ceil);
        *ret = (NetClass){ class->slot, class->priority, scale(rate, 8, 1), scale(ceil, 8, 1) };
}

static void root_from_plan(const NetPlan *plan, uint32_t frame, HtbClass *ret) {
        uint64_t capacity = plan->capacity_bps / 8;

        *ret = (HtbClass){
                .minor = UPLINK_MINOR_ROOT,
                .rate_bytes = capacity,
                .ceil_bytes = capacity,
                .buffer_ticks = burst_ticks(capacity, frame, BURST_NSEC),
                .cbuffer_ticks = burst_ticks(capacity, frame, BURST_NSEC),
                /* An inner class takes no turns; but it is born a leaf, and the kernel complains of 0. */
                .quantum_bytes = frame,
                .overhead_bytes = plan->overhead_bytes,
        };
}

int htb_tree_from_plan(const NetPlan *plan, const HtbPackets *packets, HtbLeafKind best, HtbTree *ret) {
        _cleanup_htb_tree_ HtbTree tree = HTB_TREE_NULL;

        if (plan->capacity_bps < 8 || plan->n_classes == 0 || plan->classes[0].slot != SLOT_DEFAULT)
                return -EINVAL;

        tree.classes = calloc(plan->n_classes + 1, sizeof(HtbClass));
        if (!tree.classes)
                return -ENOMEM;

        root_from_plan(plan, packets->frame_bytes, &tree.classes[tree.n++]);
        for (size_t i = 0; i < plan->n_classes; i++) {
                const NetClass *class = &plan->classes[i];

                if (class->slot > HTB_SLOT_MAX || (i > 0 && class->slot <= plan->classes[i - 1].slot))
                        return -EINVAL;
                htb_class_from_plan(plan, class, packets, best, &tree.classes[tree.n++]);
        }

        *ret = tree;
        tree = (HtbTree) HTB_TREE_NULL;
        return 0;
}

static int compare_minor(const void *a, const void *b) {
        return (int) ((const HtbClass *) a)->minor - (int) ((const HtbClass *) b)->minor;
}

void htb_tree_sort(HtbTree *tree) {
        size_t kept = 0;

        if (tree->n == 0)
                return;
        qsort(tree->classes, tree->n, sizeof(HtbClass), compare_minor);
        for (size_t i = 1; i < tree->n; i++)
                if (tree->classes[i].minor != tree->classes[kept].minor)
                        tree->classes[++kept] = tree->classes[i];
        tree->n = kept + 1;
}

static uint16_t proper_parent(const HtbClass *class) {
        return class->minor == UPLINK_MINOR_ROOT ? 0 : UPLINK_MINOR_ROOT;
}

static bool class_equal(const HtbClass *want, const HtbClass *have) {
        if (want->rate_bytes != have->rate_bytes || want->ceil_bytes != have->ceil_bytes ||
                        want->buffer_ticks != have->buffer_ticks ||
                        want->cbuffer_ticks != have->cbuffer_ticks ||
                        want->overhead_bytes != have->overhead_bytes)
                return false;
        /* The kernel takes these two of leaves alone, and keeps for an inner class what it was born with. */
        if (want->minor == UPLINK_MINOR_ROOT)
                return true;
        return want->quantum_bytes == have->quantum_bytes && want->priority == have->priority;
}

bool htb_class_holds(const HtbClass *want, const HtbClass *have) {
        return want->minor == have->minor && want->parent_minor == have->parent_minor &&
               class_equal(want, have);
}

bool htb_change_is_of_leaf(HtbChangeKind kind) {
        return kind == HTB_CHANGE_ADD_LEAF || kind == HTB_CHANGE_SET_LEAF || kind == HTB_CHANGE_REPLACE_LEAF;
}

static bool gives_less(const HtbClass *want, const HtbClass *have) {
        if (want->rate_bytes != have->rate_bytes)
                return want->rate_bytes < have->rate_bytes;
        return want->ceil_bytes < have->ceil_bytes;
}

/* All that a class can lose and still be one. */
static HtbClass without_rate(const HtbClass *class) {
        HtbClass least = *class;

        least.rate_bytes = 1;
        return least;
}

/* The order of changes. Within a stage the deepest class goes first, then the lowest minor. */
enum {
        STAGE_MISPLACED, /* classes in a wrong place of our tree: somebody put them there */
        STAGE_ROOT_MORE,
        STAGE_LESS,
        STAGE_MORE,
        STAGE_SURPLUS, /* last, for a foreign filter may hold one; without a rate by now */
        STAGE_ROOT_LESS,
};

static int compare_change(const void *a, const void *b) {
        const HtbChange *x = a, *y = b;

        if (x->stage != y->stage)
                return x->stage < y->stage ? -1 : 1;
        if (x->kind == HTB_CHANGE_DELETE && x->class.level != y->class.level)
                return x->class.level < y->class.level ? -1 : 1;
        if (x->class.minor != y->class.minor)
                return x->class.minor < y->class.minor ? -1 : 1;
        return (int) x->kind - (int) y->kind;
}

/* Whether anything is to be done to the queue in a leaf class; `have` is NULL of a new one. */
static bool leaf_change(const HtbClass *want, const HtbClass *have, HtbChange *ret) {
        const HtbLeafKind kind = have ? have->leaf.kind : HTB_LEAF_NONE;

        if (kind == HTB_LEAF_FOREIGN)
                return false;
        *ret = (HtbChange){ HTB_CHANGE_ADD_LEAF, STAGE_MORE, *want, false };
        if (kind == HTB_LEAF_NONE)
                return true;
        ret->kind = kind == want->leaf.kind ? HTB_CHANGE_SET_LEAF : HTB_CHANGE_REPLACE_LEAF;
        ret->too_full = !htb_leaf_holds(&want->leaf, &have->leaf, have->waiting_bytes, have->waiting_packets);
        return !htb_leaf_equal(&want->leaf, &have->leaf);
}

/* The misplaced one goes, is made anew, and gets a leaf. */
#define CLASS_CHANGES_MAX 3

/* What one class needs, at most CLASS_CHANGES_MAX; `want` NULL: it is not wanted; `have` NULL: it is not
 * there. */
static size_t diff_class(const HtbClass *want, const HtbClass *have, HtbChange *ret) {
        const bool misplaced = have && have->parent_minor != proper_parent(have);
        size_t n = 0;
        bool root;

        if (have && !misplaced && !want && have->rate_bytes > 1)
                ret[n++] = (HtbChange){ HTB_CHANGE_SET, STAGE_LESS, without_rate(have) };
        if (have && (misplaced || !want))
                ret[n++] = (HtbChange){ HTB_CHANGE_DELETE, misplaced ? STAGE_MISPLACED : STAGE_SURPLUS,
                        *have };
        if (!want)
                return n;
        if (misplaced)
                have = NULL;

        root = want->minor == UPLINK_MINOR_ROOT;
        if (!have)
                ret[n++] = (HtbChange){ HTB_CHANGE_ADD, root ? STAGE_ROOT_MORE : STAGE_MORE, *want };
        else if (!class_equal(want, have) && gives_less(want, have))
                ret[n++] = (HtbChange){ HTB_CHANGE_SET, root ? STAGE_ROOT_LESS : STAGE_LESS, *want };
        else if (!class_equal(want, have))
                ret[n++] = (HtbChange){ HTB_CHANGE_SET, root ? STAGE_ROOT_MORE : STAGE_MORE, *want };

        return n + (!root && leaf_change(want, have, &ret[n]) ? 1 : 0);
}

int htb_tree_diff(const HtbTree *want, const HtbTree *have, HtbChange **ret, size_t *ret_n) {
        _cleanup_free_ HtbChange *changes = NULL;
        size_t n = 0, i = 0, j = 0;

        changes = reallocarray(NULL, CLASS_CHANGES_MAX * (want->n + have->n) + 1, sizeof(HtbChange));
        if (!changes)
                return -ENOMEM;

        while (i < want->n || j < have->n) {
                const HtbClass *w = i < want->n ? &want->classes[i] : NULL;
                const HtbClass *h = j < have->n ? &have->classes[j] : NULL;

                if (w && h && w->minor != h->minor) {
                        if (w->minor < h->minor)
                                h = NULL;
                        else
                                w = NULL;
                }
                i += !!w;
                j += !!h;
                n += diff_class(w, h, &changes[n]);
        }

        qsort(changes, n, sizeof(HtbChange), compare_change);
        *ret = TAKE_PTR(changes);
        *ret_n = n;
        return 0;
}

void htb_class_format(const HtbTree *tree, uint16_t minor, char *ret) {
        for (size_t i = 0; i < tree->n; i++) {
                const HtbClass *class = &tree->classes[i];

                if (class->minor != minor)
                        continue;
                (void) snprintf(ret, HTB_CLASS_TEXT_SIZE,
                                "prio %" PRIu32 " rate %" PRIu64 "bit ceil %" PRIu64 "bit", class->priority,
                                class->rate_bytes * 8, class->ceil_bytes * 8);
                if (class->overhead_bytes > 0)
                        (void) snprintf(ret + strlen(ret), HTB_CLASS_TEXT_SIZE - strlen(ret), " overhead %u",
                                        class->overhead_bytes);
                return;
        }
        (void) snprintf(ret, HTB_CLASS_TEXT_SIZE, "none");
}

void htb_class_format_leaf(const HtbTree *tree, uint16_t minor, char ret[static HTB_LEAF_TEXT_SIZE]) {
        HtbLeaf leaf = { .kind = HTB_LEAF_NONE };

        for (size_t i = 0; i < tree->n; i++)
                if (tree->classes[i].minor == minor)
                        leaf = tree->classes[i].leaf;
        htb_leaf_format(&leaf, ret);
}
