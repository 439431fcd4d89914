/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * All allocations over time: found by id and by tenant, with what they reserve summed per resource, and the
 * instants at which they change in order. Pure: the instant is always an argument.
 */

#include "allocation.h"
#include "timeline.h"

typedef struct Instant {
        uint64_t utc_usec;      /* CLOCK_REALTIME: windows */
        uint64_t boottime_usec; /* CLOCK_BOOTTIME: durations */
} Instant;

typedef enum QueueClock { QUEUE_UTC, QUEUE_BOOTTIME, QUEUE_CLOCK_MAX } QueueClock;

/* Heap of allocations, the one that is due first on top. */
typedef struct CalendarQueue {
        Allocation **entries; /* owned array of borrowed allocations */
        size_t n;
} CalendarQueue;

typedef struct CalendarTenant {
        char *id;
        Allocation **allocations; /* owned array of borrowed allocations, in no order */
        size_t n;
} CalendarTenant;

typedef struct CalendarResource {
        ResourceKind kind;
        char target[RESOURCE_TARGET_SIZE];
        Timeline reserved;
} CalendarResource;

/* Tenants to be looked at: calendar-marks.c. */
typedef struct CalendarMarks {
        char **ids; /* owned; in the order in which they were marked, some twice */
        size_t n;
        bool all; /* and no ids then */
} CalendarMarks;

typedef struct Calendar {
        Allocation **allocations; /* owned, ordered by id */
        size_t n;
        CalendarTenant *tenants; /* owned, ordered by id; only those that have an allocation */
        size_t n_tenants;
        CalendarResource *resources; /* owned, ordered by kind and target; those that were ever reserved */
        size_t n_resources;
        CalendarQueue queues[QUEUE_CLOCK_MAX];
        CalendarMarks marks;
        uint64_t n_marked; /* how often anybody was marked, or all: as long as it is the same, so is what a
                              plan is made of */
        size_t n_short;    /* allocations of which something is missing */
        size_t n_loans;
        bool loans_changed;     /* of some allocation, since they were last kept on disk */
        uint64_t horizon_usec;  /* how far ahead windows that recur are reckoned */
        bool draining;          /* no window begins */
        bool irrevocable_waits; /* the clock is not to be trusted with what cannot be undone */
        bool reckoned;          /* windows that recur were, and what is reserved may be over what there is */
        bool uncommitted; /* what is changed now may yet be put back: nobody is cancelled or killed for it */
        char default_uplink[RESOURCE_TARGET_SIZE]; /* what "net.egress" without a target means; set before the
                                                      first put */
        /* io.read@8:0 and the like: the block devices of which something can be reserved. .limit 0: not any
         * more, and only who names it still claims it. */
        ResourceSet devices;
} Calendar;

/* Most elapses of all Calendars within the horizon: to go through them takes half a second, as each start
 * does. */
#define CALENDAR_ELAPSES_MAX 500000

#define CALENDAR_NULL \
        {}

void calendar_deinit(Calendar *calendar);
Allocation *calendar_find(const Calendar *calendar, const char *id);
/*
 * Takes ownership of `allocation` and hands out the one of the same id that it replaces, or NULL. -ENOMEM
 * leaves the calendar, and the ownership, as they were.
 */
int calendar_put(Calendar *calendar, Allocation *allocation, Allocation **ret_replaced);
/* Hands the allocation out to the caller; NULL where there is none. */
Allocation *calendar_take(Calendar *calendar, const char *id);

/*
 * The state that the allocation should be in now. Grace is counted on boot time from when `ending` was
 * entered where that is known, else in UTC from the window's end.
 */
AllocationState calendar_state_at(const Calendar *calendar, const Allocation *allocation, const Instant *now);

/* Puts it in that state, entered now: what it reserves, its window and when it is next due follow. -ENOMEM:
 * it is in that state all the same. */
int calendar_set_state(Calendar *calendar, Allocation *allocation, AllocationState state, const Instant *now);
/* One in the state that it should be in: its windows follow the time, and it is next due after now. */
int calendar_settle(Calendar *calendar, Allocation *allocation, const Instant *now);
/* Makes it due at once. */
void calendar_look_again(Calendar *calendar, Allocation *allocation);

typedef struct CalendarSteps {
        /* Calls calendar_set_state(), and does what else the state asks for. */
        void (*enter)(Allocation *allocation, AllocationState state, const Instant *now, void *userdata);
        /* Its window ends in so long: once for each window. */
        void (*warn)(Allocation *allocation, uint64_t left_usec, void *userdata);
        /* Its window is another, although its state is not. NULL: nobody is told. */
        void (*move)(Allocation *allocation, void *userdata);
} CalendarSteps;

/*
 * Every step that is due, in order, each allocation until it is in the state that it should be in; with `all`
 * those too whose time a clock that went back has undone. -ENOMEM where windows could not be reckoned: all
 * others went on.
 */
int calendar_advance(
                Calendar *calendar, const Instant *now, bool all, const CalendarSteps *steps, void *userdata);

