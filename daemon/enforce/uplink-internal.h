/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What an Uplink is, and how its files ask the kernel: for the files of its stem alone. */

#include "enforce/edt-pacer.h"
#include "enforce/flood-guard.h"
#include "enforce/foreign-root.h"
#include "enforce/tc-message.h"
#include "enforce/netlink.h"
#include "enforce/uplink.h"

#include <stdbool.h>

typedef enum RootOwner {
        ROOT_DEFAULT, /* the kernel's, or none */
        ROOT_OURS,
        ROOT_MISSHAPEN, /* carries our mark, but with options that HTB can't change later */
        ROOT_FOREIGN,
} RootOwner;

/* What somebody put below a root of ours, by kind; "": nothing. */
typedef struct UplinkGuests {
        char of_queue[16]; /* in a place where we have fq, or would */
        char of_class[16]; /* where we have a class's queue */
} UplinkGuests;

/* What the kernel has. */
typedef struct UplinkSight {
        TcLink link;
        TcQdisc root; /* zeroed: none */
        RootOwner owner;
        HtbLeafKind best; /* queue of a class that the kernel has: as was known, or one is there */
        UplinkGuests guests;
        HtbTree tree; /* empty unless the root is ours */
        size_t allocated;
        TcQdisc *leaves; /* owned, by parent: those in classes of ours, of a kind that we make */
        size_t n_leaves, leaves_allocated;
} UplinkSight;

void uplink_sight_deinit(UplinkSight *sight);
#define _cleanup_sight_ _cleanup_(uplink_sight_deinit)

struct Uplink {
        char name[IFNAMSIZ];
        Netlink *netlink;
        HtbLeafKind best; /* queue of a class that the kernel has */
        TcLink seen;      /* when all was last looked at */
        char *pin_dir;    /* owned; NULL: nothing is pinned */
        NetDiscipline discipline;
        bool fast;             /* by the capacity that it was opened for, edt_suits() */
        bool edt;              /* by times of departure: all below, and uplink-edt.c */
        const char *lacks_edt; /* what there is not that it would take; NULL: nothing */
        bool paced;            /* they were put in force */
        char fallback[384];    /* why they were not, and HTB is */
        EdtPacer *pacer;
        int pacer_ifindex;    /* of the interface that it is of */
        unsigned left_edt_of; /* the interface on which nothing of it is left */
        FloodGuard floods;    /* by HTB, of the interface that it was put on */
        uint32_t guarded_slots;
        bool added[HTB_SLOT_MAX + 1];    /* classes that we made since they were last read, by slot */
        bool too_full[HTB_SLOT_MAX + 1]; /* whose queues are to be shorter once less waits in them */
        bool have_room;                  /* some of these, when they were last looked at */
        NetStats parting;                /* what was read of those that went since the last reading */
        const char *keep_dir;            /* where a root qdisc that is not ours is kept; NULL: nowhere */
        bool take_over;                  /* its place is taken */
        char words[384];
};

/* Sends what a maker of tc-message.h returned, and frees it. */
int uplink_request(Uplink *uplink, int made, struct nl_msg *message, NetlinkHandler handler, void *userdata);
/* Puts it into the batch, which frees it. */
int uplink_batch_put(NetlinkBatch *batch, int made, struct nl_msg *message);
void uplink_set_words(Uplink *uplink, const char *format, ...) _printf_(2, 3);
/* Ours, which has this handle, goes, and what it took the place of comes back, in one system call. */
int uplink_give_back(Uplink *uplink, int ifindex, uint32_t handle);
/* -EBUSY, and words. */
int uplink_refuse_foreign(Uplink *uplink, const TcQdisc *root);
/* A qdisc, if it is somewhere below our root, in a kernel that has no better queue of a class than this. */
void uplink_note_guest(UplinkGuests *guests, const TcQdisc *qdisc, HtbLeafKind best);
/* -EBUSY, and words, where somebody put one of another kind into this root of ours, which is of another
 * discipline and would go with all that is in it. It could not be put back, so take_over is nothing to it. */
int uplink_refuse_guest(Uplink *uplink, const TcQdisc *root, const UplinkGuests *guests);

/* uplink-floods.c */
/* As it was left on the interface, with what it counted; negative: there is none. */
int uplink_guard_open(Uplink *uplink, int ifindex);
/* Of all classes of a tree that is in force, and of those that changed in one that was looked at before. What
 * is lost where there is no memory is the guard alone. */
void uplink_guard_all(Uplink *uplink, const UplinkSight *before, const HtbTree *tree);
void uplink_guard_changes(Uplink *uplink, const HtbChange *changes, size_t n);
/* Before the kernel begins to count the class's packets anew. */
void uplink_guard_forget(Uplink *uplink, const HtbChange *change);
/* By another discipline, and by none. */
void uplink_guard_nothing(Uplink *uplink, unsigned ifindex);

/* uplink-stats.c */
/* As uplink_read_stats(), of HTB's classes alone. */
int uplink_read_classes(Uplink *uplink, int ifindex, NetStats *ret);
/* What was just read of classes, for the next reading, takes `stats`: of those that `are_gone` nobody could
 * read more, and what waited in them went with them. */
void uplink_keep_reading(Uplink *uplink, NetStats *stats, bool are_gone);

/* uplink-sight.c */
/* The interface that has the name now. */
int uplink_look_up_link(Uplink *uplink, TcLink *ret);
int uplink_look(Uplink *uplink, UplinkSight *ret);
RootOwner uplink_root_owner(const TcQdisc *root);

/* uplink-change.c */
/* The messages of these changes, with more flags, into the batch; what is to be put off is remembered. */
int uplink_put_changes(Uplink *uplink, int ifindex, const HtbChange *changes, size_t n, uint16_t flags,
                NetlinkBatch *batch);

/* uplink-take-over.c */
/* Keeps the interface's root qdisc, which is to be deleted by this handle next. -EBUSY, with words: it is to
 * be left alone. */
int uplink_take_over_root(Uplink *uplink, int ifindex, uint32_t *ret_handle);
/* The one that is kept of this interface; -ENOENT, -ESTALE and others: there is none to be put back. */
int uplink_kept_root(const Uplink *uplink, int ifindex, ForeignRoot *ret);
void uplink_forget_root(const Uplink *uplink);
