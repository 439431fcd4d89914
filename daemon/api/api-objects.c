/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Tenants and allocations as objects below the manager's. Found by path at each call, so that an object that
 * is gone is gone at once; nothing here is kept between calls.
 */

#include "api-internal.h"
#include "codec.h"

#include <string.h>

/* An allocation's properties beside its keys. */
#define ALLOCATION_OWN_PROPERTIES 13

static int find_tenant(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found,
                sd_bus_error *ret_error) {
        _cleanup_free_ char *id = NULL;
        const Api *api = userdata;
        int r;

        r = sd_bus_path_decode(path, API_TENANT_PREFIX, &id);
        if (r <= 0)
                return r;
        if (!node_find_tenant(api->node, id))
                return 0;
        *ret_found = userdata;
        return 1;
}

/* The getters need the node beside the tenant, so they find the tenant by path once more. */
static const Tenant *tenant_of(const Api *api, const char *path) {
        _cleanup_free_ char *id = NULL;

        return sd_bus_path_decode(path, API_TENANT_PREFIX, &id) > 0 ? node_find_tenant(api->node, id) : NULL;
}

static int find_allocation(sd_bus *bus, const char *path, const char *interface, void *userdata,
                void **ret_found, sd_bus_error *ret_error) {
        _cleanup_free_ char *id = NULL;
        const Api *api = userdata;
        int r;

        r = sd_bus_path_decode(path, API_ALLOCATION_PREFIX, &id);
        if (r <= 0)
                return r;
        *ret_found = calendar_find(&api->node->calendar, id);
        return *ret_found ? 1 : 0;
}

/* Each path becomes the enumerator's; NULL ends the list. */
static int list_paths(
                size_t n, char *(*path_of)(const Node *node, size_t i), const Node *node, char ***ret_paths) {
        char **paths = calloc(n + 1, sizeof(char *));

        if (!paths)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                paths[i] = path_of(node, i);
                if (!paths[i]) {
                        while (i-- > 0)
                                free(paths[i]);
                        free(paths);
                        return -ENOMEM;
                }
        }
        *ret_paths = paths;
        return 0;
}

static char *tenant_path_at(const Node *node, size_t i) {
        return api_tenant_path(node->tenants[i]->id);
}

static char *allocation_path_at(const Node *node, size_t i) {
        return api_allocation_path(node->calendar.allocations[i]->id);
}

static int enumerate_tenants(
                sd_bus *bus, const char *prefix, void *userdata, char ***ret_paths, sd_bus_error *ret_error) {
        const Api *api = userdata;

        return list_paths(api->node->n_tenants, tenant_path_at, api->node, ret_paths);
}

static int enumerate_allocations(
                sd_bus *bus, const char *prefix, void *userdata, char ***ret_paths, sd_bus_error *ret_error) {
        const Api *api = userdata;

        return list_paths(api->node->calendar.n, allocation_path_at, api->node, ret_paths);
}

static int get_tenant_string(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const Tenant *tenant = tenant_of(userdata, path);
        const char *value = !tenant                       ? "" :
                strcmp(property, "TenantId") == 0         ? tenant->id :
                strcmp(property, "AssignedCpus") == 0     ? tenant->assigned_cpus ?: "" :
                strcmp(property, "Mode") == 0             ? tenant_mode_to_string(tenant->observed) :
                                                            tenant->control_group ?: "";

        return sd_bus_message_append_basic(reply, 's', value);
}

