/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What was changed behind our back. Watches say where to look and never what is to be done: a place that
 * somebody touched is marked, a turn of the loop compares the marked ones with what was last read back as
 * planned, and manager_reconcile() puts right what differs. Our own writes are announced as any others', and
 * compare equal: what holds a setting is compared as it is announced, and marks nothing then. A turn looks at
 * a few places, and turns for news keep a distance, so that ten thousand writes cost what one does in the
 * same time. Behind the watches a slow check takes its turns over everything.
 */

#include "manager-internal.h"

#include "enforce/unit-watch.h"
#include "meter/pin-watch.h"
#include "util/log.h"

#include <string.h>
#include <sys/epoll.h>

#define PLACES_A_TURN 4U
#define FILES_EVERY_ROUNDS 4U /* of the slow check: of groups that are watched */
#define TURN_DISTANCE_USEC 20000U
#define LINK_BUFFER_BYTES (256 * 1024)
#define RELOAD_WAIT_USEC (100ULL * 1000000)

typedef enum Mark {
        MARK_TOUCHED = 1 << 0,
        MARK_SYSTEMD = 1 << 1, /* because of systemd */
        MARK_UNTOLD = 1 << 2,  /* by the slow check: for what no watch tells of */
} Mark;

/* Told, and waiting for what the next apply makes of it. */
typedef struct Found {
        Drift drift;
        DriftPlace place;
} Found;

struct DriftWatch {
        Manager *manager;
        uint32_t n_slots, n_places; /* slots, the parent, the pins, uplinks: in this order */
        uint8_t *marks;             /* owned, by place */
        bool *emptied; /* owned, [slots]: of news being read, whose group has no process any more, or may have
                          none */
        uint32_t cursor;            /* of the slow check; n_places: it is through */
        uint32_t rounds;            /* of it */
        uint32_t turn_from;         /* the place that the next turn begins with: each has its turn */
        uint64_t turn_usec;         /* boot time of the last turn */
        uint64_t reload_until_usec; /* boot time until which a reload is waited for; 0: there is none */
        sd_event_source *turn;      /* when some place may be looked at */
        sd_event_source *next_turn; /* or at once: no timer need be set for it */
        CgroupWatch *groups;        /* NULL where it cannot be had; so are the next */
        LinkWatch *links;
        PinWatch *pins;
        UnitWatch *units; /* with the systemd driver alone */
        sd_event_source *sources[3];
        bool groups_left; /* some cannot be watched: the slow check alone finds what is changed there */
        bool pins_due;    /* our directories of pins may be others than those that are watched */
        bool devices_due; /* device names mean others than when they were last read back */
        DriftCause cause; /* of settings that differ at the place that is checked */
        Found *found;     /* owned */
        size_t n_found;
};

static DriftPlace place_at(const DriftWatch *watch, uint32_t i) {
        if (i < watch->n_slots)
                return (DriftPlace){ DRIFT_PLACE_TENANT, i };
        if (i == watch->n_slots)
                return (DriftPlace){ DRIFT_PLACE_PARENT, 0 };
        if (i == watch->n_slots + 1)
                return (DriftPlace){ DRIFT_PLACE_PINS, 0 };
        return (DriftPlace){ DRIFT_PLACE_UPLINK, i - watch->n_slots - 2 };
}

/* --- when to take a turn --- */

static void arm_at(DriftWatch *watch, uint64_t boottime_usec) {
        int r = sd_event_source_set_enabled(watch->next_turn, SD_EVENT_OFF);

        if (r >= 0)
                r = sd_event_source_set_time(watch->turn, boottime_usec);
        if (r >= 0)
                r = sd_event_source_set_enabled(watch->turn, SD_EVENT_ONESHOT);
        if (r < 0)
                (void) log_error_errno(r, "The timer of the check for drift cannot be set");
}

/* After what else is due now, and instead of a time that was set. */
static void arm_next(DriftWatch *watch) {
        int r = sd_event_source_set_enabled(watch->turn, SD_EVENT_OFF);

        if (r >= 0)
                r = sd_event_source_set_enabled(watch->next_turn, SD_EVENT_ONESHOT);
        if (r < 0)
                (void) log_error_errno(r, "The next check for drift cannot be asked for");
}

