/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * An uplink's HTB tree as plain values in the kernel's own units (bytes/s, clock ticks), so that what a plan
 * asks for and what the kernel shows can be compared with ==. Makes the wanted tree from a plan, and the
 * ordered difference of two trees. Makes no message and opens no socket.
 */

#include "htb-leaf.h"
#include "model/network.h"

#include <stdbool.h>

/* A class minor has 16 bits and slots start at UPLINK_MINOR_SLOT_BASE. */
#define HTB_SLOT_MAX (UINT16_MAX - 0x10U)

typedef struct HtbClass {
        uint16_t minor;
        uint16_t parent_minor; /* 0: the top of the tree */
        uint32_t level;        /* 0 is a leaf; known only of what the kernel has */
        uint32_t priority;
        uint64_t rate_bytes;     /* a second; at least 1 */
        uint64_t ceil_bytes;     /* a second; never below the rate */
        uint32_t buffer_ticks;   /* burst, as the time that it lasts at the rate; a tick is 64 ns */
        uint32_t cbuffer_ticks;  /* the same at the ceil */
        uint32_t quantum_bytes;  /* sent in one turn among classes that borrow */
        uint16_t overhead_bytes; /* charged with each packet beside its own */
        HtbLeaf leaf;            /* its queue; HTB_LEAF_NONE of the root class */
        uint32_t waiting_bytes, waiting_packets; /* in it; known only of what the kernel has */
} HtbClass;

typedef struct HtbTree {
        HtbClass *classes; /* owned, ordered by minor, one of each */
        size_t n;
} HtbTree;

#define HTB_TREE_NULL \
        { NULL, 0 }

void htb_tree_deinit(HtbTree *tree);
#define _cleanup_htb_tree_ _cleanup_(htb_tree_deinit)

/*
 * The tree for a plan on a link of such packets, with the best queue that the kernel has in each class.
 * -EINVAL: no capacity, slots not ascending or above HTB_SLOT_MAX, or no class for SLOT_DEFAULT (without it
 * HTB sends what has no class unshaped).
 */
int htb_tree_from_plan(const NetPlan *plan, const HtbPackets *packets, HtbLeafKind best, HtbTree *ret);
/* Orders by minor, and drops what a dump gave twice. */
void htb_tree_sort(HtbTree *tree);

/* One class of the tree, and back to the model's units. */
void htb_class_from_plan(const NetPlan *plan, const NetClass *class, const HtbPackets *packets,
                HtbLeafKind best, HtbClass *ret);
void htb_class_to_model(const HtbClass *class, NetClass *ret);
/* There and back: the class as it is shown where the kernel holds it. */
void htb_class_round(const NetPlan *plan, const NetClass *class, NetClass *ret);
/* Whether the kernel has the class as it is wanted, in its place and all. */
bool htb_class_holds(const HtbClass *want, const HtbClass *have);

typedef enum HtbChangeKind {
        HTB_CHANGE_ADD,
        HTB_CHANGE_SET,
        HTB_CHANGE_DELETE,
        HTB_CHANGE_ADD_LEAF,     /* its queue, into a class that has none of its own */
        HTB_CHANGE_SET_LEAF,     /* the numbers of the one that is there */
        HTB_CHANGE_REPLACE_LEAF, /* in place of one of another kind, from when the kernel had no better */
} HtbChangeKind;

/* Of a class's queue, not of the class. */
bool htb_change_is_of_leaf(HtbChangeKind kind);

typedef struct HtbChange {
        HtbChangeKind kind;
        unsigned stage; /* the order among changes: see htb_tree_diff() */
        HtbClass class; /* as it should be; for a deletion, as it is */
        bool too_full;  /* to be put off: the kernel would throw away what waits, and not count it */
} HtbChange;

/*
 * What makes `have` into `want`, in the order to do it: what has a wrong place in the tree goes first,
 * deepest first; then the link gets more, then rates fall, then others rise, so that at no step they promise
 * together what neither tree does; then classes that are not wanted go, whose rate was taken before, and the
 * link gets less. Each leaf class without a queue of its own gets one; what somebody put there is left. The
 * caller frees the array.
 */
int htb_tree_diff(const HtbTree *want, const HtbTree *have, HtbChange **ret, size_t *ret_n);

/* A class of a tree, for people: "prio 0 rate 3000000bit ceil 5000000bit"; "none" where it has none of
 * that minor. `ret` has HTB_CLASS_TEXT_SIZE. */
#define HTB_CLASS_TEXT_SIZE 96
void htb_class_format(const HtbTree *tree, uint16_t minor, char *ret);
/* The same of its queue: "bfifo limit 131072b". */
void htb_class_format_leaf(const HtbTree *tree, uint16_t minor, char ret[static HTB_LEAF_TEXT_SIZE]);
