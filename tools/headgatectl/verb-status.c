/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* status: the node in short. */

#include "client.h"
#include "units.h"
#include "view.h"

#include <inttypes.h>
#include <string.h>

static int print_node(const Ctl *ctl, const json_t *node, const json_t *tenants, const json_t *allocations) {
        static const char *const titles[] = { "", "", NULL };
        static const char *const states[] = { "active", "pending", "ending", "failed", "released", "ended" };
        const char *state = variant_get_string(node, "State");
        size_t n_residual = 0, n_troubled = 0, i;
        _cleanup_table_ Table *table = NULL;
        char counts[160];
        json_t *tenant;
        int r;

        json_array_foreach (tenants, i, tenant) {
                n_troubled += json_array_size(json_object_get(tenant, "Problems")) > 0;
                n_residual += strcmp(view_tenant_state(allocations, variant_get_string(tenant, "TenantId")),
                                              "residual") == 0;
        }

        r = table_new(titles, &table);
        if (r < 0)
                return ctl_fail_errno(r, "cannot print a table");

        table_add(table, "Node:");
        table_add(table, variant_get_string(node, "NodeId"));
        table_add(table, "Boot:");
        table_add(table, variant_get_string(node, "BootId"));
        table_add(table, "Version:");
        table_addf(table, "headgated %s", variant_get_string(node, "Version"));
        table_add(table, "State:");
        table_add_styled(table, view_state_style(state), state);
        table_add(table, "Tenants:");
        table_addf(table, "%zu, %zu residual, %zu with problems", json_array_size(tenants), n_residual,
                        n_troubled);

        snprintf(counts, sizeof(counts), "%zu", json_array_size(allocations));
        for (i = 0; i < ELEMENTSOF(states); i++) {
                size_t n = view_count_allocations(allocations, NULL, states[i]), end = strlen(counts);

                if (n > 0)
                        snprintf(counts + end, sizeof(counts) - end, ", %zu %s", n, states[i]);
        }
        table_add(table, "Allocations:");
        table_add(table, counts);

        return view_table(ctl, table, "");
}

static int print_capacity(const Ctl *ctl, const json_t *node) {
        static const char *const titles[] = { "RESOURCE", ">CAPACITY", ">RESERVED", ">IDLE", "", NULL };
        json_t *reserved = json_object_get(node, "Reserved"), *idle = json_object_get(node, "Idle");
        _cleanup_table_ Table *table = NULL;
        const char *name;
        json_t *value;
        int r;

        r = table_new(titles, &table);
        if (r < 0)
                return ctl_fail_errno(r, "cannot print a table");

        json_object_foreach (json_object_get(node, "Capacity"), name, value) {
                uint64_t whole = variant_u64_value(value), part = variant_get_u64(reserved, name);
                char text[UNITS_SIZE];

                table_add(table, name);
                table_add(table, units_format_resource(name, whole, text));
                table_add(table, units_format_resource(name, part, text));
                table_add(table, units_format_resource(name, variant_get_u64(idle, name), text));
                table_add(table, units_format_bar(part, whole, text));
        }

        if (table_rows(table) == 0)
                return CTL_OK;

        putchar('\n');
        return view_table(ctl, table, "");
}

int verb_status(const Ctl *ctl) {
        _cleanup_json_ json_t *node = NULL, *tenants = NULL, *allocations = NULL;
        _cleanup_client_ Client client = CLIENT_NULL;
        int r;

        r = client_open(ctl, &client);
        if (r != 0)
                return r;

        r = client_get_node(&client, &node);
        if (r != 0)
                return r;

        if (ctl->json)
                r = view_json(node, /* one_line= */ false);
        else {
                r = client_get_objects(&client, &tenants, &allocations);
                if (r == 0)
                        r = print_node(ctl, node, tenants, allocations);
                if (r == 0)
                        r = print_capacity(ctl, node);
        }
        if (r != 0)
                return r;

        return strcmp(variant_get_string(node, "State"), "ok") == 0 ? CTL_OK : CTL_DEGRADED;
}
