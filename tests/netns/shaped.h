/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One way of a Pair, held to a plan of three tenants as the daemon holds it: what goes out at UPLINK, by the
 * class that packets say, or what comes in there, in an IFB, by the group that the socket was opened in. And
 * what each tenant's class let through, by a reading every few milliseconds. A failure fails the test.
 */

#include "load.h"
#include "pair.h"

#include "bpf/host.h"
#include "bpf/pin.h"
#include "enforce/net-class.h"
#include "enforce/net-ingress.h"
#include "enforce/uplink.h"

#define MBPS 1000000ULL
#define USEC_PER_SEC 1000000ULL

typedef enum Way { WAY_OUT, WAY_IN, WAY_MAX } Way;

/* Of which each is promised, in hundredths of the link: */
enum {
        FIRST,  /* 30 and no ceiling */
        SECOND, /* 60 and no ceiling */
        THIRD,  /* 5, and 60 at most */
        TENANTS,
};

typedef struct ShapedLink {
        uint64_t capacity_bps;
        NetDiscipline discipline;
} ShapedLink;

extern const ShapedLink link_100_mbps; /* by HTB */

typedef struct Shaped {
        Way way;
        ShapedLink link;
        Pair pair;
        bool has_ipv6;
        Uplink *uplink;
        char *pin_dir;             /* of a pacer */
        NetClassifier *classifier; /* of what goes out */
        NetIngress *ingress;       /* of what comes in: these four */
        int groups_fd;
        Table addresses;
        TestGroup groups[TENANTS];
} Shaped;

/* Of what comes in, after host_init(), and once in a process. */
Shaped *shaped_new(Way way);
/* Takes the pair. */
Shaped *shaped_new_on(Pair pair, Way way, const ShapedLink *link);
Shaped *shaped_free(Shaped *shaped);
DEFINE_CLEANUP(Shaped *, shaped_free);
#define _cleanup_shaped_ _cleanup_(shaped_free_p)

/* Of one tenant, this way, as in load_new(). */
Load *shaped_load(const Shaped *shaped, size_t tenant, LoadKind kind, unsigned flows, uint64_t bps);

uint64_t now_usec(void);

/* What each tenant's class had sent at an instant. */
typedef struct Reading {
        uint64_t usec;
        uint64_t bytes[TENANTS];
        bool waiting[TENANTS]; /* something of it was in the queue */
} Reading;

typedef struct Readings {
        Reading at[4096];
        size_t n;
} Readings;

void shaped_read(const Shaped *shaped, Readings *readings);

/* bit/s in millions, between two readings, by their places. */
double readings_mbps(const Readings *readings, size_t tenant, size_t from, size_t to);
/* The place of the first at or after the instant; the last one's where there is none. */
size_t readings_at(const Readings *readings, uint64_t usec);
/* The most in any second of all that was read: what readings at least a second apart have in between, for
 * each second, or all that is between two that are less apart. Both are never more than it was, however late
 * a reading came. */
double readings_most_in_a_second(const Readings *readings, size_t tenant);
/* The longest time between two readings, within these bounds. */
uint64_t readings_longest_gap_usec(const Readings *readings, uint64_t from_usec, uint64_t to_usec);
