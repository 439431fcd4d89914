/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * In steps, each time:
 *   1. the plan, rounded as the kernel rounds;
 *   2. the parent is given what its children have or will have, whichever is more, and is read back;
 *   3. every tenant has a group, which is metered once the meter is open; from each is taken what it will not
 * have any more;
 *   4. then each is given what it will have more, unless the parent could not be given it; last, CPUs that
 * are had alone become partitions;
 *   5. the uplinks get their classes, each in the same order: rates that fall before rates that rise;
 *   6. the parent is left with what is needed, and is read back;
 *   7. all of it is read back: what differs is a problem, in words.
 *
 * A floor is void where siblings together are promised more than their parent has: cgroup v2 then scales all
 * of them down. In this order no millicore and no byte is promised twice at any step, whichever was the last
 * before a crash or an error, and no tenant is below what both the old plan and the new one grant it.
 *
 * What was read back as planned, and is planned so still, is passed over until it is found otherwise, by a
 * check for drift, or until what all of it is reckoned from changes (CPUs, uplinks, devices): a change of one
 * tenant costs no more with a thousand others beside it. So is what of a tenant that changes is planned as it
 * was: only what is written is read back.
 */

#include "reconcile-internal.h"

#include "util/log.h"
#include "util/strv.h"

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
                                        .uplinks = (uint32_t) reconciler->options.config->n_uplinks,
                                        .ingress = config_shapes_ingress(reconciler->options.config),
                                        .basic = !reconciler->options.config->meter_full,
                        },
                        features, &reconciler->meter);
        if (r < 0)
                return log_error_errno(r, "The meters cannot be used");
        if (meter_lost(reconciler->meter))
                log_warning("Usage has a gap at this start: of other layouts, or for more tenants, were %s; "
                            "what they count begins anew",
                                meter_lost(reconciler->meter));
        if (meter_carried(reconciler->meter))
                log_warning("Usage has a gap at this start: counters go on in tables of another size, but "
                            "for what was counted in the moment in which they were carried over");
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
        reconciler->victims = UINT64_MAX;
        reconciler->n_slots = SLOT_FIRST + (uint32_t) options->config->tenants_max;
        reconciler->groups = calloc(reconciler->n_slots, sizeof(TenantGroup *));
        reconciler->verified = calloc(reconciler->n_slots, sizeof(Verified));
        reconciler->placed = calloc(reconciler->n_slots, sizeof(Placed *));
        if (!reconciler->groups || !reconciler->verified || !reconciler->placed)
                return -ENOMEM;
        r = uplinks_new(options->config, options->pin_dir, options->keep_dir, &reconciler->uplinks);
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
                r = reconciler_hold_parent(reconciler);
                if (r < 0)
                        return log_error_errno(r, "Another headgated has %s, or it cannot be locked",
                                        cgroup_driver_parent(reconciler->driver));
                r = devices_new(reconciler->n_slots, &reconciler->devices);
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
        for (uint32_t slot = 0; reconciler->verified && slot < reconciler->n_slots; slot++)
                verified_forget(&reconciler->verified[slot]);
        plan_deinit(&reconciler->plan);
        free(reconciler->promises.entries);
        free(reconciler->promises.sums);
        free(reconciler->groups);
        free(reconciler->block_devices);
        free(reconciler->partitions);
        resource_set_deinit(&reconciler->capacity.targets);
        free(reconciler->verified);
        for (uint32_t slot = 0; reconciler->placed && slot < reconciler->n_slots; slot++)
                free(reconciler->placed[slot]);
        free(reconciler->placed);
        cleanup_close(&reconciler->parent_fd);
        uplinks_free(reconciler->uplinks);
        devices_free(reconciler->devices);
        meter_free(reconciler->meter);
        cgroup_driver_free(reconciler->driver);
        topology_deinit(&reconciler->capacity.topology);
        resource_set_deinit(&reconciler->capacity.hardware);
        resource_set_deinit(&reconciler->capacity.total);
        free(reconciler);
        return NULL;
}

int reconciler_order_units(Reconciler *reconciler) {
        return reconciler->driver ? cgroup_driver_order_units(reconciler->driver) : 0;
}

void reconciler_rest(Reconciler *reconciler) {
        if (reconciler->driver)
                cgroup_driver_rest(reconciler->driver);
        if (reconciler->meter)
                meter_rest(reconciler->meter);
}

int reconciler_metered_groups_fd(const Reconciler *reconciler) {
        int fd = reconciler->meter ? meter_groups_fd(reconciler->meter) : -EBADF;

        return reconciler->meter && fd < 0 ? -EOPNOTSUPP : fd;
}

