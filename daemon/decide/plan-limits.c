/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a group holds by device: limits of block IO, latency targets, weights, RDMA and what the misc
 * controller counts. "Every device" means each of the lowest of the stack: what passes through those above is
 * counted there. Reserved IO is a weight: so much of ten thousand as it is of what the device can do.
 */

#include "plan-internal.h"

#include <string.h>

/* What a device is taken to do, bytes/s, where nobody said: then weights are in proportion to each other and
 * to nothing else. */
#define NOMINAL_BYTES (4ULL << 30)

/* The column of a resource's file. */
typedef struct Place {
        LimitFile file;
        size_t column;
} Place;

static bool find_place(ResourceKind kind, Place *ret) {
        switch (kind) {
        case RESOURCE_IO_READ:
                *ret = (Place){ LIMIT_IO_MAX, IO_MAX_READ_BYTES };
                return true;
        case RESOURCE_IO_WRITE:
                *ret = (Place){ LIMIT_IO_MAX, IO_MAX_WRITE_BYTES };
                return true;
        case RESOURCE_IOPS_READ:
                *ret = (Place){ LIMIT_IO_MAX, IO_MAX_READ_OPERATIONS };
                return true;
        case RESOURCE_IOPS_WRITE:
                *ret = (Place){ LIMIT_IO_MAX, IO_MAX_WRITE_OPERATIONS };
                return true;
        case RESOURCE_RDMA_HANDLES:
                *ret = (Place){ LIMIT_RDMA_MAX, RDMA_MAX_HANDLES };
                return true;
        case RESOURCE_RDMA_OBJECTS:
                *ret = (Place){ LIMIT_RDMA_MAX, RDMA_MAX_OBJECTS };
                return true;
        case RESOURCE_MISC:
                *ret = (Place){ LIMIT_MISC_MAX, 0 };
                return true;
        default:
                return false;
        }
}

LimitFile plan_limit_file(ResourceKind kind) {
        Place place;

        return find_place(kind, &place) ? place.file : LIMIT_FILE_INVALID;
}

/* What the share has of one device: what it names, and what it has of every one. */
static Amount device_amount(const ResourceSet *share, ResourceKind kind, const BlockDevice *device) {
        const Amount *named = resource_set_get(share, kind, device->number),
                     *every = device->leaf ? resource_set_get(share, kind, "") : NULL;
        Amount sum = { 0, named || every ? 0 : UNLIMITED };

        if (named)
                sum = *named;
        if (every) {
                sum.reserved = amount_add(sum.reserved, every->reserved);
                sum.limit = amount_add(sum.limit, every->limit);
        }
        return sum;
}

static uint64_t device_ability(const PlanInput *input, ResourceKind kind, const BlockDevice *device) {
        const Amount *total =
                        input->capacity ? resource_set_get(input->capacity, kind, device->number) : NULL;

        return total && total->limit > 0 ? total->limit : NOMINAL_BYTES;
}

/* The larger of what is reserved of reading and of writing. */
static uint64_t device_fraction(const PlanInput *input, const ResourceSet *share, const BlockDevice *device) {
        uint64_t most = 0;

        for (ResourceKind kind = RESOURCE_IO_READ; kind <= RESOURCE_IO_WRITE; kind++) {
                uint64_t fraction = plan_scale(device_amount(share, kind, device).reserved, IO_WEIGHT_MAX,
                                device_ability(input, kind, device));

                most = fraction > most ? fraction : most;
        }
        return most;
}

uint64_t plan_io_fraction(const PlanInput *input, const ResourceSet *share) {
        uint64_t most = 0;

        for (size_t i = 0; i < input->n_block_devices; i++) {
                uint64_t fraction = device_fraction(input, share, &input->block_devices[i]);

                most = fraction > most ? fraction : most;
        }
        return most;
}

static int put_weight(const PlanInput *input, TenantPlan *plan, const BlockDevice *device) {
        uint64_t weight = plan_clamp(device_fraction(input, &plan->share, device), 1, IO_WEIGHT_MAX);

        switch (device->policy) {
        case IO_POLICY_COST:
                return weight == plan->settings.value[SETTING_IO_WEIGHT]
                                       ? 0
                                       : limit_set_put(&plan->limits, LIMIT_IO_WEIGHT, device->number, 0,
                                                         weight);
        case IO_POLICY_BFQ: /* 1 … 1000, and what systemd makes of the default is not in proportion */
                return limit_set_put(&plan->limits, LIMIT_IO_BFQ_WEIGHT, device->number, 0,
                                plan_clamp(weight / 10, 1, 1000));
        case IO_POLICY_NONE:
        default:
                return 0;
        }
}