/* When its present window's end is to be warned of; UINT64_MAX: never. */
uint64_t allocation_warn_time(const Allocation *allocation);
/* When windows that recur are to be reckoned again at the latest. */
uint64_t allocation_reckon_time(const Allocation *allocation, uint64_t horizon_usec);

/* One whose time for another state has come, or NULL. Clock steps backwards are not seen here: look at all
 * then. */
Allocation *calendar_due(const Calendar *calendar, const Instant *now);
/* The next instant (UTC) at which any is due; UINT64_MAX: never. */
uint64_t calendar_next_change(const Calendar *calendar, const Instant *now);

/*
 * Marks a tenant of whom something changed that a plan is made of: the calendar does so itself where an
 * allocation comes, goes, or is in another state or has other things left. They are marked until somebody has
 * looked at all of them.
 */
void calendar_mark(Calendar *calendar, const char *tenant_id);
void calendar_mark_all(Calendar *calendar);
void calendar_unmark(Calendar *calendar);
/* Takes what is missing of the allocation, and what there is of it now, and hands out what was noted before.
 */
void calendar_exchange_missing(
                Calendar *calendar, Allocation *allocation, ResourceSet *missing, ResourceSet *left_now);

/* The tenant's allocations; NULL where it has none, which all that takes it takes for none. Good until the
 * calendar is next changed. */
const CalendarTenant *calendar_tenant(const Calendar *calendar, const char *tenant_id);
/*
 * The sum of the tenant's active allocations. Those that are ending add their limit and no floor; those that
 * are suspended nothing of what a frozen tenant does not hold.
 */
int calendar_tenant_share(const CalendarTenant *tenant, ResourceSet *ret_share);
/* What of the entry its tenant is guaranteed now: none while it ends, and no more than the node still has. */
uint64_t calendar_reserved_now(const Allocation *allocation, ResourceKind kind, const char *target);
/* Whether the tenant has an allocation that is suspended, and none that runs: its processes are to be frozen.
 */
bool calendar_tenant_is_suspended(const CalendarTenant *tenant);
/* How many of the tenant's allocations are active, held, suspended or ending; and of those, how many are not
 * ending. */
size_t calendar_tenant_active(const CalendarTenant *tenant);
size_t calendar_tenant_running(const CalendarTenant *tenant);

/* The target by which the calendar sums: the default uplink's name for "net.egress" alone. */
const char *calendar_target(const Calendar *calendar, const Resource *entry);
/* The block devices of which something can be reserved now, as io.read@8:0 and the like in `hardware`: what
 * allocations claim follows. */
int calendar_set_devices(Calendar *calendar, const ResourceSet *hardware);
/* What is reserved of a resource over time, by its target; NULL where nothing ever was. */
const Timeline *calendar_reserved(const Calendar *calendar, ResourceKind kind, const char *target);
/* For admission's question "and if this were not there?": takes out and puts back what the allocation
 * reserves. */
void calendar_discount(Calendar *calendar, Allocation *allocation);
int calendar_recount(Calendar *calendar, Allocation *allocation);

/* Whether preemption can take some of that resource from it. */
bool allocation_can_lend(const Allocation *allocation, ResourceKind kind);
/* What it has of the entry in that stretch, beside what it lends there already. */
uint64_t allocation_left_to_lend(
                const Allocation *lender, ResourceKind kind, const char *target, const Window *stretch);
/* The first instant after `at` at which a loan of it begins or ends, at most `end`. */
uint64_t allocation_next_loan_edge(const Allocation *lender, uint64_t at_usec, uint64_t end_usec);
/* Its loans of that, to all whose claims count, in no order; the caller frees the array. */
int allocation_list_lent(
                const Allocation *lender, ResourceKind kind, const char *target, Loan **ret, size_t *ret_n);
/* Notes the loan, as far as the lender has it left, with the borrower; it comes off the timelines while both
 * are counted. */
int calendar_lend(Calendar *calendar, Allocation *to, const Loan *loan);
/* Undoes what `from` lends to `to`; `from` NULL: whoever does. */
void calendar_take_back(Calendar *calendar, Allocation *to, Allocation *from);
/* What `old` lends is lent by `heir`, an update of it, as far as that still has it and gives way. */
int calendar_inherit_loans(Calendar *calendar, Allocation *old, Allocation *heir);

/* "LENDER RESOURCE START END AMOUNT" for each of its loans; the caller frees the list. */
int allocation_format_loans(const Allocation *allocation, char ***ret);
/* What was read from disk as texts becomes loans, where both still stand. */
int calendar_link_loans(Calendar *calendar);

typedef struct SavedLoan {
        Allocation *to;
        Loan loan;
} SavedLoan;

/* All loans as they are, for calendar_restore_loans() once the same allocations are back; the caller frees
 * the array. */
int calendar_save_loans(const Calendar *calendar, SavedLoan **ret, size_t *ret_n);
int calendar_restore_loans(Calendar *calendar, const SavedLoan *loans, size_t n);
