/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Where a tenant's processes run: its CPUs and NUMA nodes as one more part of what is taken and given.
 *   1. taken: partitions that are not planned any more, then CPUs and nodes of who is to have fewer;
 *   2. given: all other CPUs and nodes;
 *   3. when everyone has what is planned, the parent is given the CPUs that tenants have alone, and
 * partitions are made of them: the kernel makes none of CPUs that are all that a sibling has. What the kernel
 * makes of a partition is no refusal: where it is none, its CPUs are exclusive among tenants all the same,
 * and a problem says so.
 */

#include "reconcile-internal.h"

#include "enforce/cgroup-placement.h"
#include "model/allocation-placement.h"
#include "util/log.h"
#include "util/strv.h"

static const Placement anywhere;

static const Placement *wanted(const TenantPlan *plan) {
        return plan->observed || !plan->placement ? &anywhere : plan->placement;
}

static bool is_partition(const GroupPlacement *have) {
        return (*have->partition && strcmp(have->partition, "member") != 0) ||
               !cpu_set_is_empty(&have->alone);
}

static bool keeps_partition(const GroupPlacement *have, const Placement *want) {
        return want->alone && have->placement.alone && cpu_set_equal(&have->alone, &want->cpus);
}

static bool holds_partition(const GroupPlacement *have, const Placement *want) {
        return !have->can_be_alone || (want->alone ? keeps_partition(have, want) : !is_partition(have));
}

static bool is_placed(const GroupPlacement *have, const Placement *want) {
        return cpu_set_equal(&have->placement.cpus, &want->cpus) &&
               cpu_set_equal(&have->placement.nodes, &want->nodes);
}

/* Whether it would run on no CPU that it does not run on now. */
static bool is_narrower(const GroupPlacement *have, const Placement *want) {
        CpuSet more = want->cpus;

        cpu_set_subtract(&more, &have->usable_cpus);
        return !cpu_set_is_empty(&want->cpus) && cpu_set_is_empty(&more);
}

/* Known to be anywhere, and planned so still. */
static bool stays_anywhere(const Reconciler *reconciler, const TenantChange *change) {
        return tenant_change_is_known(change) && !change->plan->placement &&
               !reconciler->placed[change->tenant->slot];
}

int reconciler_change_placement(
                Reconciler *reconciler, TenantChange *change, ChangePhase phase, unsigned *written) {
        TenantGroup *group = reconciler->groups[change->tenant->slot];
        const Placement *want = wanted(change->plan);
        GroupPlacement have;
        int r;

        if (stays_anywhere(reconciler, change))
                return 0;
        r = tenant_group_observe_placement(group, &have);
        if (r < 0)
                return r;
        if (phase == PHASE_TAKE && is_partition(&have) && !keeps_partition(&have, want)) {
                ++*written;
                r = tenant_group_unmake_partition(group);
        }
        if (r < 0 || is_placed(&have, want) || (phase == PHASE_TAKE && !is_narrower(&have, want)))
                return r;
        ++*written;
        change->written = UINT32_MAX; /* PID 1 writes all of a unit at once */
        r = tenant_group_place(group, &want->cpus, &want->nodes);
        return r == -EOPNOTSUPP ? 0 : r; /* said so by the features */
}

/* Asked with every apply, said where the answer is another. */
static int give_parent(Reconciler *reconciler, const CpuSet *cpus) {
        const LogFields fields = { .object = cgroup_driver_parent(reconciler->driver) };
        int r = cgroup_parent_give(reconciler->driver, cpus);

        if (r < 0 && r != -ENOLINK &&
                        (r != reconciler->given_error || !cpu_set_equal(cpus, &reconciler->given_alone)))
                log_write_errno(LOG_WARNING, &fields, r,
                                "The parent control group has no CPUs to give alone");
        reconciler->given_error = r;
        reconciler->given_alone = *cpus;
        return r;
}

/* Whether the kernel has refused it the same before. */
static bool was_refused(const Reconciler *reconciler, uint32_t slot, const Placement *want) {
        const Placed *placed = reconciler->placed[slot];

        return placed && placed->refused && placement_equal(&placed->planned, want);
}

