/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Wiring: the event loop, the one clock, the timers. Every change, whoever or whatever caused it,
 * ends in manager_reconcile(): states as of now (manager-states.c), then the reconciler. It knows no message
 * and no file format; api/, state.c and export/ do.
 */

#include "manager-internal.h"

#include "decide/overrun.h"
#include "util/log.h"
#include "util/strv.h"
#include "util/watchdog.h"

#include <signal.h>
#include <string.h>
#include <sys/timex.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#define RECONCILE_EVERY_SAMPLES 10 /* the slow check: what drifted with nobody saying so */
#define RECONCILED_A_SAMPLE 16     /* and no more tenants than that, on the average */
#define WATCHDOG_RETRY_USEC 1000000ULL
#define READERS_GROUP "headgate"

static uint64_t clock_usec(clockid_t clock) {
        struct timespec ts;

        clock_gettime(clock, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

Instant manager_now(void) {
        return (Instant){ clock_usec(CLOCK_REALTIME), clock_usec(CLOCK_BOOTTIME) };
}

uint64_t manager_cpu_usec(void) {
        return clock_usec(CLOCK_THREAD_CPUTIME_ID);
}

/* What cannot be asked is not believed. */
bool manager_clock_is_synchronised(void) {
        struct timex state = {};
        int r = adjtimex(&state);

        return r >= 0 && r != TIME_ERROR;
}

uint32_t manager_slot_max(const Manager *manager) {
        return SLOT_FIRST + (uint32_t) manager->options.config->tenants_max - 1;
}

static void manager_update_node(Manager *manager, const Instant *now) {
        Node *node = &manager->node;
        _cleanup_resource_set_ ResourceSet reserved = RESOURCE_SET_NULL;
        NodeState state = NODE_OK, old = node->state;

        (void) feature_set_put(&node->features, "clock", node->clock_trusted, "%s",
                        clock_trust_words(&manager->clock));
        for (size_t i = 0; i < node->features.n; i++)
                if (!node->features.entries[i].available)
                        state = NODE_DEGRADED;
        if (node->n_troubled > 0 || node->calendar.n_short > 0 || drift_log_fight(&node->drift, NULL))
                state = NODE_DEGRADED;
        if (node->calendar.draining)
                state = NODE_DRAINING;
        if (admission_reserved_at(&node->calendar, reconciler_capacity(manager->reconciler), now->utc_usec,
                            &reserved) >= 0 &&
                        !(resource_set_equal(&reserved, &node->capacity) && state == node->state)) {
                resource_set_deinit(&node->capacity);
                node->capacity = reserved;
                reserved = (ResourceSet) RESOURCE_SET_NULL;
                node->state = state;
                api_node_changed(manager->api, state != old);
        }
        if (manager->capacity_untold)
                api_capacity_changed(manager->api);
        manager->capacity_untold = false;
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
        Node *node = &manager->node;
        size_t kept = 0;

        for (size_t i = 0; i < node->n_news; i++) {
                Tenant *tenant = node->news[i];

                if (tenant->untold) {
                        node->news[kept++] = tenant;
                        continue;
                }
                if (tenant->changed)
                        api_tenant_changed(manager->api, tenant);
                tenant->changed = tenant->listed = false;
        }
        node->n_news = kept;
}

/* Who is doomed is marked until it is done. */
bool manager_any_doomed(const Node *node) {
        size_t cursor = 0;

        for (const Tenant *tenant; (tenant = node_next_marked(node, &cursor));)
                if (tenant->doomed)
                        return true;
        return false;
}

static bool has_errand(const Tenant *tenant) {
        return tenant->doomed || tenant->to_be_opened;
}

/* Those that have one, which are marked until it is done; some twice. */
static int list_errands(const Node *node, Tenant ***ret) {
        size_t cursor = 0, n = 0;
        Tenant **list;

        while (node_next_marked(node, &cursor))
                n++;
        list = calloc(n + 1, sizeof(Tenant *));
        if (!list)
                return -ENOMEM;
        cursor = n = 0;
        for (Tenant *tenant; (tenant = node_next_marked(node, &cursor));)
                if (has_errand(tenant))
                        list[n++] = tenant;
        *ret = list;
        return 0;
}

static int reconcile_kernel(Manager *manager) {
        _cleanup_free_ Tenant **errands = NULL;
        unsigned changes = 0;
        int r;

        r = list_errands(&manager->node, &errands);
        if (r < 0)
                return r;
        r = reconciler_apply(manager->reconciler, &manager->node, &changes);
        /* What was done once is not to be done again after a restart: it would meet those who came after. */
        for (Tenant **tenant = errands; *tenant; tenant++)
                if (!has_errand(*tenant))
                        manager_log_lost(state_put_tenant(manager->state, *tenant), "A kill, or an opening");
        if (changes > 0)
                log_debug("%u settings written", changes);
        return r;
}

void manager_settle(Manager *manager, const Instant *now) {
        manager_update_node(manager, now);
        manager_tell_tenants(manager);
        manager_arm(manager, now);
}

/* What changed its state is on disk with one sync, once the kernel has it: a disk that is slow delays no end.
 */
int manager_reconcile(Manager *manager) {
        Instant now = manager->in_transaction ? manager->transaction_begun : manager_now();
        bool own;
        int r;

        /* A window's timer may be the first to notice that the clock was set. */
        (void) manager_look_at_clock(manager, &now);
        own = !manager->in_transaction &&
              (manager->look_at_all || calendar_due(&manager->node.calendar, &now));
        if (own)
                manager_log_lost(state_begin(manager->state), "A change of states");
        if (manager->look_at_all)
                calendar_mark_all(&manager->node.calendar);
        manager_advance(manager, &now, manager->look_at_all);
        manager->look_at_all = false;
        manager_mark_shortage(manager, &now);
        r = reconcile_kernel(manager);
        if (own)
                manager_log_lost(state_commit(manager->state), "A change of states");
        if (r < 0)
                (void) log_error_errno(r, "The plan could not be applied");
        manager_settle_drift(manager, &now);
        /* What may yet be put back is nobody's news. */
        if (!manager->in_transaction)
                manager_settle(manager, &now);
        return r;
}

static int on_window(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) manager_reconcile(userdata);
        return 0;
}

/* Said once: it is so until the operator raises the number of tenants. */
static void manager_note_delivery(Manager *manager) {
        int r = reconciler_note_delivery(manager->reconciler, &manager->node, clock_usec(CLOCK_MONOTONIC));

        if (r < 0 && !manager->delivery_is_full)
                (void) log_warning_errno(
                                r, "What is delivered is not kept of every allocation: there are too many");
        manager->delivery_is_full = r < 0;
}

int manager_take_sample(Manager *manager, bool all) {
        int r = reconciler_sample(manager->reconciler, &manager->node, all);

        if (r < 0)
                (void) log_warning_errno(r, "The tenants' counters cannot be read");
        else
                manager_note_delivery(manager);
        if (r >= 0 && all)
                manager->sampled_all_usec = clock_usec(CLOCK_BOOTTIME);
        manager_look_at_adopted(manager);
        manager_look_at_attached(manager);
        manager->node.sampled_usec = clock_usec(CLOCK_REALTIME);
        return r;
}

/* To look at one costs as much as to sample ten: of many it is seldomer. */
static bool slow_check_is_due(Manager *manager) {
        size_t every = manager->node.n_tenants / RECONCILED_A_SAMPLE;

        if (manager->samples < (every > RECONCILE_EVERY_SAMPLES ? every : RECONCILE_EVERY_SAMPLES))
                return false;
        manager->samples = 0;
        return true;
}

/* As regular as can be; what was missed, while we or the whole machine stood still, is not made up for. */
static void set_next(sd_event_source *source, uint64_t usec, uint64_t interval_usec) {
        uint64_t now_usec = usec;

        (void) sd_event_now(sd_event_source_get_event(source), CLOCK_MONOTONIC, &now_usec);
        usec += interval_usec;
        (void) sd_event_source_set_time(source, usec > now_usec ? usec : now_usec + interval_usec);
}

static int on_sample(sd_event_source *source, uint64_t usec, void *userdata) {
        Manager *manager = userdata;
        Instant now = manager_now();
        bool due = calendar_next_change(&manager->node.calendar, &now) <= now.utc_usec;

        manager_sample_drift(manager, &now, /* gone= */ manager_take_sample(manager, /* all= */ false) > 0);
        manager_forget_ended(manager, &now);
        if (manager_drop_tenants(manager)) /* and their classes */
                due = true;
        if (manager_look_at_clock(manager, &now))
                due = true;
        if (manager_follow_capacity(manager))
                due = true;
        if (++manager->samples % RECONCILE_EVERY_SAMPLES == 0)
                due = true; /* what was refused is tried again */
        if (slow_check_is_due(manager)) {
                manager_check_drift(manager);
                manager->look_at_all = manager->tenants_may_go = due = true;
        }
        if (due)
                (void) manager_reconcile(manager);
        manager_tell_tenants(manager);
        set_next(source, usec, manager->options.config->sample_interval_usec);
        return 0;
}

/* However seldom samples are taken. */
static int on_overrun_look(sd_event_source *source, uint64_t usec, void *userdata) {
        Manager *manager = userdata;

        if (reconciler_look_for_overruns(manager->reconciler, manager_now().boottime_usec))
                (void) manager_reconcile(manager);
        set_next(source, usec, OVERRUN_LOOK_USEC);
        return 0;
}

/* Who cannot be served here is served on the bus. */
static void manager_listen(Manager *manager) {
        const char *path = manager->options.peer_socket;
        int r = path ? api_listen(manager->api, manager->event, path) : 0;

        if (r < 0)
                (void) log_error_errno(r, "Peers cannot be served at %s", path);
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
        if (r >= 0)
                r = sd_event_source_set_enabled(manager->sample_timer, SD_EVENT_ON);
        if (r < 0 || !config_shapes_ingress(manager->options.config))
                return r;
        r = sd_event_add_time_relative(manager->event, &manager->overrun_timer, CLOCK_MONOTONIC,
                        OVERRUN_LOOK_USEC, OVERRUN_LOOK_USEC / 10, on_overrun_look, manager);
        return r < 0 ? r : sd_event_source_set_enabled(manager->overrun_timer, SD_EVENT_ON);
}

static int on_watchdog(sd_event_source *source, uint64_t usec, void *userdata) {
        const Manager *manager = userdata;
        uint64_t next_usec = manager->watchdog_usec / 4;

        if (watchdog_feed() < 0 && next_usec > WATCHDOG_RETRY_USEC)
                next_usec = WATCHDOG_RETRY_USEC;
        return sd_event_source_set_time_relative(source, next_usec);
}

/* As sd_event_set_watchdog(), which waits where PID 1 does not read. */
static int manager_feed_watchdog(Manager *manager) {
        _cleanup_(sd_event_source_unrefp) sd_event_source *timer = NULL;
        int r = sd_watchdog_enabled(/* unset_environment= */ false, &manager->watchdog_usec);

        if (r <= 0)
                return r;
        r = sd_event_add_time_relative(manager->event, &timer, CLOCK_MONOTONIC, 0, 0, on_watchdog, manager);
        if (r >= 0)
                r = sd_event_source_set_enabled(timer, SD_EVENT_ON);
        return r < 0 ? r : sd_event_source_set_floating(timer, true);
}

static int on_turn_over(sd_event_source *source, void *userdata) {
        Manager *manager = userdata;

        reconciler_rest(manager->reconciler);
        return 0;
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
                .keep_dir = options->state_dir,
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
        manager->node.calendar.horizon_usec = options->config->horizon_usec;
        manager->clock.sync_required = options->config->sync_required;
        manager->api_options = (ApiOptions){ options->config->schedulers, READERS_GROUP };
        r = sd_event_default(&manager->event);
        if (r >= 0)
                r = manager_read_identity(manager);
        if (r >= 0)
                r = manager_read_state(manager);
        if (r >= 0)
                r = reconciler_new(&reconcile, &manager->node.features, &manager->node.operator_capacity,
                                &manager->reconciler);
        manager->node.durations = (DurationSource){ reconciler_read_duration, manager->reconciler };
        if (r >= 0)
                r = api_new(&manager->node, &manager_operations, &manager->api_options, manager,
                                &manager->api);
        if (r < 0)
                return r;
        manager_follow_devices(manager);
        *ret = TAKE_PTR(manager);
        return 0;
}

Manager *manager_free(Manager *manager) {
        if (!manager)
                return NULL;
        manager_free_accepted(manager);
        manager_leave_bus(manager);
        api_free(manager->api);
        drift_watch_free(manager->drift);
        sd_event_source_disable_unref(manager->control_source);
        arrival_watch_free(manager->control_watch);
        sd_event_source_unref(manager->window_timer);
        sd_event_source_unref(manager->sample_timer);
        sd_event_source_unref(manager->overrun_timer);
        sd_event_source_unref(manager->clock_watch);
        cleanup_close(&manager->clock_fd);
        manager_free_attached(manager);
        reconciler_free(manager->reconciler);
        state_free(manager->state);
        node_deinit(&manager->node);
        sd_event_unref(manager->event);
        free(manager);
        return NULL;
}

void manager_say_ready(Manager *manager) {
        int r;

        if (manager->is_ready)
                return;
        manager->is_ready = true;
        if (manager->rebooted)
                api_rebooted(manager->api);
        log_info("headgated %s ready: %zu tenants, %zu allocations, node %s", HEADGATE_VERSION,
                        manager->node.n_tenants, manager->node.calendar.n,
                        node_state_to_string(manager->node.state));
        (void) sd_notify(false, "READY=1");
        watchdog_begin();
        r = reconciler_order_units(manager->reconciler);
        if (r < 0)
                (void) log_warning_errno(
                                r, "Units of tenants may start before their limits at the next boot");
}

static int set_up(Manager *manager) {
        int r = add_signals(manager->event);

        if (r >= 0)
                r = add_timers(manager);
        if (r >= 0)
                r = sd_event_add_post(manager->event, NULL, on_turn_over, manager);
        if (r >= 0)
                r = manager_watch_clock(manager);
        if (r >= 0)
                r = manager_watch_accepted(manager);
        if (r >= 0)
                r = manager_find_tenants(manager);
        return r < 0 ? log_error_errno(r, "The daemon cannot be set up") : 0;
}

/* What is refused meanwhile is a problem of its tenant and is tried again: a node with problems beats no
 * node. */
static int bring_into_force(Manager *manager) {
        int r;

        manager->look_at_all = true;
        (void) manager_reconcile(manager);
        /* After the limits: an end that has passed does not wait for programs to load. */
        r = reconciler_open_devices(manager->reconciler, &manager->node.features);
        if (r < 0)
                return r;
        (void) manager_reconcile(manager);
        r = reconciler_open_meter(manager->reconciler, &manager->node.features);
        if (r < 0)
                return r;
        reconciler_find_delivered(manager->reconciler, &manager->node);
        reconciler_drop_slots(manager->reconciler, &manager->node);
        /* What a crash left of a transaction goes now, and its classes with the plan that has it no more. */
        manager_drop_tenants(manager);
        (void) manager_reconcile(manager);
        return 0;
}

int manager_run(Manager *manager) {
        int r = set_up(manager);

        if (r >= 0)
                r = bring_into_force(manager);
        if (r < 0)
                return r;
        r = manager_watch_drift(manager);
        if (r < 0)
                return log_error_errno(r, "Drift cannot be looked for");
        r = manager_watch_control(manager);
        if (r < 0)
                return log_error_errno(r, "Groups of the control class can't be watched");
        manager_take_sample(manager, /* all= */ false);
        manager_listen(manager);
        r = manager_feed_watchdog(manager);
        if (r < 0)
                return log_error_errno(r, "The watchdog cannot be fed");
        r = manager_connect(manager);
        if (r < 0)
                return log_error_errno(r, "The bus cannot be waited for");
        r = sd_event_loop(manager->event);
        (void) sd_notify(false, "STOPPING=1");
        return r < 0 ? log_error_errno(r, "The event loop failed") : r;
}
