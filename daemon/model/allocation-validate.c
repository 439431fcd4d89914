/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Allocations judged as far as that needs neither the node nor the time.
 */

#include "allocation-placement.h"
#include "identifier.h"

#include "util/printable.h"
#include "util/strv.h"

#include <inttypes.h>
#include <string.h>

#define TEXT_LENGTH_MAX 255
#define GRACE_USEC_MAX (24ULL * 3600 * 1000000)
#define TIME_USEC_MAX (253402300800ULL * 1000000) /* the year 10000: past it no one can print a time */

static int refuse_key(Failure *failure, const char *key, const char *value, const char *bound) {
        return failure_set(failure, FAILURE_INVALID_ALLOCATION, "%s '%.64s': %s", key, value, bound);
}

static int validate_ids(const Allocation *allocation, Failure *failure) {
        static const char bound[] = "must be lower-case letters and digits, with single dashes between, "
                                    "at most 63 characters and 16 dashes";

        if (!allocation->id)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION, "AllocationId is missing");
        if (!identifier_valid(allocation->id))
                return refuse_key(failure, "AllocationId", allocation->id, bound);
        if (!allocation->tenant_id)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION, "allocation %s: TenantId is missing",
                                allocation->id);
        if (!identifier_valid(allocation->tenant_id))
                return refuse_key(failure, "TenantId", allocation->tenant_id, bound);
        if (allocation->generation == 0)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: Generation is missing or 0; it must be at least 1",
                                allocation->id);
        return 0;
}

static int validate_map(const StringMap *map, const char *key, const char *id, Failure *failure) {
        if (map->n > ALLOCATION_ENTRIES_MAX)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: %s has %zu entries, at most %d are allowed", id, key, map->n,
                                ALLOCATION_ENTRIES_MAX);
        for (size_t i = 0; i < map->n; i++)
                if (!is_printable(map->names[i]) || !is_printable(map->values[i]) ||
                                strlen(map->names[i]) > TEXT_LENGTH_MAX ||
                                strlen(map->values[i]) > TEXT_LENGTH_MAX)
                        return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                        "allocation %s: entry %zu of %s must be at most %d bytes without "
                                        "control characters",
                                        id, i + 1, key, TEXT_LENGTH_MAX);
        return 0;
}

static int validate_texts(const Allocation *allocation, Failure *failure) {
        const struct {
                const char *key, *value;
        } texts[] = {
                { "Issuer", allocation->issuer },
                { "ProjectId", allocation->project_id },
                { "ReservationId", allocation->reservation_id },
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (texts[i].value &&
                                (strlen(texts[i].value) > TEXT_LENGTH_MAX || !is_printable(texts[i].value)))
                        return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                        "allocation %s: %s must be at most %d bytes without control "
                                        "characters",
                                        allocation->id, texts[i].key, TEXT_LENGTH_MAX);
        if (strv_length(allocation->users) > ALLOCATION_ENTRIES_MAX)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: Users has %zu entries, at most %d are allowed",
                                allocation->id, strv_length(allocation->users), ALLOCATION_ENTRIES_MAX);
        for (char **user = allocation->users; user && *user; user++)
                if (!**user || !is_printable(*user) || strlen(*user) > TEXT_LENGTH_MAX)
                        return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                        "allocation %s: a name in Users is empty, too long or has control "
                                        "characters",
                                        allocation->id);
        r = validate_map(&allocation->external_ids, "ExternalIds", allocation->id, failure);
        if (r == 0)
                r = validate_map(&allocation->labels, "Labels", allocation->id, failure);
        if (r == 0)
                r = validate_map(&allocation->extensions, "x_…", allocation->id, failure);
        return r;
}

/* With Calendar, Duration is each window's length, and StartTime and EndTime bound them all. */
static int validate_recurrence(const Allocation *allocation, Failure *failure) {
        const char *id = allocation->id;
        _cleanup_failure_ Failure inner = FAILURE_NULL;
        Recurrence *recurrence = NULL;
        int r;

        if (!allocation->recurrence_text)
                return allocation->end_usec != UINT64_MAX && allocation->duration_usec > 0
                                       ? failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                                         "allocation %s: EndTime and Duration were both "
                                                         "given; give one",
                                                         id)
                                       : 0;
        if (allocation->duration_usec == 0)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: Calendar needs Duration, how long each window is", id);
        if (strlen(allocation->recurrence_text) > TEXT_LENGTH_MAX)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: Calendar must be at most %d bytes", id, TEXT_LENGTH_MAX);
        r = recurrence_parse(allocation->recurrence_text, &recurrence, &inner);
        recurrence_free(recurrence);
        return r > 0 ? failure_set(failure, inner.code, "allocation %s: %s", id, inner.message) : r;
}

static int validate_usec(const Allocation *allocation, const char *key, uint64_t value, uint64_t max,
                Failure *failure) {
        return value <= max ? 0
                            : failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                              "allocation %s: %s %" PRIu64 " is over %" PRIu64 " µs",
                                              allocation->id, key, value, max);
}

static int validate_lease(const Allocation *allocation, Failure *failure) {
        if (allocation->on_lease_expiry != ON_LEASE_EXPIRY_HOLD && allocation->lease_usec == 0)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: OnLeaseExpiry needs LeaseDuration", allocation->id);
        return validate_usec(allocation, "LeaseDuration", allocation->lease_usec, ALLOCATION_LEASE_USEC_MAX,
                        failure);
}

