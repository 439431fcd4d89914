/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.headgate.Node1.Manager: thin handlers that decode, ask the operations, and encode the answer. */

#include "api-internal.h"
#include "authorize.h"
#include "codec.h"

#include "util/pidfd.h"
#include "util/strv.h"

#include <pwd.h>
#include <string.h>

#define PIDFDS_MAX 16 /* a bus daemon cuts off who sends more in one message */

static int append_ids(const Api *api, sd_bus_message *reply, char *const *ids) {
        int r = sd_bus_message_open_container(reply, 'a', "o");

        for (; r >= 0 && ids && *ids; ids++) {
                _cleanup_free_ char *path = api_allocation_path(*ids);

                r = path ? sd_bus_message_append_basic(reply, 'o', path) : -ENOMEM;
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int method_apply(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        _cleanup_free_ Allocation **requests = NULL;
        _cleanup_strv_ char **ids = NULL;
        Api *api = userdata;
        uid_t caller;
        size_t n = 0;
        int r;

        r = api_caller(api, message, &caller);
        if (r >= 0)
                r = codec_read_requests(message, &requests, &n, &failure);
        if (r != 0)
                return api_fail(r, &failure, ret_error);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = strv_push(&ids, requests[i]->id ?: "");
        if (r < 0) {
                codec_requests_free(TAKE_PTR(requests), n);
                return r;
        }
        r = api->operations->apply(api->userdata, caller, requests, n, &failure);
        if (r != 0)
                return api_fail(r, &failure, ret_error);
        r = sd_bus_message_new_method_return(message, &reply);
        if (r >= 0)
                r = append_ids(api, reply, ids);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int append_verdict(sd_bus_message *reply, const Allocation *request, const Verdict *verdict) {
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}{sv}{sv}", "AllocationId", "s", request->id ?: "",
                                "Fits", "b", (int) verdict->fits, "Reason", "s",
                                verdict->failure.message ?: "");
        if (r >= 0 && !verdict->fits && verdict->missing.n > 0 && verdict->earliest_usec != UINT64_MAX)
                r = sd_bus_message_append(reply, "{sv}", "EarliestStart", "t", verdict->earliest_usec);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(reply, 's', "Missing");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "a{s(tt)}");
        if (r >= 0)
                r = codec_append_amounts(reply, &verdict->missing);
        for (int i = 0; r >= 0 && i < 3; i++) /* the variant, the entry, the dictionary */
                r = sd_bus_message_close_container(reply);
        return r;
}

