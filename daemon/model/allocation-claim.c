/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Two entries may claim the same, "net.egress" and "net.egress@<the default uplink>": their sum is claimed.
 * One may claim several: "io.read" so much of each block device whose ability is known. Of the others nothing
 * can be claimed: what they can do is not known.
 */

#include "allocation-claim.h"

#include "allocation-placement.h"

#include <string.h>

static int add_claim(ResourceSet *claims, ResourceKind kind, const char *target, uint64_t amount) {
        const Amount *have = resource_set_get(claims, kind, target);

        if (amount == 0)
                return 0;
        return resource_set_put(
                        claims, kind, target, (Amount){ amount_add(have ? have->reserved : 0, amount), 0 });
}

static int add_block_claims(const Calendar *calendar, const Resource *entry, ResourceSet *claims) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < calendar->devices.n; i++) {
                const Resource *device = &calendar->devices.entries[i];

                if (resource_claims(calendar, entry, device) && (device->amount.limit > 0 || *entry->target))
                        r = add_claim(claims, device->kind, device->target, entry->amount.reserved);
        }
        return r;
}

int allocation_claims(const Calendar *calendar, const Allocation *allocation, ResourceSet *ret) {
        _cleanup_resource_set_ ResourceSet claims = RESOURCE_SET_NULL;
        int r;

        for (size_t i = 0; i < allocation->resources.n; i++) {
                const Resource *entry = &allocation->resources.entries[i];

                r = resource_info(entry->kind)->target == TARGET_BLOCK
                                    ? add_block_claims(calendar, entry, &claims)
                                    : add_claim(&claims, entry->kind, calendar_target(calendar, entry),
                                                      entry->amount.reserved);
                if (r < 0)
                        return r;
        }
        r = allocation_claim_placement(allocation, &claims);
        if (r < 0)
                return r;
        *ret = claims;
        claims = (ResourceSet) RESOURCE_SET_NULL;
        return 0;
}

bool resource_claims(const Calendar *calendar, const Resource *entry, const Resource *claim) {
        const bool every = resource_info(entry->kind)->target == TARGET_BLOCK && *entry->target == '\0';

        return entry->kind == claim->kind && entry->amount.reserved > 0 &&
               (every || strcmp(calendar_target(calendar, entry), claim->target) == 0);
}

const Resource *allocation_claim_entry(
                const Calendar *calendar, const Allocation *allocation, const Resource *claim) {
        for (size_t i = 0; i < allocation->resources.n; i++)
                if (resource_claims(calendar, &allocation->resources.entries[i], claim))
                        return &allocation->resources.entries[i];
        return NULL;
}

Resource allocation_claim_name(
                const Calendar *calendar, const Allocation *allocation, const Resource *claim) {
        const Resource *entry = allocation_claim_entry(calendar, allocation, claim);

        return entry && resource_info(entry->kind)->target != TARGET_BLOCK ? *entry : *claim;
}

uint64_t allocation_claim(const Allocation *allocation, ResourceKind kind, const char *target) {
        const Amount *amount = resource_set_get(&allocation->claims, kind, target);

        return amount ? amount->reserved : 0;
}
