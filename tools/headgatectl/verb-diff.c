/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* diff: where the kernel differs from the plan, and whether that is about to be changed. */

#include "client.h"
#include "view.h"

static void add_or_dash(Table *table, const char *text) {
        table_add(table, *text ? text : "-");
}

static int print(const Ctl *ctl, const json_t *differences) {
        static const char *const titles[] = { "TENANT", "OBJECT", "NAME", "HAVE", "WANT", "LEFT AS IT IS",
                NULL };
        _cleanup_table_ Table *table = NULL;
        json_t *entry;
        size_t i;
        int r;

        r = table_new(titles, &table);
        if (r < 0)
                return ctl_fail_errno(r, "cannot print a table");

        json_array_foreach (differences, i, entry) {
                add_or_dash(table, variant_get_string(entry, "TenantId"));
                table_add(table, variant_get_string(entry, "Object"));
                table_add(table, variant_get_string(entry, "Name"));
                add_or_dash(table, variant_get_string(entry, "Have"));
                add_or_dash(table, variant_get_string(entry, "Want"));
                add_or_dash(table, variant_get_string(entry, "HeldBack"));
        }

        return table_rows(table) > 0 ? view_table(ctl, table, "") : CTL_OK;
}

int verb_diff(const Ctl *ctl) {
        _cleanup_client_ Client client = CLIENT_NULL;
        _cleanup_json_ json_t *differences = NULL;
        int r;

        r = client_open(ctl, &client);
        if (r == 0)
                r = client_ask(&client, "Diff", &differences, "s", ctl->n_args > 0 ? ctl->args[0] : "");
        if (r != 0)
                return r;

        if (ctl->json)
                return view_json(differences, /* one_line= */ false);

        r = print(ctl, differences);
        if (r == 0 && ctl->legend)
                printf("%s%zu differences.\n", json_array_size(differences) > 0 ? "\n" : "",
                                json_array_size(differences));

        return r;
}
