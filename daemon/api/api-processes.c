/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Processes, units and groups into tenants: who may move which is judged here, where pidfds and callers are
 * known. */

#include "api-internal.h"
#include "authorize.h"

#include "util/pidfd.h"
#include "util/strv.h"

#include <string.h>

#define PIDFDS_MAX 16 /* a bus daemon cuts off who sends more in one message */

int api_tenant_users(const Node *node, const char *tenant_id, const char ***ret_users) {
        const CalendarTenant *tenant = calendar_tenant(&node->calendar, tenant_id);
        const char **users = calloc(1, sizeof(char *)), **grown;
        size_t n = 0;

        if (!users)
                return -ENOMEM;
        for (size_t i = 0; tenant && i < tenant->n; i++) {
                const Allocation *allocation = tenant->allocations[i];

                if (!allocation_is_live(allocation))
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

bool api_is_tenant_user(const Api *api, const char *tenant_id, uid_t uid) {
        _cleanup_free_ const char **users = NULL;
        User user;

        return api_tenant_users(api->node, tenant_id, &users) >= 0 && *users &&
               user_database_find(api->users, uid, &user) >= 0 &&
               strv_contains((char *const *) users, user.name);
}

static int authorize_attach(const Api *api, uid_t caller, const char *tenant_id, const int *pidfds, size_t n,
                Failure *failure) {
        if (authorize_user(/* users= */ NULL, caller, ACCESS_ROOT, /* schedulers= */ NULL))
                return 0;
        if (!api_is_tenant_user(api, tenant_id, caller))
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

int api_method_attach(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
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

/* A tenant, and what is to be its own: a name that the operation judges. */
static int call_with_name(sd_bus_message *message, Api *api,
                int (*operation)(void *userdata, uid_t caller, const char *tenant_id, const char *name,
                                Failure *ret_failure),
                sd_bus_error *ret_error) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        const char *tenant_id, *name;
        uid_t caller = (uid_t) -1;
        int r;

        r = sd_bus_message_read(message, "ss", &tenant_id, &name);
        if (r >= 0)
                r = api_caller(api, message, &caller);
        if (r >= 0)
                r = operation(api->userdata, caller, tenant_id, name, &failure);
        return r != 0 ? api_fail(r, &failure, ret_error) : sd_bus_reply_method_return(message, "");
}

int api_method_attach_unit(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Api *api = userdata;

        return call_with_name(message, api, api->operations->attach_unit, ret_error);
}

int api_method_adopt(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Api *api = userdata;

        return call_with_name(message, api, api->operations->adopt, ret_error);
}

int api_method_abandon(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Api *api = userdata;

        return call_with_name(message, api, api->operations->abandon, ret_error);
}
