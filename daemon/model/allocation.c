/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Allocations as values: made, copied, compared. Whether one is a request at all is allocation-validate.c's
 * question; whether the node has room, decide/admission.c's; what state it is in at an instant, calendar.c's.
 */

#include "allocation.h"

#include "util/strv.h"

#include <assert.h>
#include <signal.h>
#include <string.h>

const char *string_map_get(const StringMap *map, const char *name) {
        for (size_t i = 0; i < map->n; i++)
                if (strcmp(map->names[i], name) == 0)
                        return map->values[i];
        return NULL;
}

int string_map_put(StringMap *map, const char *name, const char *value) {
        _cleanup_free_ char *own_name = strdup(name), *own_value = strdup(value);
        char **names, **values;
        size_t i;

        if (!own_name || !own_value)
                return -ENOMEM;
        for (i = 0; i < map->n; i++) {
                int order = strcmp(map->names[i], name);

                if (order == 0) {
                        free(map->values[i]);
                        map->values[i] = TAKE_PTR(own_value);
                        return 0;
                }
                if (order > 0)
                        break;
        }
        names = reallocarray(map->names, map->n + 1, sizeof(char *));
        if (!names)
                return -ENOMEM;
        map->names = names;
        values = reallocarray(map->values, map->n + 1, sizeof(char *));
        if (!values)
                return -ENOMEM;
        map->values = values;
        memmove(names + i + 1, names + i, (map->n - i) * sizeof(char *));
        memmove(values + i + 1, values + i, (map->n - i) * sizeof(char *));
        names[i] = TAKE_PTR(own_name);
        values[i] = TAKE_PTR(own_value);
        map->n++;
        return 0;
}

bool string_map_equal(const StringMap *a, const StringMap *b) {
        if (a->n != b->n)
                return false;
        for (size_t i = 0; i < a->n; i++)
                if (strcmp(a->names[i], b->names[i]) != 0 || strcmp(a->values[i], b->values[i]) != 0)
                        return false;
        return true;
}

void string_map_deinit(StringMap *map) {
        for (size_t i = 0; i < map->n; i++) {
                free(map->names[i]);
                free(map->values[i]);
        }
        free(map->names);
        free(map->values);
        *map = (StringMap){};
}

static int string_map_copy(const StringMap *map, StringMap *ret) {
        StringMap copy = {};

        for (size_t i = 0; i < map->n; i++) {
                int r = string_map_put(&copy, map->names[i], map->values[i]);
                if (r < 0) {
                        string_map_deinit(&copy);
                        return r;
                }
        }
        *ret = copy;
        return 0;
}

int allocation_new(Allocation **ret) {
        Allocation *allocation = calloc(1, sizeof(Allocation));

        if (!allocation)
                return -ENOMEM;
        allocation->end_usec = UINT64_MAX;
        allocation->end_signal = SIGTERM;
        *ret = allocation;
        return 0;
}

/* The field behind a key. */
static void *field(const Allocation *allocation, const AllocationKey *key) {
        return (char *) allocation + key->offset;
}

static void field_deinit(void *value, KeyType type) {
        switch (type) {
        case KEY_STRING:
                free(*(char **) value);
                break;
        case KEY_STRINGS:
                strv_free(*(char ***) value);
                break;
        case KEY_MAP:
                string_map_deinit(value);
                break;
        case KEY_RESOURCES:
                resource_set_deinit(value);
                break;
        case KEY_DEVICES:
                device_set_deinit(value);
                break;
        case KEY_U64:
        case KEY_I32:
        case KEY_ENUM:
                break;
        }
}

static int field_copy(const void *from, void *to, KeyType type) {
        switch (type) {
        case KEY_STRING:
                if (!*(char *const *) from)
                        return 0;
                *(char **) to = strdup(*(char *const *) from);
                return *(char **) to ? 0 : -ENOMEM;
        case KEY_STRINGS:
                return strv_copy(*(char **const *) from, to);
        case KEY_MAP:
                return string_map_copy(from, to);
        case KEY_RESOURCES:
                return resource_set_copy(from, to);
        case KEY_DEVICES:
                return device_set_copy(from, to);
        case KEY_U64:
                *(uint64_t *) to = *(const uint64_t *) from;
                return 0;
        case KEY_I32:
                *(int32_t *) to = *(const int32_t *) from;
                return 0;
        case KEY_ENUM:
                *(int *) to = *(const int *) from;
                return 0;
        }
        return -EINVAL;
}

static bool string_equal(const char *a, const char *b) {
        return strcmp(a ?: "", b ?: "") == 0;
}

