/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The node's own values: the group above all tenants', and what can be reserved. */

#include "explain-internal.h"

#include <inttypes.h>
#include <string.h>

void explain_print_tenants(Words *words, const Plan *plan, uint64_t (*value_of)(const TenantPlan *tenant)) {
        const char *between = " = ";

        for (size_t i = 0; i < plan->n_tenants; i++) {
                uint64_t value = value_of(plan->tenants[i]);

                if (value == 0)
                        continue;
                words_add(words, "%s%" PRIu64 " (%s)", between, value, plan->tenants[i]->id);
                between = " + ";
        }
}

/* One that is observed has no floors. */
static uint64_t reserved_cpu(const TenantPlan *tenant) {
        const Amount *cpu = resource_set_get(&tenant->share, RESOURCE_CPU, "");

        return cpu && !tenant->observed ? cpu->reserved : 0;
}

static uint64_t memory_min(const TenantPlan *tenant) {
        return tenant->observed ? 0 : tenant->settings.value[SETTING_MEMORY_MIN];
}

static uint64_t memory_low(const TenantPlan *tenant) {
        return tenant->observed ? 0 : tenant->settings.value[SETTING_MEMORY_LOW];
}

static void print_weight(Words *words, const PlanInput *input, const Plan *plan) {
        uint64_t reserved = 0;
        size_t n_observed = 0;

        for (size_t i = 0; i < plan->n_tenants; i++) {
                reserved += reserved_cpu(plan->tenants[i]);
                n_observed += plan->tenants[i]->observed;
        }
        words_add(words, "groups beside it weigh %" PRIu64 "; reserved %" PRIu64, input->sibling_weight,
                        reserved);
        explain_print_tenants(words, plan, reserved_cpu);
        words_add(words, " of %" PRIu64 " millicores", input->cpu_millicores);
        if (n_observed > 0)
                words_add(words, ", and a hundredth of the node for each of %zu tenants that are observed",
                                n_observed);
        words_add(words, ": siblings × R / (C − R) + 1, from 100 to 10000");
}

int explain_parent(const PlanInput *input, const Plan *plan, Setting setting, char **ret) {
        Words words = WORDS_NULL;

        if (!settings_has(&plan->parent, setting))
                return -EOPNOTSUPP;
        switch (setting) {
        case SETTING_CPU_WEIGHT:
                print_weight(&words, input, plan);
                break;
        case SETTING_IO_WEIGHT:
                words_add(&words,
                                "groups beside it weigh %" PRIu64
                                "; as cpu.weight, with the largest parts of a "
                                "block device that its tenants reserve",
                                input->io_sibling_weight);
                break;
        case SETTING_MEMORY_MIN:
        case SETTING_MEMORY_LOW:
                words_add(&words, "the sum of its tenants'");
                explain_print_tenants(&words, plan, setting == SETTING_MEMORY_MIN ? memory_min : memory_low);
                break;
        default:
                words_add(&words, "as planned");
                break;
        }
        return words_take(&words, ret);
}

/* By its name, as the default uplink, or as one of every block device. */
static bool is_of(const Capacity *capacity, const Resource *part, const Resource *whole) {
        const ResourceTarget target = resource_info(part->kind)->target;

        if (part->kind != whole->kind)
                return false;
        if (*part->target || target == TARGET_NONE)
                return strcmp(part->target, whole->target) == 0;
        return target == TARGET_BLOCK ||
               (capacity->default_uplink && strcmp(capacity->default_uplink, whole->target) == 0);
}

static uint64_t sum_limits(const Capacity *capacity, const Plan *plan, const Resource *whole) {
        uint64_t sum = 0;

        for (size_t i = 0; i < plan->n_tenants; i++) {
                const ResourceSet *share = &plan->tenants[i]->share;

                for (size_t k = 0; k < share->n; k++)
                        if (is_of(capacity, &share->entries[k], whole))
                                sum = amount_add(sum, share->entries[k].amount.limit);
        }
        return sum;
}

int explain_capacity(const Capacity *capacity, const Plan *plan, const Resource *entry, uint64_t reserved,
                char **ret) {
        const Amount *hardware = resource_set_get(&capacity->hardware, entry->kind, entry->target);
        uint64_t limits = sum_limits(capacity, plan, entry);
        Words words = WORDS_NULL;

        words_add(&words, "what there is less what is kept for the system, %" PRIu64,
                        hardware ? hardware->limit : entry->amount.limit);
        if (hardware && entry->amount.limit < hardware->limit)
                words_add(&words, ", bounded by an operator to %" PRIu64, entry->amount.limit);
        words_add(&words, " (%s); %" PRIu64 " reserved now", resource_info(entry->kind)->unit, reserved);
        if (limits > entry->amount.limit) {
                words_add(&words, "; limits are overcommitted, their sum is ");
                explain_print_amount(&words, limits);
        }
        return words_take(&words, ret);
}
