/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The node on D-Bus: org.headgate.Node1. Decodes messages into model values, asks whoever serves it to act on
 * them, and shows the node as objects. It decides nothing but who may call.
 */

#include "model/node.h"
#include "model/finding.h"
#include "model/segment.h"
#include "model/verdict.h"

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#define API_BUS_NAME "org.headgate.Node1"
#define API_PATH "/org/headgate/Node1"

/*
 * What the daemon does for a caller. Each returns 0, a negative errno (answered as a failed call, with no
 * word of detail), or a positive FailureCode with its sentence in `ret_failure`.
 */
typedef struct ApiOperations {
        /* Takes ownership of each of the n requests, whatever it returns; all hold in the end, or none. */
        int (*apply)(void *userdata, uid_t caller, Allocation **requests, size_t n, Failure *ret_failure);
        /* The same, and ends what else the issuer has. */
        int (*sync)(void *userdata, uid_t caller, const char *issuer, Allocation **requests, size_t n,
                        Failure *ret_failure);
        /* Fills `ret_verdicts` (room for n, the caller's to deinit), also for what is no request at all: that
         * does not fit, and the verdict's failure says why. The requests stay the caller's. */
        int (*check)(void *userdata, uid_t caller, Allocation **requests, size_t n, Verdict *ret_verdicts,
                        Failure *ret_failure);
        /* `generation` 0: whatever is held. */
        int (*release)(void *userdata, uid_t caller, const char *id, uint64_t generation, const char *reason,
                        Failure *ret_failure);
        int (*renew)(void *userdata, uid_t caller, const char *id, uint64_t lease_usec, Failure *ret_failure);
        int (*attach)(void *userdata, const char *tenant_id, const int *pidfds, size_t n,
                        Failure *ret_failure);
        int (*attach_unit)(void *userdata, uid_t caller, const char *tenant_id, const char *unit,
                        Failure *ret_failure);
        int (*set_mode)(void *userdata, uid_t caller, const char *tenant_id, const char *mode,
                        Failure *ret_failure);
        /* What differs from the plan now: of one tenant, or with "" of all and of the node itself. */
        int (*diff)(void *userdata, const char *tenant_id, DifferenceList *ret, Failure *ret_failure);
        /* `path` below the cgroup mount. */
        int (*adopt)(void *userdata, uid_t caller, const char *tenant_id, const char *path,
                        Failure *ret_failure);
        int (*abandon)(void *userdata, uid_t caller, const char *tenant_id, const char *path,
                        Failure *ret_failure);
        /* Why the values of a tenant or an allocation ("": of the node itself) are what they are: those that
         * `name` names, or with "" all. To a reader allocations of other tenants are named. */
        int (*explain)(void *userdata, bool is_reader, const char *object, const char *name,
                        ExplanationList *ret, Failure *ret_failure);
        /* Who made whom wait is in the node from here on as it was at the last sample, or later. */
        int (*refresh_blames)(void *userdata, Failure *ret_failure);
        /* Now; it reads no clock itself. */
        uint64_t (*boottime_usec)(void *userdata);
        /* A sealed memfd that the caller closes. */
        int (*snapshot)(void *userdata, const char *format, char *const *only_tenants, int *ret_fd,
                        Failure *ret_failure);
        /* An array that the caller frees; what it points to is the node's. */
        int (*calendar)(void *userdata, uint64_t from_usec, uint64_t until_usec, Segment **ret, size_t *ret_n,
                        Failure *ret_failure);
        int (*drain)(void *userdata, const char *reason, Failure *ret_failure);
        int (*resume)(void *userdata, Failure *ret_failure);
        /* .limit of each entry: the most to be promised from now on; UNLIMITED: as much as there is. */
        int (*set_capacity)(void *userdata, const ResourceSet *capacity, Failure *ret_failure);
        int (*accept_clock)(void *userdata, Failure *ret_failure);
        /* Everything of ours off the node, and the end of the daemon, once it has answered. Ids of tenants
         * whose groups are left to their processes; the caller frees. */
        int (*release_all)(void *userdata, char ***ret_tenants_left, Failure *ret_failure);
} ApiOperations;

typedef struct ApiOptions {
        char *const *schedulers;   /* names of users who may push allocations beside root; may be NULL */
        const char *readers_group; /* members may read all; NULL: root and schedulers alone */
} ApiOptions;

typedef struct Api Api;

/* `node`, `operations` and `options` must live as long. */
int api_new(const Node *node, const ApiOperations *operations, const ApiOptions *options, void *userdata,
                Api **ret);
Api *api_free(Api *api);
DEFINE_CLEANUP(Api *, api_free);

/* Serves on a bus until api_leave(), which leaves the peers. */
int api_serve(Api *api, sd_bus *bus);
void api_leave(Api *api);

/*
 * Serves the same, until api_unlisten(), to peers who connect to a socket at `path` (absolute; a socket that
 * was left there goes): to root and the schedulers alone. -EEXIST: what is there is no socket.
 */
int api_listen(Api *api, sd_event *event, const char *path);
void api_unlisten(Api *api);

/* What changed, said to those who listen. A NULL api is none to tell. */
void api_allocation_added(Api *api, const Allocation *allocation);
/* While the object can still be found: a listener is told which interfaces went. */
void api_allocation_removed(Api *api, const char *id);
/* Another request took its place: any of its keys may be otherwise. */
void api_allocation_updated(Api *api, const Allocation *allocation);
/* To whom it lends is otherwise, although its state is not. */
void api_allocation_lends(Api *api, const Allocation *allocation);
/* Its window is otherwise, although its state is not. */
void api_allocation_moved(Api *api, const Allocation *allocation);
/* `old_state`: ALLOCATION_STATE_INVALID where it is new. */
void api_allocation_changed(Api *api, const Allocation *allocation, AllocationState old_state);
void api_tenant_added(Api *api, const Tenant *tenant);
/* While the object can still be found. */
void api_tenant_removed(Api *api, const char *id);
/* Desired, Problems and Allocations may have changed; what changes all the time is not signalled. */
void api_tenant_changed(Api *api, const Tenant *tenant);
/* Its end is near. */
void api_allocation_ending(Api *api, const Allocation *allocation, uint64_t left_usec);
void api_allocation_renewed(Api *api, const Allocation *allocation);
void api_allocation_missing(Api *api, const Allocation *allocation);
void api_capacity_changed(Api *api);
void api_clock_changed(Api *api);
void api_drain_changed(Api *api);
/* This is another boot than the one before. */
void api_rebooted(Api *api);
/* Reserved, and State where it did. */
void api_node_changed(Api *api, bool state_changed);