int reconciler_make_partitions(
                Reconciler *reconciler, const TenantChange *changes, size_t n, unsigned *written) {
        int r = give_parent(reconciler, &reconciler->plan.alone);

        for (size_t i = 0; r != -ENOMEM && i < n; i++) {
                const Tenant *tenant = changes[i].tenant;
                TenantGroup *group = reconciler->groups[tenant->slot];
                const Placement *want = wanted(changes[i].plan);
                GroupPlacement have;

                if (changes[i].settled || changes[i].refused || !want->alone || !group ||
                                tenant_group_observe_placement(group, &have) < 0 || !have.can_be_alone ||
                                keeps_partition(&have, want))
                        continue;
                ++*written;
                r = tenant_group_make_partition(group, &want->cpus);
                if (r < 0 && r != -ENOLINK && !was_refused(reconciler, tenant->slot, want))
                        log_write_errno(LOG_WARNING, &(LogFields){ .tenant = tenant->id }, r,
                                        "Tenant %s: no partition can be made of its CPUs", tenant->id);
        }
        return r == -ENOMEM ? r : 0;
}

static int note_difference(Tenant *tenant, const char *file, const CpuSet *have, const CpuSet *want) {
        _cleanup_free_ char *have_text = cpu_set_format(have), *want_text = cpu_set_format(want);

        if (!have_text || !want_text)
                return -ENOMEM;
        if (strcmp(have_text, want_text) == 0)
                return 0;
        tenant->failed = true;
        return strv_pushf(&tenant->problems, "%s is '%s' and should be '%s'", file, have_text, want_text);
}

/* What it is to have and cannot use: offline by now, another's partition, or not its parent's to give. */
static int note_unusable(Tenant *tenant, const char *file, const CpuSet *usable, const CpuSet *want) {
        CpuSet lost = *want;

        cpu_set_subtract(&lost, usable);
        return cpu_set_is_empty(&lost) ? 0 : note_difference(tenant, file, usable, want);
}

static bool names_any(const Node *node, const Tenant *tenant) {
        const CalendarTenant *own = calendar_tenant(&node->calendar, tenant->id);
        CpuSet named;

        for (size_t i = 0; own && i < own->n; i++)
                if (allocation_is_current(own->allocations[i]) &&
                                (allocation_cpus(own->allocations[i], &named) ||
                                                allocation_nodes(own->allocations[i], &named)))
                        return true;
        return false;
}

static int note_unavailable(const PlanInput *input, const FeatureSet *features, Tenant *tenant) {
        const Feature *feature = feature_set_get(features, "cpuset");

        if (!names_any(input->node, tenant))
                return 0;
        return strv_pushf(&tenant->problems, "CpuSet: %s", feature ? feature->words : "not enforced");
}

static int note_problems(const PlanInput *input, const FeatureSet *features, const Placement *want,
                const GroupPlacement *have, Tenant *tenant) {
        int r;

        if (!have->available)
                return want == &anywhere ? 0 : note_unavailable(input, features, tenant);
        r = note_difference(tenant, "cpuset.cpus", &have->placement.cpus, &want->cpus);
        if (r >= 0)
                r = note_difference(tenant, "cpuset.mems", &have->placement.nodes, &want->nodes);
        if (r >= 0)
                r = note_unusable(tenant, "cpuset.cpus.effective", &have->usable_cpus, &want->cpus);
        if (r >= 0)
                r = note_unusable(tenant, "cpuset.mems.effective", &have->usable_nodes, &want->nodes);
        if (r >= 0 && want->alone && have->can_be_alone && !keeps_partition(have, want))
                r = strv_pushf(&tenant->problems,
                                "its CPUs are exclusive among tenants alone: cpuset.cpus.partition is '%s'",
                                have->partition);
        if (r >= 0 && !want->alone && is_partition(have))
                r = strv_pushf(&tenant->problems, "cpuset.cpus.partition is '%s' and should be 'member'",
                                have->partition);
        return r;
}

/* 1 where they are others. */
static int take_assigned(const PlanInput *input, const GroupPlacement *have, Tenant *tenant) {
        static const CpuSet none;
        bool changed;
        char *text = cpu_set_format(have->available   ? &have->usable_cpus
                                    : input->topology ? &input->topology->online
                                                      : &none);

        if (!text)
                return -ENOMEM;
        changed = !tenant->assigned_cpus || strcmp(tenant->assigned_cpus, text) != 0;
        free(tenant->assigned_cpus);
        tenant->assigned_cpus = text;
        return changed;
}

