/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An allocation's steps from state to state: what is told, kept, and done to its tenant's processes. Which
 * state it should be in is model/calendar-state.c's; what a share becomes, decide/plan.c's.
 */

#include "manager-internal.h"

#include "util/log.h"
#include "util/strv.h"

#include <string.h>

#define FORGET_ENDED_USEC (3600ULL * 1000000) /* ended objects leave the bus after an hour */

void manager_log_lost(int r, const char *what) {
        if (r < 0)
                (void) log_error_errno(r, "%s is not on disk", what);
}

bool manager_begin_puts(Manager *manager) {
        return state_begin(manager->state) >= 0;
}

void manager_end_puts(Manager *manager, bool begun, const char *what) {
        if (begun)
                manager_log_lost(state_commit(manager->state), what);
}

/* The tenant's last active allocation went: what it has becomes its residual share. */
static void tenant_rests(Manager *manager, Tenant *tenant) {
        TenantGroup *group;

        tenant->residual_memory_bytes = 0;
        if (reconciler_group(manager->reconciler, tenant, &group) >= 0)
                (void) tenant_group_memory_current(group, &tenant->residual_memory_bytes);
        manager_log_lost(state_put_tenant(manager->state, tenant), "A tenant's residual share");
}

/* And its processes meet what was asked for at its end; the reconciler does it, until it is done. */
static void tenant_on_end(Tenant *tenant, OnEnd on_end) {
        tenant->throttled = on_end == ON_END_THROTTLE;
        tenant->frozen = on_end == ON_END_FREEZE;
        tenant->doomed = on_end == ON_END_KILL && !tenant->observed;
}

static void tenant_wakes(Manager *manager, Tenant *tenant) {
        tenant->throttled = tenant->frozen = tenant->doomed = false;
        manager_log_lost(state_put_tenant(manager->state, tenant), "A tenant's share");
}

/* With the last allocation that names Devices, its tenant must not come to have every one. */
void manager_keep_guarded(Manager *manager, Tenant *tenant) {
        if (tenant->guarded)
                return;
        tenant->guarded = true;
        calendar_mark(&manager->node.calendar, tenant->id);
        manager_log_lost(state_put_tenant(manager->state, tenant), "A tenant's guard of devices");
}

/* While another runs, its processes have a share, and are not told. */
static bool is_told_of_end(const Manager *manager, const Tenant *tenant) {
        return tenant && !tenant->observed &&
               calendar_tenant_running(calendar_tenant(&manager->node.calendar, tenant->id)) == 0;
}

static void allocation_signal_end(Manager *manager, const Allocation *allocation, const Tenant *tenant) {
        const LogFields fields = { .tenant = tenant->id, .allocation = allocation->id };
        TenantGroup *group;
        int r;

        r = reconciler_group(manager->reconciler, tenant, &group);
        if (r >= 0)
                r = tenant_group_signal(group, allocation->end_signal);
        if (r < 0 && r != -EOPNOTSUPP)
                (void) log_write_errno(LOG_WARNING, &fields, r,
                                "EndSignal of allocation %s could not be sent", allocation->id);
}

static void share_begins(Manager *manager, Allocation *allocation, Tenant *tenant, const Instant *now) {
        allocation->actual_start_usec = now->utc_usec;
        allocation->actual_end_usec = 0;
        if (tenant)
                tenant_wakes(manager, tenant);
}

/* EndSignal cannot be taken back, and an end by a clock that is wrong can. */
static void end_begins(Manager *manager, Allocation *allocation, const Tenant *tenant) {
        if (!is_told_of_end(manager, tenant))
                return;
        allocation->signal_waits = manager->node.calendar.irrevocable_waits;
        if (!allocation->signal_waits)
                allocation_signal_end(manager, allocation, tenant);
}