void reconciler_follow_namespaces(Reconciler *reconciler, FeatureSet *features) {
        if (reconciler->meter)
                uplinks_follow_namespaces(reconciler->uplinks, reconciler_metered_groups_fd(reconciler),
                                meter_net_rows_fd(reconciler->meter), reconciler->n_slots, features);
}

static PlanInput plan_input(const Reconciler *reconciler, const Node *node, const SiblingWeights *siblings) {
        const Config *config = reconciler->options.config;
        PlanInput input = {
                .node = node,
                .cpu_millicores = reconciler->cpu_millicores,
                .sibling_weight = siblings->cpu,
                .io_sibling_weight = siblings->io,
                .residual = config->residual,
                .block_devices = reconciler->block_devices,
                .n_block_devices = reconciler->n_block_devices,
                .capacity = &reconciler->capacity.total,
                .targets = &reconciler->capacity.targets,
                .cpu_burst_percent = config->cpu_burst_percent,
                .oom_group = config->oom_group,
                .topology = &reconciler->capacity.topology,
                .devices_closed = reconciler->options.config->devices_closed,
        };

        input.uplinks = uplinks_capacity(reconciler->uplinks, &input.n_uplinks);
        return input;
}

static void round_settings(Settings *settings) {
        for (Setting setting = 0; setting < SETTING_MAX; setting++)
                if (settings_has(settings, setting))
                        settings->value[setting] = setting_round(setting, settings->value[setting]);
}

/* Some of its tenants; what was rounded stays as it is. */
static void round_plan(Plan *plan, TenantPlan **tenants, size_t n) {
        round_settings(&plan->parent);
        for (size_t i = 0; i < n; i++) {
                round_settings(&tenants[i]->settings);
                limit_set_round(&tenants[i]->limits);
        }
}

int reconciler_make_plan(Reconciler *reconciler, const Node *node, const SiblingWeights *siblings,
                PlanInput *input, Plan *ret) {
        int r;

        *input = plan_input(reconciler, node, siblings);
        r = plan_make(input, ret);
        if (r >= 0)
                round_plan(ret, ret->tenants, ret->n_tenants);
        return r;
}

/* 1. The plan that is kept, and whose it was made anew; the caller frees the list. */
static int remake_plan(Reconciler *reconciler, Node *node, PlanInput *input, PlanList *ret) {
        int r;

        if (reconciler->look_at_all)
                calendar_mark_all(&node->calendar);
        *input = plan_input(reconciler, node, &reconciler->siblings);
        r = plan_remake(input, &reconciler->plan, ret);
        if (r >= 0)
                round_plan(&reconciler->plan, ret->tenants, ret->n);
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
        for (size_t i = 0; i < plan->limits.n; i++) {
                char text[LIMIT_TEXT_SIZE];

                limit_format(&plan->limits.lines[i], text);
                log_write(LOG_INFO, &fields, "Would set %s of tenant %s to %s",
                                limit_file_info(plan->limits.lines[i].file)->file, plan->tenant->id, text);
        }
}

static int take_desired(Node *node, Tenant *tenant, const TenantPlan *plan) {
        if (!resource_set_equal(&tenant->desired, &plan->share))
                node_note_news(node, tenant);
        resource_set_deinit(&tenant->desired);
        tenant->residual = plan->residual;
        return resource_set_copy(&plan->share, &tenant->desired);
}

static int plan_only(Reconciler *reconciler, Node *node) {
        PlanList list = {};
        PlanInput input;
        int r;

        r = remake_plan(reconciler, node, &input, &list);
        for (size_t i = 0; r >= 0 && i < list.n; i++) {
                Tenant *tenant = node_find_tenant(node, list.tenants[i]->id);
                bool same = resource_set_equal(&tenant->desired, &list.tenants[i]->share);

                r = take_desired(node, tenant, list.tenants[i]);
                if (!same)
                        show_plan(list.tenants[i]);
        }
        free(list.tenants);
        if (r < 0)
                return r;
        reconciler->look_at_all = false;
        calendar_unmark(&node->calendar);
        return 0;
}

/* What fails for one does not keep another from its share: negative only where there is no memory. */
static int note_refusal(TenantChange *change, int error) {
        const LogFields fields = { .tenant = change->tenant->id, .object = change->tenant->control_group };

        (void) log_write_errno(
                        LOG_ERR, &fields, error, "Tenant %s cannot be given its share", change->tenant->id);
        change->refused = change->tenant->failed = true;
        return strv_pushf(&change->tenant->problems, "its share was refused: %s", strerror(-error)) < 0
                               ? -ENOMEM
                               : 0;
}

