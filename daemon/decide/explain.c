/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A tenant's values: its share, the settings of its group, its class on an uplink. */

#include "explain-internal.h"

#include <inttypes.h>
#include <string.h>

void explain_print_amount(Words *words, uint64_t amount) {
        if (amount == UNLIMITED)
                words_add(words, "max");
        else
                words_add(words, "%" PRIu64, amount);
}

bool explain_is_lent(const Allocation *allocation, ResourceKind kind) {
        return allocation->state == ALLOCATION_SUSPENDED && resource_info(kind)->lent_when_suspended;
}

Amount explain_part_of(const Allocation *allocation, const Resource *entry) {
        if (!allocation_is_current(allocation) || explain_is_lent(allocation, entry->kind))
                return (Amount){ 0, 0 };
        return (Amount){ calendar_reserved_now(allocation, entry->kind, entry->target), entry->amount.limit };
}

/* --- sums over allocations --- */

typedef enum Half { RESERVED, LIMIT } Half;

static const Resource *find_entry(const Allocation *allocation, ResourceKind kind, const char *target) {
        for (size_t i = 0; i < allocation->resources.n; i++) {
                const Resource *entry = &allocation->resources.entries[i];

                if (entry->kind == kind && strcmp(entry->target, target) == 0)
                        return entry;
        }
        return NULL;
}

static void print_part(Words *words, const Allocation *allocation, const Resource *entry, Half half) {
        Amount part = explain_part_of(allocation, entry);

        explain_print_amount(words, half == LIMIT ? part.limit : part.reserved);
        words_add(words, " (%s, %s", allocation->id, allocation_state_to_string(allocation->state));
        if (explain_is_lent(allocation, entry->kind))
                words_add(words, " and lent");
        else if (half == RESERVED && part.reserved < entry->amount.reserved)
                words_add(words, ", of %" PRIu64 " promised", entry->amount.reserved);
        words_add(words, ")");
}

/* " = 1000 (a1, active) + 500 (a2, held)": of those whose class is among `classes` (bits). */
#define ALL_CLASSES UINT32_MAX
static void print_parts(Words *words, const PlanInput *input, const TenantPlan *plan, ResourceKind kind,
                const char *target, Half half, uint32_t classes) {
        const CalendarTenant *tenant = calendar_tenant(&input->node->calendar, plan->tenant->id);
        const char *between = " = ";

        for (size_t i = 0; tenant && i < tenant->n; i++) {
                const Allocation *allocation = tenant->allocations[i];
                const Resource *entry = find_entry(allocation, kind, target);

                if (!entry || !allocation_is_current(allocation) ||
                                !(classes & 1U << allocation_qos_class(allocation)))
                        continue;
                words_add(words, "%s", between);
                print_part(words, allocation, entry, half);
                between = " + ";
        }
        if (strcmp(between, " = ") == 0)
                words_add(words, " = 0");
}

/* All of it is lent: what its tenant has then is the residual share, never nothing (plan.c). */
static bool is_residual(const PlanInput *input, const TenantPlan *plan, ResourceKind kind, const char *target,
                const Amount *amount) {
        const CalendarTenant *tenant = calendar_tenant(&input->node->calendar, plan->tenant->id);
        uint64_t sum = 0;

        for (size_t i = 0; tenant && i < tenant->n; i++) {
                const Resource *entry = find_entry(tenant->allocations[i], kind, target);

                if (entry)
                        sum = amount_add(sum, explain_part_of(tenant->allocations[i], entry).limit);
        }
        return sum == 0 && amount->limit > 0;
}

static void print_half(Words *words, const PlanInput *input, const TenantPlan *plan, ResourceKind kind,
                const char *target, Half half) {
        const Amount *amount = resource_set_get(&plan->share, kind, target);

        if (!amount) {
                words_add(words, "no allocation names %s", resource_info(kind)->name);
                return;
        }
        words_add(words, "%s", half == LIMIT ? "limit " : "reserved ");
        explain_print_amount(words, half == LIMIT ? amount->limit : amount->reserved);
        if (plan->residual)
                words_add(words, ", the residual share of the configuration: no allocation is active");
        else if (half == LIMIT && is_residual(input, plan, kind, target, amount))
                words_add(words, ", the residual share of the configuration: what it has else is lent");
        else
                print_parts(words, input, plan, kind, target, half, ALL_CLASSES);
}

