/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * fq_codel where the kernel has it: it keeps flows of one class apart, and the queue of each short. Else fq,
 * which keeps them apart. Else a FIFO. Pure.
 *
 * What waits in a FIFO is bounded in bytes, or the last packet of it would wait for a thousand others, each
 * of up to 64 KiB: what its floor sends in 200 ms, or, of a class that mostly borrows, 20 ms of its ceiling
 * as long as that is no more than 1 MiB. A power of two, so that a small change of a class is one message;
 * and never less than the largest packet and some small ones, or no such packet would ever go: of 64 KiB, and
 * up to 512 where the link has been set so (BIG TCP). The other two hold about as much:
 *
 * fq_codel is bounded in kernel memory, or a thousand tenants would be promised 32 MiB each, its default,
 * which is the most that it gets here. A packet takes more of that than its bytes (skb->truesize): of 64 KiB
 * a tenth more, of 1,500 bytes half as much again, or nearly three times as much from a card that gives each
 * a page, of 64 bytes twelve times. So it is twice the FIFO's bytes: packets of full size have their 200 ms
 * or at the least 140, where fq_codel wants 5; what runs into it is a flood of small ones. Its limit of
 * packets stays the kernel's, 10,240: the memory is gone before.
 *
 * fq counts packets: as many of full size as the FIFO would hold, and of one flow an eighth of them, since it
 * drops what comes and not what is most. It is not to pace, which HTB does: a flow that waited for its own
 * time would leave its class active with nothing to send, HTB would ask all such classes again for each
 * packet, and log that the queue is "non-work-conserving". A limit a flow (maxrate) nobody is promised.
 * Packets of the priority TC_PRIO_CONTROL it let pass by all flows before Linux 6.7, and all packets of every
 * 16th class have that in the lower bits of skb->priority: such a class has a FIFO.
 *
 * A queue in a class may be somebody's, and is then left. Ours are told by what cannot be changed of one, or
 * what hardly anybody asks for: so many buckets; of a FIFO by its length, where the kernel has better.
 */

#include "htb-leaf.h"

#include "util/cleanup.h"

#include <assert.h>
#include <inttypes.h>
#include <linux/pkt_sched.h>
#include <stdio.h>
#include <string.h>

#define QUEUE_RATE_PART 5U  /* of a second */
#define QUEUE_CEIL_PART 50U /* the same */
#define QUEUE_CEIL_MAX_BYTES (1U << 20)
#define QUEUE_MIN_BYTES (1U << 17)
#define QUEUE_MAX_BYTES (1U << 30)

/* Of the kernel's default, 1024, each class would cost 70 KiB of kernel memory, used or not. */
#define FQ_CODEL_FLOWS 128U
#define FQ_CODEL_MEMORY_FACTOR 2U
#define FQ_CODEL_MEMORY_MAX_BYTES (32U << 20)

/* They are trees, of any number of flows each. */
#define FQ_BUCKETS 128U
#define FQ_FLOW_PART 8U
#define FQ_PACKETS_MIN 256U
#define FQ_PACKETS_MAX 10000U /* the kernel's default */

/* The most that a packet takes beside its bytes: a page and what describes it. */
#define PACKET_MEMORY_BYTES 5120U

static const struct {
        const char *name;
        bool drops_later;
} kinds[HTB_LEAF_KIND_MAX] = {
        [HTB_LEAF_FIFO] = { "bfifo", false },
        [HTB_LEAF_FQ] = { "fq", false },
        [HTB_LEAF_FQ_CODEL] = { "fq_codel", true },
};

HtbLeafKind htb_leaf_choose(bool (*has)(const char *kind, void *userdata), void *userdata) {
        HtbLeafKind kind = HTB_LEAF_KIND_MAX - 1;

        while (kind > HTB_LEAF_FIFO && !has(kinds[kind].name, userdata))
                kind--;
        return kind;
}

const char *htb_leaf_name(HtbLeafKind kind) {
        assert(kind < HTB_LEAF_KIND_MAX);
        return kinds[kind].name;
}

HtbLeafKind htb_leaf_kind(const char *name) {
        for (HtbLeafKind kind = HTB_LEAF_FIFO; kind < HTB_LEAF_KIND_MAX; kind++)
                if (strcmp(kinds[kind].name, name) == 0)
                        return kind;
        return HTB_LEAF_NONE;
}

bool htb_leaf_drops_later(HtbLeafKind kind) {
        return kinds[kind].drops_later;
}

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high) {
        return value < low ? low : value > high ? high : value;
}

