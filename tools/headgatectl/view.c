/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What several verbs show alike. Asks headgated nothing. */

#include "view.h"

#include "units.h"

#include <string.h>

int view_json(const json_t *json, bool one_line) {
        if (json_dumpf(json, stdout, JSON_ENCODE_ANY | (one_line ? JSON_COMPACT : JSON_INDENT(2))) < 0)
                return ctl_fail_errno(-EIO, "cannot print JSON");

        putchar('\n');
        return CTL_OK;
}

int view_table(const Ctl *ctl, const Table *table, const char *indent) {
        int r = table_print(table, stdout, indent, ctl->legend, ctl->color);

        return r < 0 ? ctl_fail_errno(r, "cannot print a table") : CTL_OK;
}

int view_done(int code) {
        errno = 0;
        if (fflush(stdout) != 0 || ferror(stdout))
                return ctl_fail_errno(errno ? -errno : -EIO, "cannot write to standard output");

        return code;
}

char *view_join(const json_t *strings) {
        char *joined = NULL;
        size_t size = 0, i;
        json_t *item;
        FILE *f = open_memstream(&joined, &size);

        if (!f)
                return NULL;

        json_array_foreach (strings, i, item)
                fprintf(f, "%s%s", i > 0 ? ", " : "", json_string_value(item) ?: "?");
        if (json_array_size(strings) == 0)
                fputc('-', f);

        if (fclose(f) != 0) {
                free(joined);
                return NULL;
        }

        return joined;
}

char *view_resources(const json_t *resources) {
        char *joined = NULL, reserved[UNITS_SIZE], limit[UNITS_SIZE];
        const char *name;
        json_t *amount;
        size_t size = 0, n = 0;
        FILE *f = open_memstream(&joined, &size);

        if (!f)
                return NULL;

        json_object_foreach ((json_t *) resources, name, amount) {
                uint64_t r = variant_u64_value(json_array_get(amount, 0));
                uint64_t l = variant_u64_value(json_array_get(amount, 1));

                fprintf(f, "%s%s %s/%s", n++ > 0 ? ", " : "", name, units_format_resource(name, r, reserved),
                                units_format_resource(name, l, limit));
        }
        if (n == 0)
                fputc('-', f);

        if (fclose(f) != 0) {
                free(joined);
                return NULL;
        }

        return joined;
}

char *view_missing(const json_t *missing, const char *left) {
        _cleanup_json_ json_t *list = json_array();
        const char *name;
        json_t *amount;

        json_object_foreach ((json_t *) missing, name, amount) {
                uint64_t wanted = variant_u64_value(json_array_get(amount, 0));
                uint64_t rest = variant_u64_value(json_array_get(amount, 1));
                char wanted_text[UNITS_SIZE], rest_text[UNITS_SIZE];

                json_array_append_new(
                                list, json_sprintf("%s wanted %s, %s %s", name,
                                                      units_format_resource(name, wanted, wanted_text), left,
                                                      units_format_resource(name, rest, rest_text)));
        }

        return view_join(list);
}

TableStyle view_state_style(const char *state) {
        static const char *const good[] = { "ok", "active", "yes" };
        static const char *const warning[] = { "draining", "held", "suspended", "observed" };
        static const char *const bad[] = { "degraded", "failed", "preempted", "no" };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                if (strcmp(state, good[i]) == 0)
                        return TABLE_GOOD;

        for (size_t i = 0; i < ELEMENTSOF(warning); i++)
                if (strcmp(state, warning[i]) == 0)
                        return TABLE_WARNING;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (strcmp(state, bad[i]) == 0)
                        return TABLE_BAD;

        return TABLE_PLAIN;
}

json_t *view_by_tenant(const json_t *allocations) {
        json_t *by_tenant = json_object(), *allocation;
        size_t i;

        json_array_foreach (allocations, i, allocation) {
                const char *id = variant_get_string(allocation, "TenantId");

                if (!json_object_get(by_tenant, id))
                        json_object_set_new(by_tenant, id, json_array());
                if (json_array_append(json_object_get(by_tenant, id), allocation) < 0) {
                        json_decref(by_tenant);
                        return NULL;
                }
        }

        return by_tenant;
}

size_t view_count_allocations(const json_t *allocations, const char *state) {
        json_t *allocation;
        size_t i, n = 0;

        json_array_foreach (allocations, i, allocation)
                n += strcmp(variant_get_string(allocation, "State"), state) == 0;

        return n;
}

const char *view_state_by_counts(size_t n_active, size_t n_suspended) {
        return n_active > 0 ? "active" : n_suspended > 0 ? "suspended" : "residual";
}

const char *view_tenant_state(const json_t *own) {
        return view_state_by_counts(
                        view_count_allocations(own, "active") + view_count_allocations(own, "held"),
                        view_count_allocations(own, "suspended"));
}

bool view_node_is_sound(const char *state) {
        return strcmp(state, "ok") == 0 || strcmp(state, "draining") == 0;
}

int view_allocations(const Ctl *ctl, const json_t *allocations, const char *indent) {
        static const char *const titles[] = { "ALLOCATION", "TENANT", "STATE", "START", "END", "RESOURCES",
                NULL };
        _cleanup_table_ Table *table = NULL;
        char time[UNITS_SIZE];
        json_t *allocation;
        size_t i;
        int r;

        r = table_new(titles, &table);
        if (r < 0)
                return ctl_fail_errno(r, "cannot print a table");

        json_array_foreach (allocations, i, allocation) {
                _cleanup_free_ char *resources = view_resources(json_object_get(allocation, "Resources"));
                const char *state = variant_get_string(allocation, "State");
                bool recurring = *variant_get_string(allocation, "Calendar");

                table_add(table, variant_get_string(allocation, "AllocationId"));
                table_add(table, variant_get_string(allocation, "TenantId"));
                table_add_styled(table, view_state_style(state), state);
                table_add(table, units_format_time(variant_get_u64(allocation,
                                                                   recurring ? "WindowStart" : "StartTime"),
                                                 time));
                table_add(table, units_format_time(variant_get_u64(allocation,
                                                                   recurring ? "WindowEnd" : "EndTime"),
                                                 time));
                table_add(table, resources ?: "?");
        }

        return table_rows(table) > 0 ? view_table(ctl, table, indent) : CTL_OK;
}
