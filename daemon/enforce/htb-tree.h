/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * An uplink's HTB tree as plain values in the kernel's own units (bytes/s, clock ticks), so that what a plan
 * asks for and what the kernel shows can be compared with ==. Makes the wanted tree from a plan, and the
 * ordered difference of two trees. Makes no message and opens no socket.
 */

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
        uint32_t leaf_handle;    /* of the qdisc in it; 0: the kernel's own FIFO */
        uint32_t queue_bytes;    /* that a FIFO in it holds; 0 of one that the kernel has: it is none */
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
 * The tree for a plan on a link of this MTU. -EINVAL: no capacity, slots not ascending or above HTB_SLOT_MAX,
 * or no class for SLOT_DEFAULT (without it HTB sends what has no class unshaped).
 */
int htb_tree_from_plan(const NetPlan *plan, uint32_t mtu, HtbTree *ret);
/* Orders by minor, and drops what a dump gave twice. */
void htb_tree_sort(HtbTree *tree);

/* One class of the tree, and back to the model's units. */
void htb_class_from_plan(const NetPlan *plan, const NetClass *class, uint32_t mtu, HtbClass *ret);
void htb_class_to_model(const HtbClass *class, NetClass *ret);
/* There and back: the class as it is shown where the kernel holds it. */
void htb_class_round(const NetPlan *plan, const NetClass *class, NetClass *ret);
/* Whether the kernel has the class as it is wanted, in its place and all. */
bool htb_class_holds(const HtbClass *want, const HtbClass *have);

typedef enum HtbChangeKind {
        HTB_CHANGE_ADD,
        HTB_CHANGE_SET,
        HTB_CHANGE_DELETE,
        HTB_CHANGE_ADD_LEAF, /* an fq_codel in the class */
        HTB_CHANGE_SET_LEAF, /* the same in place of a FIFO of ours */
        HTB_CHANGE_SET_FIFO, /* a FIFO of queue_bytes, where the kernel has no fq_codel */
} HtbChangeKind;

typedef struct HtbChange {
        HtbChangeKind kind;
        unsigned stage; /* the order among changes: see htb_tree_diff() */
        HtbClass class; /* as it should be; for a deletion, as it is */
} HtbChange;

/*
 * What makes `have` into `want`, in the order to do it: what has a wrong place in the tree goes first,
 * deepest first; then the link gets more, then rates fall, then others rise, so that at no step they promise
 * together what neither tree does; then classes that are not wanted go, whose rate was taken before, and the
 * link gets less. Each leaf class without a qdisc of its own gets one, an fq_codel where the kernel has that
 * (`fq_codel`), else a FIFO; where there is a FIFO, it is made so long, or an fq_codel. Any other qdisc that
 * is there already is left. The caller frees the array.
 */
int htb_tree_diff(const HtbTree *want, const HtbTree *have, bool fq_codel, HtbChange **ret, size_t *ret_n);

/* Whether we made a bfifo that is in a class of ours and holds so much. Where the kernel has fq_codel, that
 * was before it had, and it holds what we make one hold; where it has none, a bfifo is ours, whoever changed
 * it. */
bool htb_fifo_is_ours(uint32_t fifo_bytes, bool fq_codel);

/* A class of a tree, for people: "prio 0 rate 3000000bit ceil 5000000bit"; "none" where it has none of
 * that minor. `ret` has HTB_CLASS_TEXT_SIZE. */
#define HTB_CLASS_TEXT_SIZE 96
void htb_class_format(const HtbTree *tree, uint16_t minor, char *ret);
/* The same of the FIFO in it: "bfifo limit 131072b". */
void htb_fifo_format(const HtbTree *tree, uint16_t minor, char *ret);