void manager_enter_state(Manager *manager, Allocation *allocation, AllocationState state, const char *reason,
                const Instant *now) {
        const LogFields fields = { .tenant = allocation->tenant_id, .allocation = allocation->id };
        Tenant *tenant = node_find_tenant(&manager->node, allocation->tenant_id);
        AllocationState old = allocation->state;
        bool was_current = allocation_is_current(allocation), rests;
        /* A clock that went back over its start takes its share away, but it is no end. */
        bool is_end = state != ALLOCATION_PENDING || now->utc_usec >= allocation->window.end_usec;
        int r;

        r = calendar_set_state(&manager->node.calendar, allocation, state, now);
        if (r < 0)
                (void) log_write_errno(LOG_ERR, &fields, r, "Allocation %s is not counted in the calendar",
                                allocation->id);
        allocation->signal_waits = false;
        free(allocation->reason);
        allocation->reason = strdup(reason);
        rests = tenant && was_current &&
                calendar_tenant_active(calendar_tenant(&manager->node.calendar, tenant->id)) == 0;
        switch (state) {
        case ALLOCATION_ACTIVE:
        case ALLOCATION_HELD:
        case ALLOCATION_SUSPENDED:
                if (was_current && old != ALLOCATION_ENDING)
                        break;
                share_begins(manager, allocation, tenant, now);
                break;
        case ALLOCATION_ENDING:
                end_begins(manager, allocation, tenant);
                break;
        default: /* pending again, for its next window; or over */
                if (is_end && (was_current || state != ALLOCATION_PENDING))
                        allocation->actual_end_usec = now->utc_usec;
                if (is_end && rests)
                        tenant_on_end(tenant, allocation->on_end);
                break;
        }
        if (tenant && was_current && !allocation_is_live(allocation) && allocation->devices.n > 0)
                manager_keep_guarded(manager, tenant);
        if (rests)
                tenant_rests(manager, tenant);
        if (tenant)
                node_note_news(&manager->node, tenant);
        log_write(LOG_INFO, &fields, "Allocation %s of tenant %s: %s, was %s (%s)", allocation->id,
                        allocation->tenant_id, allocation_state_to_string(state),
                        allocation_state_to_string(old), reason);
        manager_log_lost(state_put_allocation(manager->state, allocation), "An allocation's new state");
        if (!allocation->untold)
                api_allocation_changed(manager->api, allocation, old);
}

/* Who borrows what it lends now, or who made it give way for good. */
static const char *borrower_of(const Allocation *allocation) {
        return allocation->n_borrowers > 0 ? allocation->borrowers[0]->id : "another";
}

static const char *state_reason(
                const Allocation *allocation, AllocationState state, char *buffer, size_t size) {
        bool recurs = allocation->n_later > 0 && allocation_is_current(allocation);

        switch (state) {
        case ALLOCATION_ACTIVE:
                return "its window is open";
        case ALLOCATION_HELD:
                return "its lease is over, and was not renewed";
        case ALLOCATION_SUSPENDED:
                snprintf(buffer, size, "allocation %s, of higher priority, uses what it reserves",
                                borrower_of(allocation));
                return buffer;
        case ALLOCATION_ENDING:
                if (!allocation->cut && allocation->preempt_mode != PREEMPT_MODE_CANCEL)
                        return "its window closed, its grace runs";
                snprintf(buffer, size, "%s, its grace runs",
                                allocation->n_borrowers > 0 ? "preempted" : "its window closed");
                return buffer;
        case ALLOCATION_ENDED:
                return "its window closed";
        case ALLOCATION_PREEMPTED:
                snprintf(buffer, size, "preempted by allocation %s, of higher priority",
                                borrower_of(allocation));
                return buffer;
        case ALLOCATION_RELEASED:
                return "its lease is over, and was not renewed";
        default:
                return recurs ? "its window closed, the next has not begun" : "its window has not begun";
        }
}

static void enter(Allocation *allocation, AllocationState state, const Instant *now, void *userdata) {
        char reason[128];

        manager_enter_state(userdata, allocation, state,
                        state_reason(allocation, state, reason, sizeof reason), now);
}

static void warn(Allocation *allocation, uint64_t left_usec, void *userdata) {
        const LogFields fields = { .tenant = allocation->tenant_id, .allocation = allocation->id };
        Manager *manager = userdata;

        log_write(LOG_INFO, &fields, "Allocation %s of tenant %s ends in %.1f s", allocation->id,
                        allocation->tenant_id, (double) left_usec / 1e6);
        manager_log_lost(state_put_allocation(manager->state, allocation), "A warning");
        api_allocation_ending(manager->api, allocation, left_usec);
}

static void move(Allocation *allocation, void *userdata) {
        const Manager *manager = userdata;

        if (!allocation->untold)
                api_allocation_moved(manager->api, allocation);
}

/* EndSignals that waited for a clock that is trusted, of those that are over by this one: the grace begins
 * now, and is whole. */
