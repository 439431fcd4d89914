/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Keys of CPUs and NUMA nodes judged and turned into claims, without knowing what this node has. */

#include "allocation-placement.h"

#include <inttypes.h>
#include <string.h>

#define LIST_LENGTH_MAX 1023
#define SHOWN_LENGTH_MAX 64 /* of a list that is not one */

static bool is_given(const char *text) {
        return text && *text;
}

static bool read_set(const char *text, CpuSet *ret) {
        if (is_given(text) && cpu_set_parse(text, ret) >= 0 && !cpu_set_is_empty(ret))
                return true;
        *ret = (CpuSet){};
        return false;
}

bool allocation_cpus(const Allocation *allocation, CpuSet *ret) {
        return read_set(is_given(allocation->cpu_set) ? allocation->cpu_set : allocation->assigned_cpus, ret);
}

bool allocation_nodes(const Allocation *allocation, CpuSet *ret) {
        return read_set(allocation->numa_nodes, ret);
}

static Amount cpu_amount(const Allocation *allocation) {
        const Amount *amount = resource_set_get(&allocation->resources, RESOURCE_CPU, "");

        return amount ? *amount : (Amount){ 0, UNLIMITED };
}

unsigned allocation_cpus_to_choose(const Allocation *allocation) {
        if (allocation->cpu_set_mode != PLACEMENT_EXCLUSIVE || is_given(allocation->cpu_set))
                return 0;
        return (unsigned) least(cpu_amount(allocation).reserved / 1000, CPU_SET_SIZE);
}

static int validate_list(const Allocation *allocation, const char *key, const char *text, const char *example,
                Failure *failure) {
        CpuSet set;
        int r;

        if (!is_given(text))
                return 0;
        r = strlen(text) > LIST_LENGTH_MAX ? -E2BIG : cpu_set_parse(text, &set);
        if (r == -E2BIG)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: %s must be at most %d bytes", allocation->id, key,
                                LIST_LENGTH_MAX);
        if (r == -ERANGE)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: %s '%.*s' has a number over %u", allocation->id, key,
                                SHOWN_LENGTH_MAX, text, CPU_SET_SIZE - 1);
        if (r < 0)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: %s must be numbers and ascending ranges with commas between, "
                                "like "
                                "'%s'",
                                allocation->id, key, example);
        return 0;
}

/* Whole CPUs, and all of what is reserved is theirs: what is promised elsewhere is not short of it. */
static int validate_exclusive(const Allocation *allocation, Failure *failure) {
        const uint64_t reserved = cpu_amount(allocation).reserved;
        CpuSet cpus;

        if (!read_set(allocation->cpu_set, &cpus))
                return reserved > 0 && reserved % 1000 == 0 && reserved / 1000 <= CPU_SET_SIZE
                                       ? 0
                                       : failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                                         "allocation %s: CpuSetMode 'exclusive' needs cpu "
                                                         "reserved in "
                                                         "whole CPUs, 1000 millicores each, not %" PRIu64,
                                                         allocation->id, reserved);
        if (reserved != cpu_set_count(&cpus) * 1000ULL)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: CpuSetMode 'exclusive' needs cpu reserved %u, 1000 "
                                "millicores for each "
                                "CPU of CpuSet '%.*s', not %" PRIu64,
                                allocation->id, cpu_set_count(&cpus) * 1000, SHOWN_LENGTH_MAX,
                                allocation->cpu_set, reserved);
        return 0;
}

static int validate_shared(const Allocation *allocation, Failure *failure) {
        const uint64_t reserved = cpu_amount(allocation).reserved;
        CpuSet cpus;

        if (!read_set(allocation->cpu_set, &cpus) || reserved <= cpu_set_count(&cpus) * 1000ULL)
                return 0;
        return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                        "allocation %s: cpu reserved %" PRIu64
                        " is over what CpuSet '%.*s' has, %u millicores",
                        allocation->id, reserved, SHOWN_LENGTH_MAX, allocation->cpu_set,
                        cpu_set_count(&cpus) * 1000);
}

