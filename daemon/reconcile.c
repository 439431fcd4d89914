/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * In steps, each time:
 *   1. the plan, rounded as the kernel rounds;
 *   2. every tenant has a group, and the group is metered, once the meter is open;
 *   3. the parent is given what its children will need (give before take), the tenants what they differ in,
 * the uplinks their classes, and the parent then only what is needed;
 *   4. all of it is read back: what differs is a problem, in words.
 * What was read back as planned, and is planned so still, is passed over until the next look at everything: a
 * change of one tenant costs no more with a thousand others beside it.
 */

#include "reconcile.h"

#include "enforce/cgroup-text.h"
#include "enforce/uplink.h"
#include "meter/meter.h"
#include "uplinks.h"
#include "util/log.h"
#include "util/strv.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/* What was last read back as planned; no setting present: look again. */
typedef struct Verified {
        Settings settings;
        bool frozen;
} Verified;

struct Reconciler {
        ReconcilerOptions options;
        CgroupDriver *driver;
        Meter *meter;
        TenantGroup **groups;    /* by slot */
        Verified *verified;      /* by slot */
        Settings parent;         /* the same of our parent group */
        uint64_t sibling_weight; /* beside it, as of then */
        int parent_fd;           /* held locked: one headgated a parent group */
        uint32_t n_slots;
        Uplinks *uplinks;
        Capacity capacity;
        uint64_t cpu_millicores;
};

static uint64_t total_memory(void) {
        return (uint64_t) sysconf(_SC_PHYS_PAGES) * (uint64_t) sysconf(_SC_PAGESIZE);
}

static uint64_t less(uint64_t total, uint64_t reserve) {
        return total > reserve ? total - reserve : 0;
}

/* No more than an operator lets be promised, nor than there is. */
static int bound_capacity(
                const ResourceSet *hardware, const ResourceSet *operator_capacity, ResourceSet *ret) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < hardware->n; i++) {
                const Resource *entry = &hardware->entries[i];
                const Amount *bound = resource_set_get(operator_capacity, entry->kind, entry->target);
                Amount amount = entry->amount;

                if (bound && bound->limit < amount.limit)
                        amount.limit = bound->limit;
                r = resource_set_put(ret, entry->kind, entry->target, amount);
        }
        return r;
}

int reconciler_refresh_capacity(
                Reconciler *reconciler, FeatureSet *features, const ResourceSet *operator_capacity) {
        _cleanup_resource_set_ ResourceSet bounded = RESOURCE_SET_NULL;
        const Config *config = reconciler->options.config;
        _cleanup_resource_set_ ResourceSet total = RESOURCE_SET_NULL;
        const uint64_t cpu_millicores = (uint64_t) sysconf(_SC_NPROCESSORS_ONLN) * 1000;
        const UplinkCapacity *uplinks;
        size_t n_uplinks;
        bool hardware_changed, changed;
        int r;

        r = resource_set_put(&total, RESOURCE_CPU, "",
                        (Amount){ 0, less(cpu_millicores, config->cpu_reserve_millicores) });
        if (r >= 0)
                r = resource_set_put(&total, RESOURCE_MEMORY, "",
                                (Amount){ 0, less(total_memory(), config->memory_reserve_bytes) });
        if (r >= 0 && !reconciler->options.dry_run)
                r = uplinks_refresh(reconciler->uplinks, features, &total);
        if (r < 0)
                return r;
        uplinks = uplinks_capacity(reconciler->uplinks, &n_uplinks);
        reconciler->capacity.default_uplink = NULL;
        for (size_t i = 0; i < n_uplinks; i++)
                if (uplinks[i].is_default)
                        reconciler->capacity.default_uplink = uplinks[i].name;
        hardware_changed = r > 0 || cpu_millicores != reconciler->cpu_millicores;
        r = bound_capacity(&total, operator_capacity, &bounded);
        if (r < 0)
                return r;
        changed = hardware_changed || !resource_set_equal(&bounded, &reconciler->capacity.total);
        reconciler->cpu_millicores = cpu_millicores;
        resource_set_deinit(&reconciler->capacity.hardware);
        resource_set_deinit(&reconciler->capacity.total);
        reconciler->capacity.hardware = total;
        reconciler->capacity.total = bounded;
        total = bounded = (ResourceSet) RESOURCE_SET_NULL;
        if (changed)
                reconciler_look_again(reconciler);
        return changed;
}