static void send_waiting_signals(Manager *manager, const Instant *now) {
        Calendar *calendar = &manager->node.calendar;

        for (size_t i = 0; i < calendar->n; i++) {
                Allocation *allocation = calendar->allocations[i];
                const Tenant *tenant;

                if (!allocation->signal_waits ||
                                calendar_state_at(calendar, allocation, now) != ALLOCATION_ENDING)
                        continue;
                allocation->signal_waits = false;
                allocation->state_boottime_usec = now->boottime_usec;
                calendar_look_again(calendar, allocation);
                tenant = node_find_tenant(&manager->node, allocation->tenant_id);
                if (is_told_of_end(manager, tenant))
                        allocation_signal_end(manager, allocation, tenant);
                manager_log_lost(state_put_allocation(manager->state, allocation), "An EndSignal");
        }
}

void manager_advance(Manager *manager, const Instant *now, bool all) {
        Calendar *calendar = &manager->node.calendar;
        int r;

        calendar->irrevocable_waits = !manager->node.clock_trusted;
        calendar->uncommitted = manager->in_transaction;
        if (all && !calendar->irrevocable_waits)
                send_waiting_signals(manager, now);
        r = calendar_advance(calendar, now, all, &(CalendarSteps){ enter, warn, move }, manager);
        if (r < 0)
                (void) log_error_errno(r, "Windows that recur cannot be reckoned");
}

/* Its group is gone: so is it. */
static void drop_tenant(Manager *manager, const Tenant *tenant) {
        manager_log_lost(state_delete_tenant(manager->state, tenant->id), "A tenant's removal");
        if (!tenant->untold)
                api_tenant_removed(manager->api, tenant->id);
        node_remove_tenant(&manager->node, tenant->id);
}

bool manager_drop_tenants(Manager *manager) {
        bool any = false, begun = false;

        if (!manager->tenants_may_go)
                return false;
        manager->tenants_may_go = false;
        for (size_t i = manager->node.n_tenants; i-- > 0;) {
                Tenant *tenant = manager->node.tenants[i];
                int r;

                if (calendar_tenant(&manager->node.calendar, tenant->id))
                        continue;
                if (tenant->adopted.n > 0) /* as if processes were in its own group */
                        continue;
                r = reconciler_remove_tenant(manager->reconciler, tenant);
                if (r == -EBUSY && reconciler_slot_is_empty(manager->reconciler, tenant->slot)) {
                        /* A service between two runs, a mount: tried again with the slow check. */
                        if (!tenant->is_kept)
                                log_info("Tenant %s has nothing left but a unit without a process, which "
                                         "keeps it",
                                                tenant->id);
                        tenant->is_kept = true;
                        continue;
                }
                if (r < 0) {
                        manager->tenants_may_go = true; /* tried again with the next sample */
                        continue;
                }
                if (!any)
                        begun = manager_begin_puts(manager);
                drop_tenant(manager, tenant);
                any = true;
        }
        manager_end_puts(manager, begun, "The removal of tenants");
        return any;
}

/* By boot time: a clock that is wrong for a while must not take away what it would bring back. */
static bool is_long_over(const Allocation *allocation, const Instant *now) {
        return !allocation_is_live(allocation) &&
               allocation->state_boottime_usec + FORGET_ENDED_USEC <= now->boottime_usec;
}

static void forget_ended(Manager *manager, const char *id, const Instant *now) {
        _cleanup_allocation_ Allocation *allocation = NULL;
        Tenant *tenant;

        api_allocation_removed(manager->api, id);
        allocation = calendar_take(&manager->node.calendar, id);
        manager->tenants_may_go = true;
        tenant = node_find_tenant(&manager->node, allocation->tenant_id);
        if (tenant)
                node_note_news(&manager->node, tenant);
        manager_log_lost(manager_note_released(manager, allocation->id, allocation->generation, now),
                        "A generation");
        manager_log_lost(state_delete_allocation(manager->state, allocation->id), "An allocation's end");
}

void manager_forget_ended(Manager *manager, const Instant *now) {
        const Calendar *calendar = &manager->node.calendar;
        bool any = false, begun = false;

        if (!manager->node.clock_trusted ||
                        manager->trusted_since_usec + FORGET_ENDED_USEC > now->boottime_usec)
                return;
        for (size_t i = calendar->n; i-- > 0;) {
                if (!is_long_over(calendar->allocations[i], now))
                        continue;
                if (!any)
                        begun = manager_begin_puts(manager);
                forget_ended(manager, calendar->allocations[i]->id, now);
                any = true;
        }
        manager_end_puts(manager, begun, "The end of allocations");
}
