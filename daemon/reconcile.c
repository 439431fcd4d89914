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

#include "reconcile-internal.h"

#include "util/log.h"
#include "util/strv.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/stat.h>

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

int reconciler_metered_groups_fd(const Reconciler *reconciler) {
        return reconciler->meter ? meter_groups_fd(reconciler->meter) : -EBADF;
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
int reconciler_make_plan(Reconciler *reconciler, const Node *node, uint64_t sibling_weight, PlanInput *input,
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

/* 4. */
static int read_back(Reconciler *reconciler, const PlanInput *input, const Plan *plan,
                const TenantPlan *tenant_plan, const NetPlan *observed_uplinks, const FeatureSet *features,
                Tenant *tenant) {
        TenantGroup *group = reconciler->groups[tenant->slot];
        Settings observed = {};
        int r = 0;

        if (!tenant_plan->observed)
                r = reconciler_note_missing(reconciler, input, features, tenant_plan, tenant);
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
        if (r >= 0 && !tenant_plan->observed)
                r = reconciler_note_problems(reconciler, input, tenant_plan, &observed, tenant);
        if (r >= 0 && !tenant->failed)
                reconciler->verified[tenant->slot] = (Verified){ tenant_plan->settings, tenant_plan->frozen,
                        tenant_plan->observed };
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

        r = reconciler_make_plan(reconciler, node, 0, &input, &plan);
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
        r = reconciler_prepare_tenant(reconciler, tenant);
        if (r == -ENOMEM)
                return r;
        tenant->failed = r < 0;
        r = reconciler_apply_tenant(reconciler, plan, tenant, changes);
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
        uplinks_apply(reconciler->uplinks, plan->uplinks, reconciler_metered_groups_fd(reconciler),
                        &node->features, changes);
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
                r = reconciler_make_plan(reconciler, node, reconciler->sibling_weight, &input, &plan);
        if (r < 0)
                return r;
        for (size_t i = 0; i < node->n_tenants; i++) {
                settled[i] = reconciler_is_settled(reconciler, &plan.tenants[i]);
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

void reconciler_drop_slots(Reconciler *reconciler, const Node *node) {
        for (uint32_t slot = SLOT_FIRST; reconciler->meter && slot < reconciler->n_slots; slot++) {
                bool taken = false;

                for (size_t i = 0; i < node->n_tenants && !taken; i++)
                        taken = node->tenants[i]->slot == slot;
                if (!taken)
                        (void) meter_remove(reconciler->meter, slot);
        }
}