/* Both into one; either may be NULL. */
static int append_lists(sd_bus_message *reply, const char *const *first, const char *const *second) {
        int r = sd_bus_message_open_container(reply, 'a', "s");

        for (; r >= 0 && first && *first; first++)
                r = sd_bus_message_append_basic(reply, 's', *first);
        for (; r >= 0 && second && *second; second++)
                r = sd_bus_message_append_basic(reply, 's', *second);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_tenant_users(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const Tenant *tenant = tenant_of(userdata, path);
        _cleanup_free_ const char **users = NULL;
        int r;

        r = tenant ? api_tenant_users(((const Api *) userdata)->node, tenant->id, &users) : 0;
        return r < 0 ? r : append_lists(reply, users, NULL);
}

static int get_tenant_adopted(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const Tenant *tenant = tenant_of(userdata, path);
        int r = sd_bus_message_open_container(reply, 'a', "s");

        for (size_t i = 0; r >= 0 && tenant && i < tenant->adopted.n; i++)
                r = sd_bus_message_append_basic(reply, 's', tenant->adopted.entries[i].path);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_tenant_problems(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const Tenant *tenant = tenant_of(userdata, path);

        return append_lists(reply, tenant ? (const char *const *) tenant->problems : NULL,
                        tenant ? (const char *const *) tenant->remains : NULL);
}

static int by_id(const void *a, const void *b) {
        return strcmp((*(Allocation *const *) a)->id, (*(Allocation *const *) b)->id);
}

static int get_tenant_allocations(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const Tenant *tenant = tenant_of(userdata, path);
        const Calendar *calendar = &((const Api *) userdata)->node->calendar;
        const CalendarTenant *own = tenant ? calendar_tenant(calendar, tenant->id) : NULL;
        const size_t n = own ? own->n : 0;
        _cleanup_free_ Allocation **sorted = reallocarray(NULL, n + 1, sizeof(Allocation *));
        int r;

        if (!sorted)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                sorted[i] = own->allocations[i];
        qsort(sorted, n, sizeof(Allocation *), by_id);
        r = sd_bus_message_open_container(reply, 'a', "o");
        for (size_t i = 0; r >= 0 && i < n; i++) {
                _cleanup_free_ char *object = api_allocation_path(sorted[i]->id);

                r = object ? sd_bus_message_append_basic(reply, 'o', object) : -ENOMEM;
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_tenant_amounts(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        static const ResourceSet none = RESOURCE_SET_NULL;
        const Tenant *tenant = tenant_of(userdata, path);

        return codec_append_amounts(reply, !tenant                            ? &none
                                           : strcmp(property, "Desired") == 0 ? &tenant->desired
                                                                              : &tenant->effective);
}

static int append_uplink(sd_bus_message *reply, const UplinkUsage *usage) {
        int r = 0;

        for (Metric metric = 0; r >= 0 && metric < METRIC_MAX; metric++) {
                char name[UPLINK_USAGE_NAME_SIZE];
                uint64_t value;

                if (uplink_usage_read(usage, metric, &value))
                        r = sd_bus_message_append(
                                        reply, "{st}", uplink_usage_name(usage, metric, name), value);
        }
        return r;
}

static int append_usage(sd_bus_message *reply, const Sample *sample, const UplinkUsages *uplinks) {
        int r = sd_bus_message_open_container(reply, 'a', "{st}");

        for (Metric metric = 0; r >= 0 && metric < METRIC_MAX; metric++)
                if (sample_has(sample, metric))
                        r = sd_bus_message_append(
                                        reply, "{st}", metric_info(metric)->name, sample->value[metric]);
        for (size_t i = 0; r >= 0 && i < uplinks->n; i++)
                r = append_uplink(reply, &uplinks->entries[i]);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

int api_append_usage(sd_bus_message *reply, const Sample *sample) {
        static const UplinkUsages none = {};

        return append_usage(reply, sample, &none);
}

static int append_histogram(sd_bus_message *reply, const char *name, const Histogram *histogram) {
        int r = sd_bus_message_open_container(reply, 'e', "sat");

        if (r >= 0)
                r = sd_bus_message_append_basic(reply, 's', name);
        if (r >= 0)
                r = sd_bus_message_append_array(reply, 't', histogram->bucket, sizeof(histogram->bucket));
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

int api_append_histograms(sd_bus_message *reply, const Node *node, const Tenant *tenant) {
        static const BlockLatencies none = BLOCK_LATENCIES_NULL;
        const BlockLatencies *latencies = tenant ? &tenant->latencies : &none;
        int r = sd_bus_message_open_container(reply, 'a', "{sat}");

        for (size_t i = 0; r >= 0 && i < latencies->n; i++) {
                char name[BLOCK_LATENCY_NAME_SIZE];

                r = append_histogram(reply, block_latency_name(&latencies->entries[i], name),
                                &latencies->entries[i].histogram);
        }
        for (Duration duration = 0; r >= 0 && duration < DURATION_MAX; duration++) {
                Histogram histogram;

                if (node_read_duration(node, tenant, duration, &histogram))
                        r = append_histogram(reply, duration_info(duration)->name, &histogram);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_tenant_usage(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        static const Tenant nobody = {};
        const Tenant *tenant = tenant_of(userdata, path) ?: &nobody;

        return append_usage(reply, &tenant->usage, &tenant->uplinks);
}

static int get_tenant_histograms(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        static const Tenant nobody = {};
        const Tenant *tenant = tenant_of(userdata, path) ?: &nobody;

        return api_append_histograms(reply, ((const Api *) userdata)->node, tenant);
}

static int get_tenant_victims(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const Tenant *tenant = tenant_of(userdata, path);
        const OomVictims *victims = tenant ? tenant->victims : NULL;
        int r = sd_bus_message_open_container(reply, 'a', "(sutt)");

        for (size_t i = 0; r >= 0 && victims && i < victims->n; i++) {
                const OomVictim *victim = &victims->entries[i];

                r = sd_bus_message_append(reply, "(sutt)", victim->comm, victim->pid, victim->time_usec,
                                victim->peak_bytes);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

const sd_bus_vtable api_tenant_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("TenantId", "s", get_tenant_string, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("ControlGroup", "s", get_tenant_string, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("AdoptedGroups", "as", get_tenant_adopted, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Users", "as", get_tenant_users, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("AssignedCpus", "s", get_tenant_string, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Mode", "s", get_tenant_string, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Allocations", "ao", get_tenant_allocations, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Desired", "a{s(tt)}", get_tenant_amounts, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Effective", "a{s(tt)}", get_tenant_amounts, 0, 0),
        SD_BUS_PROPERTY("Usage", "a{st}", get_tenant_usage, 0, 0),
        SD_BUS_PROPERTY("Histograms", "a{sat}", get_tenant_histograms, 0, 0),
        SD_BUS_PROPERTY("OomVictims", "a(sutt)", get_tenant_victims, 0, 0),
        SD_BUS_PROPERTY("Problems", "as", get_tenant_problems, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

static int get_allocation_key(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        return codec_append_key(reply, userdata, allocation_key_find(property));
}

/* Whether what is being answered may name other tenants' allocations. A tenant's own users get its
 * properties, too; signals are sent to readers alone. */
static bool is_for_reader(sd_bus *bus, sd_bus_message *reply) {
        sd_bus_message *message = sd_bus_get_current_message(bus);
        uint8_t type;
        uid_t uid;
        Api *api;

        if (sd_bus_message_get_type(reply, &type) >= 0 && type == SD_BUS_MESSAGE_SIGNAL)
                return true;
        api = sd_bus_slot_get_userdata(sd_bus_get_current_slot(bus)); /* the object is the allocation */
        return message && api_caller(api, message, &uid) >= 0 && api_is_reader(api, uid);
}

static int get_allocation_state(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const Allocation *allocation = userdata;

        return sd_bus_message_append_basic(reply, 's', allocation_state_to_string(allocation->state));
}

static int get_allocation_reason(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        return sd_bus_message_append_basic(
                        reply, 's', allocation_reason(userdata, is_for_reader(bus, reply)) ?: "");
}

static int get_allocation_extensions(sd_bus *bus, const char *path, const char *interface,
                const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const StringMap *map = &((const Allocation *) userdata)->extensions;
        int r = sd_bus_message_open_container(reply, 'a', "{ss}");

        for (size_t i = 0; r >= 0 && i < map->n; i++)
                r = sd_bus_message_append(reply, "{ss}", map->names[i], map->values[i]);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* NULL: all. */
static bool is_named_to(const char *tenant_id, const Allocation *other) {
        return !tenant_id || strcmp(tenant_id, other->tenant_id) == 0;
}

int api_append_lenders(sd_bus_message *message, const char *tenant_id, const Loan *loans, size_t n) {
        int r = sd_bus_message_open_container(message, 'a', "s");

        for (size_t i = 0; r >= 0 && i < n; i++) {
                bool told = !is_named_to(tenant_id, loans[i].from);

                for (size_t k = 0; !told && k < i; k++)
                        told = loans[k].from == loans[i].from;
                if (!told)
                        r = sd_bus_message_append_basic(message, 's', loans[i].from->id);
        }
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int get_preempts(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const Allocation *allocation = userdata;

        return api_append_lenders(reply, is_for_reader(bus, reply) ? NULL : allocation->tenant_id,
                        allocation->loans, allocation->n_loans);
}

static int get_preempted_by(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const Allocation *allocation = userdata;
        const char *tenant_id = is_for_reader(bus, reply) ? NULL : allocation->tenant_id;
        int r = sd_bus_message_open_container(reply, 'a', "s");

        for (size_t i = 0; r >= 0 && i < allocation->n_borrowers; i++)
                if (is_named_to(tenant_id, allocation->borrowers[i]))
                        r = sd_bus_message_append_basic(reply, 's', allocation->borrowers[i]->id);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_missing(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        return codec_append_amounts(reply, &((const Allocation *) userdata)->missing);
}

static int get_delivered(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const Delivery *delivered = ((const Allocation *) userdata)->delivered;
        int r = sd_bus_message_open_container(reply, 'a', "{st}");

        for (DeliveryFigure figure = 0; r >= 0 && delivered && figure < DELIVERY_FIGURE_MAX; figure++)
                if (delivered->present & 1ULL << figure)
                        r = sd_bus_message_append(reply, "{st}", delivery_figure_info(figure)->name,
                                        delivered->value[figure]);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* The keys' rows come from the model's table, so that D-Bus and JSON can never name them differently. */
static int make_allocation_vtable(sd_bus_vtable **ret) {
        size_t n = 0, i = 0;
        sd_bus_vtable *vtable;

        while (allocation_keys[n].name)
                n++;
        vtable = calloc(n + ALLOCATION_OWN_PROPERTIES + 2, sizeof(sd_bus_vtable));
        if (!vtable)
                return -ENOMEM;
        vtable[i++] = (sd_bus_vtable) SD_BUS_VTABLE_START(0);
        for (const AllocationKey *key = allocation_keys; key->name; key++)
                vtable[i++] = (sd_bus_vtable) SD_BUS_PROPERTY(key->name, key->signature, get_allocation_key,
                                0, SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION);
        vtable[i++] = (sd_bus_vtable) SD_BUS_PROPERTY(
                        "State", "s", get_allocation_state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE);
        vtable[i++] = (sd_bus_vtable) SD_BUS_PROPERTY(
                        "Reason", "s", get_allocation_reason, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE);
        vtable[i++] = (sd_bus_vtable) SD_BUS_PROPERTY("AssignedCpus", "s", NULL,
                        offsetof(Allocation, assigned_cpus), SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION);
        vtable[i++] = (sd_bus_vtable) SD_BUS_PROPERTY("ActualStart", "t", NULL,
                        offsetof(Allocation, actual_start_usec), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE);
        vtable[i++] = (sd_bus_vtable) SD_BUS_PROPERTY("ActualEnd", "t", NULL,
                        offsetof(Allocation, actual_end_usec), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE);
        vtable[i++] = (sd_bus_vtable) SD_BUS_PROPERTY("WindowStart", "t", NULL,
                        offsetof(Allocation, window.start_usec), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE);
        vtable[i++] = (sd_bus_vtable) SD_BUS_PROPERTY("WindowEnd", "t", NULL,
                        offsetof(Allocation, window.end_usec), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE);
        vtable[i++] = (sd_bus_vtable) SD_BUS_PROPERTY("LeaseExpiry", "t", NULL,
                        offsetof(Allocation, lease_expiry_usec), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE);
        vtable[i++] = (sd_bus_vtable) SD_BUS_PROPERTY(
                        "Missing", "a{s(tt)}", get_missing, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE);
        vtable[i++] = (sd_bus_vtable) SD_BUS_PROPERTY(
                        "Preempts", "as", get_preempts, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE);
        vtable[i++] = (sd_bus_vtable) SD_BUS_PROPERTY(
                        "PreemptedBy", "as", get_preempted_by, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE);
        vtable[i++] = (sd_bus_vtable) SD_BUS_PROPERTY("Delivered", "a{st}", get_delivered, 0, 0);
        vtable[i++] = (sd_bus_vtable) SD_BUS_PROPERTY("Extensions", "a{ss}", get_allocation_extensions, 0, 0);
        vtable[i++] = (sd_bus_vtable) SD_BUS_VTABLE_END;
        *ret = vtable;
        return 0;
}

int api_make_vtables(Api *api) {
        return make_allocation_vtable(&api->allocation_vtable);
}

int api_add_objects(ApiConnection *connection) {
        sd_bus *bus = connection->bus;
        Api *api = connection->api;
        int r;

        r = sd_bus_add_fallback_vtable(bus, api_slot(connection), API_TENANT_PREFIX, API_TENANT_INTERFACE,
                        api_tenant_vtable, find_tenant, api);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(
                                bus, api_slot(connection), API_TENANT_PREFIX, enumerate_tenants, api);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(bus, api_slot(connection), API_ALLOCATION_PREFIX,
                                API_ALLOCATION_INTERFACE, api->allocation_vtable, find_allocation, api);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(
                                bus, api_slot(connection), API_ALLOCATION_PREFIX, enumerate_allocations, api);
        return r;
}
