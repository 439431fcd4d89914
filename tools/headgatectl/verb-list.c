/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* list: all allocations, or all tenants. */

#include "client.h"
#include "view.h"

#include <string.h>

static int print_tenants(const Ctl *ctl, const json_t *tenants, const json_t *allocations) {
        static const char *const titles[] = { "TENANT", "STATE", ">ALLOCATIONS", ">PROBLEMS", "RESOURCES",
                NULL };
        _cleanup_json_ json_t *by_tenant = view_by_tenant(allocations);
        _cleanup_table_ Table *table = NULL;
        json_t *tenant;
        size_t i;
        int r;

        r = by_tenant ? table_new(titles, &table) : -ENOMEM;
        if (r < 0)
                return ctl_fail_errno(r, "cannot print a table");

        json_array_foreach (tenants, i, tenant) {
                _cleanup_free_ char *resources = view_resources(json_object_get(tenant, "Effective"));
                const char *id = variant_get_string(tenant, "TenantId");
                const char *state = strcmp(variant_get_string(tenant, "Mode"), "observe") == 0
                                                    ? "observed"
                                                    : view_tenant_state(json_object_get(by_tenant, id));

                table_add(table, id);
                table_add_styled(table, view_state_style(state), state);
                table_addf(table, "%zu", json_array_size(json_object_get(tenant, "Allocations")));
                table_addf(table, "%zu", json_array_size(json_object_get(tenant, "Problems")));
                table_add(table, resources ?: "?");
        }

        return table_rows(table) > 0 ? view_table(ctl, table, "") : CTL_OK;
}

int verb_list(const Ctl *ctl) {
        const char *what = ctl->n_args > 0 ? ctl->args[0] : "allocations";
        _cleanup_json_ json_t *tenants = NULL, *allocations = NULL;
        _cleanup_client_ Client client = CLIENT_NULL;
        bool of_tenants = strcmp(what, "tenants") == 0;
        const json_t *list;
        int r;

        if (!of_tenants && strcmp(what, "allocations") != 0)
                return ctl_fail(CTL_USAGE, "cannot list '%s': allocations or tenants?", what);

        r = client_open(ctl, &client);
        if (r != 0)
                return r;

        r = client_get_objects(&client, &tenants, &allocations);
        if (r != 0)
                return r;

        list = of_tenants ? tenants : allocations;
        if (ctl->json)
                return view_json(list, /* one_line= */ false);

        r = of_tenants ? print_tenants(ctl, tenants, allocations) : view_allocations(ctl, allocations, "");
        if (r == 0 && ctl->legend)
                printf("%s%zu %s.\n", json_array_size(list) > 0 ? "\n" : "", json_array_size(list), what);

        return r;
}
