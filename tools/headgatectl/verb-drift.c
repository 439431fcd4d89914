/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* drift: what others changed, and whether it is as it was. */

#include "client.h"
#include "units.h"
#include "view.h"

#include <inttypes.h>

static int get_drift(Client *client, json_t **ret_drifts, json_t **ret_counts) {
        _cleanup_bus_message_ sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_json_ json_t *drifts = NULL, *counts = NULL;
        int r;

        r = client_new_call(client, HEADGATE_PATH, HEADGATE_MANAGER, "Drift", &call);
        if (r != 0)
                return r;

        r = client_call(client, call, CLIENT_TIMEOUT_READ, &reply);
        if (r != 0)
                return r;

        r = variant_read(reply, &drifts);
        if (r >= 0)
                r = variant_read(reply, &counts);
        if (r < 0)
                return client_fail(client, r, "cannot read what headgated answered");

        *ret_drifts = TAKE_PTR(drifts);
        *ret_counts = TAKE_PTR(counts);
        return 0;
}

static int print_drifts(const Ctl *ctl, const json_t *drifts) {
        static const char *const titles[] = { "TIME", "CAUSE", "TENANT", "OBJECT", "KEY", "FOUND", "WANTED",
                "PUT BACK", NULL };
        _cleanup_table_ Table *table = NULL;
        json_t *drift;
        size_t i;
        int r;

        r = table_new(titles, &table);
        if (r < 0)
                return ctl_fail_errno(r, "cannot print a table");

        json_array_foreach (drifts, i, drift) {
                bool repaired = json_is_true(json_object_get(drift, "Repaired"));
                const char *tenant = variant_get_string(drift, "TenantId");
                char time[UNITS_SIZE];

                table_add(table, units_format_time(variant_get_u64(drift, "Time"), time));
                table_add(table, variant_get_string(drift, "Cause"));
                table_add(table, *tenant ? tenant : "-");
                table_add(table, variant_get_string(drift, "Object"));
                table_add(table, variant_get_string(drift, "Key"));
                table_add(table, variant_get_string(drift, "Have"));
                table_add(table, variant_get_string(drift, "Want"));
                table_add_styled(table, repaired ? TABLE_GOOD : TABLE_BAD, repaired ? "yes" : "no");
        }

        return table_rows(table) > 0 ? view_table(ctl, table, "") : CTL_OK;
}

/* "2 found, 1 put back (tc 1/1, link 1/0)." */
static void print_counts(const json_t *counts, bool after_table) {
        uint64_t found = 0, repaired = 0;
        const char *cause, *separator = " (";
        json_t *count;

        json_object_foreach ((json_t *) counts, cause, count) {
                found += variant_u64_value(json_array_get(count, 0));
                repaired += variant_u64_value(json_array_get(count, 1));
        }
        printf("%s%" PRIu64 " found, %" PRIu64 " put back", after_table ? "\n" : "", found, repaired);
        json_object_foreach ((json_t *) counts, cause, count) {
                if (variant_u64_value(json_array_get(count, 0)) == 0)
                        continue;
                printf("%s%s %" PRIu64 "/%" PRIu64, separator, cause,
                                variant_u64_value(json_array_get(count, 1)),
                                variant_u64_value(json_array_get(count, 0)));
                separator = ", ";
        }
        printf("%s.\n", found > 0 ? ")" : "");
}

int verb_drift(const Ctl *ctl) {
        _cleanup_json_ json_t *drifts = NULL, *counts = NULL;
        _cleanup_client_ Client client = CLIENT_NULL;
        int r;

        r = client_open(ctl, &client);
        if (r != 0)
                return r;

        r = get_drift(&client, &drifts, &counts);
        if (r != 0)
                return r;

        if (ctl->json) {
                _cleanup_json_ json_t *json = json_pack("{sO sO}", "Drifts", drifts, "Counts", counts);

                if (!json)
                        return ctl_fail_errno(-ENOMEM, "cannot print JSON");
                return view_json(json, /* one_line= */ false);
        }

        r = print_drifts(ctl, drifts);
        if (r == 0 && ctl->legend)
                print_counts(counts, json_array_size(drifts) > 0);

        return r;
}
