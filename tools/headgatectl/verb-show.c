/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* show: everything that headgated says about one tenant or one allocation. */

#include "client.h"
#include "model/delivery.h"
#include "units.h"
#include "view.h"
#include "waits.h"

#include <inttypes.h>
#include <string.h>

static const char *const no_titles[] = { "", "", NULL };

/* {"name": "value"} as "name=value, …". */
static char *format_map(const json_t *map) {
        _cleanup_json_ json_t *pairs = json_array();
        const char *name;
        json_t *value;

        json_object_foreach ((json_t *) map, name, value)
                json_array_append_new(pairs, json_sprintf("%s=%s", name, json_string_value(value) ?: "?"));

        return view_join(pairs);
}

/* [["/dev/null", "rw"]] as "/dev/null rw, …". */
static char *format_devices(const json_t *devices) {
        _cleanup_json_ json_t *pairs = json_array();
        size_t i;
        json_t *device;

        json_array_foreach (devices, i, device)
                json_array_append_new(pairs,
                                json_sprintf("%s %s", json_string_value(json_array_get(device, 0)) ?: "?",
                                                json_string_value(json_array_get(device, 1)) ?: "?"));

        return view_join(pairs);
}

static void add_text(Table *table, const char *name, const char *text) {
        table_addf(table, "%s:", name);
        table_add(table, text && *text ? text : "-");
}

static void add_strings(Table *table, const char *name, const json_t *strings) {
        _cleanup_free_ char *joined = view_join(strings);

        add_text(table, name, joined);
}

static void format_amount(const char *name, const json_t *amount, char *ret_reserved, char *ret_limit) {
        units_format_resource(name, variant_u64_value(json_array_get(amount, 0)), ret_reserved);
        units_format_resource(name, variant_u64_value(json_array_get(amount, 1)), ret_limit);
}

/* What is wanted of each resource, and beside it what is in force, where that is known. */
static int print_shares(const Ctl *ctl, const json_t *wanted, const json_t *effective) {
        static const char *const titles[] = { "RESOURCE", ">RESERVED", ">LIMIT", "IN FORCE", NULL };
        static const char *const titles_alone[] = { "RESOURCE", ">RESERVED", ">LIMIT", NULL };
        char reserved[UNITS_SIZE], limit[UNITS_SIZE];
        _cleanup_table_ Table *table = NULL;
        const char *name;
        json_t *amount;
        int r;

        r = table_new(effective ? titles : titles_alone, &table);
        if (r < 0)
                return ctl_fail_errno(r, "cannot print a table");

        json_object_foreach ((json_t *) wanted, name, amount) {
                table_add(table, name);
                format_amount(name, amount, reserved, limit);
                table_add(table, reserved);
                table_add(table, limit);
                if (!effective)
                        continue;

                amount = json_object_get(effective, name);
                format_amount(name, amount, reserved, limit);
                if (amount)
                        table_addf(table, "%s/%s", reserved, limit);
                else
                        table_add(table, "not in force");
        }

        if (table_rows(table) == 0)
                return CTL_OK;

        putchar('\n');
        return view_table(ctl, table, "");
}

static int print_usage(const Ctl *ctl, const json_t *usage) {
        static const char *const titles[] = { "USAGE", ">", NULL };
        _cleanup_table_ Table *table = NULL;
        const char *name;
        json_t *value;
        int r;

        r = table_new(titles, &table);
        if (r < 0)
                return ctl_fail_errno(r, "cannot print a table");

        json_object_foreach ((json_t *) usage, name, value) {
                char text[UNITS_SIZE];

                table_add(table, name);
                table_add(table, units_format_metric(name, variant_u64_value(value), text));
        }

        if (table_rows(table) == 0)
                return CTL_OK;

        putchar('\n');
        return view_table(ctl, table, "");
}

static int print_victims(const Ctl *ctl, const json_t *victims) {
        static const char *const titles[] = { "KILLED FOR MEMORY", ">PID", "WHEN", ">AT MOST HELD", NULL };
        _cleanup_table_ Table *table = NULL;
        json_t *victim;
        size_t i;
        int r;

        r = table_new(titles, &table);
        if (r < 0)
                return ctl_fail_errno(r, "cannot print a table");

        json_array_foreach ((json_t *) victims, i, victim) {
                char text[UNITS_SIZE];

                table_add(table, json_string_value(json_array_get(victim, 0)) ?: "");
                table_addf(table, "%" PRIu64, variant_u64_value(json_array_get(victim, 1)));
                table_add(table, units_format_time(variant_u64_value(json_array_get(victim, 2)), text));
                table_add(table, units_format_metric("memory.peak",
                                                 variant_u64_value(json_array_get(victim, 3)), text));
        }
        if (table_rows(table) == 0)
                return CTL_OK;

        putchar('\n');
        return view_table(ctl, table, "");
}

