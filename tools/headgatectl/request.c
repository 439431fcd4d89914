/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * JSON to D-Bus. Checks that the text is JSON and that values have a type which D-Bus can carry for their
 * key; what keys there are, which values are in bounds and what goes together, headgated alone decides.
 */

#include "request.h"

#include "variant.h"

#include "model/allocation.h"

#include <string.h>

/* A value in a sentence is cut after this many bytes. */
#define VALUE_SHOWN_MAX 60

int request_parse(const char *name, const char *text, size_t size, json_t **ret, Failure *ret_failure) {
        _cleanup_json_ json_t *json = NULL;
        json_error_t error;
        size_t i;
        json_t *item;

        json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
        if (!json)
                return failure_set(ret_failure, FAILURE_INVALID_ALLOCATION, "%s:%d:%d: %s%s", name,
                                error.line, error.column, error.text,
                                json_error_code(&error) == json_error_numeric_overflow
                                                ? " (unlimited is \"max\")"
                                                : "");

        if (json_is_object(json)) {
                json_t *list = json_pack("[O]", json);

                if (!list)
                        return -ENOMEM;
                json_decref(json);
                json = list;
        }

        if (!json_is_array(json))
                return failure_set(ret_failure, FAILURE_INVALID_ALLOCATION,
                                "%s:1:1: expected one allocation, { ... }, or a list of them, [ ... ]", name);

        json_array_foreach (json, i, item)
                if (!json_is_object(item))
                        return failure_set(ret_failure, FAILURE_INVALID_ALLOCATION,
                                        "%s: entry %zu of the list is not an allocation, { ... }", name,
                                        i + 1);

        *ret = TAKE_PTR(json);
        return 0;
}

/* Whose value is wrong: by its id where that can be told, else by its place. */
typedef struct Place {
        const char *id;
        size_t index;
        const char *key;
} Place;

static int refuse(const Place *place, const json_t *value, const char *expected, Failure *ret_failure) {
        _cleanup_free_ char *shown = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
        char which[32] = "";

        if (!shown)
                return -ENOMEM;

        if (strlen(shown) > VALUE_SHOWN_MAX)
                strcpy(shown + VALUE_SHOWN_MAX - 3, "...");

        if (!place->id)
                snprintf(which, sizeof(which), "request %zu", place->index + 1);

        return failure_set(ret_failure, FAILURE_INVALID_ALLOCATION, "%s%s: %s is %s, expected %s",
                        place->id ? "allocation " : "", place->id ?: which, place->key, shown, expected);
}

static bool parse_u64(const json_t *value, uint64_t *ret) {
        if (json_is_integer(value) && json_integer_value(value) >= 0) {
                *ret = (uint64_t) json_integer_value(value);
                return true;
        }

        if (json_is_string(value) && strcmp(json_string_value(value), "max") == 0) {
                *ret = UINT64_MAX;
                return true;
        }

        return false;
}

static int append_u64(sd_bus_message *m, const Place *place, const json_t *value, Failure *ret_failure) {
        uint64_t number;

        if (!parse_u64(value, &number))
                return refuse(place, value, "a whole number from 0, or \"max\"", ret_failure);

        return sd_bus_message_append(m, "t", number);
}

static int append_i32(sd_bus_message *m, const Place *place, const json_t *value, Failure *ret_failure) {
        if (!json_is_integer(value) || json_integer_value(value) < INT32_MIN ||
                        json_integer_value(value) > INT32_MAX)
                return refuse(place, value, "a whole number from -2147483648 to 2147483647", ret_failure);

        return sd_bus_message_append(m, "i", (int32_t) json_integer_value(value));
}

static int append_string(sd_bus_message *m, const Place *place, const json_t *value, const char *choices,
                Failure *ret_failure) {
        if (!json_is_string(value))
                return refuse(place, value, choices ?: "a string", ret_failure);

        return sd_bus_message_append(m, "s", json_string_value(value));
}

static int append_strings(sd_bus_message *m, const Place *place, const json_t *value, Failure *ret_failure) {
        size_t i;
        json_t *item;
        int r;

        if (!json_is_array(value))
                return refuse(place, value, "a list of strings", ret_failure);

        r = sd_bus_message_open_container(m, 'a', "s");
        if (r < 0)
                return r;

        json_array_foreach (value, i, item) {
                r = append_string(m, place, item, "a list of strings", ret_failure);
                if (r < 0 || ret_failure->code)
                        return r;
        }

        return sd_bus_message_close_container(m);
}

static int append_map(sd_bus_message *m, const Place *place, json_t *value, Failure *ret_failure) {
        const char *name;
        json_t *item;
        int r;

        if (!json_is_object(value))
                return refuse(place, value, "an object of strings, {\"name\": \"value\"}", ret_failure);

        r = sd_bus_message_open_container(m, 'a', "{ss}");
        if (r < 0)
                return r;

        json_object_foreach (value, name, item) {
                if (!json_is_string(item))
                        return refuse(place, value, "an object of strings, {\"name\": \"value\"}",
                                        ret_failure);

                r = sd_bus_message_append(m, "{ss}", name, json_string_value(item));
                if (r < 0)
                        return r;
        }

        return sd_bus_message_close_container(m);
}

