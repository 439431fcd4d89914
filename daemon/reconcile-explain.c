/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Why each value is what it is: the plan's words (decide/explain.h), beside the value as it is written and as
 * it was read from the kernel just now. It decides nothing and writes nothing.
 */

#include "reconcile-internal.h"

#include "decide/explain.h"
#include "enforce/cgroup-placement.h"
#include "util/words.h"

#include <inttypes.h>

#define OBSERVED "its Mode is observe: it is left as it is"

typedef struct Answer {
        Reconciler *reconciler;
        const Node *node;
        const char *name; /* what was asked for; "": all */
        PlanInput input;
        Plan plan, exact; /* rounded as the kernel does, and not */
        ExplanationList *list;
} Answer;

/* By its own name, or by that of the resource it serves. */
static bool is_asked_for(const Answer *answer, const char *name, ResourceKind kind) {
        return !*answer->name || strcmp(answer->name, name) == 0 ||
               (kind >= 0 && strcmp(answer->name, resource_info(kind)->name) == 0);
}

/* Takes `why`, which `r` says was made. */
static int add(const Answer *answer, const char *name, const char *value, const char *in_force, int r,
                char *why) {
        _cleanup_free_ char *owned = r < 0 ? NULL : why;

        return r < 0 ? r : explanation_list_add(answer->list, name, value, in_force, owned);
}

static void format_amount(const Amount *amount, char *ret) {
        const uint64_t values[] = { amount->reserved, amount->limit };
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(values); i++)
                n += (size_t) (values[i] == UNLIMITED ? sprintf(ret + n, "%smax", i > 0 ? " " : "")
                                                      : sprintf(ret + n, "%s%" PRIu64, i > 0 ? " " : "",
                                                                        values[i]));
}

static int add_share(const Answer *answer, const TenantPlan *exact) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < exact->share.n; i++) {
                const Resource *entry = &exact->share.entries[i];
                const Amount *effective =
                                resource_set_get(&exact->tenant->effective, entry->kind, entry->target);
                char name[RESOURCE_NAME_SIZE], value[SETTING_TEXT_SIZE], in_force[SETTING_TEXT_SIZE] = "";
                char *why = NULL;

                resource_format_name(entry->kind, entry->target, name);
                if (!is_asked_for(answer, name, entry->kind))
                        continue;
                format_amount(&entry->amount, value);
                if (effective)
                        format_amount(effective, in_force);
                r = explain_share(&answer->input, exact, entry, &why);
                r = add(answer, name, value, in_force, r, why);
        }
        return r;
}

/* `tenant` NULL: the parent's. */
static int explain_one(const Answer *answer, const TenantPlan *tenant, Setting setting, char **ret) {
        const Settings *rounded =
                        tenant ? &plan_find(&answer->plan, tenant->id)->settings : &answer->plan.parent;
        const Settings *exact = tenant ? &tenant->settings : &answer->exact.parent;
        _cleanup_free_ char *why = NULL;
        Words words = WORDS_NULL;
        int r;

        r = tenant ? explain_setting(&answer->input, tenant, setting, &why)
                   : explain_parent(&answer->input, &answer->exact, setting, &why);
        if (r < 0)
                return r;
        words_add(&words, "%s", why);
        if (rounded->value[setting] != exact->value[setting])
                words_add(&words, "; the kernel makes %" PRIu64 " of %" PRIu64, rounded->value[setting],
                                exact->value[setting]);
        if (tenant && tenant->observed)
                words_add(&words, "; " OBSERVED);
        return words_take(&words, ret);
}

static int add_settings(const Answer *answer, const TenantPlan *tenant, const Settings *planned,
                const Settings *observed) {
        int r = 0;

        for (Setting setting = 0; r >= 0 && setting < SETTING_MAX; setting++) {
                const char *file = setting_info(setting)->file;
                char value[SETTING_TEXT_SIZE], in_force[SETTING_TEXT_SIZE] = "";
                char *why = NULL;

                if (!settings_has(planned, setting) ||
                                !is_asked_for(answer, file, reconciler_setting_resource(setting)))
                        continue;
                setting_format(setting, planned->value[setting], value);
                if (settings_has(observed, setting))
                        setting_format(setting, observed->value[setting], in_force);
                r = explain_one(answer, tenant, setting, &why);
                if (r == -EOPNOTSUPP) {
                        r = 0;
                        continue;
                }
                r = add(answer, file, value, in_force, r, why);
        }
        return r;
}

static int add_processes(const Answer *answer, const TenantPlan *tenant, TenantGroup *group) {
        const int frozen = group ? tenant_group_is_frozen(group) : -ENOLINK;
        char *why = NULL;
        int r;

        if (!is_asked_for(answer, "cgroup.freeze", RESOURCE_KIND_INVALID))
                return 0;
        r = explain_frozen(tenant, &why);
        return add(answer, "cgroup.freeze", tenant->frozen ? "1" : "0",
                        frozen < 0 ? ""
                        : frozen   ? "1"
                                   : "0",
                        r, why);
}

