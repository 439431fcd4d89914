/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Devices: what a tenant's groups may open, observed in the kernel, compared, written, read back; its own
 * group and those that it has adopted. What its names mean is asked anew each time it is looked at, by the
 * slow check too: a device that comes later is given to those who were allotted it, and a number that became
 * another's is taken from them.
 */

#include "reconcile-internal.h"

#include "enforce/device-guard.h"

#include "util/log.h"
#include "util/strv.h"

/* What was last read back as planned. */
typedef struct Guarded {
        bool verified, guarded;
        bool lacking; /* some of its names mean nothing here now: asked again with each apply */
        DeviceSet devices;
        struct device_rules *rules; /* owned; what the names meant; NULL: not guarded */
        int error;                  /* why it could not be held last, as was said; or 0 */
} Guarded;

struct Devices {
        bool open;
        DeviceGuard *guard; /* NULL: not open yet, or this kernel cannot */
        Guarded *slots;     /* owned */
        uint32_t n_slots;
};

static void guarded_clear(Guarded *slot) {
        device_set_deinit(&slot->devices);
        slot->rules = device_rules_free(slot->rules);
        slot->verified = slot->guarded = slot->lacking = false;
        slot->error = 0;
}

int devices_new(uint32_t n_slots, Devices **ret) {
        _cleanup_(devices_free_p) Devices *devices = calloc(1, sizeof(Devices));

        if (!devices)
                return -ENOMEM;
        devices->n_slots = n_slots;
        devices->slots = calloc(n_slots, sizeof(Guarded));
        if (!devices->slots)
                return -ENOMEM;
        *ret = TAKE_PTR(devices);
        return 0;
}

int reconciler_open_devices(Reconciler *reconciler, FeatureSet *features) {
        Devices *devices = reconciler->devices;
        int r;

        if (!devices)
                return 0;
        r = device_guard_new(reconciler->options.pin_dir, features, &devices->guard);
        if (r < 0 && r != -EOPNOTSUPP)
                return log_error_errno(r, "The guards of devices cannot be used");
        devices->open = true;
        reconciler->look_at_all = true; /* who was settled without a guard */
        return 0;
}

Devices *devices_free(Devices *devices) {
        if (!devices)
                return NULL;
        for (uint32_t slot = 0; devices->slots && slot < devices->n_slots; slot++)
                guarded_clear(&devices->slots[slot]);
        free(devices->slots);
        device_guard_free(devices->guard);
        free(devices);
        return NULL;
}

void devices_look_again_at(Devices *devices, uint32_t slot) {
        devices->slots[slot].verified = false;
}

void devices_look_again(Devices *devices) {
        for (uint32_t slot = 0; slot < devices->n_slots; slot++)
                devices_look_again_at(devices, slot);
        if (devices->guard)
                device_guard_sweep(devices->guard);
}

/* Of a tenant that is observed, what would be is all that is planned. */
static bool is_guarded(const TenantPlan *plan) {
        return plan->guarded && !plan->observed;
}

bool devices_settled(const Devices *devices, const TenantPlan *plan) {
        const Guarded *last = &devices->slots[plan->tenant->slot];

        if (!devices->open)
                return true;
        /* Who is not guarded, and was not when we came: the rule, at a start. */
        if (!last->verified && !is_guarded(plan) &&
                        (!devices->guard || !device_guard_has_slot(devices->guard, plan->tenant->slot)))
                return true;
        return last->verified && !last->lacking && last->guarded == is_guarded(plan) &&
               device_set_equal(&last->devices, &plan->devices);
}

static int take_verified(Devices *devices, const TenantPlan *plan, struct device_rules *rules, bool lacking) {
        Guarded *last = &devices->slots[plan->tenant->slot];

        guarded_clear(last);
        last->guarded = is_guarded(plan);
        last->verified = true;
        last->rules = rules;
        last->lacking = lacking;
        return device_set_copy(&plan->devices, &last->devices);
}

static int make_rules(const DeviceSet *names, struct device_rules **ret, char ***problems) {
        _cleanup_device_lookup_ DeviceLookup lookup = {};
        int r = device_lookup_open(&lookup);

        return r < 0 ? r : device_rules_make(&lookup, names, ret, problems);
}

/* `rules` of NULL: the group is not guarded. */
static int change_group(Devices *devices, const struct device_rules *rules, uint32_t slot, int group_fd,
                uint64_t group_id, unsigned *written) {
        int r;

        if (!rules) {
                *written += (unsigned) device_guard_remove(devices->guard, group_id);
                return 0;
        }
        if (device_guard_holds(devices->guard, slot, group_id, rules))
                return 0;
        ++*written;
        r = device_guard_put(devices->guard, slot, group_fd, group_id, rules);
        if (r < 0)
                return r;
        return device_guard_holds(devices->guard, slot, group_id, rules) ? 0 : -EIO;
}

static int change_adopted(Reconciler *reconciler, const struct device_rules *rules, uint32_t slot,
                const AdoptedGroup *group, unsigned *written) {
        _cleanup_close_ int fd = -EBADF;
        uint64_t id;
        int r = cgroup_foreign_open(reconciler->driver, group->path, &fd, &id);

        /* What is gone is told with the next sample. */
        if (r == -ENOENT || (r >= 0 && id != group->id))
                return 0;
        return r < 0 ? r : change_group(reconciler->devices, rules, slot, fd, id, written);
}

