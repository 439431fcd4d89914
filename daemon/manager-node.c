/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The node as a whole: its clock and whether it is trusted, what it has, whether it drains, its calendar read
 * ahead. What an operator says of it is on disk before the answer.
 */

#include "manager-internal.h"
#include "state-row.h"

#include "decide/admission.h"
#include "decide/shortage.h"
#include "util/log.h"

#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#define CLOCK_STEP_USEC 100000
#define CLOCK_KEPT_WITHIN_USEC 1000000 /* slewing moves the clock by as much in hours */
#define SEGMENTS_MAX 100000 /* of at most 264 bytes each: one message of a bus, which takes 32 MiB */

/* --- the clock --- */

int manager_keep_clock(Manager *manager) {
        char text[128];

        if (clock_is_trusted(&manager->clock))
                manager->clock_reached_usec = manager_now().utc_usec;
        snprintf(text, sizeof text, "%s %" PRId64 " %d %d %" PRIu64, manager->node.boot_id,
                        manager->clock_offset_usec, manager->clock.accepted, manager->clock.stepped,
                        manager->clock_reached_usec);
        manager->clock_kept_usec = manager->clock_offset_usec;
        return state_put_text(manager->state, STATE_TEXT_CLOCK, text);
}

/* What was reckoned by a clock that was not trusted. */
static void reckon_leases(Manager *manager, const Instant *now) {
        const Calendar *calendar = &manager->node.calendar;
        const bool begun = manager_begin_puts(manager);

        for (size_t i = 0; i < calendar->n; i++) {
                Allocation *allocation = calendar->allocations[i];

                if (!allocation->lease_by_utc)
                        continue;
                allocation_reckon_lease(allocation, now->utc_usec, now->boottime_usec, /* trusted= */ true);
                manager_log_lost(state_put_allocation(manager->state, allocation), "A lease");
        }
        manager_end_puts(manager, begun, "Leases by a clock that is trusted");
}

/* True where what waited need not any more, or what is yet to come has to wait. */
static bool follow_trust(Manager *manager, const Instant *now) {
        Node *node = &manager->node;
        bool trusted = clock_is_trusted(&manager->clock);

        if (trusted == node->clock_trusted)
                return false;
        node->clock_trusted = trusted;
        manager->look_at_all = true;
        manager->trusted_since_usec = now->boottime_usec;
        if (trusted)
                reckon_leases(manager, now);
        (void) feature_set_put(&node->features, "clock", trusted, "%s", clock_trust_words(&manager->clock));
        log_write(trusted ? LOG_INFO : LOG_WARNING, NULL, "The clock is %s: %s",
                        trusted ? "trusted" : "not trusted", clock_trust_words(&manager->clock));
        api_clock_changed(manager->api);
        return true;
}

bool manager_look_at_clock(Manager *manager, const Instant *now) {
        int64_t offset = (int64_t) (now->utc_usec - now->boottime_usec);
        int64_t moved = offset - manager->clock_offset_usec, kept = offset - manager->clock_kept_usec;
        bool set = moved > CLOCK_STEP_USEC || moved < -CLOCK_STEP_USEC, changed;

        manager->clock_offset_usec = offset;
        if (set) {
                manager->look_at_all = true;
                (void) clock_trust_step(&manager->clock, moved);
                log_info("The clock was set by %.1f s: windows follow it", (double) moved / 1e6);
        }
        clock_trust_observe(&manager->clock, manager_clock_is_synchronised());
        changed = follow_trust(manager, now);
        /* In a transaction it could yet be forgotten. */
        if (manager->in_transaction)
                return set || changed;
        if (set || changed || kept > CLOCK_KEPT_WITHIN_USEC || kept < -CLOCK_KEPT_WITHIN_USEC)
                manager_log_lost(manager_keep_clock(manager), "What is known of the clock");
        return set || changed;
}

int manager_accept_clock(void *userdata, Failure *ret_failure) {
        Manager *manager = userdata;
        Instant now = manager_now();
        int r;

        (void) manager_look_at_clock(
                        manager, &now); /* a step that nobody noticed yet is accepted with the others */
        clock_trust_accept(&manager->clock);
        r = manager_keep_clock(manager);
        if (r < 0)
                return r;
        return follow_trust(manager, &now) ? manager_reconcile(manager) : 0;
}

/* timerfd_create(2): a timer that never expires, cancelled when the clock is set. */
static int clock_watch_arm(int fd) {
        /* The kernel's own end of time. Where the clock was set just now it is armed all the same:
         * timerfd_create(2), NOTES. */
        const struct itimerspec never = { .it_value.tv_sec = INT64_MAX / 1000000000 };

        return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) < 0 &&
                                               errno != ECANCELED
                               ? -errno
                               : 0;
}

