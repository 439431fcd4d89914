/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How large the answer to GetManagedObjects would be, before it is made: a bus daemon cuts off who sends a
 * message that is larger than it takes. Reckoned from above, by the rules of the D-Bus Specification for
 * marshalling: what each property takes where it is empty, by the vtables, and what more is in it, rounded up
 * to whole alignments of 8.
 */

#include "api-internal.h"

#include <string.h>

/* dbus-daemon's max_message_size on a system bus, where none is configured (bus/config-parser.c); dbus-broker
 * takes as much as the specification lets a message have. */
#define BUS_BYTES_MAX (32U << 20)
/* The specification's, and with it sd-bus's and libdbus's: more is not read. */
#define PEER_BYTES_MAX (128U << 20)

#define HEADER_BYTES 512 /* of the message */

static size_t padded(size_t n) {
        return (n + 7) & ~(size_t) 7;
}

/* A string in an array, of so many characters: its length before it, its NUL, and up to 3 to align it. */
static size_t string_bytes(size_t length) {
        return padded(3 + 4 + length + 1);
}

/* An entry that begins with a name; `more` follows it. */
static size_t entry_bytes(const char *name, size_t more) {
        return padded(4 + strlen(name) + 1 + 7 + more);
}

static size_t pair_bytes(const char *first, const char *second) {
        return padded(4 + strlen(first) + 1) + padded(4 + strlen(second) + 1);
}

/* What it has beyond the empty one. */
static size_t text_bytes(const char *s) {
        return s ? padded(strlen(s)) : 0;
}

/* An id in a path: of its characters dashes, and a digit at its beginning, become three. */
static size_t id_bytes(const char *id) {
        size_t n = strlen(id) + 2;

        for (; *id; id++)
                n += *id == '-' ? 2 : 0;
        return n;
}

static size_t path_bytes(const char *prefix, const char *id) {
        return string_bytes(strlen(prefix) + 1 + id_bytes(id));
}

/* All of its properties where they are empty: each an entry of a name, a signature and a value. */
static size_t interface_bytes(const char *name, const sd_bus_vtable *vtable) {
        size_t n = entry_bytes(name, 8);

        for (; vtable->type != _SD_BUS_VTABLE_END; vtable++) {
                const char *signature;
                size_t before;

                if (vtable->type != _SD_BUS_VTABLE_PROPERTY)
                        continue;
                signature = vtable->x.property.signature;
                before = 4 + strlen(vtable->x.property.member) + 1 + 1 + strlen(signature) + 1;
                n += strchr("ta", signature[0]) ? padded(before) + 8 : padded(before + 3 + 4 + 1);
        }
        return n;
}

/* An object without its properties: its path, and the interfaces that every one has. */
static size_t object_bytes(const char *prefix, const char *id) {
        return path_bytes(prefix, id) + 8 + entry_bytes("org.freedesktop.DBus.Peer", 8) +
               entry_bytes("org.freedesktop.DBus.Introspectable", 8) +
               entry_bytes("org.freedesktop.DBus.Properties", 8);
}

static size_t strings_bytes(char *const *list) {
        size_t n = 0;

        for (; list && *list; list++)
                n += string_bytes(strlen(*list));
        return n;
}

static size_t map_bytes(const StringMap *map) {
        size_t n = 0;

        for (size_t i = 0; i < map->n; i++)
                n += pair_bytes(map->names[i], map->values[i]);
        return n;
}

static size_t amounts_bytes(const ResourceSet *set) {
        size_t n = 0;

        for (size_t i = 0; i < set->n; i++) {
                char name[RESOURCE_NAME_SIZE];

                resource_format_name(set->entries[i].kind, set->entries[i].target, name);
                n += entry_bytes(name, 2 * sizeof(uint64_t));
        }
        return n;
}

static size_t devices_bytes(const DeviceSet *set) {
        size_t n = 0;

        for (size_t i = 0; i < set->n; i++)
                n += pair_bytes(set->entries[i].name, "rwm");
        return n;
}

static size_t key_bytes(const Allocation *allocation, const AllocationKey *key) {
        const void *field = (const char *) allocation + key->offset;

        switch (key->type) {
        case KEY_STRING:
                return text_bytes(*(char *const *) field);
        case KEY_STRINGS:
                return strings_bytes(*(char **const *) field);
        case KEY_MAP:
                return map_bytes(field);
        case KEY_RESOURCES:
                return amounts_bytes(field);
        case KEY_DEVICES:
                return devices_bytes(field);
        case KEY_ENUM:
                return text_bytes(key->to_string(*(const int *) field))
                                       ?: text_bytes("best-effort"); /* derived: the longest of those */
        default:
                return 0;
        }
}

static size_t delivered_bytes(const Delivery *delivered) {
        size_t n = 0;

        for (DeliveryFigure figure = 0; delivered && figure < DELIVERY_FIGURE_MAX; figure++)
                if (delivered->present & 1ULL << figure)
                        n += entry_bytes(delivery_figure_info(figure)->name, sizeof(uint64_t));
        return n;
}

