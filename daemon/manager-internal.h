/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the manager's files alone. */

#include "manager.h"

#include "api/api.h"
#include "decide/clock.h"
#include "model/segment.h"
#include "reconcile.h"
#include "state.h"

#include <systemd/sd-event.h>

typedef struct DriftWatch DriftWatch;
typedef struct AttachedProcess AttachedProcess;
typedef struct Transaction Transaction;

struct Manager {
        ManagerOptions options;
        Node node;
        State *state; /* NULL in a dry run */
        Reconciler *reconciler;
        sd_event *event;
        sd_event_source *window_timer;  /* CLOCK_REALTIME, at the calendar's next change */
        sd_event_source *sample_timer;  /* CLOCK_MONOTONIC */
        sd_event_source *overrun_timer; /* the same; NULL where nothing that comes in is shaped */
        uint64_t watchdog_usec;         /* who is silent for so long is killed */
        unsigned samples;
        uint64_t sampled_all_usec;   /* boot time of the last sample of all that takes turns */
        bool delivery_is_full;       /* more allocations than sums can be kept of */
        int64_t clock_offset_usec;   /* UTC less boot time, when it was last looked at */
        int64_t clock_kept_usec;     /* the same, as last put on disk */
        uint64_t clock_reached_usec; /* UTC by a clock that was trusted, when that was put on disk */
        bool clock_is_kept;          /* what the disk said of it at the start holds */
        ClockTrust clock;
        int clock_fd; /* readable when somebody sets the clock */
        sd_event_source *clock_watch;
        bool boot_is_new;            /* as far as is known: boot times on disk are another boot's */
        bool rebooted;               /* since the state was left */
        uint64_t trusted_since_usec; /* boot time since when the clock is trusted */
        bool capacity_untold;        /* it changed, and nobody was told */
        bool in_transaction;
        Instant transaction_begun;  /* it is that until it is over: nobody else's window ends in it */
        Transaction *accepted;      /* owned; the caller is answered, the others are told next */
        sd_event_source *tell;      /* by this, before anything else is done */
        sd_bus *bus;                /* NULL while there is none: enforcement goes on */
        sd_bus_slot *bus_naming;    /* the name was asked for */
        sd_event_source *bus_timer; /* enabled while a connection comes about: until when it must have */
        sd_event_source *bus_retry; /* enabled while one is to be tried again */
        uint64_t bus_pause_usec;    /* before the next but one */
        uint64_t bus_since_usec;    /* CLOCK_MONOTONIC: since when it is served, or is not */
        bool bus_served;            /* by our name */
        bool bus_lost;              /* and said so */
        bool is_ready;              /* and said so */
        Api *api;
        ApiOptions api_options;
        DriftWatch *drift;         /* NULL before the first look at everything, and in a dry run */
        bool look_at_all;          /* at every allocation, not only at those that are due */
        AttachedProcess *attached; /* owned; those that left something with their old groups */
        size_t n_attached;
        size_t attached_next;        /* whose files are walked next */
        uint64_t attached_due_usec;  /* boot time before which nobody's are */
        uint64_t walks_rest_usec;    /* until when what was walked at once has to be rested from */
        ArrivalWatch *control_watch; /* of groups of the control class; NULL: none, or not to be had */
        sd_event_source *control_source;
        bool tenants_may_go; /* an allocation left the calendar: its tenant may have been its last reason */
};

/* UTC and boot time: the one place that reads a clock. */
Instant manager_now(void);
/* What we have used of a CPU: for what is bounded by what it costs, however busy the node is. */
uint64_t manager_cpu_usec(void);
bool manager_clock_is_synchronised(void);
/* The one path: states as of now, the kernel as planned, the timer to what comes next. */
int manager_reconcile(Manager *manager);
/* What came of it: the node's state and its tenants are told, the timer is set. A transaction's comes after
 * its commit. */
void manager_settle(Manager *manager, const Instant *now);
void manager_log_lost(int r, const char *what);
/* What is put on disk until its end waits for one sync. False: it is part of another's, or the disk refuses:
 * then each put is on its own. */
