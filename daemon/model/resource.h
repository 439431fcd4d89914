/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Resources by name, with what of each is reserved and what is the limit; and sets of them.
 * One table (resource.c) carries everything that differs between resources.
 */

#include "failure.h"
#include "util/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNLIMITED UINT64_MAX
/* The most that one allocation may reserve of anything (64 TiB, 70 Tbit/s): so that no sum over all of them
 * overflows. */
#define RESERVED_MAX (1ULL << 46)

typedef enum ResourceKind {
        RESOURCE_CPU,     /* millicores */
        RESOURCE_MEMORY,  /* bytes */
        RESOURCE_SWAP,    /* bytes; a limit alone */
        RESOURCE_TASKS,   /* count; a limit alone */
        RESOURCE_IO_READ, /* bytes/s; of one block device where it has a target, else of each */
        RESOURCE_IO_WRITE,
        RESOURCE_IOPS_READ, /* operations/s, likewise; a limit alone */
        RESOURCE_IOPS_WRITE,
        RESOURCE_NET_EGRESS, /* bit/s; of one uplink where it has a target, else of the default uplink */
        RESOURCE_NET_INGRESS,
        RESOURCE_HUGETLB_2M, /* bytes; a limit alone */
        RESOURCE_HUGETLB_1G,
        RESOURCE_RDMA_HANDLES, /* count, of the device that is named; a limit alone */
        RESOURCE_RDMA_OBJECTS,
        RESOURCE_MISC,   /* what the misc controller counts under the name that is given; a limit alone */
        RESOURCE_CPUSET, /* claimed by CpuSet: millicores of the CPU that is the target; of all that are had
                            alone */
        RESOURCE_NUMA,   /* claimed by NumaNodes: the NUMA node that is the target; all that are had alone */
        RESOURCE_KIND_MAX,
        RESOURCE_KIND_INVALID = -EINVAL,
} ResourceKind;

/* What may follow a resource's name behind an '@'. */
typedef enum ResourceTarget {
        TARGET_NONE,
        TARGET_UPLINK, /* may: an interface's name */
        TARGET_BLOCK,  /* may: a block device, MAJ:MIN */
        TARGET_RDMA,   /* must: an RDMA device's name */
        TARGET_MISC,   /* must: a name of the misc controller */
        TARGET_PLACE,  /* may: a CPU's or a NUMA node's number */
} ResourceTarget;

typedef struct ResourceInfo {
        const char *name;         /* "net.egress": the same in D-Bus, JSON, headgatectl and the ledger */
        const char *unit;         /* "bit/s": for people */
        bool has_reserved;        /* false: a limit alone, reserved must be 0 */
        bool lent_when_suspended; /* a frozen tenant does not hold it: cpu, io, network */
        ResourceTarget target;
        uint64_t limit_min; /* the smallest limit that the kernel can hold */
        bool claimed_only;  /* what other keys than Resources claim: no entry there */
} ResourceInfo;

const ResourceInfo *resource_info(ResourceKind kind);

typedef struct Amount {
        uint64_t reserved; /* guaranteed */
        uint64_t limit;    /* never exceeded; UNLIMITED where there is none */
} Amount;

/* Long enough for an interface's name (IFNAMSIZ) and for a block device's MAJ:MIN. */
#define RESOURCE_TARGET_SIZE 24
#define RESOURCE_NAME_SIZE (RESOURCE_TARGET_SIZE + 24)

typedef struct Resource {
        ResourceKind kind;
        char target[RESOURCE_TARGET_SIZE]; /* "" where the name has none */
        Amount amount;
} Resource;

/* "net.egress@eth1" to kind and target (of RESOURCE_TARGET_SIZE). -EINVAL: no such resource, or no such form.
 */
int resource_parse_name(const char *name, ResourceKind *ret_kind, char *ret_target);
/* The failure for a name that resource_parse_name() refused: which part of it, and what it could be. `key`:
 * where it stood. */
int resource_refuse_name(const char *key, const char *name, Failure *ret_failure);
/* The reverse; `ret` has RESOURCE_NAME_SIZE. */
void resource_format_name(ResourceKind kind, const char *target, char *ret);

/* Ordered by kind, then target; at most one entry for each. */
typedef struct ResourceSet {
        Resource *entries; /* owned */
        size_t n;
} ResourceSet;

#define RESOURCE_SET_NULL \
        { NULL, 0 }

/* NULL where the set has no such entry. The pointer is good until the set is next changed. */
const Amount *resource_set_get(const ResourceSet *set, ResourceKind kind, const char *target);
int resource_set_put(ResourceSet *set, ResourceKind kind, const char *target, Amount amount);
/* Adds entry by entry; sums stop at UNLIMITED. -ENOMEM leaves the set as it was. */
int resource_set_add(ResourceSet *set, const ResourceSet *other);
int resource_set_copy(const ResourceSet *set, ResourceSet *ret);
bool resource_set_equal(const ResourceSet *a, const ResourceSet *b);
void resource_set_deinit(ResourceSet *set);
#define _cleanup_resource_set_ _cleanup_(resource_set_deinit)

/* a + b, or UNLIMITED where either is or where the sum would not fit. */
uint64_t amount_add(uint64_t a, uint64_t b);
/* Of two amounts, or two times. */
static inline uint64_t least(uint64_t a, uint64_t b) {
        return a < b ? a : b;
}
