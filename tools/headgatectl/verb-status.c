/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* status: the node in short. */

#include "client.h"
#include "units.h"
#include "view.h"
#include "waits.h"

#include <inttypes.h>
#include <string.h>

#define COUNTS_SIZE 256

/* "3, 2 active, 1 held": in all, and in each state that any is in. */
static char *format_counts(const json_t *allocations, char ret[COUNTS_SIZE]) {
        static const char *const states[] = { "active", "held", "suspended", "pending", "ending", "preempted",
                "failed", "released", "ended" };

        snprintf(ret, COUNTS_SIZE, "%zu", json_array_size(allocations));
        for (size_t i = 0; i < ELEMENTSOF(states); i++) {
                size_t n = view_count_allocations(allocations, states[i]), end = strlen(ret);

                if (n > 0)
                        snprintf(ret + end, COUNTS_SIZE - end, ", %zu %s", n, states[i]);
        }

        return ret;
}

/* What the control class sent, up to now: nothing where there is no uplink. */
static void add_control(Table *table, const json_t *node) {
        const json_t *usage = json_object_get(node, "ControlUsage"),
                     *delay = json_object_get(json_object_get(node, "ControlHistograms"), "net.egress.delay");
        char text[UNITS_SIZE], waits[WAITS_SIZE];

        if (!json_object_get(usage, "net.egress.wire-packets"))
                return;
        table_add(table, "Control:");
        table_addf(table, "%" PRIu64 " packets sent, %" PRIu64 " dropped, %s waiting",
                        variant_get_u64(usage, "net.egress.wire-packets"),
                        variant_get_u64(usage, "net.egress.drops"),
                        units_format_bytes(variant_get_u64(usage, "net.egress.backlog"), text));
        if (waits_format(delay, waits)) {
                table_add(table, "Delay:");
                table_add(table, waits);
        }
}

static int print_node(const Ctl *ctl, const json_t *node, const json_t *tenants, const json_t *allocations) {
        static const char *const titles[] = { "", "", NULL };
        const char *state = variant_get_string(node, "State"),
                   *reason = variant_get_string(node, "DrainReason");
        _cleanup_json_ json_t *by_tenant = view_by_tenant(allocations);
        size_t n_residual = 0, n_troubled = 0, i;
        _cleanup_table_ Table *table = NULL;
        char counts[COUNTS_SIZE];
        json_t *tenant;
        int r;

        json_array_foreach (tenants, i, tenant) {
                n_troubled += json_array_size(json_object_get(tenant, "Problems")) > 0;
                n_residual += strcmp(view_tenant_state(json_object_get(
                                                     by_tenant, variant_get_string(tenant, "TenantId"))),
                                              "residual") == 0;
        }

        r = by_tenant ? table_new(titles, &table) : -ENOMEM;
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
        if (*reason) {
                table_add(table, "Reason:");
                table_add(table, reason);
        }
        if (json_is_false(json_object_get(node, "ClockTrusted"))) {
                table_add(table, "Clock:");
                table_add_styled(table, TABLE_BAD, "not trusted ('headgatectl clock' says why)");
        }
        table_add(table, "Tenants:");
        table_addf(table, "%zu, %zu residual, %zu with problems", json_array_size(tenants), n_residual,
                        n_troubled);

        table_add(table, "Allocations:");
        table_add(table, format_counts(allocations, counts));

        add_control(table, node);

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

        r = client_open_node(ctl, &client, &node);
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

        return view_node_is_sound(variant_get_string(node, "State")) ? CTL_OK : CTL_DEGRADED;
}