static bool field_equal(const void *a, const void *b, KeyType type) {
        switch (type) {
        case KEY_STRING:
                return string_equal(*(char *const *) a, *(char *const *) b);
        case KEY_STRINGS:
                return strv_equal(*(char **const *) a, *(char **const *) b);
        case KEY_MAP:
                return string_map_equal(a, b);
        case KEY_RESOURCES:
                return resource_set_equal(a, b);
        case KEY_DEVICES:
                return device_set_equal(a, b);
        case KEY_U64:
                return *(const uint64_t *) a == *(const uint64_t *) b;
        case KEY_I32:
                return *(const int32_t *) a == *(const int32_t *) b;
        case KEY_ENUM:
                return *(const int *) a == *(const int *) b;
        }
        return false;
}

Allocation *allocation_free(Allocation *allocation) {
        if (!allocation)
                return NULL;
        for (const AllocationKey *key = allocation_keys; key->name; key++)
                field_deinit(field(allocation, key), key->type);
        string_map_deinit(&allocation->extensions);
        resource_set_deinit(&allocation->missing);
        resource_set_deinit(&allocation->left_now);
        resource_set_deinit(&allocation->claims);
        recurrence_free(allocation->recurrence);
        free(allocation->reason);
        free(allocation->assigned_cpus);
        free(allocation->later);
        strv_free(allocation->loan_texts);
        free(allocation->loans);
        free(allocation->borrowers);
        free(allocation);
        return NULL;
}

int allocation_copy(const Allocation *allocation, Allocation **ret) {
        _cleanup_allocation_ Allocation *copy = NULL;
        int r;

        r = allocation_new(&copy);
        for (const AllocationKey *key = allocation_keys; r >= 0 && key->name; key++)
                r = field_copy(field(allocation, key), field(copy, key), key->type);
        if (r >= 0)
                r = string_map_copy(&allocation->extensions, &copy->extensions);
        if (r >= 0)
                r = field_copy(&allocation->reason, &copy->reason, KEY_STRING);
        if (r >= 0)
                r = field_copy(&allocation->assigned_cpus, &copy->assigned_cpus, KEY_STRING);
        if (r < 0)
                return r;
        copy->node_memory_bytes = allocation->node_memory_bytes;
        copy->start_given = allocation->start_given;
        copy->owner = allocation->owner;
        copy->state = allocation->state;
        copy->actual_start_usec = allocation->actual_start_usec;
        copy->actual_end_usec = allocation->actual_end_usec;
        copy->state_boottime_usec = allocation->state_boottime_usec;
        copy->lease_expiry_usec = allocation->lease_expiry_usec;
        copy->lease_expiry_boottime_usec = allocation->lease_expiry_boottime_usec;
        copy->cut = allocation->cut;
        copy->warned = allocation->warned;
        copy->window = allocation->window;
        copy->delivered = allocation->delivered;
        copy->delivered_since_usec = allocation->delivered_since_usec;
        *ret = TAKE_PTR(copy);
        return 0;
}

bool allocation_same_request(const Allocation *a, const Allocation *b) {
        if (a->start_given != b->start_given)
                return false;
        for (const AllocationKey *key = allocation_keys; key->name; key++) {
                /* Given as "from when it is accepted": the instants differ, the request does not. */
                if (key->offset == offsetof(Allocation, start_usec) && !a->start_given)
                        continue;
                if (key->offset == offsetof(Allocation, end_usec) && a->duration_usec > 0 &&
                                !a->recurrence_text)
                        continue;
                if (!field_equal(field(a, key), field(b, key), key->type))
                        return false;
        }
        return string_map_equal(&a->extensions, &b->extensions);
}

QosClass allocation_qos_class(const Allocation *allocation) {
        bool all_zero = true, all_equal = true;

        if (allocation->qos_class != QOS_CLASS_DERIVED)
                return allocation->qos_class;
        for (size_t i = 0; i < allocation->resources.n; i++) {
                const Resource *entry = &allocation->resources.entries[i];

                if (!resource_info(entry->kind)->has_reserved)
                        continue;
                if (entry->amount.reserved > 0)
                        all_zero = false;
                if (entry->amount.reserved != entry->amount.limit)
                        all_equal = false;
        }
        return all_zero ? QOS_CLASS_BEST_EFFORT : all_equal ? QOS_CLASS_GUARANTEED : QOS_CLASS_BURSTABLE;
}

bool allocation_is_current(const Allocation *allocation) {
        return allocation->state >= ALLOCATION_ACTIVE && allocation->state <= ALLOCATION_ENDING;
}

bool allocation_is_live(const Allocation *allocation) {
        return allocation->state <= ALLOCATION_ENDING;
}

const char *allocation_reason(const Allocation *allocation, bool is_reader) {
        if (!is_reader && allocation->state == ALLOCATION_SUSPENDED)
                return "an allocation of higher priority uses what it reserves";
        if (!is_reader && allocation->state == ALLOCATION_PREEMPTED)
                return "preempted by an allocation of higher priority";
        return allocation->reason;
}
