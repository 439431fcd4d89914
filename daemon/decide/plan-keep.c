/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A plan that is kept, and made anew for those of whom something changed, in steps; from nothing it is the
 * same with everyone marked:
 *   1. who is gone leaves the sums and the uplinks; who came gets an entry;
 *   2. of each who is marked: its own part (plan.c), which takes the place of the old one in the sums, and
 * its class on every uplink;
 *   3. where processes run (plan-placement.c);
 *   4. the parent's settings, from the sums: its children's floors, and a weight that makes them hold against
 * the parent's siblings.
 * Where there is no memory nothing is kept, and the next is from nothing.
 */

#include "plan-internal.h"

#include "model/sorted.h"

#include <string.h>

static int compare_tenant(const void *entry, const void *id) {
        return strcmp((*(TenantPlan *const *) entry)->id, id);
}

static size_t search(const Plan *plan, const char *id, bool *ret_found) {
        return sorted_search(
                        plan->tenants, plan->n_tenants, sizeof(TenantPlan *), id, compare_tenant, ret_found);
}

const TenantPlan *plan_find(const Plan *plan, const char *tenant_id) {
        bool found;
        size_t i = search(plan, tenant_id, &found);

        return found ? plan->tenants[i] : NULL;
}

bool plan_kills(const Plan *plan, const TenantPlan *tenant) {
        return tenant->doomed && !plan->kills_wait;
}

void plan_list(PlanList *list, TenantPlan *tenant) {
        if (!tenant->listed)
                list->tenants[list->n++] = tenant;
        tenant->listed = true;
}

/* Into the sums, or with `sign` -1 out of them. */
static void count(PlanSums *sums, const TenantPlan *tenant, int sign) {
        const PlanFloors *floors = &tenant->floors;

        sums->memory_min += (unsigned __int128) sign * floors->memory_min;
        sums->memory_low += (unsigned __int128) sign * floors->memory_low;
        sums->cpu_millicores += (uint64_t) sign * floors->cpu_millicores;
        sums->io_fraction += (uint64_t) sign * floors->io_fraction;
        sums->n_named += (size_t) (sign * tenant->named);
        sums->n_alone += (size_t) (sign * tenant->alone);
}

/* --- classes --- */

/* Room was made by reserve_classes(). */
static void put_class(NetPlan *net, NetClass class) {
        bool found;
        size_t i = net_plan_search(net, class.slot, &found);

        if (!found) {
                memmove(net->classes + i + 1, net->classes + i, (net->n_classes - i) * sizeof(NetClass));
                net->n_classes++;
        }
        net->classes[i] = class;
}

static void drop_class(NetPlan *net, uint32_t slot) {
        bool found;
        size_t i = net_plan_search(net, slot, &found);

        if (!found)
                return;
        net->n_classes--;
        memmove(net->classes + i, net->classes + i + 1, (net->n_classes - i) * sizeof(NetClass));
}

/* Who is observed has none: HTB sends what has no class to the default one. */
static void put_classes(const PlanInput *input, Plan *plan, const TenantPlan *tenant) {
        for (size_t i = 0; i < plan->n_uplinks; i++)
                if (!tenant->observed)
                        put_class(&plan->uplinks[i], plan_net_class(&input->uplinks[i], tenant));
}

static void drop_classes(Plan *plan, const TenantPlan *tenant) {
        for (size_t i = 0; i < plan->n_uplinks; i++)
                drop_class(&plan->uplinks[i], tenant->slot);
}

static int reserve_classes(Plan *plan, size_t n) {
        for (size_t i = 0; i < plan->n_uplinks; i++) {
                NetClass *classes = reallocarray(plan->uplinks[i].classes, n + 2, sizeof(NetClass));

                if (!classes)
                        return -ENOMEM;
                plan->uplinks[i].classes = classes;
        }
        return 0;
}