/* Somebody set the clock: windows follow at once. */
static int on_clock_set(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Manager *manager = userdata;
        uint64_t expirations;

        if (read(fd, &expirations, sizeof expirations) < 0 && errno == ECANCELED)
                (void) manager_reconcile(manager); /* it looks at the clock first */
        return clock_watch_arm(fd);
}

int manager_watch_clock(Manager *manager) {
        int r;

        manager->clock_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
        if (manager->clock_fd < 0)
                return -errno;
        r = clock_watch_arm(manager->clock_fd);
        return r < 0 ? r
                     : sd_event_add_io(manager->event, &manager->clock_watch, manager->clock_fd, EPOLLIN,
                                       on_clock_set, manager);
}

/* --- capacity --- */

static void tell_missing(Allocation *allocation, void *userdata) {
        const LogFields fields = { .tenant = allocation->tenant_id, .allocation = allocation->id };
        Manager *manager = userdata;
        Tenant *tenant = node_find_tenant(&manager->node, allocation->tenant_id);

        if (tenant)
                node_note_news(&manager->node, tenant);
        if (allocation->missing.n == 0)
                log_write(LOG_INFO, &fields, "Allocation %s has all that was promised again", allocation->id);
        for (size_t i = 0; i < allocation->missing.n; i++) {
                const Resource *entry = &allocation->missing.entries[i];
                char name[RESOURCE_NAME_SIZE];

                resource_format_name(entry->kind, entry->target, name);
                log_write(LOG_WARNING, &fields,
                                "Allocation %s: of %s, %" PRIu64 " was promised and %" PRIu64 " is left",
                                allocation->id, name, entry->amount.reserved, entry->amount.limit);
        }
        if (!allocation->untold)
                api_allocation_missing(manager->api, allocation);
}

/* A borrower's row tells what it borrows. */
static void keep_loans(Manager *manager) {
        Calendar *calendar = &manager->node.calendar;

        for (size_t i = 0; calendar->loans_changed && i < calendar->n; i++) {
                if (!calendar->allocations[i]->loans_changed)
                        continue;
                calendar->allocations[i]->loans_changed = false;
                manager_log_lost(state_put_allocation(manager->state, calendar->allocations[i]), "A loan");
        }
        calendar->loans_changed = false;
}

void manager_mark_shortage(Manager *manager, const Instant *now) {
        Calendar *calendar = &manager->node.calendar;
        int r;

        if (calendar->reckoned) {
                calendar->reckoned = false;
                r = admission_rearrange(calendar, reconciler_capacity(manager->reconciler), now->utc_usec);
                if (r < 0)
                        (void) log_error_errno(r, "What recurs cannot be fitted in");
                manager_advance(manager, now, /* all= */ false);
        }
        keep_loans(manager);
        r = shortage_mark(calendar, reconciler_capacity(manager->reconciler), now->utc_usec, tell_missing,
                        manager);

        if (r < 0)
                (void) log_error_errno(r, "What no longer fits cannot be marked");
}

void manager_follow_devices(Manager *manager) {
        int r = calendar_set_devices(
                        &manager->node.calendar, &reconciler_capacity(manager->reconciler)->hardware);

        if (r < 0)
                (void) log_error_errno(r, "What is reserved of block devices cannot be reckoned");
}

void manager_capacity_changed(Manager *manager) {
        const Capacity *capacity = reconciler_capacity(manager->reconciler);

        manager_follow_devices(manager);
        for (size_t i = 0; i < capacity->total.n; i++) {
                const Resource *entry = &capacity->total.entries[i];
                char name[RESOURCE_NAME_SIZE];

                resource_format_name(entry->kind, entry->target, name);
                log_info("Capacity of %s: %" PRIu64 " %s", name, entry->amount.limit,
                                resource_info(entry->kind)->unit);
        }
        manager->capacity_untold = true;
}

static int refresh_capacity(Manager *manager) {
        int r = reconciler_refresh_capacity(
                        manager->reconciler, &manager->node.features, &manager->node.operator_capacity);

        if (r == CAPACITY_NEWS_PROMISE)
                manager_capacity_changed(manager);
        else if (r == CAPACITY_NEWS_TARGETS)
                manager_follow_devices(manager);
        return r;
}

bool manager_follow_capacity(Manager *manager) {
        return refresh_capacity(manager) > 0;
}

