/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What an earlier run left: the calendar on disk, with what is left of its leases and graces; the operator's
 * words; groups in the kernel that no allocation explains. It enforces nothing.
 */

#include "manager-internal.h"
#include "state-row.h"

#include "util/log.h"
#include "util/strv.h"

#include <inttypes.h>
#include <string.h>
#include <systemd/sd-id128.h>

int manager_read_identity(Manager *manager) {
        Node *node = &manager->node;
        char host[256], boot[SD_ID128_STRING_MAX];
        sd_id128_t boot_id;
        int r;

        r = sd_id128_get_boot(&boot_id);
        if (r < 0)
                return r;
        if (gethostname(host, sizeof host) < 0)
                return -errno;
        node->version = HEADGATE_VERSION;
        node->node_id = strdup(manager->options.config->node_id ?: host);
        node->boot_id = strdup(sd_id128_to_string(boot_id, boot));
        return node->node_id && node->boot_id ? 0 : -ENOMEM;
}

/* Whether this is another boot than the one that the state was left in; and the clock as it was left. */
static int restore_clock(Manager *manager) {
        _cleanup_free_ char *kept = NULL;
        Instant now = manager_now();
        char boot[SD_ID128_STRING_MAX] = "";
        int64_t offset = 0;
        int accepted = 0, stepped = 0, n, r;

        r = state_get_text(manager->state, STATE_TEXT_CLOCK, &kept);
        if (r < 0)
                return r;
        manager->clock_offset_usec = (int64_t) (now.utc_usec - now.boottime_usec);
        n = !kept ? 0
                  : sscanf(kept, "%32s %" SCNd64 " %d %d %" SCNu64, boot, &offset, &accepted, &stepped,
                                    &manager->clock_reached_usec);
        if (n >= 4 && strcmp(boot, manager->node.boot_id) == 0) {
                manager->clock.accepted = accepted;
                manager->clock.stepped = stepped;
                manager->clock_kept_usec = offset;
                (void) clock_trust_step(&manager->clock, manager->clock_offset_usec - offset);
        } else {
                manager->boot_is_new = true;
                manager->rebooted = kept != NULL;
                (void) clock_trust_begin(&manager->clock, now.utc_usec, manager->clock_reached_usec);
        }
        clock_trust_observe(&manager->clock, manager_clock_is_synchronised());
        manager->clock_is_kept = !manager->boot_is_new && manager->clock.accepted == accepted &&
                                 manager->clock.stepped == stepped;
        manager->node.clock_trusted = clock_is_trusted(&manager->clock);
        manager->trusted_since_usec = now.boottime_usec;
        return 0;
}

/* What an operator said. */
static int restore_node(Manager *manager, char ***lost) {
        _cleanup_free_ char *capacity = NULL;
        Node *node = &manager->node;
        int r;

        r = restore_clock(manager);
        if (r >= 0)
                r = state_get_text(manager->state, STATE_TEXT_DRAIN, &node->drain_reason);
        if (r >= 0)
                r = state_get_text(manager->state, STATE_TEXT_CAPACITY, &capacity);
        node->calendar.draining = node->drain_reason != NULL;
        return r < 0 || !capacity ? r : state_row_parse_capacity(capacity, &node->operator_capacity, lost);
}

/* Boot time begins anew with each boot; and the clock may have come to be trusted while nobody was here. */
static int restore_times(Manager *manager, Allocation *allocation, const Instant *now) {
        bool trusted = manager->node.clock_trusted;

        if (manager->boot_is_new)
                allocation->state_boottime_usec = 0;
        else if (!allocation->lease_by_utc || !trusted)
                return 0;
        allocation_reckon_lease(allocation, now->utc_usec, now->boottime_usec, trusted);
        return state_put_allocation(manager->state, allocation);
}

/* The windows of what recurs: one that is present is kept, however long ago it ended, so that it ends as any.
 */
static int restore_windows(Manager *manager, Allocation *allocation, const Instant *now) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        Calendar *calendar = &manager->node.calendar;
        int r;

        if (!allocation->recurrence_text || !allocation_is_live(allocation))
                return 0;
        calendar_discount(calendar, allocation);
        r = allocation_parse_recurrence(allocation, &failure);
        if (r == 0)
                r = allocation_reckon_windows(allocation,
                                allocation_is_current(allocation) ? allocation->window.start_usec
                                                                  : now->utc_usec,
                                calendar->horizon_usec);
        if (r < 0 && r != -E2BIG)
                return r;
        if (failure.code)
                log_warning("Allocation %s has no more windows: %s", allocation->id, failure.message);
        return calendar_recount(calendar, allocation);
}

