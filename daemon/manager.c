/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Wiring: the event loop, the one clock, the timers, the bus. Every change, whoever or whatever caused it,
 * ends in manager_reconcile(): states as of now, then the reconciler. It knows no message and no file format;
 * api/, state.c and export/ do.
 */

#include "manager-internal.h"

#include "util/log.h"
#include "util/strv.h"

#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-id128.h>
#include <time.h>

#define FORGET_ENDED_USEC (3600ULL * 1000000) /* ended objects leave the bus after an hour */
#define RECONCILE_EVERY_SAMPLES 10            /* the slow check: what drifted with nobody saying so */
#define BUS_TIMEOUT_USEC (5ULL * 1000000)     /* of what is asked of the bus daemon itself */
#define CLOCK_STEP_USEC 100000
#define READERS_GROUP "headgate"

static uint64_t clock_usec(clockid_t clock) {
        struct timespec ts;

        clock_gettime(clock, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

Instant manager_now(void) {
        return (Instant){ clock_usec(CLOCK_REALTIME), clock_usec(CLOCK_BOOTTIME) };
}

uint32_t manager_slot_max(const Manager *manager) {
        return SLOT_FIRST + (uint32_t) manager->options.config->tenants_max - 1;
}

/* Whether the clock was set since the last look: slewing moves it by less between two samples. */
static bool clock_was_set(Manager *manager) {
        Instant now = manager_now();
        int64_t offset = (int64_t) (now.utc_usec - now.boottime_usec),
                moved = offset - manager->clock_offset_usec;

        manager->clock_offset_usec = offset;
        return moved > CLOCK_STEP_USEC || moved < -CLOCK_STEP_USEC;
}

static void log_lost(int r, const char *what) {
        if (r < 0)
                (void) log_error_errno(r, "%s is not on disk", what);
}

/* The tenant's last active allocation went: what it has becomes its residual share. */
static void tenant_rests(Manager *manager, Tenant *tenant) {
        TenantGroup *group;

        tenant->residual_memory_bytes = 0;
        if (reconciler_group(manager->reconciler, tenant, &group) >= 0)
                (void) tenant_group_memory_current(group, &tenant->residual_memory_bytes);
        log_lost(state_put_tenant(manager->state, tenant), "A tenant's residual share");
}

/* And its processes meet what was asked for at its end; the reconciler does it, until it is done. */
static void tenant_on_end(Tenant *tenant, OnEnd on_end) {
        tenant->throttled = on_end == ON_END_THROTTLE;
        tenant->frozen = on_end == ON_END_FREEZE;
        tenant->doomed = on_end == ON_END_KILL;
}

static void tenant_wakes(Manager *manager, Tenant *tenant) {
        tenant->throttled = tenant->frozen = tenant->doomed = false;
        log_lost(state_put_tenant(manager->state, tenant), "A tenant's share");
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

void manager_enter_state(Manager *manager, Allocation *allocation, AllocationState state, const char *reason,
                const Instant *now) {
        const LogFields fields = { .tenant = allocation->tenant_id, .allocation = allocation->id };
        Tenant *tenant = node_find_tenant(&manager->node, allocation->tenant_id);
        AllocationState old = allocation->state;
        bool was_active = old == ALLOCATION_ACTIVE || old == ALLOCATION_ENDING, rests;

        calendar_set_state(&manager->node.calendar, allocation, state, now);
        free(allocation->reason);
        allocation->reason = strdup(reason);
        rests = tenant && was_active && calendar_tenant_active(&manager->node.calendar, tenant->id) == 0;
        switch (state) {
        case ALLOCATION_ACTIVE:
                allocation->actual_start_usec = now->utc_usec;
                if (tenant)
                        tenant_wakes(manager, tenant);
                break;
        case ALLOCATION_ENDING:
                /* Itself still counts as active, for its ceilings hold; others would keep its processes their
                 * share. */
                if (tenant && calendar_tenant_active(&manager->node.calendar, tenant->id) == 1)
                        allocation_signal_end(manager, allocation, tenant);
                break;
        case ALLOCATION_ENDED:
        case ALLOCATION_RELEASED:
        case ALLOCATION_FAILED:
                allocation->actual_end_usec = now->utc_usec;
                if (rests)
                        tenant_on_end(tenant, allocation->on_end);
                break;
        default:
                break;
        }
        if (rests)
                tenant_rests(manager, tenant);
        if (tenant)
                tenant->changed = true;
        log_write(LOG_INFO, &fields, "Allocation %s of tenant %s: %s, was %s (%s)", allocation->id,
                        allocation->tenant_id, allocation_state_to_string(state),
                        allocation_state_to_string(old), reason);
        log_lost(state_put_allocation(manager->state, allocation), "An allocation's new state");
        if (!allocation->untold)
                api_allocation_changed(manager->api, allocation, old);
}

static const char *state_reason(AllocationState state) {
        switch (state) {
        case ALLOCATION_ACTIVE:
                return "its window is open";
        case ALLOCATION_ENDING:
                return "its window closed, its grace runs";
        case ALLOCATION_ENDED:
                return "its window closed";
        default:
                return "its window has not begun";
        }
}

/* Those that are due, in order; with `all` those too whose time a clock that went back has undone. One sync
 * for all. */
static void manager_advance(Manager *manager, const Instant *now, bool all) {
        Calendar *calendar = &manager->node.calendar;
        bool own = !manager->in_transaction && (all || calendar_due(calendar, now));
        Allocation *allocation;

        if (own)
                log_lost(state_begin(manager->state), "A change of states");
        for (size_t i = 0; all && i < calendar->n; i++) {
                AllocationState state;

                allocation = calendar->allocations[i];
                while ((state = allocation_state_at(allocation, now)) != allocation->state)
                        manager_enter_state(manager, allocation, state, state_reason(state), now);
        }
        while ((allocation = calendar_due(calendar, now))) {
                AllocationState state = allocation_state_at(allocation, now);

                manager_enter_state(manager, allocation, state, state_reason(state), now);
        }
        if (own)
                log_lost(state_commit(manager->state), "A change of states");
}

void manager_drop_tenants(Manager *manager) {
        if (!manager->tenants_may_go)
                return;
        manager->tenants_may_go = false;
        for (size_t i = manager->node.n_tenants; i-- > 0;) {
                Tenant *tenant = manager->node.tenants[i];
                int r;

                if (calendar_tenant(&manager->node.calendar, tenant->id))
                        continue;
                r = reconciler_remove_tenant(manager->reconciler, tenant);
                if (r < 0) {
                        manager->tenants_may_go = true; /* tried again with the next sample */
                        continue;
                }
                log_lost(state_delete_tenant(manager->state, tenant->id), "A tenant's removal");
                if (!tenant->untold)
                        api_tenant_removed(manager->api, tenant->id);
                node_remove_tenant(&manager->node, tenant->id);
        }
}

static void manager_forget_ended(Manager *manager, const Instant *now) {
        Calendar *calendar = &manager->node.calendar;

        for (size_t i = calendar->n; i-- > 0;) {
                _cleanup_allocation_ Allocation *allocation = NULL;
                Tenant *tenant;

                if (allocation_is_live(calendar->allocations[i]) ||
                                calendar->allocations[i]->actual_end_usec + FORGET_ENDED_USEC > now->utc_usec)
                        continue;
                api_allocation_removed(manager->api, calendar->allocations[i]->id);
                allocation = calendar_take(calendar, calendar->allocations[i]->id);
                manager->tenants_may_go = true;
                tenant = node_find_tenant(&manager->node, allocation->tenant_id);
                if (tenant)
                        tenant->changed = true;
                log_lost(state_put_released(manager->state, allocation->id, allocation->generation,
                                         now->utc_usec),
                                "A generation");
                log_lost(state_delete_allocation(manager->state, allocation->id), "An allocation's end");
        }
}

static void manager_update_node(Manager *manager, const Instant *now) {
        Node *node = &manager->node;
        _cleanup_resource_set_ ResourceSet reserved = RESOURCE_SET_NULL;
        NodeState state = NODE_OK, old = node->state;

        for (size_t i = 0; i < node->features.n; i++)
                if (!node->features.entries[i].available)
                        state = NODE_DEGRADED;
        for (size_t i = 0; i < node->n_tenants; i++)
                if (node->tenants[i]->problems)
                        state = NODE_DEGRADED;
        if (admission_reserved_at(&node->calendar, reconciler_capacity(manager->reconciler), now->utc_usec,
                            &reserved) >= 0 &&
                        !(resource_set_equal(&reserved, &node->capacity) && state == node->state)) {
                resource_set_deinit(&node->capacity);
                node->capacity = reserved;
                reserved = (ResourceSet) RESOURCE_SET_NULL;
                node->state = state;
                api_node_changed(manager->api, state != old);
        }
}

/* To the calendar's next change, or to nothing. */
static void manager_arm(Manager *manager, const Instant *now) {
        uint64_t next = calendar_next_change(&manager->node.calendar, now);
        int r;

        r = sd_event_source_set_time(manager->window_timer, next);
        if (r >= 0)
                r = sd_event_source_set_enabled(
                                manager->window_timer, next == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
        if (r < 0)
                (void) log_error_errno(r, "The timer of the next window cannot be set");
}

void manager_tell_tenants(Manager *manager) {
        for (size_t i = 0; i < manager->node.n_tenants; i++) {
                Tenant *tenant = manager->node.tenants[i];

                if (tenant->untold || !tenant->changed)
                        continue;
                api_tenant_changed(manager->api, tenant);
                tenant->changed = false;
        }
}

static bool any_doomed(const Node *node) {
        for (size_t i = 0; i < node->n_tenants; i++)
                if (node->tenants[i]->doomed)
                        return true;
        return false;
}

int manager_reconcile(Manager *manager) {
        Instant now = manager_now();
        unsigned changes = 0;
        bool doomed;
        int r;

        manager_advance(manager, &now, manager->look_at_all);
        manager->look_at_all = false;
        doomed = any_doomed(&manager->node);
        r = reconciler_apply(manager->reconciler, &manager->node, &changes);
        for (size_t i = 0; doomed && i < manager->node.n_tenants;
                        i++) /* or a restart would kill who came after */
                log_lost(state_put_tenant(manager->state, manager->node.tenants[i]), "A kill");
        if (r < 0)
                (void) log_error_errno(r, "The plan could not be applied");
        if (changes > 0)
                log_debug("%u settings written", changes);
        manager_update_node(manager, &now);
        manager_tell_tenants(manager);
        manager_arm(manager, &now);
        return r;
}

static int on_window(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) manager_reconcile(userdata);
        return 0;
}

int manager_take_sample(Manager *manager) {
        int r = reconciler_sample(manager->reconciler, &manager->node);

        if (r < 0)
                (void) log_warning_errno(r, "The tenants' counters cannot be read");
        manager->node.sampled_usec = clock_usec(CLOCK_REALTIME);
        return r;
}

static int manager_connect(Manager *manager);

static int on_sample(sd_event_source *source, uint64_t usec, void *userdata) {
        Manager *manager = userdata;
        Instant now = manager_now();
        bool due = manager_take_sample(manager) > 0 ||
                   calendar_next_change(&manager->node.calendar, &now) <= now.utc_usec;

        manager_forget_ended(manager, &now);
        manager_drop_tenants(manager);
        if (clock_was_set(manager))
                manager->look_at_all = due = true;
        if (reconciler_refresh_capacity(manager->reconciler, &manager->node.features) > 0)
                due = true;
        if (++manager->samples % RECONCILE_EVERY_SAMPLES == 0) {
                reconciler_look_again(manager->reconciler);
                manager->look_at_all = due = true;
        }
        if (due)
                (void) manager_reconcile(manager);
        manager_tell_tenants(manager);
        if (!manager->bus || sd_bus_is_open(manager->bus) <= 0)
                (void) manager_connect(manager);
        (void) sd_event_source_set_time(source, usec + manager->options.config->sample_interval_usec);
        return 0;
}

static int open_bus(const char *which, sd_bus **ret) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r;

        if (strcmp(which, "system") == 0)
                return sd_bus_open_system_with_description(ret, "headgated");
        if (strcmp(which, "session") == 0)
                return sd_bus_open_user_with_description(ret, "headgated");
        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_address(bus, which);
        if (r >= 0)
                r = sd_bus_set_bus_client(bus, true);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r >= 0)
                *ret = TAKE_PTR(bus);
        return r;
}

/* The bus may be away at any time: windows are kept all the same, and with each sample it is tried again. */
static int manager_connect(Manager *manager) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r;

        manager->api = api_free(manager->api);
        manager->bus = sd_bus_flush_close_unref(manager->bus);
        r = open_bus(manager->options.bus, &bus);
        if (r >= 0)
                r = sd_bus_set_method_call_timeout(bus, BUS_TIMEOUT_USEC);
        if (r >= 0)
                r = sd_bus_attach_event(bus, manager->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = api_new(bus, &manager->node, &manager_operations, &manager->api_options, manager,
                                &manager->api);
        if (r >= 0)
                r = sd_bus_request_name(bus, API_BUS_NAME, 0);
        if (r < 0) {
                manager->api = api_free(manager->api);
                if (!manager->bus_lost)
                        (void) log_warning_errno(r, "The %s bus cannot be served; tried again shortly",
                                        manager->options.bus);
                manager->bus_lost = true;
                return r;
        }
        manager->bus_lost = false;
        manager->bus = TAKE_PTR(bus);
        return 0;
}

static int read_identity(Manager *manager) {
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

static int read_state(Manager *manager) {
        _cleanup_strv_ char **lost = NULL;
        int r;

        r = state_open(manager->options.state_dir, manager->options.dry_run, manager_slot_max(manager),
                        &manager->node, &manager->state, &lost);
        if (r < 0)
                return log_error_errno(r, "The state in %s cannot be opened", manager->options.state_dir);
        for (char **line = lost; line && *line; line++)
                log_warning("Lost from the state: %s", *line);
        if (manager->options.dry_run)
                manager->state = state_free(manager->state);
        return 0;
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
                r = node_add_tenant(&manager->node, *id, manager_slot_max(manager), &tenant);
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
                int r = node_add_tenant(
                                &manager->node, allocation->tenant_id, manager_slot_max(manager), &tenant);

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

/* timerfd_create(2): a timer that never expires, cancelled when the clock is set. */
static int clock_watch_arm(int fd) {
        const struct itimerspec never = { .it_value.tv_sec = INT32_MAX };

        return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) < 0 ? -errno
                                                                                                  : 0;
}

/* Somebody set the clock: windows follow at once. */
static int on_clock_set(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Manager *manager = userdata;
        uint64_t expirations;

        if (read(fd, &expirations, sizeof expirations) < 0 && errno == ECANCELED) {
                (void) clock_was_set(manager);
                manager->look_at_all = true;
                log_info("The clock was set: windows follow it");
                (void) manager_reconcile(manager);
        }
        return clock_watch_arm(fd);
}

static int add_clock_watch(Manager *manager) {
        int r;

        (void) clock_was_set(manager);
        manager->clock_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
        if (manager->clock_fd < 0)
                return -errno;
        r = clock_watch_arm(manager->clock_fd);
        return r < 0 ? r
                     : sd_event_add_io(manager->event, &manager->clock_watch, manager->clock_fd, EPOLLIN,
                                       on_clock_set, manager);
}

static int add_timers(Manager *manager) {
        uint64_t interval = manager->options.config->sample_interval_usec;
        int r;

        r = sd_event_add_time(manager->event, &manager->window_timer, CLOCK_REALTIME, UINT64_MAX, 1,
                        on_window, manager);
        if (r >= 0)
                r = sd_event_source_set_enabled(manager->window_timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time_relative(manager->event, &manager->sample_timer, CLOCK_MONOTONIC,
                                interval, interval / 100, on_sample, manager);
        return r < 0 ? r : sd_event_source_set_enabled(manager->sample_timer, SD_EVENT_ON);
}

static int add_signals(sd_event *event) {
        sigset_t mask;
        int r;

        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
        return r < 0 ? r : sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
}

int manager_new(const ManagerOptions *options, Manager **ret) {
        _cleanup_(manager_free_p) Manager *manager = calloc(1, sizeof(Manager));
        const ReconcilerOptions reconcile = {
                .config = options->config,
                .cgroup_driver = options->cgroup_driver,
                .cgroup_root = options->cgroup_root,
                .pin_dir = options->pin_dir,
                .dry_run = options->dry_run,
        };
        int r;

        if (!manager)
                return -ENOMEM;
        manager->clock_fd = -EBADF;
        manager->options = *options;
        for (size_t i = 0; i < options->config->n_uplinks; i++)
                if (options->config->uplinks[i].is_default)
                        strcpy(manager->node.calendar.default_uplink, options->config->uplinks[i].name);
        manager->api_options = (ApiOptions){ options->config->schedulers, READERS_GROUP };
        r = sd_event_default(&manager->event);
        if (r >= 0)
                r = read_identity(manager);
        if (r >= 0)
                r = read_state(manager);
        if (r >= 0)
                r = reconciler_new(&reconcile, &manager->node.features, &manager->reconciler);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(manager);
        return 0;
}

Manager *manager_free(Manager *manager) {
        if (!manager)
                return NULL;
        api_free(manager->api);
        sd_bus_flush_close_unref(manager->bus);
        sd_event_source_unref(manager->window_timer);
        sd_event_source_unref(manager->sample_timer);
        sd_event_source_unref(manager->clock_watch);
        cleanup_close(&manager->clock_fd);
        reconciler_free(manager->reconciler);
        state_free(manager->state);
        node_deinit(&manager->node);
        sd_event_unref(manager->event);
        free(manager);
        return NULL;
}

int manager_run(Manager *manager) {
        int r;

        r = add_signals(manager->event);
        if (r >= 0)
                r = add_timers(manager);
        if (r >= 0)
                r = add_clock_watch(manager);
        if (r >= 0)
                r = find_missing_tenants(manager);
        if (r >= 0)
                r = find_orphans(manager);
        if (r < 0)
                return log_error_errno(r, "The daemon cannot be set up");
        manager->look_at_all = true;
        /* What is refused now is a problem of its tenant and is tried again: a node with problems beats no
         * node. */
        (void) manager_reconcile(manager);
        /* After the limits: an end that has passed does not wait for programs to load. */
        r = reconciler_open_meter(manager->reconciler, &manager->node.features);
        if (r < 0)
                return r;
        reconciler_drop_slots(manager->reconciler, &manager->node);
        (void) manager_reconcile(manager);
        manager_drop_tenants(manager);
        manager_take_sample(manager);
        r = manager_connect(manager);
        if (r == -EEXIST)
                return log_error_errno(r, "Another headgated serves the %s bus", manager->options.bus);
        r = sd_event_set_watchdog(manager->event, true);
        if (r < 0)
                return log_error_errno(r, "The watchdog cannot be fed");
        log_info("headgated %s ready: %zu tenants, %zu allocations, node %s", HEADGATE_VERSION,
                        manager->node.n_tenants, manager->node.calendar.n,
                        node_state_to_string(manager->node.state));
        (void) sd_notify(false, "READY=1");
        r = sd_event_loop(manager->event);
        (void) sd_notify(false, "STOPPING=1");
        return r < 0 ? log_error_errno(r, "The event loop failed") : 0;
}

int manager_release_node(Manager *manager) {
        int r = reconciler_open_meter(manager->reconciler, &manager->node.features);

        if (r >= 0)
                r = reconciler_release(manager->reconciler);
        return r < 0 ? log_error_errno(r, "Not everything could be taken off this node") : 0;
}