static int reply_verdicts(
                sd_bus_message *message, Allocation *const *requests, const Verdict *verdicts, size_t n) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(message, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = append_verdict(reply, requests[i], &verdicts[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int method_check(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        _cleanup_free_ Verdict *verdicts = NULL;
        Allocation **requests = NULL;
        Api *api = userdata;
        uid_t caller;
        size_t n = 0;
        int r;

        r = api_caller(api, message, &caller);
        if (r >= 0)
                r = codec_read_requests(message, &requests, &n, &failure);
        if (r != 0)
                return api_fail(r, &failure, ret_error);
        verdicts = calloc(n + 1, sizeof(Verdict));
        r = verdicts ? api->operations->check(api->userdata, caller, requests, n, verdicts, &failure)
                     : -ENOMEM;
        r = r != 0 ? api_fail(r, &failure, ret_error) : reply_verdicts(message, requests, verdicts, n);
        for (size_t i = 0; verdicts && i < n; i++)
                verdict_deinit(&verdicts[i]);
        codec_requests_free(requests, n);
        return r;
}

static int method_release(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        const char *id, *reason;
        Api *api = userdata;
        uint64_t generation;
        uid_t caller;
        int r;

        r = sd_bus_message_read(message, "sts", &id, &generation, &reason);
        if (r >= 0)
                r = api_caller(api, message, &caller);
        if (r >= 0)
                r = api->operations->release(api->userdata, caller, id, generation, reason, &failure);
        return r != 0 ? api_fail(r, &failure, ret_error) : sd_bus_reply_method_return(message, "");
}

int api_tenant_users(const Node *node, const char *tenant_id, const char ***ret_users) {
        const char **users = calloc(1, sizeof(char *)), **grown;
        size_t n = 0;

        if (!users)
                return -ENOMEM;
        for (size_t i = 0; i < node->calendar.n; i++) {
                const Allocation *allocation = node->calendar.allocations[i];

                if (strcmp(allocation->tenant_id, tenant_id) != 0 || !allocation_is_live(allocation))
                        continue;
                for (char **user = allocation->users; user && *user; user++) {
                        if (strv_contains((char *const *) users, *user))
                                continue;
                        grown = reallocarray(users, n + 2, sizeof(char *));
                        if (!grown) {
                                free(users);
                                return -ENOMEM;
                        }
                        users = grown;
                        users[n++] = *user;
                        users[n] = NULL;
                }
        }
        *ret_users = users;
        return 0;
}

bool api_is_tenant_user(const Node *node, const char *tenant_id, uid_t uid) {
        _cleanup_free_ const char **users = NULL;
        const struct passwd *user = getpwuid(uid);

        return user && api_tenant_users(node, tenant_id, &users) >= 0 &&
               strv_contains((char *const *) users, user->pw_name);
}

static int authorize_attach(const Api *api, uid_t caller, const char *tenant_id, const int *pidfds, size_t n,
                Failure *failure) {
        if (authorize_user(caller, ACCESS_ROOT, NULL, NULL))
                return 0;
        if (!api_is_tenant_user(api->node, tenant_id, caller))
                return failure_set(failure, FAILURE_ACCESS_DENIED,
                                "user %d is not among the Users of tenant '%.64s'", (int) caller, tenant_id);
        for (size_t i = 0; i < n; i++) {
                uid_t owner;

                if (pidfd_get_uid(pidfds[i], &owner) < 0)
                        return failure_set(failure, FAILURE_NO_SUCH_PROCESS,
                                        "process %zu is gone, or is no pidfd", i + 1);
                if (owner != caller)
                        return failure_set(failure, FAILURE_ACCESS_DENIED,
                                        "process %zu does not belong to user %d", i + 1, (int) caller);
        }
        return 0;
}

static int method_attach(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        int pidfds[PIDFDS_MAX], r, fd;
        const char *tenant_id;
        Api *api = userdata;
        uid_t caller = (uid_t) -1;
        size_t n = 0;

        r = sd_bus_message_read_basic(message, 's', &tenant_id);
        if (r >= 0)
                r = sd_bus_message_enter_container(message, 'a', "h");
        while (r >= 0 && (r = sd_bus_message_read_basic(message, 'h', &fd)) > 0) {
                if (n == PIDFDS_MAX) {
                        r = failure_set(&failure, FAILURE_LIMIT_EXCEEDED, "more than %d pidfds in one call",
                                        PIDFDS_MAX);
                        return api_fail(r, &failure, ret_error);
                }
                pidfds[n++] = fd;
        }
        if (r >= 0)
                r = api_caller(api, message, &caller);
        if (r >= 0)
                r = authorize_attach(api, caller, tenant_id, pidfds, n, &failure);
        if (r == 0)
                r = api->operations->attach(api->userdata, tenant_id, pidfds, n, &failure);
        return r != 0 ? api_fail(r, &failure, ret_error) : sd_bus_reply_method_return(message, "");
}

static int method_attach_unit(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        const char *tenant_id, *unit;
        Api *api = userdata;
        int r;

        r = sd_bus_message_read(message, "ss", &tenant_id, &unit);
        if (r >= 0)
                r = api->operations->attach_unit(api->userdata, tenant_id, unit, &failure);
        return r != 0 ? api_fail(r, &failure, ret_error) : sd_bus_reply_method_return(message, "");
}

/* What the caller may see: all (NULL in *ret), or the tenant that it is a user of. */
static int snapshot_scope(const Api *api, uid_t caller, const char **ret, Failure *failure) {
        if (authorize_user(caller, ACCESS_READER, api->options->schedulers, api->options->readers_group)) {
                *ret = NULL;
                return 0;
        }
        /* One user, one tenant: the first that names it. */
        for (size_t i = 0; i < api->node->n_tenants; i++)
                if (api_is_tenant_user(api->node, api->node->tenants[i]->id, caller)) {
                        *ret = api->node->tenants[i]->id;
                        return 0;
                }
        return failure_set(failure, FAILURE_ACCESS_DENIED,
                        "Snapshot is for readers and for users of a tenant; user %d is neither",
                        (int) caller);
}

static int method_snapshot(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        const char *format, *only_tenant = NULL;
        _cleanup_close_ int fd = -EBADF;
        Api *api = userdata;
        uid_t caller = (uid_t) -1;
        int r;

        r = sd_bus_message_read_basic(message, 's', &format);
        if (r >= 0)
                r = api_caller(api, message, &caller);
        if (r >= 0)
                r = snapshot_scope(api, caller, &only_tenant, &failure);
        if (r == 0)
                r = api->operations->snapshot(api->userdata, format, only_tenant, &fd, &failure);
        return r != 0 ? api_fail(r, &failure, ret_error) : sd_bus_reply_method_return(message, "h", fd);
}

static int get_string(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const Node *node = ((const Api *) userdata)->node;
        const char *value = strcmp(property, "NodeId") == 0    ? node->node_id
                            : strcmp(property, "BootId") == 0  ? node->boot_id
                            : strcmp(property, "Version") == 0 ? node->version
                                                               : node_state_to_string(node->state);

        return sd_bus_message_append_basic(reply, 's', value);
}

/* Capacity, Reserved and Idle: three views of one set. */
static int get_amounts(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const ResourceSet *capacity = &((const Api *) userdata)->node->capacity;
        int r = sd_bus_message_open_container(reply, 'a', "{st}");

        for (size_t i = 0; r >= 0 && i < capacity->n; i++) {
                const Resource *entry = &capacity->entries[i];
                char name[RESOURCE_NAME_SIZE];
                uint64_t value = entry->amount.limit;

                if (strcmp(property, "Reserved") == 0)
                        value = entry->amount.reserved;
                else if (strcmp(property, "Idle") == 0)
                        value = value > entry->amount.reserved ? value - entry->amount.reserved : 0;
                resource_format_name(entry->kind, entry->target, name);
                r = sd_bus_message_append(reply, "{st}", name, value);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_features(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const FeatureSet *features = &((const Api *) userdata)->node->features;
        int r = sd_bus_message_open_container(reply, 'a', "{s(bs)}");

        for (size_t i = 0; r >= 0 && i < features->n; i++)
                r = sd_bus_message_append(reply, "{s(bs)}", features->entries[i].name,
                                (int) features->entries[i].available, features->entries[i].words);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

#define METHOD(name, in, in_names, out, out_names, handler) \
        SD_BUS_METHOD_WITH_NAMES(name, in, in_names, out, out_names, handler, SD_BUS_VTABLE_UNPRIVILEGED)

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        METHOD("Apply", "aa{sv}", SD_BUS_PARAM(allocations), "ao", SD_BUS_PARAM(paths), method_apply),
        METHOD("Check", "aa{sv}", SD_BUS_PARAM(allocations), "aa{sv}", SD_BUS_PARAM(verdicts), method_check),
        METHOD("Release", "sts", SD_BUS_PARAM(id) SD_BUS_PARAM(generation) SD_BUS_PARAM(reason), "", ,
                        method_release),
        METHOD("Attach", "sah", SD_BUS_PARAM(tenant) SD_BUS_PARAM(pidfds), "", , method_attach),
        METHOD("AttachUnit", "ss", SD_BUS_PARAM(tenant) SD_BUS_PARAM(unit), "", , method_attach_unit),
        METHOD("Snapshot", "s", SD_BUS_PARAM(format), "h", SD_BUS_PARAM(memfd), method_snapshot),
        SD_BUS_PROPERTY("NodeId", "s", get_string, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("BootId", "s", get_string, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Version", "s", get_string, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("State", "s", get_string, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Capacity", "a{st}", get_amounts, 0, 0),
        SD_BUS_PROPERTY("Reserved", "a{st}", get_amounts, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Idle", "a{st}", get_amounts, 0, 0),
        SD_BUS_PROPERTY("Features", "a{s(bs)}", get_features, 0, 0),
        SD_BUS_SIGNAL_WITH_NAMES("AllocationChanged", "ssss",
                        SD_BUS_PARAM(id) SD_BUS_PARAM(old_state) SD_BUS_PARAM(new_state) SD_BUS_PARAM(reason),
                        0),
        SD_BUS_VTABLE_END,
};

int api_add_manager(Api *api) {
        return sd_bus_add_object_vtable(
                        api->bus, api_slot(api), API_PATH, API_MANAGER_INTERFACE, manager_vtable, api);
}
