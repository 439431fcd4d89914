/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * An allocation: a lease of resources to a tenant for a window [start, end). What a scheduler pushes, and the
 * state that the node gave it. All that differs between its keys stands in one table, from which D-Bus, JSON
 * and the durable calendar all encode and decode.
 */

#include "failure.h"
#include "resource.h"

/* Entries of each map, list and resource set that a request may carry. */
#define ALLOCATION_ENTRIES_MAX 64

#include <sys/types.h>

typedef enum AllocationState {
        ALLOCATION_PENDING, /* its window has not begun */
        ALLOCATION_ACTIVE,
        ALLOCATION_ENDING, /* its window is over, its grace is not: ceilings hold, floors are gone */
        ALLOCATION_ENDED,
        ALLOCATION_RELEASED, /* ended before its end, by its owner */
        ALLOCATION_FAILED,   /* could not be enforced */
        ALLOCATION_STATE_MAX,
        ALLOCATION_STATE_INVALID = -EINVAL,
} AllocationState;

typedef enum OnEnd {
        ON_END_THROTTLE, /* processes go on in the residual share, in the idle class; the default */
        ON_END_FREEZE,
        ON_END_KILL,
        ON_END_NONE, /* processes go on in the residual share */
        ON_END_MAX,
        ON_END_INVALID = -EINVAL,
} OnEnd;

typedef enum QosClass {
        QOS_CLASS_DERIVED, /* not given: see allocation_qos_class() */
        QOS_CLASS_GUARANTEED,
        QOS_CLASS_BURSTABLE,
        QOS_CLASS_BEST_EFFORT,
        QOS_CLASS_MAX,
        QOS_CLASS_INVALID = -EINVAL,
} QosClass;

const char *allocation_state_to_string(AllocationState state);
AllocationState allocation_state_from_string(const char *s);
const char *on_end_to_string(OnEnd on_end);
const char *qos_class_to_string(QosClass qos_class);

/* Pairs of strings, ordered by name. */
typedef struct StringMap {
        char **names;  /* owned, as are the strings */
        char **values; /* owned */
        size_t n;
} StringMap;

const char *string_map_get(const StringMap *map, const char *name);
int string_map_put(StringMap *map, const char *name, const char *value);
bool string_map_equal(const StringMap *a, const StringMap *b);
void string_map_deinit(StringMap *map);

typedef struct Allocation {
        /* What was asked for. Times are µs UTC; end_usec is start + Duration where that was given. */
        char *id;
        uint64_t generation;
        char *tenant_id;
        char *issuer;
        StringMap external_ids;
        char *project_id;
        char *reservation_id;
        uint64_t start_usec;    /* 0 until accepted, where the request left it out */
        uint64_t end_usec;      /* UINT64_MAX: none */
        uint64_t duration_usec; /* 0: not given */
        int end_signal;
        uint64_t grace_usec;
        OnEnd on_end;
        QosClass qos_class;
        ResourceSet resources;
        char **users; /* names of users who may run in the tenant and read its usage */
        StringMap labels;
        StringMap extensions; /* keys that start with x_, strings only, kept and given back */
        bool start_given;     /* StartTime was given: part of the content that a Generation names */

        /* What became of it. */
        uid_t owner; /* who created it; it and root change it */
        AllocationState state;
        char *reason;                 /* why it is in that state, in words; or NULL */
        uint64_t actual_start_usec;   /* 0: not yet */
        uint64_t actual_end_usec;     /* 0: not yet */
        uint64_t state_boottime_usec; /* CLOCK_BOOTTIME when the state was entered; 0 after a restart */
        size_t queue_index;           /* the calendar's: where it waits for its next change */
        uint64_t due_usec;            /* the calendar's: when that is, on the queue's clock */
        bool counted;                 /* the calendar's: its reserved part is in the timelines */
        bool untold;                  /* an Apply that may yet be refused is under way: no one hears of it */
} Allocation;

int allocation_new(Allocation **ret);
Allocation *allocation_free(Allocation *allocation);
DEFINE_CLEANUP(Allocation *, allocation_free);
#define _cleanup_allocation_ _cleanup_(allocation_free_p)
int allocation_copy(const Allocation *allocation, Allocation **ret);

/*
 * All that can be said of a request without knowing the node or the time: required keys, ids, reserved <=
 * limit, the window's order, lengths, the QoS class against the resources. Returns 0, or a code and one
 * sentence.
 */
int allocation_validate(const Allocation *allocation, Failure *ret_failure);

/* Gives StartTime, where absent, the instant of acceptance; Duration becomes EndTime. Refuses an end before
 * `now`. */
int allocation_accept(Allocation *allocation, uint64_t now_usec, uid_t owner, Failure *ret_failure);

/* Whether two requests ask for the same, as a Generation promises. What became of them is not compared. */
bool allocation_same_request(const Allocation *a, const Allocation *b);

/* Given, or derived: every reserved = limit: guaranteed; every reserved 0: best-effort; else burstable. */
QosClass allocation_qos_class(const Allocation *allocation);

/* pending, active, ending: it has a future. */
bool allocation_is_live(const Allocation *allocation);

typedef enum KeyType {
        KEY_STRING,    /* s, char * */
        KEY_U64,       /* t, uint64_t */
        KEY_I32,       /* i, int32_t */
        KEY_STRINGS,   /* as, char ** */
        KEY_MAP,       /* a{ss}, StringMap */
        KEY_RESOURCES, /* a{s(tt)}, ResourceSet */
        KEY_ENUM,      /* s, int through to_string and from_string */
} KeyType;

typedef struct AllocationKey {
        const char *name; /* "AllocationId" */
        const char *signature;
        KeyType type;
        size_t offset; /* in Allocation */
        const char *(*to_string)(int value);
        int (*from_string)(const char *s); /* negative: no such value */
        const char *choices;               /* for the error: "throttle, freeze, kill or none" */
        bool given_only;                   /* printed only where it was given */
} AllocationKey;

/* The keys that a request may carry, by name; NULL where there is none. */
const AllocationKey *allocation_key_find(const char *name);
/* All of them, in DESIGN.md's order; the last has a NULL name. */
extern const AllocationKey allocation_keys[];

/* The failure for a key that is not in the table: says whether a later version has it. */
int allocation_key_refuse(const char *name, Failure *ret_failure);