static int print_tenant(const Ctl *ctl, Client *client, const json_t *tenant) {
        _cleanup_json_ json_t *own = NULL;
        const char *id = variant_get_string(tenant, "TenantId"), *state;
        _cleanup_table_ Table *table = NULL;
        json_t *item;
        size_t i;
        int r;

        r = client_get_allocations_of(client, tenant, &own);
        if (r != 0)
                return r;

        r = table_new(no_titles, &table);
        if (r < 0)
                return ctl_fail_errno(r, "cannot print a table");

        state = view_tenant_state(own);
        add_text(table, "Tenant", id);
        table_add(table, "State:");
        table_add_styled(table, view_state_style(state), state);
        add_text(table, "Mode", variant_get_string(tenant, "Mode"));
        add_text(table, "Control group", variant_get_string(tenant, "ControlGroup"));
        json_array_foreach (json_object_get(tenant, "AdoptedGroups"), i, item)
                add_text(table, "Adopted", json_string_value(item));
        if (*variant_get_string(tenant, "AssignedCpus"))
                add_text(table, "CPUs", variant_get_string(tenant, "AssignedCpus"));
        add_strings(table, "Users", json_object_get(tenant, "Users"));
        json_array_foreach (json_object_get(tenant, "Problems"), i, item) {
                table_add(table, "Problem:");
                table_add_styled(table, TABLE_BAD, json_string_value(item) ?: "");
        }

        r = view_table(ctl, table, "");
        if (r == 0)
                r = print_shares(ctl, json_object_get(tenant, "Desired"),
                                json_object_get(tenant, "Effective"));
        if (r == 0)
                r = print_usage(ctl, json_object_get(tenant, "Usage"));
        if (r == 0)
                r = print_victims(ctl, json_object_get(tenant, "OomVictims"));
        if (r == 0 && ctl->histograms)
                r = waits_print(ctl, client, tenant);
        if (r == 0 && json_array_size(own) > 0) {
                putchar('\n');
                r = view_allocations(ctl, own, "");
        }

        return r;
}

static void add_times(Table *table, const json_t *allocation) {
        static const char *const times[] = { "StartTime", "EndTime", "WindowStart", "WindowEnd",
                "ActualStart", "ActualEnd" };
        static const char *const durations[] = { "WarnBeforeEnd", "LeaseDuration" };
        uint64_t expiry = variant_get_u64(allocation, "LeaseExpiry");
        char text[UNITS_SIZE];

        if (*variant_get_string(allocation, "Calendar"))
                add_text(table, "Calendar", variant_get_string(allocation, "Calendar"));
        for (size_t i = 0; i < ELEMENTSOF(times); i++)
                if (json_object_get(allocation, times[i]))
                        add_text(table, times[i],
                                        units_format_time(variant_get_u64(allocation, times[i]), text));

        add_text(table, "GraceTime", units_format_usec(variant_get_u64(allocation, "GraceTime"), text));
        for (size_t i = 0; i < ELEMENTSOF(durations); i++)
                if (variant_get_u64(allocation, durations[i]) > 0)
                        add_text(table, durations[i],
                                        units_format_usec(variant_get_u64(allocation, durations[i]), text));

        if (expiry > 0)
                add_text(table, "LeaseExpiry", units_format_time(expiry, text));
        if (variant_get_u64(allocation, "LeaseDuration") > 0)
                add_text(table, "OnLeaseExpiry", variant_get_string(allocation, "OnLeaseExpiry"));
}

/* Its rank, who had to go for it, for whom it had to go, and what of it the node no longer has. */
static void add_standing(Table *table, const json_t *allocation) {
        static const char *const lists[] = { "Preempts", "PreemptedBy" };
        const json_t *priority = json_object_get(allocation, "Priority"),
                     *missing = json_object_get(allocation, "Missing");

        if (priority) {
                table_add(table, "Priority:");
                table_addf(table, "%lld", (long long) json_integer_value(priority));
        }
        if (*variant_get_string(allocation, "PreemptMode"))
                add_text(table, "PreemptMode", variant_get_string(allocation, "PreemptMode"));
        for (size_t i = 0; i < ELEMENTSOF(lists); i++)
                if (json_array_size(json_object_get(allocation, lists[i])) > 0)
                        add_strings(table, lists[i], json_object_get(allocation, lists[i]));
        if (json_object_size(missing) > 0) {
                _cleanup_free_ char *words = view_missing(missing, "there is");

                table_add(table, "Missing:");
                table_add_styled(table, TABLE_BAD, words ?: "?");
        }
}

/* "2-3 (exclusive)", and who chose them. */
static void add_placement(Table *table, const json_t *allocation) {
        static const struct {
                const char *key, *mode, *chosen;
        } rows[] = { { "CpuSet", "CpuSetMode", "AssignedCpus" }, { "NumaNodes", "NumaMode", "" } };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *given = variant_get_string(allocation, rows[i].key),
                           *chosen = variant_get_string(allocation, rows[i].chosen);

                if (!*given && !*chosen)
                        continue;
                table_addf(table, "%s:", rows[i].key);
                table_addf(table, "%s (%s%s)", *given ? given : chosen,
                                variant_get_string(allocation, rows[i].mode),
                                *given ? "" : ", chosen by the node");
        }
}