int explain_share(const PlanInput *input, const TenantPlan *plan, const Resource *entry, char **ret) {
        Words words = WORDS_NULL;

        if (!plan->residual && resource_info(entry->kind)->has_reserved) {
                print_half(&words, input, plan, entry->kind, entry->target, RESERVED);
                words_add(&words, "; ");
        }
        print_half(&words, input, plan, entry->kind, entry->target, LIMIT);
        words_add(&words, " (%s)", resource_info(entry->kind)->unit);
        return words_take(&words, ret);
}

/* --- settings --- */

typedef struct Question {
        const PlanInput *input;
        const TenantPlan *plan;
        Setting setting;
        uint64_t value;
} Question;

static void print_cpu_idle(Words *words, const Question *question) {
        const TenantPlan *plan = question->plan;

        if (plan->residual)
                words_add(words, "%s",
                                question->value ? "OnEnd of its last allocation is throttle: the idle class"
                                                : "OnEnd of its last allocation is not throttle");
        else
                words_add(words, "%s",
                                question->value ? "all its allocations are best-effort: the idle class"
                                                : "not all its allocations are best-effort");
}

static void print_cpu_weight(Words *words, const Question *question) {
        if (question->plan->settings.value[SETTING_CPU_IDLE]) {
                words_add(words, "it is in the idle class, where no weight counts");
                return;
        }
        words_add(words, "10000 × reserved / %" PRIu64 " millicores of the node, from 1 to 10000; ",
                        question->input->cpu_millicores);
        print_half(words, question->input, question->plan, RESOURCE_CPU, "", RESERVED);
}

static void print_limit(Words *words, const Question *question, ResourceKind kind) {
        print_half(words, question->input, question->plan, kind, "", LIMIT);
        words_add(words, " (%s)", resource_info(kind)->unit);
}

static void print_cpu_max(Words *words, const Question *question) {
        print_limit(words, question, RESOURCE_CPU);
        if (question->value != UNLIMITED)
                words_add(words, "; 1000 µs a second for each millicore");
}

static void print_memory_floor(Words *words, const Question *question) {
        bool min = question->setting == SETTING_MEMORY_MIN;
        uint32_t classes = min ? 1U << QOS_CLASS_GUARANTEED : ~(1U << QOS_CLASS_GUARANTEED);

        words_add(words, "what its %s allocations reserve of memory", min ? "guaranteed" : "other");
        print_parts(words, question->input, question->plan, RESOURCE_MEMORY, "", RESERVED, classes);
        words_add(words, " (bytes)");
}

static void print_memory_high(Words *words, const Question *question) {
        const Amount *memory = resource_set_get(&question->plan->share, RESOURCE_MEMORY, "");

        if (question->plan->residual)
                words_add(words,
                                "what it had when its last allocation ended, %" PRIu64
                                " bytes, and at least the residual %" PRIu64,
                                question->plan->tenant->residual_memory_bytes,
                                question->input->residual.memory_bytes);
        else if (!memory || memory->limit == UNLIMITED)
                words_add(words, "its memory has no limit");
        else if (question->value == UNLIMITED)
                words_add(words, "its memory is reserved up to its limit: there is nothing to reclaim first");
        else
                words_add(words,
                                "a sixteenth of what lies between reserved %" PRIu64 " and limit %" PRIu64
                                " below the limit: reclaim comes before the kill",
                                memory->reserved, memory->limit);
}

static void print_memory_max(Words *words, const Question *question) {
        if (question->plan->residual)
                words_add(words,
                                "the residual share: memory.high of %" PRIu64
                                " bytes, a quarter of it and 16 MiB more",
                                question->plan->settings.value[SETTING_MEMORY_HIGH]);
        else
                print_limit(words, question, RESOURCE_MEMORY);
}

static void print_swap_max(Words *words, const Question *question) {
        print_limit(words, question, RESOURCE_SWAP);
}

static void print_tasks_max(Words *words, const Question *question) {
        print_limit(words, question, RESOURCE_TASKS);
}

static void print_cpu_burst(Words *words, const Question *question) {
        words_add(words, "cpu-burst of the configuration, %" PRIu64 " %% of the quota of a tenth of a second",
                        question->input->cpu_burst_percent);
}