/* 3. It loses what was said of it, which is kept for a comparison. */
static int take_from(Reconciler *reconciler, TenantChange *change, unsigned *written) {
        Tenant *tenant = change->tenant;
        int r;

        change->problems = TAKE_PTR(tenant->problems);
        r = reconciler_prepare_tenant(reconciler, change);
        if (r == -ENOMEM)
                return r;
        tenant->failed = r < 0;
        r = reconciler_hold_all_adopted(reconciler, tenant);
        if (r < 0)
                return r;
        change->unheld = r > 0;
        r = reconciler_change_tenant(reconciler, change, PHASE_TAKE, written);
        return r < 0 ? note_refusal(change, r) : 0;
}

/* 4. */
static int give_to(Reconciler *reconciler, TenantChange *change, unsigned *written) {
        int r = 0;

        if (!change->refused)
                r = reconciler_change_tenant(reconciler, change, PHASE_GIVE, written);
        return r < 0 ? note_refusal(change, r) : 0;
}

/* Who changed just now comes first: an end must not wait until all the others, after a start, have been found
 * again. */
static int each_unsettled(Reconciler *reconciler, TenantChange *changes, size_t n,
                int (*step)(Reconciler *reconciler, TenantChange *change, unsigned *written),
                unsigned *written) {
        int r = 0;

        for (int turn = 0; turn < 2; turn++)
                for (size_t i = 0; r >= 0 && i < n; i++)
                        if (!changes[i].settled && changes[i].tenant->changed == (turn == 0))
                                r = step(reconciler, &changes[i], written);
        return r;
}

static int apply_plan(Reconciler *reconciler, FeatureSet *features, TenantChange *changes, size_t n,
                unsigned *written) {
        const Plan *plan = &reconciler->plan;
        int raised, r;

        raised = reconciler_apply_parent(reconciler, &plan->parent, /* raise_only= */ true, written);
        r = each_unsettled(reconciler, changes, n, take_from, written);
        if (r >= 0 && raised >= 0)
                r = each_unsettled(reconciler, changes, n, give_to, written);
        if (r >= 0 && raised >= 0)
                r = reconciler_make_partitions(reconciler, changes, n, written);
        if (r < 0)
                return r;
        uplinks_apply(reconciler->uplinks, plan->uplinks, reconciler_metered_groups_fd(reconciler), features,
                        written);
        reconciler_follow_namespaces(reconciler, features);
        return raised < 0 ? raised
                          : reconciler_apply_parent(
                                            reconciler, &plan->parent, /* raise_only= */ false, written);
}

/* Who is settled was as planned. */
static int read_all_back(Reconciler *reconciler, Node *node, const PlanInput *input,
                const TenantChange *changes, size_t n) {
        const Plan *plan = &reconciler->plan;
        NetPlan observed[UPLINK_PLANS_MAX] = {};
        int r = 0;

        uplinks_read_back(reconciler->uplinks, &node->features, observed);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                if (changes[i].settled)
                        continue;
                r = take_desired(node, changes[i].tenant, changes[i].plan);
                if (r >= 0)
                        r = reconciler_read_back(reconciler, node, input, &changes[i], observed);
                if (changes[i].unheld || changes[i].refused)
                        reconciler->verified[changes[i].tenant->slot].look_again = true;
        }
        for (size_t i = 0; i < plan->n_uplinks; i++)
                free(observed[i].classes);
        return r;
}

void reconciler_look_again(Reconciler *reconciler) {
        for (uint32_t slot = 0; slot < reconciler->n_slots; slot++)
                verified_forget(&reconciler->verified[slot]);
        reconciler->look_at_devices = reconciler->look_at_all = true;
        reconciler->parent = (Settings){};
        uplinks_look_again(reconciler->uplinks);
        if (reconciler->devices)
                devices_look_again(reconciler->devices);
}

/* Those of the list; NULL where there is no memory. */
static TenantChange *begin_changes(Reconciler *reconciler, Node *node, const PlanList *list) {
        TenantChange *changes = calloc(list->n + 1, sizeof(TenantChange));

        for (size_t i = 0; changes && i < list->n; i++) {
                Tenant *tenant = node_find_tenant(node, list->tenants[i]->id);

                changes[i] = (TenantChange){
                        .plan = list->tenants[i],
                        .tenant = tenant,
                        .troubled = tenant->problems != NULL,
                        .settled = reconciler_is_settled(reconciler, list->tenants[i]),
                };
                if (!changes[i].settled)
                        changes[i].before = reconciler_take_verified(reconciler, list->tenants[i]);
        }
        return changes;
}

static bool any_unsettled(const TenantChange *changes, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (!changes[i].settled)
                        return true;
        return false;
}

/* Whether anything that was taken for known turned out to be otherwise when it was read back. */
static bool any_mistaken(const TenantChange *changes, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (tenant_change_is_known(&changes[i]) && !changes[i].refused && changes[i].tenant->failed)
                        return true;
        return false;
}