static int add_set(const Answer *answer, const TenantPlan *tenant, const char *file, bool of_nodes,
                const CpuSet *observed) {
        const Placement *placement = tenant->placement;
        _cleanup_free_ char *value = NULL, *in_force = NULL;
        const CpuSet none = {}, *planned = !placement ? &none
                                           : of_nodes ? &placement->nodes
                                                      : &placement->cpus;
        char *why = NULL;
        int r;

        if (!is_asked_for(answer, file, RESOURCE_KIND_INVALID) &&
                        strcmp(answer->name, of_nodes ? "NumaNodes" : "CpuSet") != 0)
                return 0;
        value = cpu_set_format(planned);
        in_force = cpu_set_format(observed);
        if (!value || !in_force)
                return -ENOMEM;
        r = explain_placement(&answer->input, tenant, of_nodes, &why);
        return add(answer, file, *value ? value : "anywhere", in_force, r, why);
}

static int add_placement(const Answer *answer, const TenantPlan *tenant, TenantGroup *group) {
        GroupPlacement have = {};
        int r;

        if (group && tenant_group_observe_placement(group, &have) < 0)
                have = (GroupPlacement){};
        r = add_set(answer, tenant, "cpuset.cpus", /* of_nodes= */ false, &have.placement.cpus);
        return r < 0 ? r
                     : add_set(answer, tenant, "cpuset.mems", /* of_nodes= */ true, &have.placement.nodes);
}

static int add_mode(const Answer *answer, const TenantPlan *tenant) {
        if (!is_asked_for(answer, "Mode", RESOURCE_KIND_INVALID))
                return 0;
        return explanation_list_add(answer->list, "Mode", tenant_mode_to_string(tenant->observed), "",
                        tenant->observed ? "it is metered and its allocations go on, and nothing of it is "
                                           "enforced, until SetMode says enforce"
                                         : "what is planned is enforced");
}

static int add_classes(const Answer *answer, const TenantPlan *exact) {
        NetPlan observed[UPLINK_PLANS_MAX] = {};
        int r = 0;

        uplinks_observe(answer->reconciler->uplinks, observed);
        for (size_t i = 0; r >= 0 && i < answer->input.n_uplinks; i++) {
                const UplinkCapacity *uplink = &answer->input.uplinks[i];
                NetClass class = plan_net_class(uplink, exact);
                char name[RESOURCE_NAME_SIZE + 32], value[NET_CLASS_TEXT_SIZE], in_force[NET_CLASS_TEXT_SIZE];
                char *why = NULL;

                snprintf(name, sizeof name, "class %x:%x@%s", UPLINK_HTB_MAJOR,
                                UPLINK_MINOR_SLOT_BASE + class.slot, uplink->device);
                if (!is_asked_for(answer, name, uplink->kind))
                        continue;
                reconciler_format_class(&answer->plan.uplinks[i], &class, value);
                reconciler_format_class(
                                &observed[i], net_plan_find_class(&observed[i], class.slot), in_force);
                r = explain_class(&answer->input, exact, uplink, &why);
                r = add(answer, name, value, in_force, r, why);
        }
        for (size_t i = 0; i < answer->input.n_uplinks; i++)
                free(observed[i].classes);
        return r;
}

static int add_tenant(const Answer *answer, const TenantPlan *exact) {
        TenantGroup *group = answer->reconciler->groups[exact->tenant->slot];
        Settings observed = {};
        int r;

        if (group && tenant_group_observe(group, &observed) < 0)
                group = NULL;
        r = add_mode(answer, exact);
        if (r >= 0)
                r = add_share(answer, exact);
        if (r >= 0)
                r = add_settings(answer, exact, &plan_find(&answer->plan, exact->id)->settings, &observed);
        if (r >= 0)
                r = add_placement(answer, exact, group);
        if (r >= 0)
                r = add_processes(answer, exact, group);
        return r < 0 ? r : add_classes(answer, exact);
}

static int add_node(const Answer *answer, const Settings *parent) {
        const Capacity *capacity = &answer->reconciler->capacity;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < capacity->total.n; i++) {
                const Resource *entry = &capacity->total.entries[i];
                const Amount *now = resource_set_get(&answer->node->capacity, entry->kind, entry->target);
                char name[RESOURCE_NAME_SIZE], value[24];
                char *why = NULL;

                resource_format_name(entry->kind, entry->target, name);
                if (!is_asked_for(answer, name, entry->kind))
                        continue;
                snprintf(value, sizeof value, "%" PRIu64, entry->amount.limit);
                r = explain_capacity(capacity, &answer->exact, entry, now ? now->reserved : 0, &why);
                r = add(answer, name, value, "", r, why);
        }
        return r < 0 ? r : add_settings(answer, /* tenant= */ NULL, &answer->plan.parent, parent);
}

static int answer_all(Answer *answer, const char *tenant_id, const Settings *parent) {
        const TenantPlan *tenant = tenant_id ? plan_find(&answer->exact, tenant_id) : NULL;

        if (!tenant_id)
                return add_node(answer, parent);
        return tenant ? add_tenant(answer, tenant) : 0;
}

int reconciler_explain(Reconciler *reconciler, const Node *node, const char *tenant_id, const char *name,
                ExplanationList *ret) {
        Answer answer = { .reconciler = reconciler, .node = node, .name = name, .list = ret };
        SiblingWeights siblings = {};
        Settings parent = {};
        int r = 0;

        if (reconciler->driver)
                r = cgroup_parent_observe(reconciler->driver, &parent, &siblings);
        if (r >= 0)
                r = reconciler_make_plan(reconciler, node, &siblings, &answer.input, &answer.plan);
        if (r >= 0)
                r = plan_make(&answer.input, &answer.exact);
        if (r >= 0)
                r = answer_all(&answer, tenant_id, &parent);
        plan_deinit(&answer.exact);
        plan_deinit(&answer.plan);
        return r;
}