static uint32_t queue_bytes(uint64_t rate_bytes, uint64_t ceil_bytes, uint32_t packet_bytes) {
        uint64_t of_rate = rate_bytes / QUEUE_RATE_PART, of_ceil = ceil_bytes / QUEUE_CEIL_PART, wanted;
        uint64_t least = clamp((uint64_t) packet_bytes * 2, QUEUE_MIN_BYTES, QUEUE_MAX_BYTES);

        wanted = clamp(of_ceil, of_rate, of_rate > QUEUE_CEIL_MAX_BYTES ? of_rate : QUEUE_CEIL_MAX_BYTES);
        wanted = clamp(wanted, least, QUEUE_MAX_BYTES);
        return 1U << (64 - __builtin_clzll(wanted - 1));
}

static HtbLeafKind kind_in(HtbLeafKind best, uint16_t minor) {
        return best == HTB_LEAF_FQ && (minor & TC_PRIO_MAX) == TC_PRIO_CONTROL ? HTB_LEAF_FIFO : best;
}

void htb_leaf_make(HtbLeafKind best, uint16_t minor, uint64_t rate_bytes, uint64_t ceil_bytes,
                const HtbPackets *packets, HtbLeaf *ret) {
        const uint32_t bytes = queue_bytes(rate_bytes, ceil_bytes, packets->max_bytes);
        HtbLeaf leaf = { .kind = kind_in(best, minor) };

        switch (leaf.kind) {
        case HTB_LEAF_FIFO:
                leaf.bytes = bytes;
                break;
        case HTB_LEAF_FQ:
                leaf.flows = FQ_BUCKETS;
                leaf.packets = (uint32_t) clamp(bytes / packets->frame_bytes, FQ_PACKETS_MIN, FQ_PACKETS_MAX);
                leaf.flow_packets = leaf.packets / FQ_FLOW_PART;
                break;
        case HTB_LEAF_FQ_CODEL:
                leaf.flows = FQ_CODEL_FLOWS;
                leaf.bytes = (uint32_t) clamp(
                                (uint64_t) bytes * FQ_CODEL_MEMORY_FACTOR, 0, FQ_CODEL_MEMORY_MAX_BYTES);
                break;
        default:
                assert(false);
        }
        *ret = leaf;
}

bool htb_leaf_equal(const HtbLeaf *a, const HtbLeaf *b) {
        return a->kind == b->kind && a->flows == b->flows && a->bytes == b->bytes &&
               a->packets == b->packets && a->flow_packets == b->flow_packets;
}

bool htb_leaf_is_ours(const HtbLeaf *leaf, HtbLeafKind best, uint16_t minor) {
        switch (leaf->kind) {
        case HTB_LEAF_FIFO:
                /* Where there is no better, whoever changed it. */
                return kind_in(best, minor) == HTB_LEAF_FIFO ||
                       (leaf->bytes >= QUEUE_MIN_BYTES && leaf->bytes <= QUEUE_MAX_BYTES &&
                                       (leaf->bytes & (leaf->bytes - 1)) == 0);
        case HTB_LEAF_FQ:
                return leaf->flows == FQ_BUCKETS;
        case HTB_LEAF_FQ_CODEL:
                return leaf->flows == FQ_CODEL_FLOWS;
        default:
                return false;
        }
}

bool htb_leaf_holds(
                const HtbLeaf *want, const HtbLeaf *have, uint32_t waiting_bytes, uint32_t waiting_packets) {
        const uint64_t memory = waiting_bytes + (uint64_t) waiting_packets * PACKET_MEMORY_BYTES;

        switch (want->kind == have->kind ? want->kind : HTB_LEAF_NONE) {
        case HTB_LEAF_FQ:
                return want->packets >= have->packets || want->packets >= waiting_packets;
        case HTB_LEAF_FQ_CODEL:
                return want->bytes >= have->bytes || want->bytes >= memory;
        default:
                return true; /* a FIFO that is too full for its new length takes no more, that is all */
        }
}

uint64_t htb_leaf_most_bytes(const HtbLeaf *leaf, const HtbPackets *packets) {
        return leaf->kind == HTB_LEAF_FQ ? (uint64_t) leaf->packets * packets->max_bytes : leaf->bytes;
}

void htb_leaf_format(const HtbLeaf *leaf, char ret[static HTB_LEAF_TEXT_SIZE]) {
        switch (leaf->kind) {
        case HTB_LEAF_FIFO:
                (void) snprintf(ret, HTB_LEAF_TEXT_SIZE, "bfifo limit %" PRIu32 "b", leaf->bytes);
                break;
        case HTB_LEAF_FQ:
                (void) snprintf(ret, HTB_LEAF_TEXT_SIZE, "fq limit %" PRIu32 "p flow_limit %" PRIu32 "p",
                                leaf->packets, leaf->flow_packets);
                break;
        case HTB_LEAF_FQ_CODEL:
                (void) snprintf(ret, HTB_LEAF_TEXT_SIZE, "fq_codel memory_limit %" PRIu32 "b", leaf->bytes);
                break;
        default:
                (void) snprintf(ret, HTB_LEAF_TEXT_SIZE, "none");
        }
}
