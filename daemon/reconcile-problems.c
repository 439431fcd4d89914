/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is not as planned, in words: what this node cannot do, what is not there, what was read back
 * otherwise. */

#include "reconcile-internal.h"

#include "util/strv.h"

#include <inttypes.h>

/* Which resource a setting serves, so that the lack of it is a problem of those alone who asked for it. */
ResourceKind reconciler_setting_resource(Setting setting) {
        switch (setting) {
        case SETTING_CPU_IDLE:
        case SETTING_CPU_WEIGHT:
        case SETTING_CPU_MAX:
        case SETTING_CPU_BURST:
                return RESOURCE_CPU;
        case SETTING_SWAP_MAX:
                return RESOURCE_SWAP;
        case SETTING_TASKS_MAX:
                return RESOURCE_TASKS;
        case SETTING_IO_WEIGHT:
                return RESOURCE_IO_READ;
        case SETTING_HUGETLB_2M:
                return RESOURCE_HUGETLB_2M;
        case SETTING_HUGETLB_1G:
                return RESOURCE_HUGETLB_1G;
        default:
                return RESOURCE_MEMORY;
        }
}

static bool share_asks(const ResourceSet *share, Setting setting) {
        for (size_t i = 0; i < share->n; i++)
                if (share->entries[i].kind == reconciler_setting_resource(setting))
                        return setting != SETTING_IO_WEIGHT || share->entries[i].amount.reserved > 0;
        return false;
}

static int note_feature(const FeatureSet *features, const char *resource, const char *name, Tenant *tenant) {
        const Feature *feature = feature_set_get(features, name);

        if (feature && feature->available) /* there is nothing to limit */
                return 0;
        return strv_pushf(&tenant->problems, "%s: %s", resource, feature ? feature->words : "not enforced");
}

/* Says how a limit works, and is none. */
static bool is_aside(Setting setting) {
        return setting == SETTING_CPU_BURST || setting == SETTING_OOM_GROUP;
}

/* What this node cannot do at all: each resource is named once, by what matters most. */
static int note_missing(const FeatureSet *features, const TenantPlan *plan, uint32_t can, Tenant *tenant) {
        uint32_t named = 0;

        for (int asides = 0; asides < 2; asides++)
                for (Setting setting = SETTING_MAX; setting-- > 0;) { /* limits stand behind floors */
                        ResourceKind kind = reconciler_setting_resource(setting);
                        int r;

                        if (is_aside(setting) != asides || can & (1U << setting) || named & (1U << kind) ||
                                        !share_asks(&plan->share, setting))
                                continue;
                        named |= 1U << kind;
                        r = note_feature(features, resource_info(kind)->name, setting_info(setting)->feature,
                                        tenant);
                        if (r < 0)
                                return r;
                }
        return 0;
}

/* The same of files that hold what there is by device. */
static int note_missing_limits(
                const FeatureSet *features, const TenantPlan *plan, uint32_t can, Tenant *tenant) {
        uint32_t named = 0;

        for (size_t i = 0; i < plan->share.n; i++) {
                ResourceKind kind = plan->share.entries[i].kind;
                LimitFile file = plan_limit_file(kind);
                int r;

                if (file < 0 || can & (1U << file) || named & (1U << kind))
                        continue;
                named |= 1U << kind;
                r = note_feature(features, resource_info(kind)->name, limit_file_info(file)->feature, tenant);
                if (r < 0)
                        return r;
        }
        return 0;
}

static const BlockDevice *find_undivided(const PlanInput *input, const Resource *entry) {
        for (size_t i = 0; i < input->n_block_devices; i++) {
                const BlockDevice *device = &input->block_devices[i];

                if (device->policy == IO_POLICY_NONE &&
                                (*entry->target ? strcmp(entry->target, device->number) == 0 : device->leaf))
                        return device;
        }
        return NULL;
}

/* IO that is reserved on a device that nothing divides. */
static int note_undivided(const PlanInput *input, const TenantPlan *plan, Tenant *tenant) {
        for (size_t i = 0; i < plan->share.n; i++) {
                const Resource *entry = &plan->share.entries[i];
                const BlockDevice *device;
                char name[RESOURCE_NAME_SIZE];

                if ((entry->kind != RESOURCE_IO_READ && entry->kind != RESOURCE_IO_WRITE) ||
                                entry->amount.reserved == 0)
                        continue;
                device = find_undivided(input, entry);
                if (!device)
                        continue;
                resource_format_name(entry->kind, entry->target, name);
                if (strv_pushf(&tenant->problems,
                                    "%s: what is reserved is not guaranteed on %s (%s): neither io.cost nor "
                                    "BFQ divides it; weighted=yes in [device %s] turns io.cost on",
                                    name, device->name, device->number, device->name) < 0)
                        return -ENOMEM;
        }
        return 0;
}

/* Uplinks that the share names and that are not there now. */
static int note_absent(
                const PlanInput *input, const FeatureSet *features, const TenantPlan *plan, Tenant *tenant) {
        for (size_t i = 0; i < plan->share.n; i++) {
                const Resource *entry = &plan->share.entries[i];
                const char *uplink = calendar_target(&input->node->calendar, entry);
                char name[RESOURCE_NAME_SIZE];
                const Feature *feature;
                bool there = resource_info(entry->kind)->target != TARGET_UPLINK;

                for (size_t k = 0; k < input->n_uplinks; k++)
                        there = there || (input->uplinks[k].kind == entry->kind &&
                                                         strcmp(input->uplinks[k].name, uplink) == 0);
                if (there)
                        continue;
                resource_format_name(entry->kind, uplink, name);
                feature = feature_set_get(features, name);
                if (strv_pushf(&tenant->problems, "%s: %s", name,
                                    feature ? feature->words : "no such uplink is configured") < 0)
                        return -ENOMEM;
        }
        return 0;
}

