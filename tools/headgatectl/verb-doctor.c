/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* doctor: every feature in words, every problem, and a verdict. It repairs nothing. */

#include "client.h"
#include "view.h"

#include <string.h>

static int print_features(const Ctl *ctl, const json_t *features, size_t *ret_missing) {
        static const char *const titles[] = { "FEATURE", "HERE", "HOW, OR WHY NOT", NULL };
        _cleanup_table_ Table *table = NULL;
        const char *name;
        json_t *feature;
        int r;

        r = table_new(titles, &table);
        if (r < 0)
                return ctl_fail_errno(r, "cannot print a table");

        json_object_foreach ((json_t *) features, name, feature) {
                bool available = json_is_true(json_array_get(feature, 0));
                const char *words = json_string_value(json_array_get(feature, 1)),
                           *yes = available ? "yes" : "no";

                *ret_missing += !available;
                table_add(table, name);
                table_add_styled(table, view_state_style(yes), yes);
                table_add(table, words ?: "");
        }

        return view_table(ctl, table, "");
}

static int print_problems(const Ctl *ctl, const json_t *tenants, size_t *ret_problems) {
        static const char *const titles[] = { "TENANT", "PROBLEM", NULL };
        _cleanup_table_ Table *table = NULL;
        json_t *tenant, *problem;
        size_t i, j;
        int r;

        r = table_new(titles, &table);
        if (r < 0)
                return ctl_fail_errno(r, "cannot print a table");

        json_array_foreach (tenants, i, tenant)
                json_array_foreach (json_object_get(tenant, "Problems"), j, problem) {
                        table_add(table, variant_get_string(tenant, "TenantId"));
                        table_add(table, json_string_value(problem) ?: "");
                }

        *ret_problems = table_rows(table);
        if (*ret_problems == 0)
                return CTL_OK;

        putchar('\n');
        return view_table(ctl, table, "");
}

/* State and Features as the Manager has them, and TenantId and Problems of each tenant that has any. */
static int print_json(const json_t *node, const json_t *tenants) {
        _cleanup_json_ json_t *json = NULL, *troubled = json_array();
        json_t *tenant;
        size_t i;

        json_array_foreach (tenants, i, tenant)
                if (json_array_size(json_object_get(tenant, "Problems")) > 0)
                        json_array_append_new(troubled,
                                        json_pack("{sOsO}", "TenantId", json_object_get(tenant, "TenantId"),
                                                        "Problems", json_object_get(tenant, "Problems")));

        json = json_pack("{sO?sO?sO}", "State", json_object_get(node, "State"), "Features",
                        json_object_get(node, "Features"), "Tenants", troubled);
        if (!json)
                return ctl_fail_errno(-ENOMEM, "cannot print JSON");

        return view_json(json, /* one_line= */ false);
}

int verb_doctor(const Ctl *ctl) {
        _cleanup_json_ json_t *node = NULL, *tenants = NULL, *allocations = NULL;
        _cleanup_client_ Client client = CLIENT_NULL;
        size_t n_missing = 0, n_problems = 0;
        const json_t *features;
        const char *state;
        int r;

        r = client_open_node(ctl, &client, &node);
        if (r != 0)
                return r;

        r = client_get_objects(&client, &tenants, &allocations);
        if (r != 0)
                return r;

        state = variant_get_string(node, "State");
        features = json_object_get(node, "Features");

        if (ctl->json)
                r = print_json(node, tenants);
        else {
                r = print_features(ctl, features, &n_missing);
                if (r == 0)
                        r = print_problems(ctl, tenants, &n_problems);
                if (r == 0 && ctl->legend)
                        printf("\nVerdict: %s; %zu of %zu features missing, %zu problem%s.\n", state,
                                        n_missing, json_object_size(features), n_problems,
                                        n_problems == 1 ? "" : "s");
        }
        if (r != 0)
                return r;

        return view_node_is_sound(state) ? CTL_OK : CTL_DEGRADED;
}