bool manager_begin_puts(Manager *manager);
void manager_end_puts(Manager *manager, bool begun, const char *what);
/* Those that are due, in order; with `all` those too whose time a clock that went back has undone. */
void manager_advance(Manager *manager, const Instant *now, bool all);
/* Allocations that ended an hour ago. */
void manager_forget_ended(Manager *manager, const Instant *now);
/* One allocation's step to its next state: what is told, kept, and done to its processes. */
void manager_enter_state(Manager *manager, Allocation *allocation, AllocationState state, const char *reason,
                const Instant *now);
/* The tenant's guard stays where no allocation of it names Devices any more. */
void manager_keep_guarded(Manager *manager, Tenant *tenant);
/* Whether OnEnd has a kill to be done. */
bool manager_any_doomed(const Node *node);
/* Tenants that no allocation names any more go, once they are empty: whether any did. */
bool manager_drop_tenants(Manager *manager);
/* All counters, into the node: 1 where a tenant's group is gone. */
int manager_take_sample(Manager *manager, bool all);
/* Those whose Desired, Problems, Users or Allocations changed since. */
void manager_tell_tenants(Manager *manager);
/* The highest slot that a tenant may have. */
uint32_t manager_slot_max(const Manager *manager);

/* Once it is settled whether the bus is served; said once. */
void manager_say_ready(Manager *manager);

/* manager-bus.c: where another headgated has the name at our start, the loop ends with -EEXIST. */
int manager_connect(Manager *manager);
void manager_leave_bus(Manager *manager);

/* manager-start.c: what an earlier run left on disk and in the kernel, before anything is enforced. */
int manager_read_identity(Manager *manager);
int manager_read_state(Manager *manager);
int manager_find_tenants(Manager *manager);

/* Names of what state.h keeps as texts. */
#define STATE_TEXT_CLOCK "clock"       /* boot id, UTC less boot time, accepted, stepped, what it reached */
#define STATE_TEXT_DRAIN "drain"       /* why; absent: it does not */
#define STATE_TEXT_CAPACITY "capacity" /* state_row_print_capacity() */

/* manager-mode.c: */
/* As node_add_tenant(), in the Mode that is configured for those that are new. */
int manager_add_tenant(Manager *manager, const char *id, Tenant **ret);
int manager_set_mode(
                void *userdata, uid_t caller, const char *tenant_id, const char *mode, Failure *ret_failure);

/* manager-explain.c */
int manager_explain(void *userdata, bool is_reader, const char *object, const char *name,
                ExplanationList *ret, Failure *ret_failure);
int manager_diff(void *userdata, const char *tenant_id, DifferenceList *ret, Failure *ret_failure);

/* manager-node.c: the node as a whole. */
/* Its clock: looked at with each sample and whenever it is set. True where it was set by more than slewing.
 */
bool manager_look_at_clock(Manager *manager, const Instant *now);
int manager_watch_clock(Manager *manager);
int manager_keep_clock(Manager *manager);
/* What it has: marks what no longer fits, and tells. */
void manager_capacity_changed(Manager *manager);
/* What is reserved of block devices, by those that are there now. */
void manager_follow_devices(Manager *manager);
void manager_mark_shortage(Manager *manager, const Instant *now);
int manager_segments(void *userdata, uint64_t from_usec, uint64_t until_usec, Segment **ret, size_t *ret_n,
                Failure *ret_failure);
int manager_drain(void *userdata, const char *reason, Failure *ret_failure);
int manager_resume(void *userdata, Failure *ret_failure);
int manager_set_capacity(void *userdata, const ResourceSet *capacity, Failure *ret_failure);
int manager_accept_clock(void *userdata, Failure *ret_failure);
/* manager-control.c: where groups of the control class are configured. */
int manager_watch_control(Manager *manager);
/* manager-release.c */
int manager_release_all(void *userdata, char ***ret_tenants_left, Failure *ret_failure);

/* Reads it anew, marks what no longer fits, and tells: true where it changed. */
bool manager_follow_capacity(Manager *manager);