static void arm_for_news(DriftWatch *watch) {
        arm_at(watch, watch->turn_usec + TURN_DISTANCE_USEC); /* at once, where that is past */
}

static void mark(DriftWatch *watch, uint32_t i, Mark how) {
        watch->marks[i] |= (uint8_t) how;
}

static void mark_groups(DriftWatch *watch, Mark how) {
        for (uint32_t i = 0; i <= watch->n_slots; i++) {
                DriftPlace place = place_at(watch, i);

                if (reconciler_place_name(watch->manager->reconciler, &place))
                        mark(watch, i, how);
        }
}

/* --- news --- */

/* How a write that is noticed now came about. */
static Mark present_mark(const DriftWatch *watch) {
        return watch->units && unit_watch_reloading(watch->units) ? MARK_TOUCHED | MARK_SYSTEMD
                                                                  : MARK_TOUCHED;
}

/* The cpuset controller, which may have been taken, is theirs alone. */
static void mark_placed(DriftWatch *watch) {
        for (uint32_t slot = SLOT_FIRST; slot < watch->n_slots; slot++)
                if (reconciler_slot_is_placed(watch->manager->reconciler, slot))
                        mark(watch, slot, present_mark(watch));
}

static void on_group(uint32_t slot, CgroupNews news, const char *file, void *userdata) {
        DriftWatch *watch = userdata;

        if (news == CGROUP_NEWS_ADOPTED) {
                watch->emptied[slot] = true;
                return;
        }
        if (news == CGROUP_NEWS_EVENTS) {
                if (slot < watch->n_slots && !watch->emptied[slot])
                        watch->emptied[slot] = reconciler_slot_is_empty(watch->manager->reconciler, slot);
                return;
        }
        if (slot == CGROUP_WATCH_PARENT && strcmp(file, CGROUP_CONTROLLERS_FILE) == 0)
                mark_placed(watch);
        if (slot == CGROUP_WATCH_PARENT)
                slot = watch->n_slots;
        /* Most of what is written we wrote: of that one file is read, and not the whole group. */
        else if (!watch->marks[slot] && reconciler_file_holds(watch->manager->reconciler, slot, file))
                return;
        mark(watch, slot, present_mark(watch));
}

static void on_link(const LinkChange *change, void *userdata) {
        DriftWatch *watch = userdata;
        uint32_t index;

        if (reconciler_find_uplink(watch->manager->reconciler, change, &index))
                mark(watch, watch->n_slots + 2 + index, MARK_TOUCHED);
        else
                reconciler_note_other_link(watch->manager->reconciler, change);
}

/* What its processes have used to their last moment, while the group is there: somebody may remove it now,
 * and what is read of its files would go with it. */
static void sample_emptied(DriftWatch *watch) {
        Node *node = &watch->manager->node;

        for (size_t i = 0; i < node->n_tenants; i++) {
                Tenant *tenant = node->tenants[i];
                int r;

                if (!watch->emptied[tenant->slot])
                        continue;
                r = reconciler_sample_tenant(watch->manager->reconciler, tenant);
                if (r < 0)
                        log_write(LOG_WARNING, &(LogFields){ .tenant = tenant->id },
                                        "The counters of tenant %s cannot be read: %s", tenant->id,
                                        strerror(-r));
        }
        memset(watch->emptied, 0, watch->n_slots * sizeof(bool));
}