/* With the two classes that are no tenant's. */
static int begin_uplinks(const PlanInput *input, Plan *plan) {
        if (plan->uplinks)
                return 0;
        plan->uplinks = calloc(input->n_uplinks + 1, sizeof(NetPlan));
        if (!plan->uplinks)
                return -ENOMEM;
        for (; plan->n_uplinks < input->n_uplinks; plan->n_uplinks++) {
                const UplinkCapacity *uplink = &input->uplinks[plan->n_uplinks];
                NetPlan *net = &plan->uplinks[plan->n_uplinks];

                *net = (NetPlan){ .uplink = uplink->device,
                        .capacity_bps = uplink->capacity_bps,
                        .overhead_bytes = uplink->overhead_bytes };
                net->classes = reallocarray(NULL, 2, sizeof(NetClass));
                if (!net->classes)
                        return -ENOMEM;
                put_class(net, (NetClass){ SLOT_DEFAULT, 1, uplink->default_floor_bps,
                                               uplink->capacity_bps });
                put_class(net, (NetClass){ SLOT_CONTROL, 0, uplink->control_floor_bps,
                                               uplink->control_ceil_bps });
        }
        return 0;
}

/* --- tenants --- */

/* 1. */
static void drop_tenant(Plan *plan, size_t i) {
        TenantPlan *tenant = plan->tenants[i];

        count(&plan->sums, tenant, -1);
        drop_classes(plan, tenant);
        plan->n_tenants--;
        memmove(plan->tenants + i, plan->tenants + i + 1, (plan->n_tenants - i) * sizeof(TenantPlan *));
        tenant_plan_deinit(tenant);
        free(tenant);
}

static int add_tenant(Plan *plan, size_t i, const char *id) {
        TenantPlan **tenants = reallocarray(plan->tenants, plan->n_tenants + 1, sizeof(TenantPlan *));
        _cleanup_free_ TenantPlan *tenant = calloc(1, sizeof(TenantPlan));

        if (tenants)
                plan->tenants = tenants;
        if (!tenants || !tenant || reserve_classes(plan, plan->n_tenants + 1) < 0)
                return -ENOMEM;
        tenant->id = strdup(id);
        if (!tenant->id)
                return -ENOMEM;
        memmove(tenants + i + 1, tenants + i, (plan->n_tenants - i) * sizeof(TenantPlan *));
        plan->n_tenants++;
        tenants[i] = TAKE_PTR(tenant);
        return 0;
}

/* 2. Of one who was just added there is nothing yet to leave the sums. */
static int remake_tenant(const PlanInput *input, Plan *plan, const Tenant *of, TenantPlan *tenant) {
        TenantPlan made = { .tenant = of, .id = tenant->id }, old;
        int r = plan_make_tenant(input, &made);

        if (r < 0) {
                made.id = NULL;
                tenant_plan_deinit(&made);
                return r;
        }
        count(&plan->sums, tenant, -1);
        if (tenant->tenant && tenant->slot == made.slot && made.observed)
                drop_classes(plan, tenant);
        old = *tenant;
        made.placement = TAKE_PTR(old.placement);
        made.listed = old.listed;
        *tenant = made;
        old.id = NULL;
        tenant_plan_deinit(&old);
        count(&plan->sums, tenant, 1);
        put_classes(input, plan, tenant);
        return 0;
}

/* 1. Before any is made anew: who has a slot now must not lose his class to who had it. */
static void leave(const PlanInput *input, Plan *plan, const char *id) {
        const Tenant *tenant = node_find_tenant(input->node, id);
        bool found;
        size_t i = search(plan, id, &found);

        if (found && !tenant)
                drop_tenant(plan, i);
        else if (found && plan->tenants[i]->tenant && plan->tenants[i]->slot != tenant->slot)
                drop_classes(plan, plan->tenants[i]);
}

/* 2. of one name. */
static int look_at(const PlanInput *input, Plan *plan, const char *id, PlanList *list) {
        const Tenant *tenant = node_find_tenant(input->node, id);
        bool found;
        size_t i = search(plan, id, &found);
        int r = 0;

        if (!tenant)
                return 0;
        if (!found)
                r = add_tenant(plan, i, id);
        if (r < 0 || plan->tenants[i]->listed)
                return r;
        r = remake_tenant(input, plan, tenant, plan->tenants[i]);
        if (r >= 0)
                plan_list(list, plan->tenants[i]);
        return r;
}

/* --- the node --- */

