/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One place of the node, compared with what was last read back there as planned. What differs nobody planned:
 * it is told. It writes nothing (but pins, which no plan is about): the next apply does.
 */

#include "reconcile-internal.h"

#include <string.h>

void reconciler_tell_drift(Reconciler *reconciler, DriftTell tell, void *userdata) {
        reconciler->tell_drift = tell;
        reconciler->tell_userdata = userdata;
}

typedef struct Telling {
        const Reconciler *reconciler;
        const DriftPlace *place;
        unsigned n; /* told */
} Telling;

static void tell(Telling *telling, DriftCause cause, const char *key, const char *have, const char *want) {
        const Reconciler *reconciler = telling->reconciler;

        telling->n++;
        reconciler->tell_drift(telling->place, cause, key, have, want, reconciler->tell_userdata);
}

static void tell_settings(
                Telling *telling, const Settings *observed, const Settings *verified, uint32_t can) {
        Settings diff;

        settings_diff(observed, verified, &diff);
        diff.present &= can;
        for (Setting setting = 0; setting < SETTING_MAX; setting++) {
                char have[SETTING_TEXT_SIZE] = "absent", want[SETTING_TEXT_SIZE];

                if (!settings_has(&diff, setting))
                        continue;
                if (settings_has(observed, setting))
                        setting_format(setting, observed->value[setting], have);
                setting_format(setting, verified->value[setting], want);
                tell(telling, DRIFT_CGROUP_FILE, setting_info(setting)->file, have, want);
        }
}

static void tell_placement(const char *file, const char *have, const char *want, void *userdata) {
        tell(userdata, DRIFT_CGROUP_FILE, file, have, want);
}

static bool is_replanned(const Verified *verified, const TenantPlan *plan) {
        return !(settings_equal(&verified->settings, &plan->settings) &&
                        limit_set_equal(&verified->limits, &plan->limits) &&
                        verified->frozen == plan->frozen && verified->observed == plan->observed);
}

Verified reconciler_take_verified(Reconciler *reconciler, const TenantPlan *plan) {
        Verified *verified = &reconciler->verified[plan->tenant->slot], before = {};

        if (!verified->look_again && !verified->observed && !plan->observed && !plan->tenant->to_be_opened &&
                        !plan->tenant->problems) {
                before = *verified;
                *verified = (Verified){};
        } else if (is_replanned(verified, plan))
                verified_forget(verified);
        return before;
}

void reconciler_give_back_verified(Reconciler *reconciler, const TenantPlan *plan, Verified *before) {
        Verified *verified = &reconciler->verified[plan->tenant->slot];

        if (before->settings.present && !verified->settings.present && !is_replanned(before, plan)) {
                *verified = *before;
                verified->look_again = true;
                *before = (Verified){};
        }
        verified_forget(before);
}

static void tell_limits(Telling *telling, const GroupState *observed, const LimitSet *verified) {
        _cleanup_free_ LimitLine *diff = NULL;
        size_t n = 0;

        if (limit_set_diff(&observed->limits, verified, observed->limit_files, &diff, &n) < 0)
                return;
        for (size_t i = 0; i < n; i++) {
                char have[LIMIT_TEXT_SIZE], want[LIMIT_TEXT_SIZE];

                limit_format(&diff[i], want);
                limit_format_held(&observed->limits, &diff[i], have);
                tell(telling, DRIFT_CGROUP_FILE, limit_file_info(diff[i].file)->file, have, want);
        }
}

static void tell_pinned(
                Telling *telling, const char *key, const char *whose, const char *have, const char *want) {
        char name[64];

        (void) snprintf(name, sizeof name, "%s%s", key, whose);
        tell(telling, DRIFT_PIN, name, have, want);
}

static void check_pinned(Telling *telling, uint32_t slot, uint64_t group_id, const char *whose) {
        const Reconciler *reconciler = telling->reconciler;
        const char *missing = reconciler->meter ? meter_missing(reconciler->meter, group_id) : NULL;

        if (!devices_hold(reconciler->devices, slot, group_id))
                tell_pinned(telling, "device-guard", whose, "not as it was", "as planned");
        if (missing)
                tell_pinned(telling, missing, whose, "detached", "attached");
}

/* What is gone is told with the next sample. */
static void check_adopted(Telling *telling, const Tenant *tenant) {
        for (size_t i = 0; i < tenant->adopted.n; i++) {
                const AdoptedGroup *group = &tenant->adopted.entries[i];

                if (reconciler_adopted_lives(telling->reconciler, group))
                        check_pinned(telling, tenant->slot, group->id, " of an adopted group");
        }
}

/* What has gone with a controller that somebody took is looked at when it has been given back. */
static void check_controllers(Telling *telling) {
        char have[CONTROLLERS_TEXT_SIZE], want[CONTROLLERS_TEXT_SIZE];

        if (!reconciler_has_controllers(telling->reconciler, have, want))
                tell(telling, DRIFT_CGROUP_FILE, CGROUP_CONTROLLERS_FILE, *have ? have : "none", want);
}

