/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Requests out of messages, values into messages. Each key is read by its type in the model's table; a new
 * key is a row there and nothing here. It does not judge values beyond what a type can hold.
 */

#include "codec.h"

#include "util/strv.h"

#include <string.h>

/* sd_bus_message_exit_container() answers success with a positive number, which here would be a failure's
 * code. */
static int leave(sd_bus_message *m) {
        int r = sd_bus_message_exit_container(m);

        return r < 0 ? r : 0;
}

static int read_string(sd_bus_message *m, char **ret) {
        const char *s;
        char *copy;
        int r;

        r = sd_bus_message_read_basic(m, 's', &s);
        if (r < 0)
                return r;
        copy = strdup(s);
        if (!copy)
                return -ENOMEM;
        free(*ret);
        *ret = copy;
        return 0;
}

static int refuse_length(Failure *failure, const char *name) {
        return failure_set(failure, FAILURE_INVALID_ALLOCATION, "%s has more than %d entries", name,
                        ALLOCATION_ENTRIES_MAX);
}

static int read_strings(sd_bus_message *m, const char *name, char ***ret, Failure *failure) {
        _cleanup_strv_ char **list = NULL;
        const char *s;
        size_t n = 0;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "s");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read_basic(m, 's', &s)) > 0) {
                if (n++ == ALLOCATION_ENTRIES_MAX)
                        return refuse_length(failure, name);
                r = strv_push(&list, s);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        strv_free(*ret);
        *ret = TAKE_PTR(list);
        return leave(m);
}

static int read_map(sd_bus_message *m, const char *key, StringMap *map, Failure *failure) {
        const char *name, *value;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{ss}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "{ss}", &name, &value)) > 0) {
                if (map->n == ALLOCATION_ENTRIES_MAX)
                        return refuse_length(failure, key);
                r = string_map_put(map, name, value);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : leave(m);
}

static int read_resources(sd_bus_message *m, ResourceSet *set, Failure *failure) {
        char target[RESOURCE_TARGET_SIZE];
        ResourceKind kind;
        const char *name;
        Amount amount;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{s(tt)}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "{s(tt)}", &name, &amount.reserved, &amount.limit)) > 0) {
                if (set->n == ALLOCATION_ENTRIES_MAX)
                        return refuse_length(failure, "Resources");
                if (resource_parse_name(name, &kind, target) < 0 || resource_info(kind)->claimed_only)
                        return resource_refuse_name("Resources", name, failure);
                if (resource_set_get(set, kind, target))
                        return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                        "Resources: '%s' is given twice", name);
                r = resource_set_put(set, kind, target, amount);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : leave(m);
}

static int read_devices(sd_bus_message *m, DeviceSet *set, Failure *failure) {
        const char *name, *text;
        uint32_t access;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(ss)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "(ss)", &name, &text)) > 0) {
                if (set->n == ALLOCATION_ENTRIES_MAX)
                        return refuse_length(failure, "Devices");
                if (device_access_parse(text, &access) < 0)
                        return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                        "Devices: access '%.64s' to '%.64s' must be one or more of r, w and "
                                        "m "
                                        "(mknod)",
                                        text, name);
                if (device_set_has(set, name))
                        return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                        "Devices: '%.64s' is given twice", name);
                r = device_set_put(set, name, access);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : leave(m);
}

static int read_enum(sd_bus_message *m, const AllocationKey *key, int *ret, Failure *failure) {
        const char *s;
        int r;

        r = sd_bus_message_read_basic(m, 's', &s);
        if (r < 0)
                return r;
        r = key->from_string(s);
        if (r < 0)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION, "%s '%.64s' must be %s", key->name, s,
                                key->choices);
        *ret = r;
        return 0;
}