int allocation_validate_placement(const Allocation *allocation, Failure *ret_failure) {
        int r;

        r = validate_list(allocation, "CpuSet", allocation->cpu_set, "0-3,8", ret_failure);
        if (r == 0)
                r = validate_list(allocation, "NumaNodes", allocation->numa_nodes, "0-1", ret_failure);
        if (r == 0)
                r = (allocation->cpu_set_mode == PLACEMENT_EXCLUSIVE ? validate_exclusive : validate_shared)(
                                allocation, ret_failure);
        if (r == 0 && allocation->numa_mode == PLACEMENT_EXCLUSIVE && !is_given(allocation->numa_nodes))
                r = failure_set(ret_failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: NumaMode 'exclusive' needs NumaNodes: which", allocation->id);
        return r;
}

static int claim_each(ResourceSet *claims, ResourceKind kind, const CpuSet *set, uint64_t amount) {
        CPU_SET_FOREACH (number, set) {
                char target[RESOURCE_TARGET_SIZE];
                int r;

                (void) snprintf(target, sizeof target, "%u", number);
                r = resource_set_put(claims, kind, target, (Amount){ amount, 0 });
                if (r < 0)
                        return r;
        }
        return 0;
}

/* `whole`: what one of them counts in the sum of those that are had alone. */
static int claim_alone(ResourceSet *claims, ResourceKind kind, const CpuSet *set, uint64_t all,
                uint64_t whole, unsigned n) {
        int r = claim_each(claims, kind, set, all);

        return r < 0 || n == 0 ? r : resource_set_put(claims, kind, "", (Amount){ n * whole, 0 });
}

static int claim_cpus(const Allocation *allocation, ResourceSet *claims) {
        uint64_t reserved = cpu_amount(allocation).reserved, count;
        CpuSet cpus;
        bool named = allocation_cpus(allocation, &cpus);

        count = cpu_set_count(&cpus);
        if (allocation->cpu_set_mode == PLACEMENT_EXCLUSIVE)
                return claim_alone(claims, RESOURCE_CPUSET, &cpus, CPU_CLAIM_ALL, 1000,
                                named ? (unsigned) count : allocation_cpus_to_choose(allocation));
        if (!named)
                return 0;
        reserved = least(reserved, count * 1000);
        return claim_each(claims, RESOURCE_CPUSET, &cpus, reserved * CPU_CLAIM_PARTS / count + 1);
}

/* No one else has memory on a node that is had alone, however little is reserved there. */
static int claim_nodes(const Allocation *allocation, ResourceSet *claims) {
        const Amount *memory = resource_set_get(claims, RESOURCE_MEMORY, "");
        uint64_t reserved = memory ? memory->reserved : 0,
                 all = least(allocation->node_memory_bytes, RESERVED_MAX);
        CpuSet nodes;
        int r;

        if (!allocation_nodes(allocation, &nodes))
                return 0;
        if (allocation->numa_mode != PLACEMENT_EXCLUSIVE)
                return claim_each(claims, RESOURCE_NUMA, &nodes, 1);
        r = claim_alone(claims, RESOURCE_NUMA, &nodes, NODE_CLAIM_ALL, 1, cpu_set_count(&nodes));
        if (r < 0 || all <= reserved)
                return r;
        return resource_set_put(claims, RESOURCE_MEMORY, "", (Amount){ all, 0 });
}

int allocation_claim_placement(const Allocation *allocation, ResourceSet *claims) {
        int r = claim_cpus(allocation, claims);

        return r < 0 ? r : claim_nodes(allocation, claims);
}

/* What is short by less than a millicore, or of a node that others share, is short of the last one. */
Amount claim_amount_shown(const Resource *claim, uint64_t wanted, uint64_t free) {
        Amount shown = { wanted, free };

        if ((claim->kind != RESOURCE_CPUSET && claim->kind != RESOURCE_NUMA) || !*claim->target)
                return shown;
        shown = claim->kind == RESOURCE_CPUSET ? (Amount){ wanted / CPU_CLAIM_PARTS, free / CPU_CLAIM_PARTS }
                                               : (Amount){ 1, 0 };
        if (shown.reserved == 0)
                shown.reserved = 1;
        if (free < wanted && shown.limit >= shown.reserved)
                shown.limit = shown.reserved - 1;
        return shown;
}