static int put_device(const PlanInput *input, TenantPlan *plan, const BlockDevice *device) {
        static const ResourceKind kinds[] = { RESOURCE_IO_READ, RESOURCE_IO_WRITE, RESOURCE_IOPS_READ,
                RESOURCE_IOPS_WRITE };
        Place place;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(kinds) && find_place(kinds[i], &place); i++)
                r = limit_set_put(&plan->limits, place.file, device->number, place.column,
                                device_amount(&plan->share, kinds[i], device).limit);
        if (r >= 0)
                r = put_weight(input, plan, device);
        if (r >= 0 && device->latency_usec > 0 && device_fraction(input, &plan->share, device) > 0)
                r = limit_set_put(&plan->limits, LIMIT_IO_LATENCY, device->number, 0, device->latency_usec);
        return r;
}

int plan_make_limits(const PlanInput *input, TenantPlan *plan) {
        int r = 0;

        settings_put(&plan->settings, SETTING_IO_WEIGHT,
                        plan_clamp(plan_io_fraction(input, &plan->share), 1, IO_WEIGHT_MAX));
        for (size_t i = 0; r >= 0 && i < input->n_block_devices; i++)
                r = put_device(input, plan, &input->block_devices[i]);
        for (size_t i = 0; r >= 0 && i < plan->share.n; i++) {
                const Resource *entry = &plan->share.entries[i];
                Place place;

                if (find_place(entry->kind, &place) && place.file != LIMIT_IO_MAX)
                        r = limit_set_put(&plan->limits, place.file, entry->target, place.column,
                                        entry->amount.limit);
        }
        return r;
}

/* The loosest of what the kernel holds otherwise than planned; `limit` where it holds all as planned. */
static uint64_t effective_column(const PlanInput *input, const TenantPlan *plan, const LimitSet *observed,
                const Resource *entry, Place place) {
        const bool every = place.file == LIMIT_IO_MAX && *entry->target == '\0';
        uint64_t limit = 0;
        bool differs = false;

        for (size_t i = 0; i < (every ? input->n_block_devices : 1); i++) {
                const char *target = every ? input->block_devices[i].number : entry->target;
                uint64_t have = limit_set_get(observed, place.file, target, place.column);

                if ((every && !input->block_devices[i].leaf) ||
                                have == limit_set_get(&plan->limits, place.file, target, place.column))
                        continue;
                differs = true;
                limit = have > limit ? have : limit;
        }
        return differs ? limit : entry->amount.limit;
}

static bool weights_differ(const TenantPlan *plan, const LimitSet *observed) {
        for (size_t i = 0; i < plan->limits.n; i++) {
                const LimitLine *line = &plan->limits.lines[i];

                if ((line->file == LIMIT_IO_WEIGHT || line->file == LIMIT_IO_BFQ_WEIGHT) &&
                                limit_set_get(observed, line->file, line->target, 0) != line->values[0])
                        return true;
        }
        return false;
}

bool plan_effective_limit(const PlanInput *input, const TenantPlan *plan, const GroupState *state,
                const Resource *entry, Amount *ret) {
        const Settings *settings = &state->settings;
        Place place;

        if (!find_place(entry->kind, &place) || !(state->limit_files & (1U << place.file)))
                return false;
        *ret = (Amount){ entry->amount.reserved,
                effective_column(input, plan, &state->limits, entry, place) };
        if (entry->amount.reserved == 0)
                return true;
        if (!settings_has(settings, SETTING_IO_WEIGHT))
                ret->reserved = 0; /* no weight, no floor */
        else if (settings->value[SETTING_IO_WEIGHT] != plan->settings.value[SETTING_IO_WEIGHT] ||
                        weights_differ(plan, &state->limits))
                ret->reserved = plan_scale(entry->amount.reserved, settings->value[SETTING_IO_WEIGHT],
                                plan->settings.value[SETTING_IO_WEIGHT]);
        return true;
}