static int read_key(sd_bus_message *m, const AllocationKey *key, Allocation *allocation, Failure *failure) {
        void *field = (char *) allocation + key->offset;

        switch (key->type) {
        case KEY_STRING:
                return read_string(m, field);
        case KEY_U64:
                return sd_bus_message_read_basic(m, 't', field) < 0 ? -EBADMSG : 0;
        case KEY_I32:
                return sd_bus_message_read_basic(m, 'i', field) < 0 ? -EBADMSG : 0;
        case KEY_STRINGS:
                return read_strings(m, key->name, field, failure);
        case KEY_MAP:
                return read_map(m, key->name, field, failure);
        case KEY_RESOURCES:
                return read_resources(m, field, failure);
        case KEY_DEVICES:
                return read_devices(m, field, failure);
        case KEY_ENUM:
                return read_enum(m, key, field, failure);
        }
        return -EINVAL;
}

static int read_extension(sd_bus_message *m, const char *name, Allocation *allocation, Failure *failure) {
        const char *contents, *value;
        int r;

        r = sd_bus_message_peek_type(m, NULL, &contents);
        if (r < 0)
                return r;
        if (strcmp(contents, "s") != 0)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "%.64s: keys that start with 'x_' hold strings, not '%s'", name, contents);
        if (string_map_get(&allocation->extensions, name))
                return failure_set(failure, FAILURE_INVALID_ALLOCATION, "%.64s is given twice", name);
        if (allocation->extensions.n == ALLOCATION_ENTRIES_MAX)
                return refuse_length(failure, "x_…");
        r = sd_bus_message_read(m, "v", "s", &value);
        return r < 0 ? r : string_map_put(&allocation->extensions, name, value);
}

static int read_variant(sd_bus_message *m, const char *name, const AllocationKey *key, Allocation *allocation,
                Failure *failure) {
        const char *contents;
        int r;

        r = sd_bus_message_peek_type(m, NULL, &contents);
        if (r < 0)
                return r;
        if (strcmp(contents, key->signature) != 0)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "%s must be of D-Bus type '%s', not '%s'", name, key->signature, contents);
        r = sd_bus_message_enter_container(m, 'v', key->signature);
        if (r < 0)
                return r;
        r = read_key(m, key, allocation, failure);
        if (r != 0)
                return r;
        if (key->offset == offsetof(Allocation, start_usec))
                allocation->start_given = true;
        return leave(m);
}

static bool has_seen(uint64_t seen, const char *key) {
        return seen & 1ULL << (allocation_key_find(key) - allocation_keys);
}

/* By itself it says that there is no end, which is said by leaving it out; beside EndTime it is what a reader
 * of the properties gives back. */
static int judge_duration(const Allocation *allocation, uint64_t seen, Failure *failure) {
        return allocation->duration_usec == 0 && has_seen(seen, "Duration") && !has_seen(seen, "EndTime")
                               ? failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                                 "Duration is 0, and must be at least 1 µs; without it and "
                                                 "without EndTime there is no end")
                               : 0;
}

static int read_request(sd_bus_message *m, Allocation **ret, Failure *failure) {
        _cleanup_allocation_ Allocation *allocation = NULL;
        uint64_t seen = 0;
        int r;

        r = allocation_new(&allocation);
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const AllocationKey *key;
                const char *name;

                r = sd_bus_message_read_basic(m, 's', &name);
                if (r < 0)
                        return r;
                key = allocation_key_find(name);
                if (key) {
                        uint64_t bit = 1ULL << (key - allocation_keys);

                        if (seen & bit)
                                return failure_set(failure, FAILURE_INVALID_ALLOCATION, "%s is given twice",
                                                name);
                        seen |= bit;
                        r = read_variant(m, name, key, allocation, failure);
                } else if (strncmp(name, "x_", 2) == 0)
                        r = read_extension(m, name, allocation, failure);
                else
                        r = allocation_key_refuse(name, failure);
                if (r != 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r >= 0)
                r = judge_duration(allocation, seen, failure);
        if (r != 0)
                return r;
        *ret = TAKE_PTR(allocation);
        return 0;
}

