/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table of resources, and sets of amounts. It knows names and arithmetic, not how any of it is enforced.
 */

#include "resource.h"

#include <assert.h>
#include <string.h>

/* limit_min: cpu: the kernel's least quota, 1 ms (kernel/sched/core.c), of our period of 100 ms; io.max takes
 * no 0. */
static const ResourceInfo resource_table[RESOURCE_KIND_MAX] = {
        [RESOURCE_CPU] = { "cpu", "millicores", true, true, TARGET_NONE, 10 },
        [RESOURCE_MEMORY] = { "memory", "bytes", true, false, TARGET_NONE, 1 << 20 },
        [RESOURCE_SWAP] = { "swap", "bytes", false, false, TARGET_NONE, 0 },
        [RESOURCE_TASKS] = { "tasks", "count", false, false, TARGET_NONE, 1 },
        [RESOURCE_IO_READ] = { "io.read", "bytes/s", true, true, TARGET_BLOCK, 1 },
        [RESOURCE_IO_WRITE] = { "io.write", "bytes/s", true, true, TARGET_BLOCK, 1 },
        [RESOURCE_IOPS_READ] = { "iops.read", "operations/s", false, true, TARGET_BLOCK, 1 },
        [RESOURCE_IOPS_WRITE] = { "iops.write", "operations/s", false, true, TARGET_BLOCK, 1 },
        [RESOURCE_NET_EGRESS] = { "net.egress", "bit/s", true, true, TARGET_UPLINK, 8000 },
        [RESOURCE_NET_INGRESS] = { "net.ingress", "bit/s", true, true, TARGET_UPLINK, 8000 },
        [RESOURCE_HUGETLB_2M] = { "hugetlb.2M", "bytes", false, false, TARGET_NONE, 0 },
        [RESOURCE_HUGETLB_1G] = { "hugetlb.1G", "bytes", false, false, TARGET_NONE, 0 },
        [RESOURCE_RDMA_HANDLES] = { "rdma.handles", "count", false, false, TARGET_RDMA, 0 },
        [RESOURCE_RDMA_OBJECTS] = { "rdma.objects", "count", false, false, TARGET_RDMA, 0 },
        [RESOURCE_MISC] = { "misc", "count", false, false, TARGET_MISC, 0 },
        [RESOURCE_CPUSET] = { "cpuset", "millicores", .has_reserved = true, .target = TARGET_PLACE,
                        .claimed_only = true },
        [RESOURCE_NUMA] = { "numa", "nodes", .has_reserved = true, .target = TARGET_PLACE,
                        .claimed_only = true },
};

const ResourceInfo *resource_info(ResourceKind kind) {
        assert(kind >= 0 && kind < RESOURCE_KIND_MAX);
        return &resource_table[kind];
}

static bool is_device_number(const char *target) {
        size_t major = strspn(target, "0123456789");
        size_t minor = target[major] == ':' ? strspn(target + major + 1, "0123456789") : 0;

        /* One way to write each: what the kernel shows. */
        return major > 0 && minor > 0 && !target[major + 1 + minor] && (*target != '0' || major == 1) &&
               (target[major + 1] != '0' || minor == 1);
}

static bool target_valid(ResourceTarget kind, const char *target) {
        size_t n = strlen(target);

        if (kind == TARGET_BLOCK && !is_device_number(target))
                return false;
        return kind != TARGET_NONE && n > 0 && n < RESOURCE_TARGET_SIZE && strcmp(target, ".") != 0 &&
               strcmp(target, "..") != 0 &&
               strspn(target, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_-") == n;
}

static bool needs_target(ResourceTarget kind) {
        return kind == TARGET_RDMA || kind == TARGET_MISC;
}

/* Before an '@'. */
static ResourceKind find_kind(const char *name) {
        size_t n = strcspn(name, "@");

        for (ResourceKind kind = 0; kind < RESOURCE_KIND_MAX; kind++)
                if (strlen(resource_table[kind].name) == n &&
                                strncmp(resource_table[kind].name, name, n) == 0)
                        return kind;
        return RESOURCE_KIND_INVALID;
}

int resource_parse_name(const char *name, ResourceKind *ret_kind, char *ret_target) {
        const ResourceKind kind = find_kind(name);
        const char *at = strchr(name, '@');

        if (kind < 0)
                return -EINVAL;
        if (at ? !target_valid(resource_table[kind].target, at + 1)
               : needs_target(resource_table[kind].target))
                return -EINVAL;
        *ret_kind = kind;
        strcpy(ret_target, at ? at + 1 : "");
        return 0;
}

static const char *target_words(ResourceTarget target) {
        switch (target) {
        case TARGET_UPLINK:
                return "an interface may be named, as in net.egress@eth1";
        case TARGET_BLOCK:
                return "a block device may be named by its numbers, as in io.read@8:0 (lsblk shows them)";
        case TARGET_RDMA:
                return "an RDMA device must be named, as in rdma.handles@mlx5_0";
        case TARGET_MISC:
                return "what is counted must be named, as in misc@sev (misc.capacity of the root control "
                       "group lists them)";
        case TARGET_NONE:
        default:
                return "it has no '@'";
        }
}

int resource_refuse_name(const char *key, const char *name, Failure *ret_failure) {
        char names[256] = "";
        ResourceKind kind = find_kind(name);

        if (kind >= 0 && !resource_table[kind].claimed_only)
                return failure_set(ret_failure, FAILURE_INVALID_ALLOCATION, "%s: '%.64s': %s", key, name,
                                target_words(resource_table[kind].target));
        for (kind = 0; kind < RESOURCE_KIND_MAX && !resource_table[kind].claimed_only; kind++)
                snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", kind ? ", " : "",
                                resource_table[kind].name);
        return failure_set(ret_failure, FAILURE_UNKNOWN_KEY,
                        "%s: unknown resource '%.64s'; this version has %s", key, name, names);
}