int reconciler_read_placement(Reconciler *reconciler, const PlanInput *input, const FeatureSet *features,
                const TenantChange *change) {
        const TenantPlan *plan = change->plan;
        Tenant *tenant = change->tenant;
        Placed **placed = &reconciler->placed[tenant->slot];
        GroupPlacement have;
        int r, changed = 0;

        r = tenant_group_observe_placement(reconciler->groups[tenant->slot], &have);
        if (r >= 0)
                r = changed = take_assigned(input, &have, tenant);
        if (r >= 0 && !plan->observed)
                r = note_problems(input, features, wanted(plan), &have, tenant);
        if (r < 0)
                return r;
        free(*placed);
        *placed = NULL;
        if (!plan->placement)
                return changed;
        *placed = malloc(sizeof(Placed));
        if (!*placed)
                return -ENOMEM;
        **placed = (Placed){
                .planned = *plan->placement,
                .available = have.available,
                .refused = !plan->observed && plan->placement->alone &&
                           !holds_partition(&have, plan->placement),
        };
        return changed;
}

bool reconciler_is_placed(const Reconciler *reconciler, const TenantPlan *plan) {
        const Placed *placed = reconciler->placed[plan->tenant->slot];

        return placement_equal(placed ? &placed->planned : NULL, plan->placement);
}

void reconciler_retry_partitions(Reconciler *reconciler) {
        for (uint32_t slot = SLOT_FIRST; slot < reconciler->n_slots; slot++)
                if (reconciler->placed[slot] && reconciler->placed[slot]->refused)
                        reconciler_look_again_at_slot(reconciler, slot);
}

static int diff_set(const ReconcilerDiff *diff, const TenantPlan *plan, const char *object, const char *file,
                const CpuSet *have, const CpuSet *want) {
        _cleanup_free_ char *have_text = cpu_set_format(have), *want_text = cpu_set_format(want);

        if (!have_text || !want_text)
                return -ENOMEM;
        return strcmp(have_text, want_text) == 0
                               ? 0
                               : reconciler_put_difference(diff, plan, object, file, have_text, want_text);
}

int reconciler_diff_placement(const ReconcilerDiff *diff, const TenantPlan *plan, TenantGroup *group) {
        const Placement *want = plan->placement ?: &anywhere;
        const char *object = tenant_group_path(group);
        GroupPlacement have;
        int r;

        r = tenant_group_observe_placement(group, &have);
        if (r >= 0)
                r = diff_set(diff, plan, object, "cpuset.cpus", &have.placement.cpus, &want->cpus);
        if (r >= 0)
                r = diff_set(diff, plan, object, "cpuset.mems", &have.placement.nodes, &want->nodes);
        if (r >= 0 && !holds_partition(&have, want))
                r = reconciler_put_difference(diff, plan, object, "cpuset.cpus.partition", have.partition,
                                want->alone ? "root" : "member");
        return r;
}

static void tell_set(const char *file, const CpuSet *have, const CpuSet *want,
                void (*differs)(const char *file, const char *have, const char *want, void *userdata),
                void *userdata) {
        _cleanup_free_ char *have_text = NULL, *want_text = NULL;

        if (cpu_set_equal(have, want))
                return;
        have_text = cpu_set_format(have);
        want_text = cpu_set_format(want);
        if (have_text && want_text)
                differs(file, have_text, want_text, userdata);
}

bool reconciler_slot_is_placed(const Reconciler *reconciler, uint32_t slot) {
        return reconciler->placed[slot] && reconciler->placed[slot]->available;
}

/* Files that were not there when it was placed: the features tell of the lack of a controller. */
void reconciler_check_placement(const Reconciler *reconciler, uint32_t slot,
                void (*differs)(const char *file, const char *have, const char *want, void *userdata),
                void *userdata) {
        const Placed *placed = reconciler->placed[slot];
        const Placement *planned = placed ? &placed->planned : &anywhere;
        GroupPlacement have;

        if (tenant_group_observe_placement(reconciler->groups[slot], &have) < 0 ||
                        !(have.available || reconciler_slot_is_placed(reconciler, slot)))
                return;
        tell_set("cpuset.cpus", &have.placement.cpus, &planned->cpus, differs, userdata);
        tell_set("cpuset.mems", &have.placement.nodes, &planned->nodes, differs, userdata);
        if (!(placed && placed->refused) && !holds_partition(&have, planned))
                differs("cpuset.cpus.partition", have.partition, planned->alone ? "root" : "member",
                                userdata);
}
