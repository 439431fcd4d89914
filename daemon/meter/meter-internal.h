/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a Meter is made of: for meter.c, which keeps it, and meter-setup.c, which makes its parts. */

#include "meter/block-meter.h"
#include "meter/control-delay.h"
#include "meter/class-meter.h"
#include "meter/delivered.h"
#include "meter/group-iter.h"
#include "meter/meter.h"
#include "meter/net-meter.h"
#include "meter/oom-meter.h"
#include "meter/sched-meter.h"
#include "meter/socket-iter.h"
#include "meter/socket-meter.h"
#include "meter/stat-meter.h"
#include "meter/tcp-meter.h"

/* A tenant has one group of ours, and now and then some that it adopted. */
#define GROUPS_PER_SLOT 4
/* And one allocation at a time, or two; and some that ended. */
#define DELIVERED_PER_SLOT 4
/* And a class on each uplink: of so many at least, as the table is made anew where its size is another. */
#define CLASSES_PER_SLOT 4

/* A group's files cost some 40 µs: of a thousand groups each is read once a minute, of 16 at every sample. */
#define STAT_GROUPS_A_TURN 16

typedef struct Group {
        uint64_t id;
        uint32_t slot;
        char *path;   /* owned; NULL: pinned by an earlier run, and not added since */
        size_t depth; /* of the path: of one depth no group is below another */
        bool covered; /* below another group of its slot, which counts it */
        bool network; /* its packets are counted */
        bool tcp;     /* and its connections */
        bool counted; /* every meter that there is has it */
} Group;

struct Meter {
        char *pin_dir; /* "meter" below the caller's; NULL: nothing is pinned */
        char *lost;    /* meter_lost() */
        bool carried;  /* meter_carried() */
        uint32_t slots;
        Table groups_map;
        SchedMeter *sched; /* NULL where it does not load; so is the next */
        NetMeter *net;
        TcpMeter *tcp;       /* and at the basic level */
        ControlDelay *delay; /* as tcp, and where packets get no class */
        BlockMeter *block;   /* and it */
        OomMeter *oom;
        Delivered *delivered; /* NULL where it can't be kept */
        GroupIter *iter;
        StatMeter *stats;
        ClassMeter *classes[CLASS_WAY_MAX]; /* that of what comes in is NULL where nothing is shaped */
        SocketIter *sockets;                /* NULL where it does not load */
        SocketMeter *open_sockets;          /* as tcp */
        Group *groups;                      /* owned, ordered by id */
        size_t n_groups;
        struct SlotState {
                bool known;   /* a group was added */
                bool network; /* and the packets of each are counted */
                bool tcp;     /* and the connections */
        } * slot_states;      /* owned, [slots]: what a read needs to know of the groups */
};

/* The pins' directory, the groups map and every meter that loads, and what can be said of each. Fails only
 * where memory does. */
int meter_set_up(Meter *meter, const MeterOptions *options, FeatureSet *features);
