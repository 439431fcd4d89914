/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* D-Bus values as JSON. Knows types, not what the values mean; sends nothing. */

#include "variant.h"

#include "util/cleanup.h"

#include <stdbool.h>
#include <string.h>

json_t *variant_u64_new(uint64_t value) {
        char text[24];

        if (value == UINT64_MAX)
                return json_string("max");

        if (value <= INT64_MAX)
                return json_integer((json_int_t) value);

        snprintf(text, sizeof(text), "%llu", (unsigned long long) value);
        return json_string(text);
}

uint64_t variant_u64_value(const json_t *value) {
        const char *text = json_string_value(value);

        if (json_is_integer(value))
                return (uint64_t) json_integer_value(value);

        if (!text)
                return 0;

        return strcmp(text, "max") == 0 ? UINT64_MAX : strtoull(text, NULL, 10);
}

const char *variant_get_string(const json_t *object, const char *name) {
        const char *text = json_string_value(json_object_get(object, name));

        return text ?: "";
}

uint64_t variant_get_u64(const json_t *object, const char *name) {
        return variant_u64_value(json_object_get(object, name));
}

static int read_basic(sd_bus_message *m, char type, json_t **ret) {
        union {
                uint8_t y;
                int b;
                int16_t n;
                uint16_t q;
                int32_t i;
                uint32_t u;
                int64_t x;
                uint64_t t;
                double d;
                const char *s;
        } value;
        json_t *json;
        int r;

        r = sd_bus_message_read_basic(m, type, &value);
        if (r < 0)
                return r;

        switch (type) {
        case SD_BUS_TYPE_BYTE:
                json = json_integer(value.y);
                break;
        case SD_BUS_TYPE_BOOLEAN:
                json = json_boolean(value.b);
                break;
        case SD_BUS_TYPE_INT16:
                json = json_integer(value.n);
                break;
        case SD_BUS_TYPE_UINT16:
                json = json_integer(value.q);
                break;
        case SD_BUS_TYPE_INT32:
                json = json_integer(value.i);
                break;
        case SD_BUS_TYPE_UINT32:
                json = json_integer(value.u);
                break;
        case SD_BUS_TYPE_INT64:
                json = json_integer(value.x);
                break;
        case SD_BUS_TYPE_UINT64:
                json = variant_u64_new(value.t);
                break;
        case SD_BUS_TYPE_DOUBLE:
                json = json_real(value.d);
                break;
        case SD_BUS_TYPE_STRING:
        case SD_BUS_TYPE_OBJECT_PATH:
        case SD_BUS_TYPE_SIGNATURE:
                json = json_string(value.s);
                break;
        default: /* a file descriptor says nothing outside this process */
                json = json_null();
        }

        if (!json)
                return -ENOMEM;

        *ret = json;
        return 0;
}

static int read_entry(sd_bus_message *m, const char *contents, json_t *object) {
        char pair[256]; /* no signature is longer */
        json_t *value = NULL;
        const char *name;
        int r;

        /* "{sv}" without its braces. */
        snprintf(pair, sizeof(pair), "%.*s", (int) strlen(contents) - 2, contents + 1);
        if (!strchr("sog", pair[0]))
                return -EOPNOTSUPP;

        r = sd_bus_message_enter_container(m, SD_BUS_TYPE_DICT_ENTRY, pair);
        if (r <= 0)
                return r;

        r = sd_bus_message_read_basic(m, pair[0], &name);
        if (r < 0)
                return r;

        r = variant_read(m, &value);
        if (r < 0)
                return r;

        if (json_object_set_new(object, name, value) < 0)
                return -ENOMEM;

        r = sd_bus_message_exit_container(m);
        return r < 0 ? r : 1;
}

static int read_container(sd_bus_message *m, char type, const char *contents, json_t **ret) {
        bool dictionary = type == SD_BUS_TYPE_ARRAY && contents[0] == SD_BUS_TYPE_DICT_ENTRY_BEGIN;
        _cleanup_json_ json_t *json = dictionary ? json_object() : json_array();
        int r;

        if (!json)
                return -ENOMEM;

        r = sd_bus_message_enter_container(m, type, contents);
        if (r < 0)
                return r;

        for (;;) {
                json_t *value = NULL;

                if (dictionary)
                        r = read_entry(m, contents, json);
                else {
                        r = sd_bus_message_at_end(m, /* complete= */ false);
                        if (r > 0)
                                break;
                        if (r == 0)
                                r = variant_read(m, &value);
                        if (r == 0)
                                r = json_array_append_new(json, value) < 0 ? -ENOMEM : 1;
                }

                if (r < 0)
                        return r;
                if (r == 0)
                        break;
        }

        r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(json);
        return 0;
}

int variant_read(sd_bus_message *m, json_t **ret) {
        const char *contents;
        char type;
        int r;

        r = sd_bus_message_peek_type(m, &type, &contents);
        if (r < 0)
                return r;
        if (r == 0)
                return -ENXIO;

        switch (type) {
        case SD_BUS_TYPE_VARIANT:
                r = sd_bus_message_enter_container(m, type, contents);
                if (r >= 0)
                        r = variant_read(m, ret);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                return r < 0 ? r : 0;
        case SD_BUS_TYPE_ARRAY:
        case SD_BUS_TYPE_STRUCT:
                return read_container(m, type, contents, ret);
        default:
                return read_basic(m, type, ret);
        }
}