/* What the files of its group hold: of each a watch tells who writes to it. */
static int check_files(Telling *telling, uint32_t slot) {
        const Reconciler *reconciler = telling->reconciler;
        const Verified *verified = &reconciler->verified[slot];
        _cleanup_(group_state_deinit) GroupState observed = {};
        int r = reconciler_observe(reconciler, reconciler->groups[slot], &observed);

        if (r < 0 || verified->observed)
                return r;
        if (observed.frozen >= 0 && observed.frozen != verified->frozen)
                tell(telling, DRIFT_CGROUP_FILE, "cgroup.freeze", observed.frozen ? "1" : "0",
                                observed.frozen ? "0" : "1");
        tell_settings(telling, &observed.settings, &verified->settings,
                        cgroup_driver_settings(reconciler->driver));
        tell_limits(telling, &observed, &verified->limits);
        reconciler_check_placement(reconciler, slot, tell_placement, telling);
        return 0;
}

static void check_tenant(Telling *telling, const Node *node, uint32_t slot, bool only_untold) {
        const Reconciler *reconciler = telling->reconciler;
        TenantGroup *group = reconciler->groups[slot];
        const Tenant *tenant;
        int r;

        if (!group || !reconciler->verified[slot].settings.present)
                return; /* the next apply looks at it in any case */
        if (only_untold)
                r = tenant_group_alive(group) ? 0 : -ENOLINK;
        else
                r = check_files(telling, slot);
        if (r == -ENOLINK)
                tell(telling, DRIFT_CGROUP_GONE, "cgroup", "gone", "there");
        else if (r < 0)
                tell(telling, DRIFT_CGROUP_FILE, "cgroup", strerror(-r), "to be read");
        if (r < 0)
                return;
        check_pinned(telling, slot, tenant_group_id(group), /* whose= */ "");
        tenant = node_find_tenant(node, tenant_group_tenant(group));
        if (tenant)
                check_adopted(telling, tenant);
}

bool reconciler_file_holds(const Reconciler *reconciler, uint32_t slot, const char *file) {
        const Verified *verified = &reconciler->verified[slot];
        Setting setting = setting_from_file(file);
        Settings observed;

        if (setting < 0 || !reconciler->groups[slot] || verified->look_again || verified->observed ||
                        !settings_has(&verified->settings, setting))
                return false;
        return tenant_group_observe_some(reconciler->groups[slot], 1U << setting, &observed) >= 0 &&
               settings_has(&observed, setting) &&
               observed.value[setting] == verified->settings.value[setting];
}

static void check_parent(Telling *telling) {
        Reconciler *reconciler = (Reconciler *) telling->reconciler;
        SiblingWeights siblings;
        Settings observed;
        int r;

        if (!reconciler->parent.present)
                return;
        r = cgroup_parent_observe(reconciler->driver, &observed, &siblings);
        if (r == -ENOLINK)
                tell(telling, DRIFT_CGROUP_GONE, "cgroup", "gone", "there");
        if (r < 0)
                return;
        check_controllers(telling);
        tell_settings(telling, &observed, &reconciler->parent, observed.present);
        /* Its own weights are reckoned from theirs: that they are others is no drift. */
        if (siblings.cpu != reconciler->siblings.cpu || siblings.io != reconciler->siblings.io)
                reconciler->parent = (Settings){};
}

static void tell_uplink(const char *key, const char *have, const char *want, void *userdata) {
        tell(userdata, DRIFT_TC, key, have, want);
}

static void tell_pin(const char *name, int r, void *userdata) {
        Telling *telling = userdata;

        /* The place is verified where it could be pinned again. */
        if (r < 0)
                ((Reconciler *) telling->reconciler)->pins_missing = true;
        tell(telling, DRIFT_PIN, name, "gone", "pinned");
}

static void check_pins(Telling *telling) {
        Reconciler *reconciler = (Reconciler *) telling->reconciler;

        reconciler->pins_missing = false;
        if (reconciler->meter)
                meter_keep_pins(reconciler->meter, tell_pin, telling);
        devices_keep_pins(reconciler->devices, tell_pin, telling);
        uplinks_keep_pins(reconciler->uplinks, tell_pin, telling);
}

unsigned reconciler_check(
                Reconciler *reconciler, const Node *node, const DriftPlace *place, bool only_untold) {
        Telling telling = { reconciler, place, 0 };

        if (!reconciler->driver)
                return 0;
        switch (place->kind) {
        case DRIFT_PLACE_TENANT:
                check_tenant(&telling, node, place->index, only_untold);
                break;
        case DRIFT_PLACE_PARENT:
                check_parent(&telling);
                break;
        case DRIFT_PLACE_PINS:
                check_pins(&telling);
                break;
        case DRIFT_PLACE_UPLINK:
                uplinks_check(reconciler->uplinks, place->index, tell_uplink, &telling);
                break;
        }
        return telling.n;
}