static size_t allocation_bytes(const Allocation *allocation) {
        size_t n = object_bytes(API_ALLOCATION_PREFIX, allocation->id);

        for (const AllocationKey *key = allocation_keys; key->name; key++)
                n += key_bytes(allocation, key);
        n += text_bytes(allocation_state_to_string(allocation->state));
        n += text_bytes(allocation_reason(allocation, /* is_reader= */ true));
        n += text_bytes(allocation->assigned_cpus);
        n += amounts_bytes(&allocation->missing);
        for (size_t i = 0; i < allocation->n_loans; i++)
                n += string_bytes(strlen(allocation->loans[i].from->id));
        for (size_t i = 0; i < allocation->n_borrowers; i++)
                n += string_bytes(strlen(allocation->borrowers[i]->id));
        return n + delivered_bytes(allocation->delivered) + map_bytes(&allocation->extensions);
}

static size_t usage_bytes(const Tenant *tenant) {
        size_t n = 0;

        for (Metric metric = 0; metric < METRIC_MAX; metric++) {
                size_t one = entry_bytes(metric_info(metric)->name, sizeof(uint64_t));
                uint64_t value;

                if (sample_has(&tenant->usage, metric))
                        n += one;
                for (size_t i = 0; i < tenant->uplinks.n; i++)
                        if (uplink_usage_read(&tenant->uplinks.entries[i], metric, &value))
                                n += one + padded(1 + strlen(tenant->uplinks.entries[i].uplink));
        }
        return n;
}

/* Of durations as if each were counted: to see whether it is, it would have to be read. */
static size_t histograms_bytes(const BlockLatencies *latencies) {
        const size_t buckets = sizeof(((Histogram *) NULL)->bucket);
        char name[BLOCK_LATENCY_NAME_SIZE];
        size_t n = 0;

        for (size_t i = 0; i < latencies->n; i++)
                n += entry_bytes(block_latency_name(&latencies->entries[i], name), 8 + buckets);
        for (Duration duration = 0; duration < DURATION_MAX; duration++)
                n += entry_bytes(duration_info(duration)->name, 8 + buckets);
        return n;
}

static size_t tenant_bytes(const Api *api, const Tenant *tenant) {
        const CalendarTenant *own = calendar_tenant(&api->node->calendar, tenant->id);
        size_t n = object_bytes(API_TENANT_PREFIX, tenant->id);

        n += text_bytes(tenant->id) + text_bytes(tenant->control_group) + text_bytes(tenant->assigned_cpus);
        n += text_bytes(tenant_mode_to_string(tenant->observed));
        for (size_t i = 0; i < tenant->adopted.n; i++)
                n += string_bytes(strlen(tenant->adopted.entries[i].path));
        for (size_t i = 0; own && i < own->n; i++) {
                n += path_bytes(API_ALLOCATION_PREFIX, own->allocations[i]->id);
                n += strings_bytes(own->allocations[i]->users); /* each once in all, mostly fewer */
        }
        n += amounts_bytes(&tenant->desired) + amounts_bytes(&tenant->effective);
        n += usage_bytes(tenant) + histograms_bytes(&tenant->latencies);
        n += tenant->victims ? tenant->victims->n * (string_bytes(OOM_COMM_MAX) + 24) : 0;
        return n + strings_bytes(tenant->problems) + strings_bytes(tenant->remains);
}

size_t api_objects_bytes(const Api *api) {
        const Calendar *calendar = &api->node->calendar;
        size_t n = HEADER_BYTES;

        n += calendar->n * interface_bytes(API_ALLOCATION_INTERFACE, api->allocation_vtable);
        n += api->node->n_tenants * interface_bytes(API_TENANT_INTERFACE, api_tenant_vtable);
        for (size_t i = 0; i < calendar->n; i++)
                n += allocation_bytes(calendar->allocations[i]);
        for (size_t i = 0; i < api->node->n_tenants; i++)
                n += tenant_bytes(api, api->node->tenants[i]);
        return n;
}

int api_refuse_large(const Api *api, sd_bus_message *message) {
        const bool is_peer = api_is_peer(api, sd_bus_message_get_bus(message));
        const char *others = is_peer ? NULL : api->listener_path;
        const size_t max = is_peer ? PEER_BYTES_MAX : BUS_BYTES_MAX;
        size_t n;
        int r;

        if (!sd_bus_message_is_method_call(
                            message, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"))
                return 0;
        n = api_objects_bytes(api);
        if (n <= max)
                return 0;
        r = sd_bus_reply_method_errorf(message, SD_BUS_ERROR_LIMITS_EXCEEDED,
                        "%zu tenants and %zu allocations take some %zu MiB, more than the %zu MiB that one "
                        "message may have %s: read one object at a time, or a Snapshot%s%s",
                        api->node->n_tenants, api->node->calendar.n, n >> 20, max >> 20,
                        is_peer ? "here" : "on a bus", others ? ", or all of them at the peer socket, " : "",
                        others ?: "");
        return r < 0 ? r : 1;
}
