/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The queue in a class of an HTB tree: which kind of qdisc, how long, and which of those that the kernel has
 * we made. Plain values, as htb-tree.h; their bytes are leaf-message.h's.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From HTB_LEAF_FIFO on those that we make, the best last. */
typedef enum HtbLeafKind {
        HTB_LEAF_NONE,    /* the kernel's own FIFO, which nobody asked for */
        HTB_LEAF_FOREIGN, /* what somebody put there: to be left */
        HTB_LEAF_FIFO,    /* bfifo, which every kernel has */
        HTB_LEAF_FQ,
        HTB_LEAF_FQ_CODEL,
        HTB_LEAF_KIND_MAX,
} HtbLeafKind;

typedef struct HtbLeaf {
        HtbLeafKind kind;
        uint32_t flows;        /* buckets for them, as it was made; of an fq that paces 0: we make none */
        uint32_t bytes;        /* bfifo: that it holds; fq_codel: of kernel memory, that it takes */
        uint32_t packets;      /* fq: that it holds */
        uint32_t flow_packets; /* fq: of one flow */
} HtbLeaf;

/* What waits in it. */
typedef struct HtbPackets {
        uint32_t frame_bytes; /* a packet of full size, on the wire */
        uint32_t max_bytes;   /* the largest, which is cut only behind the queue */
} HtbPackets;

/* The best of which `has` says that the kernel makes it. */
HtbLeafKind htb_leaf_choose(bool (*has)(const char *kind, void *userdata), void *userdata);
/* As tc and the kernel call it; NULL of the first two. */
const char *htb_leaf_name(HtbLeafKind kind);
/* HTB_LEAF_NONE: we make none of this name. */
HtbLeafKind htb_leaf_kind(const char *name);
/* Whether it also drops what it took already. Its class does not know of that: only the queue counts it. */
bool htb_leaf_drops_later(HtbLeafKind kind);

/* For a class of this minor, with rates in bytes a second, where `best` is the best that the kernel has. */
void htb_leaf_make(HtbLeafKind best, uint16_t minor, uint64_t rate_bytes, uint64_t ceil_bytes,
                const HtbPackets *packets, HtbLeaf *ret);
bool htb_leaf_equal(const HtbLeaf *a, const HtbLeaf *b);
/* Whether one that is in a class of ours is our making, now or before the kernel had what it has now. */
bool htb_leaf_is_ours(const HtbLeaf *leaf, HtbLeafKind best, uint16_t minor);
/* Whether so much that waits would stay, if `have` were made `want`. One of another kind loses it all the
 * same. */
bool htb_leaf_holds(
                const HtbLeaf *want, const HtbLeaf *have, uint32_t waiting_bytes, uint32_t waiting_packets);

/* The most that waits in it: bytes of packets, of such a size at most. */
uint64_t htb_leaf_most_bytes(const HtbLeaf *leaf, const HtbPackets *packets);

/* As tc says it, what of it is ours to say: "bfifo limit 131072b". */
#define HTB_LEAF_TEXT_SIZE 64
void htb_leaf_format(const HtbLeaf *leaf, char ret[static HTB_LEAF_TEXT_SIZE]);