/* Keys alone would not tell in a list. */
static int failure_name_request(Failure *failure, size_t index) {
        _cleanup_failure_ Failure inner = *failure;

        *failure = (Failure) FAILURE_NULL;
        return failure_set(failure, inner.code, "request %zu: %s", index + 1, inner.message);
}

int codec_read_requests(sd_bus_message *m, Allocation ***ret_requests, size_t *ret_n, Failure *ret_failure) {
        Allocation **requests = NULL, **grown;
        size_t n = 0;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "a{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'a', "{sv}")) > 0) {
                Allocation *request = NULL;

                if (n == CODEC_REQUESTS_MAX) {
                        r = failure_set(ret_failure, FAILURE_LIMIT_EXCEEDED,
                                        "more than %u requests in one call", CODEC_REQUESTS_MAX);
                        break;
                }
                r = read_request(m, &request, ret_failure);
                if (r > 0)
                        r = failure_name_request(ret_failure, n);
                if (r != 0)
                        break;
                grown = reallocarray(requests, n + 1, sizeof(Allocation *));
                if (!grown) {
                        allocation_free(request);
                        r = -ENOMEM;
                        break;
                }
                requests = grown;
                requests[n++] = request;
                r = sd_bus_message_exit_container(m);
        }
        if (r == 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0 || ret_failure->code != FAILURE_NONE) {
                codec_requests_free(requests, n);
                return r;
        }
        *ret_requests = requests;
        *ret_n = n;
        return 0;
}

void codec_requests_free(Allocation **requests, size_t n) {
        for (size_t i = 0; i < n; i++)
                allocation_free(requests[i]);
        free(requests);
}

static int append_strings(sd_bus_message *m, char *const *list) {
        int r = sd_bus_message_open_container(m, 'a', "s");

        for (; r >= 0 && list && *list; list++)
                r = sd_bus_message_append_basic(m, 's', *list);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_map(sd_bus_message *m, const StringMap *map) {
        int r = sd_bus_message_open_container(m, 'a', "{ss}");

        for (size_t i = 0; r >= 0 && i < map->n; i++)
                r = sd_bus_message_append(m, "{ss}", map->names[i], map->values[i]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int codec_append_amounts(sd_bus_message *m, const ResourceSet *set) {
        int r = sd_bus_message_open_container(m, 'a', "{s(tt)}");

        for (size_t i = 0; r >= 0 && i < set->n; i++) {
                const Resource *entry = &set->entries[i];
                char name[RESOURCE_NAME_SIZE];

                resource_format_name(entry->kind, entry->target, name);
                r = sd_bus_message_append(m, "{s(tt)}", name, entry->amount.reserved, entry->amount.limit);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_devices(sd_bus_message *m, const DeviceSet *set) {
        int r = sd_bus_message_open_container(m, 'a', "(ss)");

        for (size_t i = 0; r >= 0 && i < set->n; i++) {
                char access[DEVICE_ACCESS_SIZE];

                r = sd_bus_message_append(m, "(ss)", set->entries[i].name,
                                device_access_format(set->entries[i].access, access));
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int codec_append_key(sd_bus_message *m, const Allocation *allocation, const AllocationKey *key) {
        const void *field = (const char *) allocation + key->offset;

        switch (key->type) {
        case KEY_STRING:
                return sd_bus_message_append_basic(m, 's', *(char *const *) field ?: "");
        case KEY_U64:
                return sd_bus_message_append_basic(m, 't', field);
        case KEY_I32:
                return sd_bus_message_append_basic(m, 'i', field);
        case KEY_STRINGS:
                return append_strings(m, *(char **const *) field);
        case KEY_MAP:
                return append_map(m, field);
        case KEY_RESOURCES:
                return codec_append_amounts(m, field);
        case KEY_DEVICES:
                return append_devices(m, field);
        case KEY_ENUM:
                return sd_bus_message_append_basic(m, 's',
                                key->offset == offsetof(Allocation, qos_class)
                                                ? qos_class_to_string(allocation_qos_class(allocation))
                                                : key->to_string(*(const int *) field));
        }
        return -EINVAL;
}