/* Devices other than uplinks that the share names and that are not there now. */
static int note_absent_devices(const PlanInput *input, const TenantPlan *plan, Tenant *tenant) {
        for (size_t i = 0; i < plan->share.n; i++) {
                const Resource *entry = &plan->share.entries[i];
                char name[RESOURCE_NAME_SIZE];

                if (plan_limit_file(entry->kind) < 0 || *entry->target == '\0' ||
                                resource_set_get(input->targets, entry->kind, entry->target))
                        continue;
                resource_format_name(entry->kind, entry->target, name);
                if (strv_pushf(&tenant->problems, "%s: there is no such device now", name) < 0)
                        return -ENOMEM;
        }
        return 0;
}

int reconciler_note_missing(const Reconciler *reconciler, const PlanInput *input, const FeatureSet *features,
                const TenantPlan *plan, Tenant *tenant) {
        const Feature *devices = feature_set_get(features, "devices");
        int r;

        r = note_missing(features, plan, cgroup_driver_settings(reconciler->driver), tenant);
        if (r >= 0)
                r = note_missing_limits(features, plan, cgroup_driver_limits(reconciler->driver), tenant);
        if (r >= 0)
                r = note_undivided(input, plan, tenant);
        if (r >= 0)
                r = note_absent_devices(input, plan, tenant);
        if (r >= 0 && plan->guarded && devices && !devices->available)
                r = strv_pushf(&tenant->problems, "Devices: %s", devices->words);
        return r < 0 ? r : note_absent(input, features, plan, tenant);
}

/* Lines by device, column by column. */
static int note_limits(const TenantPlan *plan, const GroupState *observed, Tenant *tenant) {
        _cleanup_free_ LimitLine *diff = NULL;
        size_t n;
        int r;

        r = limit_set_diff(&observed->limits, &plan->limits, observed->limit_files, &diff, &n);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                char want[LIMIT_TEXT_SIZE], have[LIMIT_TEXT_SIZE];

                tenant->failed = true;
                limit_format(&diff[i], want);
                limit_format_held(&observed->limits, &diff[i], have);
                r = strv_pushf(&tenant->problems, "%s is '%s' and should be '%s'",
                                limit_file_info(diff[i].file)->file, have, want);
        }
        return r;
}

bool reconciler_is_held(const TenantPlan *plan, Setting setting) {
        return plan->residual && (setting == SETTING_HUGETLB_2M || setting == SETTING_HUGETLB_1G);
}

/* What holds now may not in a moment: not the kernel's refusal, so the tenant is not failed. */
static int note_fight(const DriftLog *drift, Tenant *tenant) {
        const DriftFight *fight =
                        tenant->control_group ? drift_log_fight(drift, tenant->control_group) : NULL;

        if (!fight)
                return 0;
        return strv_pushf(&tenant->problems,
                        "somebody changes %s of its control group again and again: put back %u times, now "
                        "every "
                        "%u s",
                        fight->key, fight->repairs, drift_fight_delay_sec(fight));
}

int reconciler_note_problems(Reconciler *reconciler, const PlanInput *input, const TenantPlan *plan,
                const GroupState *state, Tenant *tenant) {
        const Settings *observed = &state->settings;
        Settings diff;
        int r = 0;

        if (state->frozen != plan->frozen) {
                tenant->failed = true;
                r = strv_pushf(&tenant->problems, plan->frozen ? "its processes could not be frozen"
                                                               : "its processes could not be thawed");
        }
        settings_diff(observed, &plan->settings, &diff);
        diff.present &= cgroup_driver_settings(reconciler->driver);
        for (Setting setting = 0; r >= 0 && setting < SETTING_MAX; setting++)
                if (settings_has(&diff, setting)) {
                        char want[SETTING_TEXT_SIZE], have[SETTING_TEXT_SIZE];

                        tenant->failed = tenant->failed || !reconciler_is_held(plan, setting);
                        setting_format(setting, diff.value[setting], want);
                        setting_format(setting, observed->value[setting], have);
                        r = strv_pushf(&tenant->problems, "%s is %s and should be %s",
                                        setting_info(setting)->file, have, want);
                }
        if (r >= 0)
                r = note_limits(plan, state, tenant);
        r = r < 0 ? r : note_fight(&input->node->drift, tenant);
        for (size_t i = 0; r >= 0 && i < input->n_uplinks; i++) {
                const char *problem = uplinks_problem(reconciler->uplinks, i, &plan->share);

                if (problem) {
                        tenant->failed = tenant->failed || !tenant->residual;
                        r = strv_pushf(&tenant->problems, "%s@%s is not shaped: %s",
                                        resource_info(input->uplinks[i].kind)->name, input->uplinks[i].name,
                                        problem);
                } else if (!tenant->residual && uplinks_is_overrun(reconciler->uplinks, i, &plan->share))
                        /* Nothing that this node can do. */
                        r = strv_pushf(&tenant->problems,
                                        "%s@%s: more comes in than its %" PRIu64 " bit/s, and does not slow "
                                        "down: what is reserved is not certain",
                                        resource_info(input->uplinks[i].kind)->name, input->uplinks[i].name,
                                        input->uplinks[i].capacity_bps);
        }
        return r;
}