/* manager-drift.c: what was changed behind our back. Each is void where nothing is watched. */
int manager_watch_drift(Manager *manager);
DriftWatch *drift_watch_free(DriftWatch *watch);
/* With each sample; `gone`: a tenant's group is. */
void manager_sample_drift(Manager *manager, const Instant *now, bool gone);
/* Everything, a few places a turn of the loop. */
void manager_check_drift(Manager *manager);
/* After an apply: says what became of the drift that it was called for, and follows groups that came and
 * went. */
void manager_settle_drift(Manager *manager, const Instant *now);

/* manager-judge.c: each 0, negative, or a FailureCode. -EALREADY: it is what is held. */
int manager_judge_owner(const Allocation *held, uid_t caller, Failure *failure);
/* Of a release or a drain. */
#define MANAGER_REASON_LENGTH_MAX 255
int manager_judge_reason(const char *reason, Failure *failure);
/* Whether the caller answers for the tenant: root, or who owns each of its allocations that live, or, where
 * none does, each that is still shown. */
int manager_judge_tenant(const Manager *manager, const Tenant *tenant, uid_t caller, Failure *failure);
/* `n_elapses`: of all Calendars, manager_count_elapses() and then those of what was judged before, of which
 * none is gone through any more once they are too many. */
int manager_judge_request(Manager *manager, Allocation *request, uid_t caller, const Instant *now,
                size_t *n_elapses, Failure *failure);
size_t manager_count_elapses(const Manager *manager);
int manager_judge_draining(const Manager *manager, const Allocation *request, Failure *failure);
int manager_judge_duplicates(Allocation *const *requests, size_t n, Failure *failure);
/* Each on its own, then all against the limits of the node. Those that are held as they are leave the list,
 * which stays as it was where any is refused. `n_leaving` of those that are held make room for them. */
int manager_judge_requests(Manager *manager, Allocation **requests, size_t *n, size_t n_leaving, uid_t caller,
                const Instant *now, Failure *failure);

/* manager-apply.c: all take ownership of the requests. */
int manager_apply(void *userdata, uid_t caller, Allocation **requests, size_t n, Failure *ret_failure);
/* And releases what the issuer's list leaves out, where there is an issuer. */
int manager_transact(Manager *manager, uid_t caller, Allocation **requests, size_t n, const char *issuer,
                Failure *failure);
/* What becomes `tell`, before anything can be applied. */
int manager_watch_accepted(Manager *manager);
void manager_free_accepted(Manager *manager);
/* manager-operations.c: state_put_released(), dated where the clock is trusted. */
int manager_note_released(Manager *manager, const char *id, uint64_t generation, const Instant *now);
/* manager-sync.c: the issuer's that live, are the caller's and are not among the requests; a list that the
 * caller frees, ending with NULL. */
int manager_list_leaving(const Manager *manager, uid_t caller, const char *issuer,
                Allocation *const *requests, size_t n, Allocation ***ret, size_t *ret_n);
int manager_sync(void *userdata, uid_t caller, const char *issuer, Allocation **requests, size_t n,
                Failure *ret_failure);

/* manager-attach.c */
int manager_attach(void *userdata, const char *tenant_id, const int *pidfds, size_t n, Failure *ret_failure);
int manager_attach_unit(
                void *userdata, uid_t caller, const char *tenant_id, const char *unit, Failure *ret_failure);
/* What those that were attached left with their old groups, into their tenants' words. */
void manager_look_at_attached(Manager *manager);
void manager_free_attached(Manager *manager);

/* manager-adopt.c */
int manager_adopt(
                void *userdata, uid_t caller, const char *tenant_id, const char *path, Failure *ret_failure);
int manager_abandon(
                void *userdata, uid_t caller, const char *tenant_id, const char *path, Failure *ret_failure);
/* Forgets those that are gone, and tells. */
void manager_look_at_adopted(Manager *manager);
/* Before anything is metered: those of another boot. */
void manager_forget_old_adoptions(Manager *manager);

extern const ApiOperations manager_operations;