static int refuse(Devices *devices, Tenant *tenant, const char *path, int error) {
        Guarded *last = &devices->slots[tenant->slot];
        const LogFields fields = { .tenant = tenant->id, .object = path };

        if (error == -ENOMEM)
                return error;
        if (error != last->error)
                (void) log_write_errno(LOG_ERR, &fields, error,
                                "Tenant %s cannot be held to its devices in %s", tenant->id, path);
        last->error = error;
        tenant->failed = true;
        return strv_pushf(&tenant->problems, "Devices: group %s is not guarded: %s", path, strerror(-error)) <
                                               0
                               ? -ENOMEM
                               : 0;
}

int devices_apply(Reconciler *reconciler, const TenantPlan *plan, Tenant *tenant, unsigned *written) {
        _cleanup_device_rules_ struct device_rules *rules = NULL;
        TenantGroup *group = reconciler->groups[tenant->slot];
        Devices *devices = reconciler->devices;
        bool lacking;
        int r = 0;

        if (!devices->open)
                return 0;
        if (!devices->guard) /* said so by reconciler_note_missing() */
                return take_verified(devices, plan, NULL, /* lacking= */ false);
        if (is_guarded(plan))
                r = make_rules(&plan->devices, &rules, &tenant->problems);
        if (r < 0)
                return refuse(devices, tenant, tenant_group_path(group), r);
        lacking = r > 0;
        tenant->failed = tenant->failed || lacking;
        r = change_group(devices, rules, tenant->slot, tenant_group_fd(group), tenant_group_id(group),
                        written);
        if (r < 0)
                return refuse(devices, tenant, tenant_group_path(group), r);
        for (size_t i = 0; i < tenant->adopted.n; i++) {
                const AdoptedGroup *adopted = &tenant->adopted.entries[i];

                r = change_adopted(reconciler, rules, tenant->slot, adopted, written);
                if (r < 0)
                        return refuse(devices, tenant, adopted->path, r);
        }
        return take_verified(devices, plan, TAKE_PTR(rules), lacking);
}

bool devices_mean_others(Devices *devices, uint32_t slot) {
        Guarded *last = &devices->slots[slot];
        _cleanup_device_rules_ struct device_rules *rules = NULL;
        _cleanup_strv_ char **problems = NULL;

        if (!devices->guard || !last->verified || !last->rules ||
                        make_rules(&last->devices, &rules, &problems) < 0 ||
                        device_rules_equal(rules, last->rules))
                return false;
        last->verified = false;
        return true;
}

bool devices_hold(const Devices *devices, uint32_t slot, uint64_t group_id) {
        const Guarded *last = &devices->slots[slot];

        return !devices->guard || !last->verified || !last->rules ||
               device_guard_holds(devices->guard, slot, group_id, last->rules);
}

/* What the group may open beyond what every guard lets through; NULL where it is not guarded. */
static int describe_present(Devices *devices, uint32_t slot, uint64_t group_id, char **ret) {
        _cleanup_device_rules_ struct device_rules *rules = NULL;
        int r = device_guard_get(devices->guard, slot, group_id, &rules);

        return r < 0 ? (r == -ENOENT ? 0 : r) : device_rules_format(rules, ret);
}

static int describe_plan(const TenantPlan *plan, char **ret) {
        _cleanup_device_rules_ struct device_rules *rules = NULL;
        _cleanup_strv_ char **problems = NULL;
        int r;

        if (!plan->guarded)
                return 0;
        r = make_rules(&plan->devices, &rules, &problems);
        return r < 0 ? r : device_rules_format(rules, ret);
}

int devices_diff(Devices *devices, const ReconcilerDiff *diff, const TenantPlan *plan, TenantGroup *group) {
        _cleanup_free_ char *have = NULL, *want = NULL;
        int r;

        if (!devices->guard)
                return 0;
        r = describe_present(devices, plan->tenant->slot, tenant_group_id(group), &have);
        if (r >= 0)
                r = describe_plan(plan, &want);
        if (r < 0 || strcmp(have ?: "", want ?: "") == 0)
                return r < 0 ? r : 0;
        return reconciler_put_difference(
                        diff, plan, tenant_group_path(group), "devices", have ?: "", want ?: "");
}

void devices_drop(Devices *devices, uint64_t group_id) {
        if (devices->guard)
                (void) device_guard_remove(devices->guard, group_id);
}

void devices_remove(Devices *devices, uint32_t slot) {
        guarded_clear(&devices->slots[slot]);
        if (devices->guard)
                device_guard_remove_slot(devices->guard, slot);
}

void devices_keep_pins(const Devices *devices, PinTell tell, void *userdata) {
        if (devices->guard)
                device_guard_keep_pins(devices->guard, tell, userdata);
}

const char *devices_pin_dir(const Devices *devices) {
        return devices->guard ? device_guard_pin_dir(devices->guard) : NULL;
}

int devices_release(Devices *devices) {
        return devices->guard ? device_guard_release(devices->guard) : 0;
}
