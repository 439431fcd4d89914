/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Where a tenant runs: which of its allocations name CPUs or NUMA nodes, and what becomes of those that name
 * none. */

#include "explain-internal.h"

#include "model/allocation-placement.h"

/* One of the two kinds of numbers. */
typedef struct Kind {
        const char *words;
        bool (*named)(const Allocation *allocation, CpuSet *ret);
} Kind;

static const Kind kinds[] = { { "CPUs", allocation_cpus }, { "NUMA nodes", allocation_nodes } };

static void print_allocation(Words *words, const Allocation *allocation, const Kind *kind) {
        PlacementMode mode =
                        kind->named == allocation_cpus ? allocation->cpu_set_mode : allocation->numa_mode;
        _cleanup_free_ char *text = NULL;
        CpuSet set;

        if (!kind->named(allocation, &set)) {
                words_add(words, "%s (%s) names none, and runs on what nobody has alone", allocation->id,
                                allocation_state_to_string(allocation->state));
                return;
        }
        text = cpu_set_format(&set);
        if (!text) {
                words->failed = true;
                return;
        }
        words_add(words, "%s (%s) has %s %s%s", allocation->id, allocation_state_to_string(allocation->state),
                        kind->words, text, mode == PLACEMENT_EXCLUSIVE ? ", alone" : "");
        if (kind->named == allocation_cpus && !allocation->cpu_set)
                words_add(words, ", chosen by the node");
}

int explain_placement(const PlanInput *input, const TenantPlan *plan, bool of_nodes, char **ret) {
        const CalendarTenant *tenant = calendar_tenant(&input->node->calendar, plan->tenant->id);
        const Kind *kind = &kinds[of_nodes];
        const char *between = "";
        Words words = WORDS_NULL;

        if (!plan->placement || cpu_set_is_empty(of_nodes ? &plan->placement->nodes : &plan->placement->cpus))
                words_add(&words, "nothing asks for less than all that there are");
        else {
                for (size_t i = 0; tenant && i < tenant->n; i++) {
                        if (!allocation_is_current(tenant->allocations[i]))
                                continue;
                        words_add(&words, "%s", between);
                        print_allocation(&words, tenant->allocations[i], kind);
                        between = "; ";
                }
                if (!*between)
                        words_add(&words, "no allocation is active: it runs on what nobody has alone");
        }
        return words_take(&words, ret);
}