static void end_changes(Reconciler *reconciler, Node *node, TenantChange *changes, size_t n) {
        for (size_t i = 0; i < n; i++) {
                Tenant *tenant = changes[i].tenant;

                reconciler_give_back_verified(reconciler, changes[i].plan, &changes[i].before);
                if (changes[i].settled)
                        continue;
                if (!strv_equal(changes[i].problems, tenant->problems))
                        node_note_news(node, tenant);
                node->n_troubled += (size_t) (tenant->problems != NULL) - (size_t) changes[i].troubled;
                strv_free(changes[i].problems);
        }
}

/* Who is as planned is read back all the same, where an uplink is shaped now that was not, or the reverse.
 * The others were looked at just now. */
static int read_settled_back(
                Reconciler *reconciler, Node *node, const PlanInput *input, const PlanList *all) {
        _cleanup_free_ TenantChange *changes = begin_changes(reconciler, node, all);
        int r = changes ? 0 : -ENOMEM;

        for (size_t i = 0; changes && i < all->n; i++) {
                TenantChange *change = &changes[i];

                change->settled = !change->settled;
                if (change->settled || r < 0)
                        continue;
                change->tenant->failed = false; /* once it was not, or it would not be settled */
                change->problems = TAKE_PTR(change->tenant->problems);
                r = reconciler_hold_all_adopted(reconciler, change->tenant);
                change->unheld = r > 0;
        }
        if (r >= 0)
                r = read_all_back(reconciler, node, input, changes, all->n);
        if (changes)
                end_changes(reconciler, node, changes, all->n);
        return r;
}

/* Who is to be looked at with the next apply too: what was refused is tried again, until it is done. */
static void mark_unsettled(Reconciler *reconciler, Node *node, const PlanList *list) {
        reconciler->look_at_all = false;
        calendar_unmark(&node->calendar);
        for (size_t i = 0; i < list->n; i++)
                if (list->tenants[i]->doomed || !reconciler_is_settled(reconciler, list->tenants[i]))
                        calendar_mark(&node->calendar, list->tenants[i]->id);
}

/* 2. to 7.: 1 where it is to be done once more, with a look at what was taken for known. */
static int apply_list(Reconciler *reconciler, Node *node, const PlanInput *input, const PlanList *list,
                unsigned *written) {
        const PlanList all = { reconciler->plan.tenants, reconciler->plan.n_tenants };
        _cleanup_free_ TenantChange *changes = begin_changes(reconciler, node, list);
        bool mistaken;
        int r, read = 0;

        if (!changes)
                return -ENOMEM;
        r = apply_plan(reconciler, &node->features, changes, list->n, written);
        if (r != -ENOMEM && any_unsettled(changes, list->n))
                read = read_all_back(reconciler, node, input, changes, list->n);
        mistaken = any_mistaken(changes, list->n);
        end_changes(reconciler, node, changes, list->n);
        if (r == -ENOMEM || read < 0)
                return r < 0 ? r : read;
        if (uplinks_take_news(reconciler->uplinks)) {
                list = &all;
                read = read_settled_back(reconciler, node, input, list);
        }
        if (read >= 0)
                mark_unsettled(reconciler, node, list);
        return r < 0 ? r : read < 0 ? read : mistaken;
}

int reconciler_apply(Reconciler *reconciler, Node *node, unsigned *ret_written) {
        PlanList list = {};
        PlanInput input;
        int r = 0;

        *ret_written = 0;
        if (reconciler->options.dry_run)
                return plan_only(reconciler, node);
        reconciler_meter_control_groups(reconciler);
        if (!reconciler->parent.present)
                r = reconciler_look_at_parent(reconciler);
        if (r >= 0)
                r = remake_plan(reconciler, node, &input, &list);
        if (r >= 0)
                r = reconciler_note_weight(reconciler, &node->features);
        if (r >= 0)
                r = apply_list(reconciler, node, &input, &list, ret_written);
        if (r > 0) /* nothing is taken for known after a mistake */
                r = apply_list(reconciler, node, &input, &list, ret_written);
        free(list.tenants);
        reconciler_note_left(reconciler, node);
        return r < 0 ? r : 0;
}

void reconciler_drop_slots(Reconciler *reconciler, const Node *node) {
        _cleanup_free_ bool *is_free = calloc(reconciler->n_slots, sizeof(bool));

        if (!reconciler->meter || !is_free)
                return;
        memset(is_free + SLOT_FIRST, true, reconciler->n_slots - SLOT_FIRST);
        for (size_t i = 0; i < node->n_tenants; i++)
                is_free[node->tenants[i]->slot] = false;
        for (uint32_t slot = SLOT_FIRST; slot < reconciler->n_slots; slot++)
                if (is_free[slot])
                        devices_remove(reconciler->devices, slot);
        meter_remove_slots(reconciler->meter, is_free);
}