static int judge_capacity(Manager *manager, const Resource *entry, Failure *failure) {
        const Capacity *capacity = reconciler_capacity(manager->reconciler);
        const Amount *found = resource_set_get(&capacity->hardware, entry->kind, entry->target);
        char name[RESOURCE_NAME_SIZE];

        resource_format_name(entry->kind, entry->target, name);
        if (!found && entry->amount.limit == UNLIMITED)
                return 0; /* a bound on what is gone can be taken off */
        if (!found)
                return failure_set(failure, FAILURE_NOT_SUPPORTED,
                                "capacity: this node has no '%s' to promise", name);
        if (entry->amount.limit != UNLIMITED && entry->amount.limit > found->limit)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "capacity: %s %" PRIu64 " is over what this node has, %" PRIu64 " %s", name,
                                entry->amount.limit, found->limit, resource_info(entry->kind)->unit);
        return 0;
}

static int merge_capacity(const ResourceSet *old, const ResourceSet *changes, ResourceSet *ret) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < old->n; i++)
                if (!resource_set_get(changes, old->entries[i].kind, old->entries[i].target))
                        r = resource_set_put(ret, old->entries[i].kind, old->entries[i].target,
                                        old->entries[i].amount);
        for (size_t i = 0; r >= 0 && i < changes->n; i++)
                if (changes->entries[i].amount.limit != UNLIMITED)
                        r = resource_set_put(ret, changes->entries[i].kind, changes->entries[i].target,
                                        changes->entries[i].amount);
        return r;
}

int manager_set_capacity(void *userdata, const ResourceSet *changes, Failure *ret_failure) {
        _cleanup_resource_set_ ResourceSet merged = RESOURCE_SET_NULL;
        _cleanup_free_ char *text = NULL;
        Manager *manager = userdata;
        int r = 0;

        for (size_t i = 0; r == 0 && i < changes->n; i++)
                r = judge_capacity(manager, &changes->entries[i], ret_failure);
        if (r == 0)
                r = merge_capacity(&manager->node.operator_capacity, changes, &merged);
        if (r == 0) {
                text = state_row_print_capacity(&merged);
                r = text ? 0 : -ENOMEM;
        }
        if (r == 0)
                r = state_put_text(manager->state, STATE_TEXT_CAPACITY, text);
        if (r != 0)
                return r;
        resource_set_deinit(&manager->node.operator_capacity);
        manager->node.operator_capacity = merged;
        merged = (ResourceSet) RESOURCE_SET_NULL;
        r = refresh_capacity(manager);
        return r < 0 ? r : manager_reconcile(manager);
}

/* --- drain --- */

int manager_drain(void *userdata, const char *reason, Failure *ret_failure) {
        Manager *manager = userdata;
        char *copy;
        int r;

        r = manager_judge_reason(reason, ret_failure);
        if (r != 0)
                return r;
        copy = strdup(*reason ? reason : "no reason was given");
        if (!copy)
                return -ENOMEM;
        r = state_put_text(manager->state, STATE_TEXT_DRAIN, copy);
        if (r < 0) {
                free(copy);
                return r;
        }
        free(manager->node.drain_reason);
        manager->node.drain_reason = copy;
        manager->node.calendar.draining = true;
        log_info("The node drains: %s", copy);
        api_drain_changed(manager->api);
        return manager_reconcile(manager);
}

int manager_resume(void *userdata, Failure *ret_failure) {
        Manager *manager = userdata;
        int r;

        if (!manager->node.calendar.draining)
                return 0;
        r = state_put_text(manager->state, STATE_TEXT_DRAIN, NULL);
        if (r < 0)
                return r;
        free(manager->node.drain_reason);
        manager->node.drain_reason = NULL;
        manager->node.calendar.draining = false;
        manager->look_at_all = true;
        log_info("The node takes work again");
        api_drain_changed(manager->api);
        return manager_reconcile(manager);
}

/* --- the calendar read ahead --- */

int manager_segments(void *userdata, uint64_t from_usec, uint64_t until_usec, Segment **ret, size_t *ret_n,
                Failure *ret_failure) {
        Manager *manager = userdata;
        int r;

        if (until_usec < from_usec)
                return failure_set(ret_failure, FAILURE_INVALID_ALLOCATION,
                                "calendar: until %" PRIu64 " must not be before from %" PRIu64, until_usec,
                                from_usec);
        r = calendar_segments(&manager->node.calendar, from_usec, until_usec, SEGMENTS_MAX, ret, ret_n);
        return r == -E2BIG ? failure_set(ret_failure, FAILURE_LIMIT_EXCEEDED,
                                             "calendar: there are more than %d segments; ask for a shorter "
                                             "range",
                                             SEGMENTS_MAX)
                           : r;
}
