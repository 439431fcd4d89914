/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Rows as JSON, field by field from tables: a request's keys from the model's, what else is kept from those
 * below. Numbers are decimal strings (JSON's stop at 2^53, jansson's at 2^63); what is empty is left out. It
 * opens no file and knows no checksum.
 */

#include "state-row.h"

#include "util/strv.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

DEFINE_CLEANUP(json_t *, json_decref);

typedef enum FieldType {
        FIELD_BOOL,
        FIELD_U32,
        FIELD_U64,
        FIELD_STRING,
        FIELD_MAP,
        FIELD_STATE,   /* AllocationState, by its name */
        FIELD_LOANS,   /* texts: who lends what to it; read, they wait for calendar_link_loans() */
        FIELD_ADOPTED, /* texts: AdoptedGroups */
} FieldType;

/* What a row keeps besides a request's keys. Its absence reads as zero, false, NULL or empty. */
typedef struct Field {
        const char *name;
        FieldType type;
        size_t offset;
} Field;

static const Field allocation_fields[] = {
        { "x_", FIELD_MAP, offsetof(Allocation, extensions) },
        { "StartGiven", FIELD_BOOL, offsetof(Allocation, start_given) },
        { "Owner", FIELD_U32, offsetof(Allocation, owner) },
        { "State", FIELD_STATE, offsetof(Allocation, state) },
        { "Reason", FIELD_STRING, offsetof(Allocation, reason) },
        { "ActualStart", FIELD_U64, offsetof(Allocation, actual_start_usec) },
        { "ActualEnd", FIELD_U64, offsetof(Allocation, actual_end_usec) },
        { "StateBoottime", FIELD_U64, offsetof(Allocation, state_boottime_usec) },
        { "WindowStart", FIELD_U64, offsetof(Allocation, window.start_usec) },
        { "WindowEnd", FIELD_U64, offsetof(Allocation, window.end_usec) },
        { "LeaseExpiry", FIELD_U64, offsetof(Allocation, lease_expiry_usec) },
        { "LeaseExpiryBoottime", FIELD_U64, offsetof(Allocation, lease_expiry_boottime_usec) },
        { "LeaseByUtc", FIELD_BOOL, offsetof(Allocation, lease_by_utc) },
        { "Cut", FIELD_BOOL, offsetof(Allocation, cut) },
        { "Warned", FIELD_BOOL, offsetof(Allocation, warned) },
        { "SignalWaits", FIELD_BOOL, offsetof(Allocation, signal_waits) },
        { "AssignedCpus", FIELD_STRING, offsetof(Allocation, assigned_cpus) },
        { "NodeMemory", FIELD_U64, offsetof(Allocation, node_memory_bytes) },
        { "Loans", FIELD_LOANS, offsetof(Allocation, loan_texts) },
        {},
};

static const Field tenant_fields[] = {
        { "Slot", FIELD_U32, offsetof(Tenant, slot) },
        { "ResidualMemory", FIELD_U64, offsetof(Tenant, residual_memory_bytes) },
        { "Throttled", FIELD_BOOL, offsetof(Tenant, throttled) },
        { "Frozen", FIELD_BOOL, offsetof(Tenant, frozen) },
        { "Doomed", FIELD_BOOL, offsetof(Tenant, doomed) },
        { "Observed", FIELD_BOOL, offsetof(Tenant, observed) },
        { "ToBeOpened", FIELD_BOOL, offsetof(Tenant, to_be_opened) },
        { "Adopted", FIELD_ADOPTED, offsetof(Tenant, adopted) },
        { "Guarded", FIELD_BOOL, offsetof(Tenant, guarded) },
        {},
};

static const Field released_fields[] = {
        { "Generation", FIELD_U64, offsetof(Released, generation) },
        { "At", FIELD_U64, offsetof(Released, at_usec) },
        {},
};

/* --- values --- */

static json_t *number_to_json(uint64_t number) {
        char text[24];

        snprintf(text, sizeof text, "%" PRIu64, number);
        return json_string_nocheck(text);
}

static int number_from_text(const char *text, uint64_t *ret) {
        char *end;

        if (!text || *text < '0' || *text > '9')
                return -EBADMSG;
        errno = 0;
        *ret = strtoull(text, &end, 10);
        return errno == 0 && *end == '\0' ? 0 : -EBADMSG;
}

static int number_from_json(const json_t *json, uint64_t *ret) {
        if (json_is_integer(json) && json_integer_value(json) >= 0) { /* Owner, in version 1 */
                *ret = (uint64_t) json_integer_value(json);
                return 0;
        }
        return number_from_text(json_string_value(json), ret);
}