/*
 * 4. Under contention a group gets weight / (weight + siblings) of the CPU, and of a block device: for R of C
 * that is S·R/(C−R) at least. Admission keeps R below C, so what the system itself needs stays.
 */
static uint64_t parent_weight(uint64_t siblings, uint64_t reserved, uint64_t capacity) {
        return reserved < capacity ? plan_scale(siblings, reserved, capacity - reserved) + 1 : CPU_WEIGHT_MAX;
}

static uint64_t clip(unsigned __int128 sum) {
        return sum < UNLIMITED ? (uint64_t) sum : UNLIMITED;
}

static void make_parent(const PlanInput *input, Plan *plan) {
        const PlanSums *sums = &plan->sums;

        plan->parent_weight =
                        parent_weight(input->sibling_weight, sums->cpu_millicores, input->cpu_millicores);
        settings_put(&plan->parent, SETTING_CPU_WEIGHT,
                        plan_clamp(plan->parent_weight, CPU_WEIGHT_DEFAULT, CPU_WEIGHT_MAX));
        settings_put(&plan->parent, SETTING_IO_WEIGHT,
                        plan_clamp(parent_weight(input->io_sibling_weight, sums->io_fraction, IO_WEIGHT_MAX),
                                        CPU_WEIGHT_DEFAULT, CPU_WEIGHT_MAX));
        settings_put(&plan->parent, SETTING_MEMORY_MIN, clip(sums->memory_min));
        settings_put(&plan->parent, SETTING_MEMORY_LOW, clip(sums->memory_low));
}

/* `marks` NULL: all. */
static int remake_marked(const PlanInput *input, const CalendarMarks *marks, Plan *plan, PlanList *list) {
        int r = begin_uplinks(input, plan);

        for (size_t i = 0; r >= 0 && marks && i < marks->n; i++)
                leave(input, plan, marks->ids[i]);
        for (size_t i = 0; r >= 0 && marks && i < marks->n; i++)
                r = look_at(input, plan, marks->ids[i], list);
        for (size_t i = 0; r >= 0 && !marks && i < input->node->n_tenants; i++)
                r = look_at(input, plan, input->node->tenants[i]->id, list);
        return r < 0 ? r : plan_place(input, plan, list);
}

static int remake(const PlanInput *input, const CalendarMarks *marks, Plan *plan, PlanList *ret_changed) {
        const Calendar *calendar = &input->node->calendar;
        const bool all = !marks || !plan->uplinks;
        PlanList list = {};
        int r;

        if (all)
                plan_deinit(plan);
        list.tenants = reallocarray(NULL, input->node->n_tenants + 1, sizeof(TenantPlan *));
        if (!list.tenants)
                return -ENOMEM;
        r = remake_marked(input, all ? NULL : marks, plan, &list);
        for (size_t i = 0; i < list.n; i++)
                list.tenants[i]->listed = false;
        if (r < 0) {
                free(list.tenants);
                plan_deinit(plan);
                return r;
        }
        plan->kills_wait = calendar->irrevocable_waits || calendar->uncommitted;
        make_parent(input, plan);
        *ret_changed = list;
        return 0;
}

int plan_remake(const PlanInput *input, Plan *plan, PlanList *ret_changed) {
        const CalendarMarks *marks = &input->node->calendar.marks;

        return remake(input, marks->all ? NULL : marks, plan, ret_changed);
}

int plan_make(const PlanInput *input, Plan *ret) {
        _cleanup_plan_ Plan plan = PLAN_NULL;
        PlanList everyone;
        int r = remake(input, /* marks= */ NULL, &plan, &everyone);

        if (r < 0)
                return r;
        free(everyone.tenants);
        *ret = plan;
        plan = (Plan) PLAN_NULL;
        return 0;
}

void plan_deinit(Plan *plan) {
        for (size_t i = 0; i < plan->n_tenants; i++) {
                tenant_plan_deinit(plan->tenants[i]);
                free(plan->tenants[i]);
        }
        for (size_t i = 0; i < plan->n_uplinks; i++)
                free(plan->uplinks[i].classes);
        free(plan->tenants);
        free(plan->uplinks);
        *plan = (Plan) PLAN_NULL;
}