/* Read, marked, and not read again before the turn. Who fell empty is not told where news were lost. */
static int on_groups(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        DriftWatch *watch = userdata;

        if (cgroup_watch_read(watch->groups, on_group, watch) > 0) {
                mark_groups(watch, MARK_TOUCHED);
                (void) manager_take_sample(watch->manager, /* all= */ true);
        }
        sample_emptied(watch);
        arm_for_news(watch);
        return sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

static int on_links(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        DriftWatch *watch = userdata;

        if (link_watch_read(watch->links, on_link, watch) > 0) {
                for (uint32_t i = watch->n_slots + 2; i < watch->n_places; i++)
                        mark(watch, i, MARK_TOUCHED);
                reconciler_look_again_at_other_links(watch->manager->reconciler);
        }
        arm_for_news(watch);
        return sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

static int on_pins(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        DriftWatch *watch = userdata;

        (void) pin_watch_read(watch->pins);
        mark(watch, watch->n_slots + 1, MARK_TOUCHED);
        arm_for_news(watch);
        return sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

static void on_reloaded(void *userdata) {
        DriftWatch *watch = userdata;

        mark_groups(watch, MARK_SYSTEMD);
        arm_for_news(watch);
}

/* --- a turn --- */

static const Tenant *find_tenant(const Node *node, const DriftPlace *place) {
        for (size_t i = 0; place->kind == DRIFT_PLACE_TENANT && i < node->n_tenants; i++)
                if (node->tenants[i]->slot == place->index)
                        return node->tenants[i];
        return NULL;
}

static void take_drift(const DriftPlace *place, DriftCause cause, const char *key, const char *have,
                const char *want, void *userdata) {
        DriftWatch *watch = userdata;
        const char *object = reconciler_place_name(watch->manager->reconciler, place);
        const Tenant *tenant = find_tenant(&watch->manager->node, place);
        Found *found = reallocarray(watch->found, watch->n_found + 1, sizeof(Found));

        if (!found)
                return; /* put right all the same, though nobody hears of it */
        watch->found = found;
        found[watch->n_found++] = (Found){
                .place = *place,
                .drift = {
                        .utc_usec = manager_now().utc_usec,
                        .cause = cause == DRIFT_CGROUP_FILE ? watch->cause : cause,
                        .object = strdup(object ?: ""),
                        .key = strdup(key),
                        .have = strdup(have),
                        .want = strdup(want),
                        .tenant_id = strdup(tenant ? tenant->id : ""),
                },
        };
}

/* What is asked of PID 1 while it reloads would keep us waiting, and what it writes is not yet all. */
static void look_at_reload(DriftWatch *watch, uint64_t now_usec) {
        if (!watch->units || !unit_watch_reloading(watch->units))
                watch->reload_until_usec = 0;
        else if (watch->reload_until_usec == 0)
                watch->reload_until_usec = now_usec + RELOAD_WAIT_USEC;
}

/* When the place may be put back. */
static uint64_t due_of(const DriftWatch *watch, uint32_t i, const char *object, uint64_t now_usec) {
        uint64_t due = drift_log_due(&watch->manager->node.drift, object, now_usec);

        return i <= watch->n_slots && watch->reload_until_usec > due ? watch->reload_until_usec : due;
}

/* Compares one place, if it may be put back now: else it stays marked, and the time when it may is returned.
 */
static uint64_t check_place(DriftWatch *watch, uint32_t i, uint64_t now_usec) {
        Reconciler *reconciler = watch->manager->reconciler;
        DriftLog *log = &watch->manager->node.drift;
        DriftPlace place = place_at(watch, i);
        const char *name = reconciler_place_name(reconciler, &place);
        _cleanup_free_ char *object = name ? strdup(name) : NULL;
        uint64_t due = object ? due_of(watch, i, object, now_usec) : now_usec;
        size_t before = watch->n_found;
        bool only_untold;

        if (due > now_usec)
                return due;
        watch->cause = watch->marks[i] & MARK_SYSTEMD ? DRIFT_SYSTEMD : DRIFT_CGROUP_FILE;
        only_untold = watch->marks[i] == MARK_UNTOLD;
        watch->marks[i] = 0;
        watch->pins_due = watch->pins_due || place.kind == DRIFT_PLACE_PINS;
        watch->devices_due = reconciler_devices_changed(reconciler, &place) || watch->devices_due;
        if (!object || reconciler_check(reconciler, &watch->manager->node, &place, only_untold) == 0)
                return now_usec;
        (void) drift_log_repair(log, object,
                        watch->n_found > before ? watch->found[before].drift.key : "something", now_usec);
        reconciler_look_again_at(reconciler, &place);
        return now_usec;
}

/* The places that are marked, some of them: when the next is to be looked at. */
static uint64_t check_marked(DriftWatch *watch, uint64_t now_usec) {
        uint64_t next = UINT64_MAX;
        unsigned n = 0;

        for (uint32_t k = 0, i = watch->turn_from; k < watch->n_places;
                        k++, i = i + 1 < watch->n_places ? i + 1 : 0) {
                uint64_t due;

                if (!watch->marks[i])
                        continue;
                if (n == PLACES_A_TURN) {
                        watch->turn_from = i;
                        return now_usec;
                }
                due = check_place(watch, i, now_usec);
                if (due > now_usec)
                        next = due < next ? due : next;
                else
                        n++;
        }
        return next;
}

/* Most of what a look costs are the files of settings, and who writes to one is told. Should that ever fail,
 * it is found here, in a later round. */
static Mark slow_mark(const DriftWatch *watch, uint32_t i) {
        bool is_told = watch->groups && !watch->groups_left && place_at(watch, i).kind == DRIFT_PLACE_TENANT;

        return is_told && (watch->rounds + i) % FILES_EVERY_ROUNDS != 0 ? MARK_UNTOLD : MARK_TOUCHED;
}

/* The next places of the slow check are marked. Slots without a group cost nothing. */
static void advance_slow_check(DriftWatch *watch) {
        for (unsigned n = 0; n < PLACES_A_TURN && watch->cursor < watch->n_places; watch->cursor++) {
                DriftPlace place = place_at(watch, watch->cursor);

                if (!reconciler_place_name(watch->manager->reconciler, &place))
                        continue;
                mark(watch, watch->cursor, slow_mark(watch, watch->cursor));
                n++;
        }
}

/* Marked, and not one that was put back in a fight and waits for its time to be looked at again. */
static bool is_to_be_followed(const DriftWatch *watch, uint32_t i, uint64_t now_usec) {
        const Manager *manager = watch->manager;
        DriftPlace place = place_at(watch, i);
        const char *name = watch->marks[i] ? reconciler_place_name(manager->reconciler, &place) : NULL;

        return name && (!reconciler_is_verified(manager->reconciler, &place) ||
                                       drift_log_due(&manager->node.drift, name, now_usec) <= now_usec);
}

/* First which interfaces there are, then what hangs on them. One that could not be shaped may be now: the
 * foreign qdisc in its way may be what went. */
static bool follow_uplinks(DriftWatch *watch, uint64_t now_usec) {
        bool any = false, due = false;

        for (uint32_t i = watch->n_slots + 2; i < watch->n_places; i++)
                any = any || is_to_be_followed(watch, i, now_usec);
        if (any)
                due = manager_follow_capacity(watch->manager);
        for (uint32_t i = watch->n_slots + 2; i < watch->n_places; i++) {
                DriftPlace place = place_at(watch, i);

                due = due || (watch->marks[i] && !reconciler_is_verified(watch->manager->reconciler, &place));
        }
        return due;
}

static void listen_again(DriftWatch *watch) {
        const char *dirs[] = { reconciler_pin_dir(watch->manager->reconciler),
                reconciler_device_pin_dir(watch->manager->reconciler),
                reconciler_uplink_pin_dir(watch->manager->reconciler) };

        for (size_t i = 0; watch->pins && watch->pins_due && i < ELEMENTSOF(dirs); i++)
                if (dirs[i])
                        (void) pin_watch_follow(watch->pins, dirs[i]);
        watch->pins_due = false;
        for (size_t i = 0; i < ELEMENTSOF(watch->sources); i++)
                if (watch->sources[i])
                        (void) sd_event_source_set_enabled(watch->sources[i], SD_EVENT_ON);
}

static void take_turn(DriftWatch *watch) {
        uint64_t now_usec = manager_now().boottime_usec, next;
        bool due;

        watch->turn_usec = now_usec;
        look_at_reload(watch, now_usec);
        due = follow_uplinks(watch, now_usec);
        reconciler_follow_namespaces(watch->manager->reconciler, &watch->manager->node.features);
        advance_slow_check(watch);
        next = check_marked(watch, now_usec);
        if (due || watch->devices_due || watch->n_found > 0)
                (void) manager_reconcile(watch->manager);
        watch->devices_due = false;
        listen_again(watch);
        if (watch->cursor < watch->n_places)
                next = now_usec;
        if (next <= now_usec)
                arm_next(watch);
        else if (next != UINT64_MAX)
                arm_at(watch, next);
}

static int on_turn(sd_event_source *source, uint64_t usec, void *userdata) {
        take_turn(userdata);
        return 0;
}

static int on_next_turn(sd_event_source *source, void *userdata) {
        take_turn(userdata);
        return 0;
}

/* --- what became of it --- */

static void log_drift(const Drift *drift) {
        const LogFields fields = { .tenant = *drift->tenant_id ? drift->tenant_id : NULL,
                .object = drift->object };

        log_write(LOG_WARNING, &fields, "Drift (%s): %s of %s was %s instead of %s: %s",
                        drift_cause_to_string(drift->cause), drift->key, drift->object, drift->have,
                        drift->want, drift->repaired ? "put back" : "it could not be put back");
}

/* What is watched, or what somebody keeps changing. */
static void say_feature(DriftWatch *watch) {
        const DriftFight *fight = drift_log_fight(&watch->manager->node.drift, NULL);
        FeatureSet *features = &watch->manager->node.features;

        if (fight)
                (void) feature_set_put(features, "drift", false,
                                "somebody changes %s of %s again and again: put back %u times, now every %u "
                                "s",
                                fight->key, fight->object, fight->repairs, drift_fight_delay_sec(fight));
        else if (!watch->groups || watch->groups_left || !watch->links || !watch->pins)
                (void) feature_set_put(features, "drift", false,
                                "changes by others of %s are noticed by the slow check alone",
                                !watch->groups       ? "control groups"
                                : watch->groups_left ? "some control groups"
                                : !watch->links      ? "interfaces, qdiscs and classes"
                                                     : "pins");
        else
                (void) feature_set_put(features, "drift", true,
                                "changes by others are noticed at once, and put back");
}

void manager_settle_drift(Manager *manager, const Instant *now) {
        DriftWatch *watch = manager->drift;
        int r;

        if (!watch)
                return;
        for (size_t i = 0; i < watch->n_found; i++) {
                Found *found = &watch->found[i];
                Drift *drift = &found->drift;

                drift->repaired = reconciler_is_verified(manager->reconciler, &found->place);
                if (drift->object && drift->key && drift->have && drift->want && drift->tenant_id) {
                        log_drift(drift);
                        drift_log_put(&manager->node.drift, drift);
                } else
                        drift_deinit(drift);
        }
        watch->n_found = 0;
        r = watch->groups ? reconciler_follow_groups(manager->reconciler, &manager->node, watch->groups) : 0;
        if (r < 0 && !watch->groups_left)
                (void) log_warning_errno(r, "Not all control groups can be watched");
        watch->groups_left = r < 0;
        say_feature(watch);
}

static void on_calm(const char *object, void *userdata) {
        DriftWatch *watch = userdata;

        log_info("Nobody changes %s behind our back any more", object);
        for (uint32_t i = 0; i < watch->n_places; i++) {
                DriftPlace place = place_at(watch, i);
                const char *name = reconciler_place_name(watch->manager->reconciler, &place);

                if (name && strcmp(name, object) == 0)
                        reconciler_look_again_at(watch->manager->reconciler, &place);
        }
}

void manager_sample_drift(Manager *manager, const Instant *now, bool gone) {
        DriftWatch *watch = manager->drift;

        if (!watch)
                return;
        if (watch->units)
                (void) unit_watch_keep(watch->units);
        if (gone) {
                for (uint32_t slot = SLOT_FIRST; slot < watch->n_slots; slot++)
                        if (reconciler_slot_is_gone(manager->reconciler, slot))
                                mark(watch, slot, MARK_TOUCHED);
                arm_for_news(watch);
        }
        /* Its problem goes with a look at it. */
        if (drift_log_calm(&manager->node.drift, now->boottime_usec, on_calm, watch) > 0)
                (void) manager_reconcile(manager);
}

void manager_check_drift(Manager *manager) {
        if (!manager->drift)
                return;
        reconciler_retry_partitions(manager->reconciler);
        reconciler_look_again_at_other_links(manager->reconciler);
        manager->drift->cursor = SLOT_FIRST;
        manager->drift->rounds++;
        arm_for_news(manager->drift);
}

/* --- the watches --- */

static int listen(DriftWatch *watch, size_t i, int fd, sd_event_io_handler_t handler) {
        return sd_event_add_io(watch->manager->event, &watch->sources[i], fd, EPOLLIN, handler, watch);
}

/* One that cannot be had leaves its part to the slow check. */
static int open_watches(DriftWatch *watch) {
        int r = 0;

        if (cgroup_watch_new(watch->n_slots, &watch->groups) >= 0)
                r = listen(watch, 0, cgroup_watch_fd(watch->groups), on_groups);
        if (r >= 0 && link_watch_new(LINK_BUFFER_BYTES, &watch->links) >= 0)
                r = listen(watch, 1, link_watch_fd(watch->links), on_links);
        if (r >= 0 && pin_watch_new(&watch->pins) >= 0)
                r = listen(watch, 2, pin_watch_fd(watch->pins), on_pins);
        if (r >= 0 && watch->manager->options.cgroup_driver == CGROUP_DRIVER_SYSTEMD)
                r = unit_watch_new(watch->manager->event, on_reloaded, watch, &watch->units);
        return r;
}

int manager_watch_drift(Manager *manager) {
        Instant now = manager_now();
        DriftWatch *watch;
        int r;

        if (manager->options.dry_run)
                return 0;
        watch = manager->drift = calloc(1, sizeof(*watch));
        if (!watch)
                return -ENOMEM;
        watch->manager = manager;
        watch->n_slots = manager_slot_max(manager) + 1;
        watch->n_places = watch->cursor = watch->n_slots + 2 + (uint32_t) manager->options.config->n_uplinks;
        watch->marks = calloc(watch->n_places, sizeof(uint8_t));
        watch->emptied = calloc(watch->n_slots, sizeof(bool));
        if (!watch->marks || !watch->emptied)
                return -ENOMEM;
        r = sd_event_add_time(manager->event, &watch->turn, CLOCK_BOOTTIME, UINT64_MAX, 1, on_turn, watch);
        if (r >= 0)
                r = sd_event_source_set_enabled(watch->turn, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_defer(manager->event, &watch->next_turn, on_next_turn, watch);
        if (r >= 0)
                r = sd_event_source_set_enabled(watch->next_turn, SD_EVENT_OFF);
        if (r >= 0)
                r = open_watches(watch);
        if (r < 0)
                return r;
        reconciler_tell_drift(manager->reconciler, take_drift, watch);
        watch->pins_due = true;
        listen_again(watch);
        /* What was written between the first look at everything and the first watch. */
        mark_groups(watch, MARK_TOUCHED);
        arm_for_news(watch);
        if (watch->units)
                (void) unit_watch_keep(watch->units);
        manager_settle_drift(manager, &now);
        return 0;
}

DriftWatch *drift_watch_free(DriftWatch *watch) {
        if (!watch)
                return NULL;
        sd_event_source_disable_unref(watch->turn);
        sd_event_source_disable_unref(watch->next_turn);
        for (size_t i = 0; i < ELEMENTSOF(watch->sources); i++)
                sd_event_source_disable_unref(watch->sources[i]);
        cgroup_watch_free(watch->groups);
        link_watch_free(watch->links);
        pin_watch_free(watch->pins);
        unit_watch_free(watch->units);
        for (size_t i = 0; i < watch->n_found; i++)
                drift_deinit(&watch->found[i].drift);
        free(watch->found);
        free(watch->marks);
        free(watch->emptied);
        free(watch);
        return NULL;
}