static int validate_window(const Allocation *allocation, Failure *failure) {
        const char *id = allocation->id;
        int r;

        if (allocation->start_usec > TIME_USEC_MAX)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: StartTime %" PRIu64
                                " is past the year 9999 (times are microseconds UTC)",
                                id, allocation->start_usec);
        if (allocation->end_usec != UINT64_MAX && allocation->end_usec > TIME_USEC_MAX)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: EndTime %" PRIu64
                                " is past the year 9999 (times are microseconds UTC)",
                                id, allocation->end_usec);
        if (allocation->start_given && allocation->end_usec <= allocation->start_usec)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: EndTime %" PRIu64 " must be after StartTime %" PRIu64, id,
                                allocation->end_usec, allocation->start_usec);
        r = validate_usec(allocation, "Duration", allocation->duration_usec, TIME_USEC_MAX, failure);
        if (r == 0)
                r = validate_usec(allocation, "GraceTime", allocation->grace_usec, GRACE_USEC_MAX, failure);
        if (r == 0)
                r = validate_usec(allocation, "WarnBeforeEnd", allocation->warn_usec, TIME_USEC_MAX, failure);
        if (r == 0)
                r = validate_lease(allocation, failure);
        return r == 0 ? validate_recurrence(allocation, failure) : r;
}

static int validate_amount(const Allocation *allocation, const Resource *entry, Failure *failure) {
        const ResourceInfo *info = resource_info(entry->kind);
        const Amount *amount = &entry->amount;
        char name[RESOURCE_NAME_SIZE];

        resource_format_name(entry->kind, entry->target, name);
        if (!info->has_reserved && amount->reserved > 0)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: %s reserved %" PRIu64 " must be 0: it is a limit alone",
                                allocation->id, name, amount->reserved);
        if (amount->reserved == UNLIMITED)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: %s reserved must be a number of %s; only a limit can be "
                                "unlimited",
                                allocation->id, name, info->unit);
        if (amount->reserved > RESERVED_MAX)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: %s reserved %" PRIu64
                                " is over the most that can be reserved, %llu %s",
                                allocation->id, name, amount->reserved, RESERVED_MAX, info->unit);
        if (amount->reserved > amount->limit)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: %s reserved %" PRIu64 " is over its limit %" PRIu64 " (%s)",
                                allocation->id, name, amount->reserved, amount->limit, info->unit);
        if (amount->limit < info->limit_min)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: %s limit %" PRIu64 " is below the least, %" PRIu64 " %s",
                                allocation->id, name, amount->limit, info->limit_min, info->unit);
        return 0;
}

static int validate_devices(const Allocation *allocation, Failure *failure) {
        const DeviceSet *devices = &allocation->devices;

        if (devices->n > ALLOCATION_ENTRIES_MAX)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: Devices has %zu entries, at most %d are allowed",
                                allocation->id, devices->n, ALLOCATION_ENTRIES_MAX);
        for (size_t i = 0; i < devices->n; i++) {
                const char *name = devices->entries[i].name;
                DeviceName parsed;

                if (device_name_parse(name, &parsed) < 0)
                        return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                        "allocation %s: Devices: '%.64s' must be " DEVICE_NAME_FORMS
                                        ", at most %d bytes",
                                        allocation->id, name, DEVICE_NAME_LENGTH_MAX);
        }
        return 0;
}

static int validate_qos_class(const Allocation *allocation, Failure *failure) {
        Allocation derived = *allocation;
        QosClass given = allocation->qos_class, fits;

        if (given == QOS_CLASS_DERIVED)
                return 0;
        derived.qos_class = QOS_CLASS_DERIVED;
        fits = allocation_qos_class(&derived);
        /* Burstable is the weaker promise: what is guaranteed may be called so; the reverse would be a lie.
         */
        if (given == fits || (given == QOS_CLASS_BURSTABLE && fits == QOS_CLASS_GUARANTEED))
                return 0;
        return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                        "allocation %s: QosClass '%s' needs %s, but Resources make it %s", allocation->id,
                        qos_class_to_string(given),
                        given == QOS_CLASS_GUARANTEED    ? "reserved = limit everywhere"
                        : given == QOS_CLASS_BEST_EFFORT ? "reserved 0 everywhere"
                                                         : "something reserved",
                        qos_class_to_string(fits));
}

int allocation_validate(const Allocation *allocation, Failure *ret_failure) {
        int r;

        r = validate_ids(allocation, ret_failure);
        if (r == 0)
                r = validate_texts(allocation, ret_failure);
        if (r == 0)
                r = validate_window(allocation, ret_failure);
        if (r == 0 && allocation->resources.n == 0)
                r = failure_set(ret_failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: Resources is missing or empty", allocation->id);
        for (size_t i = 0; r == 0 && i < allocation->resources.n; i++)
                r = validate_amount(allocation, &allocation->resources.entries[i], ret_failure);
        if (r == 0)
                r = validate_devices(allocation, ret_failure);
        if (r == 0)
                r = validate_qos_class(allocation, ret_failure);
        if (r == 0)
                r = allocation_validate_placement(allocation, ret_failure);
        return r;
}