static int restore_allocations(Manager *manager) {
        Calendar *calendar = &manager->node.calendar;
        Instant now = manager_now();
        int r = 0;

        /* In one with what is known of the clock: the old boot's times must not outlive its name. */
        r = state_begin(manager->state);
        for (size_t i = 0; r >= 0 && i < calendar->n; i++)
                r = restore_windows(manager, calendar->allocations[i], &now);
        if (r >= 0)
                r = calendar_link_loans(calendar);
        for (size_t i = 0; r >= 0 && i < calendar->n; i++)
                r = restore_times(manager, calendar->allocations[i], &now);
        /* A sync that nothing asks for would have an end wait that is due: the disk may be slow. */
        if (r >= 0 && !manager->clock_is_kept)
                r = manager_keep_clock(manager);
        if (r < 0) {
                state_rollback(manager->state);
                return r;
        }
        return state_commit(manager->state);
}

/* What does not get better by itself is said with what to do. */
static int refuse_state(const char *directory, int r) {
        switch (r) {
        case -EBUSY:
                log_write(LOG_ERR, NULL,
                                "The state in %s is in use by another process, such as a headgated that "
                                "runs: "
                                "end that one, or give this one a --state-dir of its own",
                                directory);
                return r;
        case -EPROTONOSUPPORT:
                log_write(LOG_ERR, NULL,
                                "A later version of headgated wrote the state: install that one again, or "
                                "move %s/state.* away, and begin without the allocations in it",
                                directory);
                return r;
        default:
                return log_error_errno(r, "The state in %s cannot be opened", directory);
        }
}

int manager_read_state(Manager *manager) {
        _cleanup_strv_ char **lost = NULL;
        int r;

        r = state_open(manager->options.state_dir, manager->options.dry_run, manager_slot_max(manager),
                        &manager->node, &manager->state, &lost);
        if (r < 0)
                return refuse_state(manager->options.state_dir, r);
        r = restore_node(manager, &lost);
        for (char **line = lost; line && *line; line++)
                log_warning("Lost from the state: %s", *line);
        if (r >= 0)
                r = restore_allocations(manager);
        if (manager->options.dry_run)
                manager->state = state_free(manager->state);
        return r < 0 ? log_error_errno(r, "The state in %s cannot be taken up", manager->options.state_dir)
                     : 0;
}

/* Groups of ours that no allocation explains: a rollback that a crash cut short. They are tenants until they
 * are empty. */
static int find_orphans(Manager *manager) {
        _cleanup_strv_ char **ids = NULL;
        TenantGroup *group;
        Tenant *tenant;
        int r;

        manager->tenants_may_go = true;
        r = reconciler_list_groups(manager->reconciler, &ids);
        for (char **id = ids; r >= 0 && id && *id; id++) {
                if (node_find_tenant(&manager->node, *id))
                        continue;
                r = manager_add_tenant(manager, *id, &tenant);
                if (r == -ENOSPC) {
                        log_warning("Group of tenant %s is over tenants-max and left as it is", *id);
                        r = 0;
                } else if (r >= 0 && reconciler_group(manager->reconciler, tenant, &group) >= 0)
                        (void) tenant_group_memory_current(group, &tenant->residual_memory_bytes);
        }
        return r;
}

/* Tenants that allocations name, should the one row have been lost without the other, or tenants-max be lower
 * now. */
static int find_missing_tenants(Manager *manager) {
        Calendar *calendar = &manager->node.calendar;
        Instant now = manager_now();
        Tenant *tenant;

        for (size_t i = 0; i < calendar->n; i++) {
                Allocation *allocation = calendar->allocations[i];
                int r = manager_add_tenant(manager, allocation->tenant_id, &tenant);

                if (r == -ENOSPC && allocation_is_live(allocation))
                        manager_enter_state(manager, allocation, ALLOCATION_FAILED,
                                        "its tenant is over tenants-max", &now);
                else if (r >= 0)
                        r = state_put_tenant(manager->state, tenant);
                if (r < 0 && r != -EEXIST && r != -ENOSPC)
                        return r;
        }
        return 0;
}

/* What a crash kept from more than its note: OnEnd, the end that is billed, the residual share. */
static void finish_releases(Manager *manager) {
        Calendar *calendar = &manager->node.calendar;
        Instant now = manager_now();

        for (size_t i = 0; i < calendar->n; i++)
                if (calendar->allocations[i]->release_noted)
                        manager_enter_state(manager, calendar->allocations[i], ALLOCATION_RELEASED,
                                        "released", &now);
}

int manager_find_tenants(Manager *manager) {
        int r = find_missing_tenants(manager);

        if (r >= 0)
                finish_releases(manager);
        manager_forget_old_adoptions(manager);
        return r < 0 ? r : find_orphans(manager);
}
