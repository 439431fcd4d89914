/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is not as planned, in words: what this node cannot do, what is not there, what was read back
 * otherwise. */

#include "reconcile-internal.h"

#include "util/strv.h"

static bool share_names(const ResourceSet *share, ResourceKind kind) {
        for (size_t i = 0; i < share->n; i++)
                if (share->entries[i].kind == kind)
                        return true;
        return false;
}

/* Which resource a setting serves, so that the lack of it is a problem of those alone who asked for it. */
ResourceKind reconciler_setting_resource(Setting setting) {
        switch (setting) {
        case SETTING_CPU_IDLE:
        case SETTING_CPU_WEIGHT:
        case SETTING_CPU_MAX:
                return RESOURCE_CPU;
        case SETTING_SWAP_MAX:
                return RESOURCE_SWAP;
        case SETTING_TASKS_MAX:
                return RESOURCE_TASKS;
        default:
                return RESOURCE_MEMORY;
        }
}

/* What this node cannot do at all: each resource is named once. */
static int note_missing(const FeatureSet *features, const TenantPlan *plan, uint32_t can, Tenant *tenant) {
        uint32_t named = 0;

        for (Setting setting = SETTING_MAX;
                        setting-- > 0;) { /* limits stand last, and are what matters most */
                const char *name = setting_info(setting)->feature;
                ResourceKind kind = reconciler_setting_resource(setting);
                const Feature *feature;
                int r;

                if (can & (1U << setting) || named & (1U << kind) || !share_names(&plan->share, kind))
                        continue;
                named |= 1U << kind;
                feature = feature_set_get(features, name);
                r = strv_pushf(&tenant->problems, "%s: %s", resource_info(kind)->name,
                                feature ? feature->words : "not enforced");
                if (r < 0)
                        return r;
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
                bool there = entry->kind != RESOURCE_NET_EGRESS;

                for (size_t k = 0; k < input->n_uplinks; k++)
                        there = there || strcmp(input->uplinks[k].name, uplink) == 0;
                if (there)
                        continue;
                resource_format_name(RESOURCE_NET_EGRESS, uplink, name);
                feature = feature_set_get(features, name);
                if (strv_pushf(&tenant->problems, "%s: %s", name,
                                    feature ? feature->words : "no such uplink is configured") < 0)
                        return -ENOMEM;
        }
        return 0;
}

int reconciler_note_missing(const Reconciler *reconciler, const PlanInput *input, const FeatureSet *features,
                const TenantPlan *plan, Tenant *tenant) {
        int r = note_missing(features, plan, cgroup_driver_settings(reconciler->driver), tenant);
        const Feature *devices = feature_set_get(features, "devices");

        if (r >= 0 && plan->guarded && devices && !devices->available)
                r = strv_pushf(&tenant->problems, "Devices: %s", devices->words);
        return r < 0 ? r : note_absent(input, features, plan, tenant);
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
                const Settings *observed, Tenant *tenant) {
        TenantGroup *group = reconciler->groups[tenant->slot];
        Settings diff;
        int frozen = group ? tenant_group_is_frozen(group) : -ENOLINK, r = 0;

        if (frozen != plan->frozen) {
                tenant->failed = true;
                r = strv_pushf(&tenant->problems, plan->frozen ? "its processes could not be frozen"
                                                               : "its processes could not be thawed");
        }
        settings_diff(observed, &plan->settings, &diff);
        diff.present &= cgroup_driver_settings(reconciler->driver);
        for (Setting setting = 0; r >= 0 && setting < SETTING_MAX; setting++)
                if (settings_has(&diff, setting)) {
                        char want[SETTING_TEXT_SIZE], have[SETTING_TEXT_SIZE];

                        tenant->failed = true;
                        setting_format(setting, diff.value[setting], want);
                        setting_format(setting, observed->value[setting], have);
                        r = strv_pushf(&tenant->problems, "%s is %s and should be %s",
                                        setting_info(setting)->file, have, want);
                }
        r = r < 0 ? r : note_fight(&input->node->drift, tenant);
        for (size_t i = 0; r >= 0 && i < input->n_uplinks; i++) {
                const char *problem = uplinks_problem(reconciler->uplinks, i, &plan->share);

                if (problem) {
                        tenant->failed = tenant->failed || !tenant->residual;
                        r = strv_pushf(&tenant->problems, "net.egress@%s is not shaped: %s",
                                        input->uplinks[i].name, problem);
                }
        }
        return r;
}