void resource_format_name(ResourceKind kind, const char *target, char *ret) {
        snprintf(ret, RESOURCE_NAME_SIZE, "%s%s%s", resource_info(kind)->name, *target ? "@" : "", target);
}

/* The entry's index, or where it would have to be put. */
static size_t resource_set_search(
                const ResourceSet *set, ResourceKind kind, const char *target, bool *ret_found) {
        size_t i;

        for (i = 0; i < set->n; i++) {
                const Resource *entry = &set->entries[i];
                int order = entry->kind != kind ? (int) entry->kind - (int) kind
                                                : strcmp(entry->target, target);

                if (order >= 0) {
                        *ret_found = order == 0;
                        return i;
                }
        }
        *ret_found = false;
        return i;
}

const Amount *resource_set_get(const ResourceSet *set, ResourceKind kind, const char *target) {
        bool found;
        size_t i = resource_set_search(set, kind, target, &found);

        return found ? &set->entries[i].amount : NULL;
}

int resource_set_put(ResourceSet *set, ResourceKind kind, const char *target, Amount amount) {
        Resource *entries;
        bool found;
        size_t i;

        i = resource_set_search(set, kind, target, &found);
        if (found) {
                set->entries[i].amount = amount;
                return 0;
        }
        if (strlen(target) >= RESOURCE_TARGET_SIZE)
                return -ENAMETOOLONG;
        entries = reallocarray(set->entries, set->n + 1, sizeof(Resource));
        if (!entries)
                return -ENOMEM;
        memmove(entries + i + 1, entries + i, (set->n - i) * sizeof(Resource));
        entries[i] = (Resource){ .kind = kind, .amount = amount };
        strcpy(entries[i].target, target);
        set->entries = entries;
        set->n++;
        return 0;
}

uint64_t amount_add(uint64_t a, uint64_t b) {
        uint64_t sum;

        return __builtin_add_overflow(a, b, &sum) ? UNLIMITED : sum;
}

int resource_set_add(ResourceSet *set, const ResourceSet *other) {
        _cleanup_resource_set_ ResourceSet sum = RESOURCE_SET_NULL;
        int r;

        r = resource_set_copy(set, &sum);
        for (size_t i = 0; r >= 0 && i < other->n; i++) {
                const Resource *entry = &other->entries[i];
                const Amount *have = resource_set_get(&sum, entry->kind, entry->target);
                Amount amount = entry->amount;

                if (have) {
                        amount.reserved = amount_add(have->reserved, amount.reserved);
                        amount.limit = amount_add(have->limit, amount.limit);
                }
                r = resource_set_put(&sum, entry->kind, entry->target, amount);
        }
        if (r < 0)
                return r;
        resource_set_deinit(set);
        *set = sum;
        sum = (ResourceSet) RESOURCE_SET_NULL;
        return 0;
}

int resource_set_copy(const ResourceSet *set, ResourceSet *ret) {
        Resource *entries = NULL;

        if (set->n > 0) {
                entries = reallocarray(NULL, set->n, sizeof(Resource));
                if (!entries)
                        return -ENOMEM;
                memcpy(entries, set->entries, set->n * sizeof(Resource));
        }
        *ret = (ResourceSet){ entries, set->n };
        return 0;
}

bool resource_set_equal(const ResourceSet *a, const ResourceSet *b) {
        if (a->n != b->n)
                return false;
        for (size_t i = 0; i < a->n; i++) {
                const Resource *x = &a->entries[i], *y = &b->entries[i];

                if (x->kind != y->kind || strcmp(x->target, y->target) != 0 ||
                                x->amount.reserved != y->amount.reserved ||
                                x->amount.limit != y->amount.limit)
                        return false;
        }
        return true;
}

void resource_set_deinit(ResourceSet *set) {
        free(set->entries);
        *set = (ResourceSet) RESOURCE_SET_NULL;
}