static int string_from_json(const json_t *json, char **ret) {
        if (!json_is_string(json))
                return json_is_null(json) ? 0 : -EBADMSG;
        *ret = strdup(json_string_value(json));
        return *ret ? 0 : -ENOMEM;
}

static json_t *map_to_json(const StringMap *map) {
        _cleanup_(json_decref_p) json_t *json = json_object();

        for (size_t i = 0; i < map->n; i++)
                if (json_object_set_new(json, map->names[i], json_string(map->values[i])) < 0)
                        return NULL;
        return TAKE_PTR(json);
}

static int map_from_json(json_t *json, StringMap *map) {
        const char *name;
        json_t *value;

        if (!json_is_object(json))
                return -EBADMSG;
        json_object_foreach (json, name, value) {
                int r = json_is_string(value) ? string_map_put(map, name, json_string_value(value))
                                              : -EBADMSG;
                if (r < 0)
                        return r;
        }
        return 0;
}

static json_t *strings_to_json(char *const *list) {
        _cleanup_(json_decref_p) json_t *json = json_array();

        for (; list && *list; list++)
                if (json_array_append_new(json, json_string(*list)) < 0)
                        return NULL;
        return TAKE_PTR(json);
}

static int strings_from_json(json_t *json, char ***ret) {
        json_t *value;
        size_t i;

        if (!json_is_array(json))
                return -EBADMSG;
        json_array_foreach (json, i, value) {
                int r = json_is_string(value) ? strv_push(ret, json_string_value(value)) : -EBADMSG;
                if (r < 0)
                        return r;
        }
        return 0;
}

static json_t *resources_to_json(const ResourceSet *set) {
        _cleanup_(json_decref_p) json_t *json = json_object();

        for (size_t i = 0; i < set->n; i++) {
                const Resource *entry = &set->entries[i];
                char name[RESOURCE_NAME_SIZE];

                resource_format_name(entry->kind, entry->target, name);
                if (json_object_set_new(json, name,
                                    json_pack("[o,o]", number_to_json(entry->amount.reserved),
                                                    number_to_json(entry->amount.limit))) < 0)
                        return NULL;
        }
        return TAKE_PTR(json);
}

static int resources_from_json(json_t *json, ResourceSet *set) {
        const char *name;
        json_t *value;

        if (!json_is_object(json))
                return -EBADMSG;
        json_object_foreach (json, name, value) {
                char target[RESOURCE_TARGET_SIZE];
                ResourceKind kind;
                Amount amount;
                int r;

                if (resource_parse_name(name, &kind, target) < 0 ||
                                number_from_json(json_array_get(value, 0), &amount.reserved) < 0 ||
                                number_from_json(json_array_get(value, 1), &amount.limit) < 0 ||
                                amount.reserved > RESERVED_MAX)
                        return -EBADMSG;
                r = resource_set_put(set, kind, target, amount);
                if (r < 0)
                        return r;
        }
        return 0;
}

static json_t *devices_to_json(const DeviceSet *set) {
        _cleanup_(json_decref_p) json_t *json = json_object();

        for (size_t i = 0; i < set->n; i++) {
                char access[DEVICE_ACCESS_SIZE];

                device_access_format(set->entries[i].access, access);
                if (json_object_set_new(json, set->entries[i].name, json_string(access)) < 0)
                        return NULL;
        }
        return TAKE_PTR(json);
}