/* Two daemons over one group would each undo the other: the second is refused before it has touched anything.
 */
static int lock_parent(Reconciler *reconciler) {
        _cleanup_free_ char *parent = NULL;

        if (asprintf(&parent, "%s%s", cgroup_driver_mount(reconciler->driver),
                            cgroup_driver_parent(reconciler->driver)) < 0) {
                parent = NULL;
                return -ENOMEM;
        }
        reconciler->parent_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (reconciler->parent_fd < 0)
                return -errno;
        return flock(reconciler->parent_fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

int reconciler_open_meter(Reconciler *reconciler, FeatureSet *features) {
        _cleanup_free_ char *parent = NULL;
        int r;

        if (!reconciler->driver)
                return 0;
        if (asprintf(&parent, "%s%s", cgroup_driver_mount(reconciler->driver),
                            cgroup_driver_parent(reconciler->driver)) < 0) {
                parent = NULL;
                return -ENOMEM;
        }
        r = meter_new(
                        &(MeterOptions){
                                        .pin_dir = reconciler->options.pin_dir,
                                        .slots = reconciler->n_slots,
                                        .cgroup_root = parent,
                                        .classid_base = UPLINK_CLASSID(0),
                        },
                        features, &reconciler->meter);
        if (r < 0)
                return log_error_errno(r, "The meters cannot be used");
        reconciler_look_again(reconciler);
        return 0;
}

int reconciler_new(const ReconcilerOptions *options, FeatureSet *features,
                const ResourceSet *operator_capacity, Reconciler **ret) {
        _cleanup_(reconciler_free_p) Reconciler *reconciler = calloc(1, sizeof(Reconciler));
        int r;

        if (!reconciler)
                return -ENOMEM;
        reconciler->options = *options;
        reconciler->parent_fd = -EBADF;
        reconciler->n_slots = SLOT_FIRST + (uint32_t) options->config->tenants_max;
        reconciler->groups = calloc(reconciler->n_slots, sizeof(TenantGroup *));
        reconciler->verified = calloc(reconciler->n_slots, sizeof(Verified));
        if (!reconciler->groups || !reconciler->verified)
                return -ENOMEM;
        r = uplinks_new(options->config, options->pin_dir, &reconciler->uplinks);
        if (r < 0)
                return r;
        if (options->dry_run)
                r = feature_set_put(features, "enforcement", false,
                                "this is a dry run: nothing is enforced and nothing metered");
        else {
                r = cgroup_driver_new(
                                options->cgroup_driver, options->cgroup_root, features, &reconciler->driver);
                if (r < 0)
                        return log_error_errno(r, "The control groups cannot be used");
                r = lock_parent(reconciler);
                if (r < 0)
                        return log_error_errno(r, "Another headgated has %s, or it cannot be locked",
                                        cgroup_driver_parent(reconciler->driver));
        }
        if (r >= 0)
                r = reconciler_refresh_capacity(reconciler, features, operator_capacity);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(reconciler);
        return 0;
}

Reconciler *reconciler_free(Reconciler *reconciler) {
        if (!reconciler)
                return NULL;
        for (uint32_t slot = 0; reconciler->groups && slot < reconciler->n_slots; slot++)
                tenant_group_free(reconciler->groups[slot]);
        free(reconciler->groups);
        free(reconciler->verified);
        cleanup_close(&reconciler->parent_fd);
        uplinks_free(reconciler->uplinks);
        meter_free(reconciler->meter);
        cgroup_driver_free(reconciler->driver);
        resource_set_deinit(&reconciler->capacity.hardware);
        resource_set_deinit(&reconciler->capacity.total);
        free(reconciler);
        return NULL;
}

const Capacity *reconciler_capacity(const Reconciler *reconciler) {
        return &reconciler->capacity;
}

static int meter_group(Reconciler *reconciler, uint32_t slot, const char *path, int fd, uint64_t id) {
        _cleanup_free_ char *absolute = NULL;

        if (!reconciler->meter)
                return 0;
        if (asprintf(&absolute, "%s%s", cgroup_driver_mount(reconciler->driver), path) < 0) {
                absolute = NULL;
                return -ENOMEM;
        }
        return meter_add(reconciler->meter, slot, absolute, fd, id);
}

static int metered_groups_fd(const Reconciler *reconciler) {
        return reconciler->meter ? meter_groups_fd(reconciler->meter) : -EBADF;
}

int reconciler_group(Reconciler *reconciler, const Tenant *tenant, TenantGroup **ret) {
        TenantGroup **held = &reconciler->groups[tenant->slot];
        bool made = false;
        int r;

        if (!reconciler->driver)
                return -EOPNOTSUPP;
        if (*held && !tenant_group_alive(*held))
                *held = tenant_group_free(*held);
        if (!*held) {
                reconciler->verified[tenant->slot] = (Verified){};
                r = tenant_group_ensure(reconciler->driver, tenant->id, held);
                if (r < 0)
                        return r;
                made = true;
        }
        *ret = *held;
        return made;
}

/* 2. */
static int prepare_tenant(Reconciler *reconciler, Tenant *tenant) {
        TenantGroup *group;
        int r;

        r = reconciler_group(reconciler, tenant, &group);
        if (r < 0)
                return strv_pushf(&tenant->problems, "its control group cannot be made: %s", strerror(-r)) < 0
                                       ? -ENOMEM
                                       : r;
        if (!tenant->control_group || strcmp(tenant->control_group, tenant_group_path(group)) != 0) {
                char *path = strdup(tenant_group_path(group));

                if (!path)
                        return -ENOMEM;
                free(tenant->control_group);
                tenant->control_group = path;
        }
        r = meter_group(reconciler, tenant->slot, tenant_group_path(group), tenant_group_fd(group),
                        tenant_group_id(group));
        if (r < 0)
                return strv_pushf(&tenant->problems, "it cannot be metered: %s", strerror(-r)) < 0 ? -ENOMEM
                                                                                                   : r;
        return 0;
}

/* Groups whose packets ride the control class come and go with their services; what is attached is left
 * alone. */
static void meter_control_groups(Reconciler *reconciler) {
        for (char **path = reconciler->options.config->control_groups; reconciler->meter && path && *path;
                        path++) {
                _cleanup_free_ char *absolute = NULL;
                _cleanup_close_ int fd = -EBADF;
                struct stat st;

                if (asprintf(&absolute, "%s/%s", cgroup_driver_mount(reconciler->driver), *path) < 0) {
                        absolute = NULL;
                        return;
                }
                fd = open(absolute, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (fd < 0 || fstat(fd, &st) < 0)
                        continue;
                (void) meter_add(reconciler->meter, SLOT_CONTROL, absolute, fd, st.st_ino);
        }
}

/* 1. */
static int make_plan(Reconciler *reconciler, const Node *node, uint64_t sibling_weight, PlanInput *input,
                Plan *ret) {
        int r;

        *input = (PlanInput){
                .node = node,
                .cpu_millicores = reconciler->cpu_millicores,
                .sibling_weight = sibling_weight,
                .residual = reconciler->options.config->residual,
        };
        input->uplinks = uplinks_capacity(reconciler->uplinks, &input->n_uplinks);
        r = plan_make(input, ret);
        if (r < 0)
                return r;
        for (size_t i = 0; i <= ret->n_tenants; i++) {
                Settings *settings = i < ret->n_tenants ? &ret->tenants[i].settings : &ret->parent;

                for (Setting setting = 0; setting < SETTING_MAX; setting++)
                        if (settings_has(settings, setting))
                                settings->value[setting] = setting_round(setting, settings->value[setting]);
        }
        return 0;
}

static bool settings_equal(const Settings *a, const Settings *b) {
        return a->present == b->present && memcmp(a->value, b->value, sizeof a->value) == 0;
}

static unsigned count_bits(uint32_t bits) {
        return (unsigned) __builtin_popcount(bits);
}

/* 3. The parent: with `raise_only`, never less than it has. */
static int apply_parent(Reconciler *reconciler, const Settings *planned, bool raise_only, unsigned *changes) {
        Settings observed, wanted = *planned, diff;
        int r;

        if (settings_equal(&reconciler->parent, planned))
                return 0;
        r = cgroup_parent_observe(reconciler->driver, &observed, &reconciler->sibling_weight);
        if (r < 0)
                return r;
        wanted.present &= observed.present;
        for (Setting setting = 0; raise_only && setting < SETTING_MAX; setting++)
                if (settings_has(&wanted, setting) && wanted.value[setting] < observed.value[setting])
                        wanted.value[setting] = observed.value[setting];
        settings_diff(&observed, &wanted, &diff);
        *changes += count_bits(diff.present);
        r = diff.present ? cgroup_parent_apply(reconciler->driver, &diff) : 0;
        reconciler->parent = r >= 0 && !raise_only ? *planned : (Settings){};
        return r;
}

/* Whether nothing needs to be looked at: planned as it was when it was last read back. */
static bool is_settled(const Reconciler *reconciler, const TenantPlan *plan) {
        const Verified *verified = &reconciler->verified[plan->tenant->slot];

        return reconciler->groups[plan->tenant->slot] &&
               settings_equal(&verified->settings, &plan->settings) && verified->frozen == plan->frozen &&
               !plan->killed && resource_set_equal(&plan->tenant->desired, &plan->share);
}

/* What OnEnd or a preemption asks for, tried until it is done. Frozen processes die of cgroup.kill too. */
static int apply_processes(
                TenantGroup *group, const TenantPlan *plan, Tenant *tenant, const Verified *verified) {
        int r;

        if (plan->killed) {
                r = tenant_group_kill(group);
                if (r < 0)
                        return r;
                tenant->doomed = false;
        }
        return verified->settings.present && verified->frozen == plan->frozen
                               ? 0
                               : tenant_group_freeze(group, plan->frozen);
}

static int apply_tenant(Reconciler *reconciler, const TenantPlan *plan, Tenant *tenant, unsigned *changes) {
        const uint32_t can = cgroup_driver_settings(reconciler->driver);
        TenantGroup *group = reconciler->groups[plan->tenant->slot];
        Settings observed, diff;
        int r;

        if (!group)
                return 0; /* said so by prepare_tenant() */
        r = apply_processes(group, plan, tenant, &reconciler->verified[tenant->slot]);
        if (r < 0)
                return r;
        r = tenant_group_observe(group, &observed);
        if (r < 0)
                return r;
        settings_diff(&observed, &plan->settings, &diff);
        diff.present &= can;
        if (!diff.present)
                return 0;
        *changes += count_bits(diff.present);
        return tenant_group_apply(group, &diff);
}

static bool share_names(const ResourceSet *share, ResourceKind kind) {
        for (size_t i = 0; i < share->n; i++)
                if (share->entries[i].kind == kind)
                        return true;
        return false;
}

/* Which resource a setting serves, so that the lack of it is a problem of those alone who asked for it. */
static ResourceKind setting_resource(Setting setting) {
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
                ResourceKind kind = setting_resource(setting);
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

/* What is not as planned, in words. -ENOMEM alone is an error. */
static int note_problems(Reconciler *reconciler, const PlanInput *input, const TenantPlan *plan,
                const Settings *observed, Tenant *tenant) {
        Settings diff;
        int r = 0;

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

/* 4. */
static int read_back(Reconciler *reconciler, const PlanInput *input, const Plan *plan,
                const TenantPlan *tenant_plan, const NetPlan *observed_uplinks, const FeatureSet *features,
                Tenant *tenant) {
        TenantGroup *group = reconciler->groups[tenant->slot];
        Settings observed = {};
        int r;

        r = note_missing(features, tenant_plan, cgroup_driver_settings(reconciler->driver), tenant);
        if (r >= 0)
                r = note_absent(input, features, tenant_plan, tenant);
        if (r < 0)
                return r;
        r = group ? tenant_group_observe(group, &observed) : -ENOLINK;
        if (r < 0) {
                tenant->failed = true;
                return strv_pushf(&tenant->problems, "its control group cannot be read: %s", strerror(-r));
        }
        resource_set_deinit(&tenant->effective);
        r = plan_effective(input, tenant_plan, &observed, observed_uplinks, plan->uplinks, plan->n_uplinks,
                        &tenant->effective);
        if (r >= 0)
                r = note_problems(reconciler, input, tenant_plan, &observed, tenant);
        if (r >= 0 && !tenant->failed)
                reconciler->verified[tenant->slot] = (Verified){ tenant_plan->settings, tenant_plan->frozen };
        return r;
}

static void show_plan(const TenantPlan *plan) {
        const LogFields fields = { .tenant = plan->tenant->id };

        for (Setting setting = 0; setting < SETTING_MAX; setting++) {
                char text[SETTING_TEXT_SIZE];

                if (!settings_has(&plan->settings, setting))
                        continue;
                setting_format(setting, plan->settings.value[setting], text);
                log_write(LOG_INFO, &fields, "Would set %s of tenant %s to %s", setting_info(setting)->file,
                                plan->tenant->id, text);
        }
}

static int take_desired(Tenant *tenant, TenantPlan *plan) {
        tenant->changed = tenant->changed || !resource_set_equal(&tenant->desired, &plan->share);
        resource_set_deinit(&tenant->desired);
        tenant->residual = plan->residual;
        return resource_set_copy(&plan->share, &tenant->desired);
}

static int plan_only(Reconciler *reconciler, Node *node) {
        _cleanup_plan_ Plan plan = PLAN_NULL;
        PlanInput input;
        int r;

        r = make_plan(reconciler, node, 0, &input, &plan);
        for (size_t i = 0; r >= 0 && i < plan.n_tenants; i++) {
                bool same = resource_set_equal(&node->tenants[i]->desired, &plan.tenants[i].share);

                r = take_desired(node->tenants[i], &plan.tenants[i]);
                if (!same)
                        show_plan(&plan.tenants[i]);
        }
        return r;
}

/* 2. and 3. of one tenant, which loses what was said of it; `ret_problems` keeps that for a comparison. What
 * fails for one does not keep another from its share: negative only where there is no memory. */
static int bring_tenant(Reconciler *reconciler, const TenantPlan *plan, Tenant *tenant, char ***ret_problems,
                unsigned *changes) {
        const LogFields fields = { .tenant = tenant->id, .object = tenant->control_group };
        int r;

        *ret_problems = TAKE_PTR(tenant->problems);
        r = prepare_tenant(reconciler, tenant);
        if (r == -ENOMEM)
                return r;
        tenant->failed = r < 0;
        r = apply_tenant(reconciler, plan, tenant, changes);
        if (r >= 0)
                return 0;
        (void) log_write_errno(LOG_ERR, &fields, r, "Tenant %s cannot be given its share", tenant->id);
        tenant->failed = true;
        return strv_pushf(&tenant->problems, "its share was refused: %s", strerror(-r)) < 0 ? -ENOMEM : 0;
}

/* 3. `settled` tells by plan index who is passed over. Who changed just now comes first: an end must not wait
 * until all the others, after a start, have been found again. */
static int apply_plan(Reconciler *reconciler, Node *node, const Plan *plan, const bool *settled,
                char ***problems, unsigned *changes) {
        int raised, lowered, r = 0;

        raised = apply_parent(reconciler, &plan->parent, /* raise_only= */ true, changes);
        if (raised < 0)
                (void) log_error_errno(raised, "The parent control group cannot be raised");
        for (int turn = 0; turn < 2; turn++)
                for (size_t i = 0; r >= 0 && i < plan->n_tenants; i++)
                        if (!settled[i] && node->tenants[i]->changed == (turn == 0))
                                r = bring_tenant(reconciler, &plan->tenants[i], node->tenants[i],
                                                &problems[i], changes);
        if (r < 0)
                return r;
        uplinks_apply(reconciler->uplinks, plan->uplinks, metered_groups_fd(reconciler), &node->features,
                        changes);
        lowered = apply_parent(reconciler, &plan->parent, /* raise_only= */ false, changes);
        if (lowered < 0)
                (void) log_error_errno(lowered, "The parent control group cannot be set");
        return raised < 0 ? raised : lowered;
}

static int read_all_back(
                Reconciler *reconciler, Node *node, const PlanInput *input, Plan *plan, const bool *settled) {
        NetPlan observed[CONFIG_UPLINKS_MAX] = {};
        int r = 0;

        uplinks_observe(reconciler->uplinks, observed);
        for (size_t i = 0; r >= 0 && i < plan->n_tenants; i++) {
                if (settled[i])
                        continue;
                r = take_desired(node->tenants[i], &plan->tenants[i]);
                if (r >= 0)
                        r = read_back(reconciler, input, plan, &plan->tenants[i], observed, &node->features,
                                        node->tenants[i]);
        }
        for (size_t i = 0; i < plan->n_uplinks; i++)
                free(observed[i].classes);
        return r;
}

void reconciler_look_again(Reconciler *reconciler) {
        memset(reconciler->verified, 0, reconciler->n_slots * sizeof(Verified));
        reconciler->parent = (Settings){};
        uplinks_look_again(reconciler->uplinks);
}

int reconciler_apply(Reconciler *reconciler, Node *node, unsigned *ret_changes) {
        _cleanup_free_ bool *settled = calloc(node->n_tenants + 1, sizeof(bool));
        _cleanup_free_ char ***problems = calloc(node->n_tenants + 1, sizeof(char **));
        _cleanup_plan_ Plan plan = PLAN_NULL;
        PlanInput input;
        bool any = false;
        Settings parent;
        int r = 0, read = 0;

        *ret_changes = 0;
        if (!settled || !problems)
                return -ENOMEM;
        if (reconciler->options.dry_run)
                return plan_only(reconciler, node);
        meter_control_groups(reconciler);
        if (!reconciler->parent.present)
                r = cgroup_parent_observe(reconciler->driver, &parent, &reconciler->sibling_weight);
        if (r >= 0)
                r = make_plan(reconciler, node, reconciler->sibling_weight, &input, &plan);
        if (r < 0)
                return r;
        for (size_t i = 0; i < node->n_tenants; i++) {
                settled[i] = is_settled(reconciler, &plan.tenants[i]);
                any = any || !settled[i];
        }
        r = apply_plan(reconciler, node, &plan, settled, problems, ret_changes);
        if (r != -ENOMEM && any)
                read = read_all_back(reconciler, node, &input, &plan, settled);
        for (size_t i = 0; i < node->n_tenants; i++)
                if (!settled[i]) {
                        Tenant *tenant = node->tenants[i];

                        tenant->changed = tenant->changed || !strv_equal(problems[i], tenant->problems);
                        strv_free(problems[i]);
                }
        return r < 0 ? r : read;
}

int reconciler_sample(Reconciler *reconciler, Node *node) {
        bool gone = false;
        int r;

        if (!reconciler->meter)
                return 0;
        r = meter_refresh(reconciler->meter);
        if (r < 0)
                return r;
        for (size_t i = 0; i < node->n_tenants; i++) {
                Tenant *tenant = node->tenants[i];
                TenantGroup *group = reconciler->groups[tenant->slot];
                Sample sample = {};

                r = meter_read(reconciler->meter, tenant->slot, &sample);
                if (r >= 0)
                        tenant->usage = sample;
                else if (r != -ENOENT)
                        return r;
                if (group && !tenant_group_alive(group)) {
                        reconciler->verified[tenant->slot] = (Verified){};
                        gone = true;
                }
        }
        return gone;
}

int reconciler_remove_tenant(Reconciler *reconciler, const Tenant *tenant) {
        TenantGroup **held = &reconciler->groups[tenant->slot];
        int r;

        if (!reconciler->driver)
                return 0;
        if (*held && tenant_group_alive(*held) && tenant_group_populated(*held) > 0)
                return -EBUSY;
        *held = tenant_group_free(*held);
        reconciler->verified[tenant->slot] = (Verified){};
        r = tenant_group_remove(reconciler->driver, tenant->id);
        if (r < 0 && r != -ENOENT)
                return r;
        return meter_remove(reconciler->meter, tenant->slot);
}

void reconciler_drop_slots(Reconciler *reconciler, const Node *node) {
        for (uint32_t slot = SLOT_FIRST; reconciler->meter && slot < reconciler->n_slots; slot++) {
                bool taken = false;

                for (size_t i = 0; i < node->n_tenants && !taken; i++)
                        taken = node->tenants[i]->slot == slot;
                if (!taken)
                        (void) meter_remove(reconciler->meter, slot);
        }
}

int reconciler_list_groups(Reconciler *reconciler, char ***ret_tenant_ids) {
        return reconciler->driver ? cgroup_driver_list(reconciler->driver, ret_tenant_ids) : 0;
}

/* A tenant's group that cannot go yet is at least left without our limits. */
static void release_group(Reconciler *reconciler, const char *tenant_id) {
        _cleanup_(tenant_group_free_p) TenantGroup *group = NULL;
        Settings open = {};

        if (tenant_group_remove(reconciler->driver, tenant_id) >= 0 ||
                        tenant_group_ensure(reconciler->driver, tenant_id, &group) < 0)
                return;
        settings_put(&open, SETTING_CPU_IDLE, 0);
        settings_put(&open, SETTING_CPU_WEIGHT, 100);
        settings_put(&open, SETTING_CPU_MAX, UNLIMITED);
        settings_put(&open, SETTING_MEMORY_MIN, 0);
        settings_put(&open, SETTING_MEMORY_LOW, 0);
        settings_put(&open, SETTING_MEMORY_HIGH, UNLIMITED);
        settings_put(&open, SETTING_MEMORY_MAX, UNLIMITED);
        settings_put(&open, SETTING_SWAP_MAX, UNLIMITED);
        settings_put(&open, SETTING_TASKS_MAX, UNLIMITED);
        open.present &= cgroup_driver_settings(reconciler->driver);
        (void) tenant_group_freeze(group, false);
        (void) tenant_group_apply(group, &open);
        log_warning("Tenant %s still has processes: its group is left to them, without limits", tenant_id);
}

int reconciler_release(Reconciler *reconciler) {
        _cleanup_strv_ char **ids = NULL;
        int r;

        r = reconciler_list_groups(reconciler, &ids);
        for (char **id = ids; id && *id; id++)
                release_group(reconciler, *id);
        uplinks_release(reconciler->uplinks, metered_groups_fd(reconciler));
        if (reconciler->meter && r >= 0)
                r = meter_release(reconciler->meter);
        /* It stays where somebody else put something into it, and is not there where nothing could be pinned.
         */
        if (reconciler->options.pin_dir)
                (void) rmdir(reconciler->options.pin_dir);
        if (r >= 0 && reconciler->driver) {
                r = cgroup_driver_remove_parent(reconciler->driver);
                if (r == -EBUSY || r == -ENOTEMPTY)
                        r = 0; /* said above */
        }
        return r;
}