static int append_resources(sd_bus_message *m, const Place *place, json_t *value, Failure *ret_failure) {
        const char *name;
        json_t *item;
        int r;

        if (!json_is_object(value))
                return refuse(place, value, "an object, {\"cpu\": [reserved, limit]}", ret_failure);

        r = sd_bus_message_open_container(m, 'a', "{s(tt)}");
        if (r < 0)
                return r;

        json_object_foreach (value, name, item) {
                uint64_t reserved, limit;

                if (json_array_size(item) != 2 || !parse_u64(json_array_get(item, 0), &reserved) ||
                                !parse_u64(json_array_get(item, 1), &limit)) {
                        _cleanup_free_ char *key = NULL;

                        if (asprintf(&key, "%s: %s", place->key, name) < 0)
                                return -ENOMEM;
                        return refuse(&(Place){ place->id, place->index, key }, item,
                                        "[reserved, limit], two whole numbers from 0 or \"max\"",
                                        ret_failure);
                }

                r = sd_bus_message_append(m, "{s(tt)}", name, reserved, limit);
                if (r < 0)
                        return r;
        }

        return sd_bus_message_close_container(m);
}

static int append_devices(sd_bus_message *m, const Place *place, json_t *value, Failure *ret_failure) {
        static const char expected[] = "a list of pairs, [[\"/dev/null\", \"rw\"]]";
        size_t i;
        json_t *item;
        int r;

        if (!json_is_array(value))
                return refuse(place, value, expected, ret_failure);

        r = sd_bus_message_open_container(m, 'a', "(ss)");
        if (r < 0)
                return r;

        json_array_foreach (value, i, item) {
                const char *name = json_string_value(json_array_get(item, 0)),
                           *access = json_string_value(json_array_get(item, 1));

                if (json_array_size(item) != 2 || !name || !access)
                        return refuse(place, item, expected, ret_failure);

                r = sd_bus_message_append(m, "(ss)", name, access);
                if (r < 0)
                        return r;
        }

        return sd_bus_message_close_container(m);
}

/* By the key's type in the table. */
static int append_known(sd_bus_message *m, const Place *place, const AllocationKey *key, json_t *value,
                Failure *ret_failure) {
        switch (key->type) {
        case KEY_STRING:
                return append_string(m, place, value, /* choices= */ NULL, ret_failure);
        case KEY_ENUM:
                return append_string(m, place, value, key->choices, ret_failure);
        case KEY_U64:
                return append_u64(m, place, value, ret_failure);
        case KEY_I32:
                return append_i32(m, place, value, ret_failure);
        case KEY_STRINGS:
                return append_strings(m, place, value, ret_failure);
        case KEY_MAP:
                return append_map(m, place, value, ret_failure);
        case KEY_RESOURCES:
                return append_resources(m, place, value, ret_failure);
        case KEY_DEVICES:
                return append_devices(m, place, value, ret_failure);
        }

        return -EOPNOTSUPP;
}

/* By the value's own type; lists, objects and null as their text, which no key of ours is. */
static int append_unknown(sd_bus_message *m, json_t *value) {
        _cleanup_free_ char *text = NULL;

        switch (json_typeof(value)) {
        case JSON_STRING:
                return sd_bus_message_append(m, "v", "s", json_string_value(value));
        case JSON_INTEGER:
                if (json_integer_value(value) < 0)
                        return sd_bus_message_append(m, "v", "x", (int64_t) json_integer_value(value));
                return sd_bus_message_append(m, "v", "t", (uint64_t) json_integer_value(value));
        case JSON_REAL:
                return sd_bus_message_append(m, "v", "d", json_real_value(value));
        case JSON_TRUE:
        case JSON_FALSE:
                return sd_bus_message_append(m, "v", "b", (int) json_is_true(value));
        default:
                text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
                return text ? sd_bus_message_append(m, "v", "s", text) : -ENOMEM;
        }
}

static int append_key(sd_bus_message *m, const Place *place, json_t *value, Failure *ret_failure) {
        const AllocationKey *key = allocation_key_find(place->key);
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r < 0)
                return r;

        r = sd_bus_message_append(m, "s", place->key);
        if (r < 0)
                return r;

        if (key) {
                r = sd_bus_message_open_container(m, 'v', key->signature);
                if (r < 0)
                        return r;

                r = append_known(m, place, key, value, ret_failure);
                if (r < 0 || ret_failure->code)
                        return r;

                r = sd_bus_message_close_container(m);
        } else if (strncmp(place->key, "x_", 2) == 0 && !json_is_string(value))
                return refuse(place, value, "a string", ret_failure);
        else
                r = append_unknown(m, value);
        if (r < 0)
                return r;

        return sd_bus_message_close_container(m);
}

int request_append(sd_bus_message *m, const json_t *requests, Failure *ret_failure) {
        size_t i;
        json_t *request;
        int r;

        r = sd_bus_message_open_container(m, 'a', "a{sv}");
        if (r < 0)
                return r;

        json_array_foreach (requests, i, request) {
                const char *name;
                json_t *value;

                r = sd_bus_message_open_container(m, 'a', "{sv}");
                if (r < 0)
                        return r;

                json_object_foreach (request, name, value) {
                        Place place = { json_string_value(json_object_get(request, "AllocationId")), i,
                                name };

                        r = append_key(m, &place, value, ret_failure);
                        if (r < 0 || ret_failure->code)
                                return r;
                }

                r = sd_bus_message_close_container(m);
                if (r < 0)
                        return r;
        }

        r = sd_bus_message_close_container(m);
        return r < 0 ? r : 0;
}