static void add_names(Table *table, const json_t *allocation) {
        static const char *const texts[] = { "Issuer", "ProjectId", "ReservationId", "QosClass", "EndSignal",
                "OnEnd" };
        static const char *const maps[] = { "ExternalIds", "Labels" };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (*variant_get_string(allocation, texts[i]))
                        add_text(table, texts[i], variant_get_string(allocation, texts[i]));
        if (json_array_size(json_object_get(allocation, "Users")) > 0)
                add_strings(table, "Users", json_object_get(allocation, "Users"));
        if (json_array_size(json_object_get(allocation, "Devices")) > 0) {
                _cleanup_free_ char *devices = format_devices(json_object_get(allocation, "Devices"));

                add_text(table, "Devices", devices);
        }
        for (size_t i = 0; i < ELEMENTSOF(maps); i++) {
                _cleanup_free_ char *map = format_map(json_object_get(allocation, maps[i]));

                if (json_object_size(json_object_get(allocation, maps[i])) > 0)
                        add_text(table, maps[i], map);
        }
}

/* What was delivered of what was promised: headgate-metering(7). */
static int print_delivered(const Ctl *ctl, const json_t *delivered) {
        static const char *const titles[] = { "DELIVERED", ">", NULL };
        _cleanup_table_ Table *table = NULL;
        int r;

        if (json_object_size(delivered) == 0)
                return CTL_OK;
        r = table_new(titles, &table);
        if (r < 0)
                return ctl_fail_errno(r, "cannot print a table");
        for (DeliveryFigure figure = 0; figure < DELIVERY_FIGURE_MAX; figure++) {
                const DeliveryFigureInfo *info = delivery_figure_info(figure);
                const json_t *value = json_object_get(delivered, info->name);
                char text[UNITS_SIZE];

                if (!value)
                        continue;
                table_add(table, info->name);
                if (info->unit == METRIC_UNIT_NSEC)
                        table_add(table, units_format_usec(variant_u64_value(value) / 1000, text));
                else
                        table_addf(table, "%" PRIu64, variant_u64_value(value));
        }
        putchar('\n');
        return view_table(ctl, table, "");
}

static int print_allocation(const Ctl *ctl, const json_t *allocation) {
        const char *state = variant_get_string(allocation, "State"),
                   *reason = variant_get_string(allocation, "Reason");
        _cleanup_table_ Table *table = NULL;
        int r;

        r = table_new(no_titles, &table);
        if (r < 0)
                return ctl_fail_errno(r, "cannot print a table");

        add_text(table, "Allocation", variant_get_string(allocation, "AllocationId"));
        add_text(table, "Tenant", variant_get_string(allocation, "TenantId"));
        table_add(table, "State:");
        table_add_styled(table, view_state_style(state), state);
        if (*reason)
                add_text(table, "Reason", reason);
        table_add(table, "Generation:");
        table_addf(table, "%llu", (unsigned long long) variant_get_u64(allocation, "Generation"));
        add_times(table, allocation);
        add_standing(table, allocation);
        add_placement(table, allocation);
        add_names(table, allocation);

        r = view_table(ctl, table, "");
        if (r == 0)
                r = print_shares(ctl, json_object_get(allocation, "Resources"), /* effective= */ NULL);
        return r != 0 ? r : print_delivered(ctl, json_object_get(allocation, "Delivered"));
}

int verb_show(const Ctl *ctl) {
        _cleanup_client_ Client client = CLIENT_NULL;
        _cleanup_json_ json_t *object = NULL;
        bool tenant = true, allocation = true;
        const char *id = ctl->args[0];
        int r;

        if (strncmp(id, "tenant/", strlen("tenant/")) == 0) {
                allocation = false;
                id += strlen("tenant/");
        } else if (strncmp(id, "allocation/", strlen("allocation/")) == 0) {
                tenant = false;
                id += strlen("allocation/");
        }

        r = client_open(ctl, &client);
        if (r != 0)
                return r;

        /* To who may not read of all, what there is not is denied, too. */
        client.keep = true;
        r = CTL_NOT_FOUND;
        if (tenant)
                r = client_get_tenant(&client, id, &object);
        if ((r == CTL_NOT_FOUND || r == CTL_DENIED) && allocation)
                r = client_get_allocation(&client, id, &object);
        client.keep = false;
        if (r == CTL_NOT_FOUND)
                return ctl_fail(r, "there is no %s%s%s '%s' ('headgatectl list' names what there is)",
                                tenant ? "tenant" : "", tenant && allocation ? " or " : "",
                                allocation ? "allocation" : "", id);
        if (r != 0)
                return ctl_fail(r, "%s", client.kept);

        if (ctl->json)
                return view_json(object, /* one_line= */ false);

        /* An allocation names its tenant, too; a tenant has no allocation's id. */
        if (json_object_get(object, "AllocationId"))
                return print_allocation(ctl, object);

        return print_tenant(ctl, &client, object);
}
