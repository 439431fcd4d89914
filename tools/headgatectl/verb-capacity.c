/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* capacity: what there is to allocate, and the operator's bounds on it. */

#include "client.h"
#include "quantity.h"
#include "units.h"
#include "view.h"

#include <string.h>

typedef struct Bound {
        char *name; /* owned */
        uint64_t value;
} Bound;

typedef struct BoundList {
        Bound *bounds; /* owned */
        size_t n;
} BoundList;

static void bound_list_deinit(BoundList *list) {
        for (size_t i = 0; i < list->n; i++)
                free(list->bounds[i].name);
        free(list->bounds);
}

/* NAME=VALUE; `list` has room for one more. */
static int read_bound(BoundList *list, const char *word) {
        const char *equal = strchr(word, '='), *expected;
        Bound *bound = &list->bounds[list->n];

        if (!equal || equal == word)
                return ctl_fail(CTL_USAGE, "'%s' is no NAME=VALUE such as cpu=3500m or memory=8G", word);

        bound->name = strndup(word, (size_t) (equal - word));
        if (!bound->name)
                return ctl_fail_errno(-ENOMEM, "cannot read the command line");
        list->n++;

        for (size_t i = 0; i + 1 < list->n; i++)
                if (strcmp(list->bounds[i].name, bound->name) == 0)
                        return ctl_fail(CTL_USAGE, "%s is given twice", bound->name);

        if (!quantity_parse_resource(bound->name, equal + 1, &bound->value, &expected))
                return ctl_fail(CTL_USAGE, "%s is '%s', expected %s", bound->name, equal + 1, expected);

        return 0;
}

static int append_bounds(sd_bus_message *call, const BoundList *list) {
        int r = sd_bus_message_open_container(call, 'a', "{st}");

        for (size_t i = 0; r >= 0 && i < list->n; i++)
                r = sd_bus_message_append(call, "{st}", list->bounds[i].name, list->bounds[i].value);

        return r < 0 ? r : sd_bus_message_close_container(call);
}

static int set_capacity(const Ctl *ctl) {
        _cleanup_(bound_list_deinit) BoundList list = { calloc(ctl->n_args, sizeof(Bound)), 0 };
        _cleanup_bus_message_ sd_bus_message *call = NULL;
        _cleanup_client_ Client client = CLIENT_NULL;
        int r;

        if (ctl->n_args < 2)
                return ctl_fail(CTL_USAGE, "'capacity set' wants NAME=VALUE such as cpu=3500m or memory=8G");
        if (!list.bounds)
                return ctl_fail_errno(-ENOMEM, "cannot read the command line");

        for (size_t i = 1; i < ctl->n_args; i++) {
                r = read_bound(&list, ctl->args[i]);
                if (r != 0)
                        return r;
        }

        r = client_open(ctl, &client);
        if (r != 0)
                return r;

        r = client_new_call(&client, HEADGATE_PATH, HEADGATE_MANAGER, "SetCapacity", &call);
        if (r != 0)
                return r;

        r = append_bounds(call, &list);
        if (r < 0)
                return client_fail(&client, r, "cannot send the capacity");

        return client_call(&client, call, CLIENT_TIMEOUT_CHANGE, /* ret_reply= */ NULL);
}

static int print_json(const json_t *node) {
        static const char *const names[] = { "Capacity", "OperatorCapacity", "Reserved", "Idle" };
        _cleanup_json_ json_t *json = json_object();

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (json_object_get(node, names[i]))
                        json_object_set(json, names[i], json_object_get(node, names[i]));
        if (!json)
                return ctl_fail_errno(-ENOMEM, "cannot print JSON");

        return view_json(json, /* one_line= */ false);
}

static void add_amount(Table *table, const json_t *amounts, const char *name) {
        const json_t *value = json_object_get(amounts, name);
        char text[UNITS_SIZE];

        table_add(table, value ? units_format_resource(name, variant_u64_value(value), text) : "-");
}

static void add_resource(Table *table, const json_t *node, const char *name) {
        const json_t *capacity = json_object_get(node, "Capacity"),
                     *reserved = json_object_get(node, "Reserved");
        char text[UNITS_SIZE];

        table_add(table, name);
        add_amount(table, capacity, name);
        add_amount(table, json_object_get(node, "OperatorCapacity"), name);
        add_amount(table, reserved, name);
        add_amount(table, json_object_get(node, "Idle"), name);
        table_add(table, units_format_bar(variant_get_u64(reserved, name), variant_get_u64(capacity, name),
                                         text));
}

static int print_table(const Ctl *ctl, const json_t *node) {
        static const char *const titles[] = { "RESOURCE", ">CAPACITY", ">BOUND", ">RESERVED", ">IDLE", "",
                NULL };
        json_t *capacity = json_object_get(node, "Capacity"), *value;
        _cleanup_table_ Table *table = NULL;
        const char *name;
        int r;

        r = table_new(titles, &table);
        if (r < 0)
                return ctl_fail_errno(r, "cannot print a table");

        json_object_foreach (capacity, name, value)
                add_resource(table, node, name);

        /* A bound on what the node does not have at present. */
        json_object_foreach (json_object_get(node, "OperatorCapacity"), name, value)
                if (!json_object_get(capacity, name))
                        add_resource(table, node, name);

        return view_table(ctl, table, "");
}

int verb_capacity(const Ctl *ctl) {
        _cleanup_client_ Client client = CLIENT_NULL;
        _cleanup_json_ json_t *node = NULL;
        int r;

        if (ctl->n_args > 0 && strcmp(ctl->args[0], "set") != 0)
                return ctl_fail(CTL_USAGE,
                                "'capacity' does not take '%s': headgatectl capacity [set NAME=VALUE...]",
                                ctl->args[0]);
        if (ctl->n_args > 0)
                return set_capacity(ctl);

        r = client_open_node(ctl, &client, &node);
        if (r != 0)
                return r;

        return ctl->json ? print_json(node) : print_table(ctl, node);
}
