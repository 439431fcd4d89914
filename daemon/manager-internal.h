/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the manager's two files: the loop (manager.c) and what callers ask for (manager-operations.c). */

#include "manager.h"

#include "api/api.h"
#include "reconcile.h"
#include "state.h"

#include <systemd/sd-event.h>

struct Manager {
        ManagerOptions options;
        Node node;
        State *state; /* NULL in a dry run */
        Reconciler *reconciler;
        sd_event *event;
        sd_event_source *window_timer; /* CLOCK_REALTIME, at the calendar's next change */
        sd_event_source *sample_timer; /* CLOCK_MONOTONIC */
        unsigned samples;
        int64_t clock_offset_usec; /* UTC less boot time, when it was last looked at */
        int clock_fd;              /* readable when somebody sets the clock */
        sd_event_source *clock_watch;
        bool in_transaction;
        bool bus_lost; /* and said so */
        sd_bus *bus;   /* NULL while there is none: enforcement goes on */
        Api *api;
        ApiOptions api_options;
        bool look_at_all;    /* at every allocation, not only at those that are due */
        bool tenants_may_go; /* an allocation left the calendar: its tenant may have been its last reason */
};

/* UTC and boot time: the one place that reads a clock. */
Instant manager_now(void);
/* The one path: states as of now, the kernel as planned, the timer to what comes next. */
int manager_reconcile(Manager *manager);
/* One allocation's step to its next state: what is told, kept, and done to its processes. */
void manager_enter_state(Manager *manager, Allocation *allocation, AllocationState state, const char *reason,
                const Instant *now);
/* Tenants that no allocation names any more go, once they are empty. */
void manager_drop_tenants(Manager *manager);
/* All counters, into the node: 1 where a tenant's group is gone. */
int manager_take_sample(Manager *manager);
/* Those whose Desired, Problems, Users or Allocations changed since. */
void manager_tell_tenants(Manager *manager);
/* The highest slot that a tenant may have. */
uint32_t manager_slot_max(const Manager *manager);

extern const ApiOperations manager_operations;
