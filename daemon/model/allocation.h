/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * An allocation: a lease of resources to a tenant for a window [start, end). What a scheduler pushes, and the
 * state that the node gave it. All that differs between its keys stands in one table, from which D-Bus, JSON
 * and the durable calendar all encode and decode.
 */

#include "delivery.h"
#include "device.h"
#include "failure.h"
#include "recurrence.h"
#include "resource.h"

/* Entries of each map, list and resource set that a request may carry. */
#define ALLOCATION_ENTRIES_MAX 64

#include <sys/types.h>

typedef enum AllocationState {
        ALLOCATION_PENDING, /* its window has not begun */
        ALLOCATION_ACTIVE,
        ALLOCATION_HELD,      /* active, but its lease is over: kept as it is */
        ALLOCATION_SUSPENDED, /* its window is open, but others use its cpu, io and network: it is frozen */
        ALLOCATION_ENDING,    /* its window is over, its grace is not: ceilings hold, floors are gone */
        ALLOCATION_ENDED,
        ALLOCATION_PREEMPTED, /* ended before its end, for another of higher priority */
        ALLOCATION_RELEASED,  /* ended before its end, by its owner, or with its lease */
        ALLOCATION_FAILED,    /* could not be enforced */
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

typedef enum OnLeaseExpiry {
        ON_LEASE_EXPIRY_HOLD, /* limits stay, the state says so; the default */
        ON_LEASE_EXPIRY_RELEASE,
        ON_LEASE_EXPIRY_MAX,
} OnLeaseExpiry;

typedef enum PreemptMode {
        PREEMPT_MODE_OFF,     /* never gives way; the default */
        PREEMPT_MODE_SUSPEND, /* frozen while another needs it: lends cpu, io and network */
        PREEMPT_MODE_CANCEL,  /* ends, with its grace, when another needs it: lends all */
        PREEMPT_MODE_MAX,
} PreemptMode;

typedef enum PlacementMode {
        PLACEMENT_SHARED, /* the default */
        PLACEMENT_EXCLUSIVE,
        PLACEMENT_MODE_MAX,
} PlacementMode;

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

typedef struct Window {
        uint64_t start_usec, end_usec; /* [start, end), µs UTC; an end of UINT64_MAX is never reached */
} Window;

typedef struct Allocation Allocation;

/* A part of what one allocation reserves, lent to another of higher priority for a stretch of time. */
typedef struct Loan {
        Allocation *from;
        ResourceKind kind;
        char target[RESOURCE_TARGET_SIZE]; /* as the calendar sums */
        Window window;
        uint64_t amount;
        bool applied; /* the calendar's: it is off the timelines */
} Loan;

struct Allocation {
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
        char *recurrence_text;  /* "Calendar": windows of `duration_usec` again and again within [start, end)
                                 */
        uint64_t warn_usec;     /* before each window's end; 0: no warning */
        int end_signal;
        uint64_t grace_usec;
        OnEnd on_end;
        uint64_t lease_usec; /* 0: no lease, it needs no renewal */
        OnLeaseExpiry on_lease_expiry;
        int32_t priority;
        PreemptMode preempt_mode;
        QosClass qos_class;
        ResourceSet resources;
        char *cpu_set; /* list of CPUs, "0-3,8": where it runs; NULL or "": anywhere, or wherever the node
                          chooses */
        PlacementMode cpu_set_mode;
        char *numa_nodes; /* list of NUMA nodes: where its memory is; NULL or "": anywhere */
        PlacementMode numa_mode;
        DeviceSet devices;
        char **users; /* names of users who may run in the tenant and read its usage */
        StringMap labels;
        StringMap extensions; /* keys that start with x_, strings only, kept and given back */
        bool start_given;     /* StartTime was given: part of the content that a Generation names */

        /* What became of it. */
        uid_t owner; /* who created it; it and root change it */
        AllocationState state;
        char *reason;                 /* why it is in that state, in words; or NULL. allocation_reason() */
        uint64_t actual_start_usec;   /* 0: not yet */
        uint64_t actual_end_usec;     /* 0: not yet */
        uint64_t state_boottime_usec; /* CLOCK_BOOTTIME when the state was entered; 0 after a reboot */
        uint64_t lease_expiry_usec;   /* µs UTC: for people, and for what is left of it after a reboot */
        uint64_t lease_expiry_boottime_usec; /* what counts */
        bool cut;                            /* preemption ended its window early */
        bool warned;                         /* of its present window's end */
        bool release_noted;                  /* on disk, by a run that ended before it could carry it out */
        bool signal_waits;    /* EndSignal, and the grace that begins with it, for a clock that is trusted */
        bool lease_by_utc;    /* reckoned by a clock that was not trusted: to be reckoned again once it is */
        ResourceSet left_now; /* of what is missing: .limit is what there is of it at this instant */
        ResourceSet missing;  /* what the node has no room for any more: .reserved what was promised, .limit
                                 what there is of it */

        char *assigned_cpus;        /* those that the node chose for it, as a list; NULL: none */
        uint64_t node_memory_bytes; /* of the NUMA nodes that it has alone */
        Delivery *delivered; /* the meter's: of its start at `delivered_since_usec`; NULL: nothing is known */
        uint64_t delivered_since_usec; /* as actual_start_usec was */

        /* The present window, or the next; `later` are those after it, as far as the calendar's horizon and
         * ascending: only where it recurs. */
        Window window;
        Window *later; /* owned */
        size_t n_later;
        uint64_t expanded_usec; /* from when these were reckoned */
        size_t n_elapses;       /* that were gone through for it; of several one window may come */
        Recurrence *recurrence; /* owned; recurrence_text, understood; NULL: one window */

        /* The calendar's. */
        char **loan_texts; /* owned; its loans as they are kept on disk, until calendar_link_loans() */
        Loan *loans;       /* owned; what others lend it */
        size_t n_loans;
        bool loans_changed;     /* since they were last kept on disk */
        Allocation **borrowers; /* owned array; to whom it lends */
        size_t n_borrowers;
        size_t queue_index[2]; /* where it waits for its next change, by clock */
        uint64_t due_usec[2];  /* when that is, on the queue's clock */
        ResourceSet claims;    /* what it holds of the timelines while it is counted: allocation-claim.h */
        bool claimed;          /* these were made out */
        bool counted;          /* its claims are in the timelines */
        bool untold;           /* an Apply that may yet be refused is under way: no one hears of it */
};

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

/* What an allocation is accepted with, beside what it asks for. */
typedef struct Acceptance {
        uint64_t now_usec;      /* UTC */
        uint64_t boottime_usec; /* its lease runs from here */
        uint64_t horizon_usec;  /* how far ahead windows that recur are reckoned */
        uid_t owner;
} Acceptance;

/* Gives StartTime, where absent, the instant of acceptance, and the allocation its windows and its lease.
 * Refuses one whose last window is past. */
int allocation_accept(Allocation *allocation, const Acceptance *acceptance, Failure *ret_failure);

/* Most elapses of one Calendar within the horizon and a Duration before it. */
#define ALLOCATION_ELAPSES_MAX 10000
/*
 * Reckons the windows that are not over at `from`, as far as the horizon, and two at least where there are so
 * many; windows that meet or overlap become one. 1 where there are any; 0 where there is none, and then
 * `window` stays; -E2BIG where there are more than ALLOCATION_ELAPSES_MAX elapses: those that come first are
 * taken.
 */
int allocation_reckon_windows(Allocation *allocation, uint64_t from_usec, uint64_t horizon_usec);
/* recurrence_text into `recurrence`. */
int allocation_parse_recurrence(Allocation *allocation, Failure *ret_failure);
/* The i-th of its windows; there are 1 + n_later. */
const Window *allocation_window(const Allocation *allocation, size_t i);

/* What is left of it in UTC is left in boot time too: after a reboot, and, where the clock was not `trusted`
 * then, once more when it is. */
void allocation_reckon_lease(Allocation *allocation, uint64_t now_usec, uint64_t boottime_usec, bool trusted);

/* A longer lease would be none. */
#define ALLOCATION_LEASE_USEC_MAX (366ULL * 24 * 3600 * 1000000)
/* Extends the lease to `lease_usec` from now. It never shortens one that is known; one that a clock that is
 * not trusted gave is as long as it is renewed for. */
void allocation_renew(Allocation *allocation, uint64_t now_usec, uint64_t boottime_usec, uint64_t lease_usec);

/* Whether two requests ask for the same, as a Generation promises. What became of them is not compared. */
bool allocation_same_request(const Allocation *a, const Allocation *b);

/* Given, or derived: every reserved = limit: guaranteed; every reserved 0: best-effort; else burstable. */
QosClass allocation_qos_class(const Allocation *allocation);

/* pending, active, held, suspended, ending: it has a future. */
bool allocation_is_live(const Allocation *allocation);
/* Why it is in its state; NULL: it was accepted. To who is no reader of the node, without the ids of others'
 * that preempt it. */
const char *allocation_reason(const Allocation *allocation, bool is_reader);
/* active, held, suspended, ending: it is part of its tenant's share. */
bool allocation_is_current(const Allocation *allocation);

typedef enum KeyType {
        KEY_STRING,    /* s, char * */
        KEY_U64,       /* t, uint64_t */
        KEY_I32,       /* i, int32_t */
        KEY_STRINGS,   /* as, char ** */
        KEY_MAP,       /* a{ss}, StringMap */
        KEY_RESOURCES, /* a{s(tt)}, ResourceSet */
        KEY_DEVICES,   /* a(ss), DeviceSet */
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

/* The failure for a key that is not in the table. */
int allocation_key_refuse(const char *name, Failure *ret_failure);