static int devices_from_json(json_t *json, DeviceSet *set) {
        const char *name;
        json_t *value;

        if (!json_is_object(json))
                return -EBADMSG;
        json_object_foreach (json, name, value) {
                DeviceName parsed;
                uint32_t access;
                int r;

                if (!json_is_string(value) || device_access_parse(json_string_value(value), &access) < 0 ||
                                device_name_parse(name, &parsed) < 0)
                        return -EBADMSG;
                r = device_set_put(set, name, access);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* --- a request's keys --- */

static json_t *key_to_json(const void *field, const AllocationKey *key) {
        switch (key->type) {
        case KEY_STRING:
                return *(char *const *) field ? json_string(*(char *const *) field) : json_null();
        case KEY_U64:
                return number_to_json(*(const uint64_t *) field);
        case KEY_I32:
                return json_integer(*(const int32_t *) field);
        case KEY_STRINGS:
                return strings_to_json(*(char **const *) field);
        case KEY_MAP:
                return map_to_json(field);
        case KEY_RESOURCES:
                return resources_to_json(field);
        case KEY_DEVICES:
                return devices_to_json(field);
        case KEY_ENUM:
                return json_string(key->to_string(*(const int *) field));
        }
        return NULL;
}

static int key_from_json(json_t *json, void *field, const AllocationKey *key) {
        int value;

        switch (key->type) {
        case KEY_STRING:
                return string_from_json(json, field);
        case KEY_U64:
                return number_from_json(json, field);
        case KEY_I32:
                *(int32_t *) field = (int32_t) json_integer_value(json);
                return json_is_integer(json) ? 0 : -EBADMSG;
        case KEY_STRINGS:
                return strings_from_json(json, field);
        case KEY_MAP:
                return map_from_json(json, field);
        case KEY_RESOURCES:
                return resources_from_json(json, field);
        case KEY_DEVICES:
                return devices_from_json(json, field);
        case KEY_ENUM:
                value = json_is_string(json) ? key->from_string(json_string_value(json)) : -EBADMSG;
                if (value < 0)
                        return -EBADMSG;
                *(int *) field = value;
                return 0;
        }
        return -EBADMSG;
}

/* --- what else is kept --- */

static json_t *loans_to_json(const Allocation *allocation) {
        _cleanup_strv_ char **texts = NULL;

        return allocation_format_loans(allocation, &texts) < 0 ? NULL : strings_to_json(texts);
}

static json_t *adopted_to_json(const AdoptedGroups *groups) {
        _cleanup_(json_decref_p) json_t *json = json_array();

        for (size_t i = 0; i < groups->n; i++) {
                _cleanup_free_ char *text = adopted_group_format(&groups->entries[i]);

                if (!text || json_array_append_new(json, json_string(text)) < 0)
                        return NULL;
        }
        return TAKE_PTR(json);
}

static int adopted_from_json(json_t *json, AdoptedGroups *groups) {
        json_t *value;
        size_t i;

        if (!json_is_array(json))
                return -EBADMSG;
        json_array_foreach (json, i, value) {
                int r = json_is_string(value) ? adopted_groups_parse(groups, json_string_value(value))
                                              : -EBADMSG;
                if (r < 0)
                        return r;
        }
        return 0;
}

static json_t *field_to_json(const void *value, FieldType type) {
        switch (type) {
        case FIELD_BOOL:
                return *(const bool *) value ? json_true() : json_null();
        case FIELD_U32:
                return *(const uint32_t *) value ? number_to_json(*(const uint32_t *) value) : json_null();
        case FIELD_U64:
                return *(const uint64_t *) value ? number_to_json(*(const uint64_t *) value) : json_null();
        case FIELD_STRING:
                return *(char *const *) value ? json_string(*(char *const *) value) : json_null();
        case FIELD_MAP:
                return map_to_json(value);
        case FIELD_STATE:
                return json_string(allocation_state_to_string(*(const AllocationState *) value));
        case FIELD_LOANS:
                return loans_to_json((const Allocation *) ((const char *) value -
                                                           offsetof(Allocation, loan_texts)));
        case FIELD_ADOPTED:
                return adopted_to_json(value);
        }
        return NULL;
}

static int field_from_json(json_t *json, void *value, FieldType type) {
        uint64_t number;
        int r;

        switch (type) {
        case FIELD_BOOL:
                *(bool *) value = json_is_true(json);
                return json_is_boolean(json) ? 0 : -EBADMSG;
        case FIELD_U32:
                r = number_from_json(json, &number);
                if (r < 0 || number > UINT32_MAX)
                        return -EBADMSG;
                *(uint32_t *) value = (uint32_t) number;
                return 0;
        case FIELD_U64:
                return number_from_json(json, value);
        case FIELD_STRING:
                return string_from_json(json, value);
        case FIELD_MAP:
                return map_from_json(json, value);
        case FIELD_LOANS:
                return strings_from_json(json, value);
        case FIELD_ADOPTED:
                return adopted_from_json(json, value);
        case FIELD_STATE:
                r = json_is_string(json) ? allocation_state_from_string(json_string_value(json)) : -EBADMSG;
                if (r < 0)
                        return -EBADMSG;
                *(AllocationState *) value = r;
                return 0;
        }
        return -EBADMSG;
}

static bool is_empty(const json_t *json) {
        return json_is_null(json) || (json_is_object(json) && json_object_size(json) == 0) ||
               (json_is_array(json) && json_array_size(json) == 0);
}

/* Takes the value; -ENOMEM where there is none. */
static int put_value(json_t *row, const char *name, json_t *value) {
        if (value && is_empty(value)) {
                json_decref(value);
                return 0;
        }
        return json_object_set_new(row, name, value) < 0 ? -ENOMEM : 0;
}

static int put_fields(json_t *row, const void *object, const Field *fields) {
        int r = 0;

        for (const Field *field = fields; r >= 0 && field->name; field++)
                r = put_value(row, field->name,
                                field_to_json((const char *) object + field->offset, field->type));
        return r;
}

static int get_fields(const json_t *row, void *object, const Field *fields) {
        int r = row ? 0 : -EBADMSG;

        for (const Field *field = fields; r >= 0 && field->name; field++) {
                json_t *json = json_object_get(row, field->name);

                if (json)
                        r = field_from_json(json, (char *) object + field->offset, field->type);
        }
        return r;
}

static char *print_fields(const void *object, const Field *fields) {
        _cleanup_(json_decref_p) json_t *row = json_object();

        return put_fields(row, object, fields) >= 0 ? json_dumps(row, JSON_COMPACT) : NULL;
}

static int parse_fields(const char *text, void *object, const Field *fields) {
        _cleanup_(json_decref_p) json_t *row = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

        return get_fields(row, object, fields);
}

/* --- rows --- */

char *state_row_print_allocation(const Allocation *allocation) {
        _cleanup_(json_decref_p) json_t *row = json_object();
        int r = 0;

        for (const AllocationKey *key = allocation_keys; r >= 0 && key->name; key++)
                r = put_value(row, key->name, key_to_json((const char *) allocation + key->offset, key));
        if (r >= 0)
                r = put_fields(row, allocation, allocation_fields);
        return r >= 0 ? json_dumps(row, JSON_COMPACT) : NULL;
}

int state_row_parse_allocation(const char *text, Allocation **ret) {
        _cleanup_(json_decref_p) json_t *row = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        _cleanup_allocation_ Allocation *allocation = NULL;
        int r = allocation_new(&allocation);

        for (const AllocationKey *key = allocation_keys; r >= 0 && key->name; key++) {
                json_t *json = json_object_get(row, key->name);

                if (json)
                        r = key_from_json(json, (char *) allocation + key->offset, key);
        }
        if (r >= 0)
                r = get_fields(row, allocation, allocation_fields);
        if (r < 0)
                return r;
        if (!allocation->id || !allocation->tenant_id || !json_object_get(row, "State"))
                return -EBADMSG;
        *ret = TAKE_PTR(allocation);
        return 0;
}

char *state_row_print_tenant(const Tenant *tenant) {
        return print_fields(tenant, tenant_fields);
}

int state_row_parse_tenant(const char *text, Tenant *tenant) {
        return parse_fields(text, tenant, tenant_fields);
}

char *state_row_print_released(const Released *released) {
        return print_fields(released, released_fields);
}

int state_row_parse_released(const char *text, Released *ret) {
        Released released = {};
        int r = parse_fields(text, &released, released_fields);

        if (r >= 0)
                *ret = released;
        return r;
}

char *state_row_print_capacity(const ResourceSet *capacity) {
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        for (size_t i = 0; f && i < capacity->n; i++) {
                char name[RESOURCE_NAME_SIZE];

                resource_format_name(capacity->entries[i].kind, capacity->entries[i].target, name);
                fprintf(f, "%s%s=%" PRIu64, i > 0 ? " " : "", name, capacity->entries[i].amount.limit);
        }
        if (f && fclose(f) == 0)
                return text;
        free(text);
        return NULL;
}

int state_row_parse_capacity(const char *text, ResourceSet *ret, char ***lost) {
        _cleanup_free_ char *copy = strdup(text);
        char *rest = NULL;
        int r = copy ? 0 : -ENOMEM;

        for (char *word = copy ? strtok_r(copy, " ", &rest) : NULL; r >= 0 && word;
                        word = strtok_r(NULL, " ", &rest)) {
                char target[RESOURCE_TARGET_SIZE], *value = strchr(word, '=');
                Amount amount = {};
                ResourceKind kind;

                if (value)
                        *value++ = '\0';
                if (resource_parse_name(word, &kind, target) >= 0 &&
                                number_from_text(value, &amount.limit) >= 0)
                        r = resource_set_put(ret, kind, target, amount);
                else
                        r = strv_pushf(lost, "the operator's capacity of '%s': it cannot be read", word);
        }
        return r;
}