static void print_oom_group(Words *words, const Question *question) {
        words_add(words, "oom-group of the configuration: %s",
                        question->value ? "out of memory it is killed whole"
                                        : "out of memory one process of it is killed");
}

static void print_io_weight(Words *words, const Question *question) {
        words_add(words, "10000 × reserved / what the block device can do, of that of which it has the "
                         "largest part, "
                         "from 1 to 10000");
        for (ResourceKind kind = RESOURCE_IO_READ; kind <= RESOURCE_IO_WRITE; kind++)
                for (size_t i = 0; i < question->plan->share.n; i++) {
                        const Resource *entry = &question->plan->share.entries[i];

                        if (entry->kind != kind || entry->amount.reserved == 0)
                                continue;
                        words_add(words, "; %s%s%s ", resource_info(kind)->name, *entry->target ? "@" : "",
                                        entry->target);
                        print_half(words, question->input, question->plan, kind, entry->target, RESERVED);
                }
}

static void print_hugetlb(Words *words, const Question *question) {
        print_limit(words, question,
                        question->setting == SETTING_HUGETLB_2M ? RESOURCE_HUGETLB_2M : RESOURCE_HUGETLB_1G);
}

static void (*const settings[SETTING_MAX])(Words *words, const Question *question) = {
        [SETTING_CPU_IDLE] = print_cpu_idle,
        [SETTING_CPU_WEIGHT] = print_cpu_weight,
        [SETTING_CPU_MAX] = print_cpu_max,
        [SETTING_MEMORY_MIN] = print_memory_floor,
        [SETTING_MEMORY_LOW] = print_memory_floor,
        [SETTING_MEMORY_HIGH] = print_memory_high,
        [SETTING_MEMORY_MAX] = print_memory_max,
        [SETTING_SWAP_MAX] = print_swap_max,
        [SETTING_TASKS_MAX] = print_tasks_max,
        [SETTING_CPU_BURST] = print_cpu_burst,
        [SETTING_OOM_GROUP] = print_oom_group,
        [SETTING_IO_WEIGHT] = print_io_weight,
        [SETTING_HUGETLB_2M] = print_hugetlb,
        [SETTING_HUGETLB_1G] = print_hugetlb,
};

int explain_setting(const PlanInput *input, const TenantPlan *plan, Setting setting, char **ret) {
        const Question question = { input, plan, setting, plan->settings.value[setting] };
        Words words = WORDS_NULL;

        if (!settings[setting] || !settings_has(&plan->settings, setting))
                return -EOPNOTSUPP;
        settings[setting](&words, &question);
        return words_take(&words, ret);
}

int explain_frozen(const TenantPlan *plan, char **ret) {
        *ret = strdup(!plan->frozen      ? "nothing that it has is suspended, and no OnEnd froze it"
                        : plan->residual ? "OnEnd of its last allocation is freeze"
                                         : "all that it has is suspended");
        return *ret ? 0 : -ENOMEM;
}

/* --- classes --- */

int explain_class(const PlanInput *input, const TenantPlan *plan, const UplinkCapacity *uplink, char **ret) {
        const char *targets[] = { uplink->name, uplink->is_default ? "" : NULL };
        NetClass class = plan_net_class(uplink, plan);
        bool named = false;
        Words words = WORDS_NULL;

        for (size_t i = 0; i < ELEMENTSOF(targets); i++)
                for (Half half = RESERVED; targets[i] && half <= LIMIT; half++) {
                        if (!resource_set_get(&plan->share, uplink->kind, targets[i]) ||
                                        (plan->residual && half == RESERVED))
                                continue;
                        print_half(&words, input, plan, uplink->kind, targets[i], half);
                        words_add(&words, "%s", half == RESERVED ? " is its rate; " : " is its ceil; ");
                        named = true;
                }
        if (!named)
                words_add(&words, "no allocation names %s: no floor; ", uplink->name);
        words_add(&words, "no more than the uplink's %" PRIu64 " (bit/s); ", uplink->capacity_bps);
        words_add(&words, "%s",
                        class.priority > 1 ? "in the idle class it borrows last"
                                           : "it borrows before the idle class");
        if (plan->observed)
                words_add(&words, "; observed, it has no class: its traffic is the default class's");
        return words_take(&words, ret);
}