bool reconciler_devices_changed(Reconciler *reconciler, const DriftPlace *place) {
        if (place->kind != DRIFT_PLACE_TENANT || !reconciler->devices ||
                        !devices_mean_others(reconciler->devices, place->index))
                return false;
        reconciler->look_at_all = true;
        return true;
}

void reconciler_look_again_at_slot(Reconciler *reconciler, uint32_t slot) {
        reconciler->verified[slot].look_again = reconciler->look_at_all = true;
}

void reconciler_look_again_at(Reconciler *reconciler, const DriftPlace *place) {
        switch (place->kind) {
        case DRIFT_PLACE_TENANT:
                reconciler_look_again_at_slot(reconciler, place->index);
                reconciler->parent = (Settings){}; /* what it lacks may be its parent's to give */
                break;
        case DRIFT_PLACE_PARENT:
                reconciler->parent = (Settings){};
                break;
        case DRIFT_PLACE_PINS:
                break; /* repaired as it is checked */
        case DRIFT_PLACE_UPLINK:
                uplinks_look_again_at(reconciler->uplinks, place->index);
                break;
        }
}

bool reconciler_is_verified(const Reconciler *reconciler, const DriftPlace *place) {
        switch (place->kind) {
        case DRIFT_PLACE_TENANT:
                return reconciler->groups[place->index] &&
                       reconciler->verified[place->index].settings.present &&
                       !reconciler->verified[place->index].look_again;
        case DRIFT_PLACE_PARENT:
                return reconciler->parent.present;
        case DRIFT_PLACE_PINS:
                return !reconciler->pins_missing;
        case DRIFT_PLACE_UPLINK:
                return uplinks_is_verified(reconciler->uplinks, place->index);
        }
        return false;
}

const char *reconciler_place_name(const Reconciler *reconciler, const DriftPlace *place) {
        switch (place->kind) {
        case DRIFT_PLACE_TENANT:
                return reconciler->groups[place->index] ? tenant_group_path(reconciler->groups[place->index])
                                                        : NULL;
        case DRIFT_PLACE_PARENT:
                return reconciler->driver ? cgroup_driver_parent(reconciler->driver) : NULL;
        case DRIFT_PLACE_PINS:
                return reconciler_pin_dir(reconciler);
        case DRIFT_PLACE_UPLINK:
                return reconciler->options.config->uplinks[place->index].name;
        }
        return NULL;
}

const char *reconciler_pin_dir(const Reconciler *reconciler) {
        return reconciler->meter ? meter_pin_dir(reconciler->meter) : NULL;
}

const char *reconciler_uplink_pin_dir(const Reconciler *reconciler) {
        return reconciler->options.pin_dir;
}

const char *reconciler_device_pin_dir(const Reconciler *reconciler) {
        return reconciler->devices ? devices_pin_dir(reconciler->devices) : NULL;
}

bool reconciler_find_uplink(const Reconciler *reconciler, const LinkChange *change, uint32_t *ret_index) {
        return uplinks_find(reconciler->uplinks, change, ret_index);
}

void reconciler_note_other_link(Reconciler *reconciler, const LinkChange *change) {
        uplinks_note_other(reconciler->uplinks, change);
}

void reconciler_look_again_at_other_links(Reconciler *reconciler) {
        uplinks_look_again_at_others(reconciler->uplinks);
}

static int follow_adopted(const Reconciler *reconciler, const Node *node, CgroupWatch *watch) {
        _cleanup_free_ CgroupAdopted *groups = NULL;
        size_t n = 0;

        for (size_t i = 0; i < node->n_tenants; i++)
                n += node->tenants[i]->adopted.n;
        groups = calloc(n + 1, sizeof(*groups));
        if (!groups)
                return -ENOMEM;
        n = 0;
        for (size_t i = 0; i < node->n_tenants; i++) {
                const Tenant *tenant = node->tenants[i];

                for (size_t k = 0; k < tenant->adopted.n; k++)
                        groups[n++] = (CgroupAdopted){ tenant->slot, tenant->adopted.entries[k].id,
                                tenant->adopted.entries[k].path };
        }
        return cgroup_watch_follow_adopted(watch, reconciler->driver, groups, n);
}

int reconciler_follow_groups(Reconciler *reconciler, const Node *node, CgroupWatch *watch) {
        int r = 0, adopted = 0;

        if (!reconciler->driver)
                return 0;
        r = cgroup_watch_follow_parent(watch, reconciler->driver);
        for (uint32_t slot = SLOT_FIRST; reconciler->groups_changed && slot < reconciler->n_slots; slot++) {
                int k = cgroup_watch_follow(watch, slot, reconciler->groups[slot]);

                r = r < 0 ? r : k;
        }
        reconciler->groups_changed = r < 0; /* tried again, as the others */
        if (reconciler->adopted_changed)
                adopted = follow_adopted(reconciler, node, watch);
        reconciler->adopted_changed = adopted < 0;
        return r < 0 ? r : adopted;
}
