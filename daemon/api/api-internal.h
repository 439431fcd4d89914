/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the files of this room alone: the api itself, and the vtables that each of them brings. */

#include "api.h"

#define API_TENANT_PREFIX API_PATH "/tenant"
#define API_ALLOCATION_PREFIX API_PATH "/allocation"
#define API_MANAGER_INTERFACE "org.headgate.Node1.Manager"
#define API_TENANT_INTERFACE "org.headgate.Node1.Tenant"
#define API_ALLOCATION_INTERFACE "org.headgate.Node1.Allocation"

/* Whom a bus name belongs to. A unique name is one connection's for as long as the bus lives, so this cannot
 * grow old. */
typedef struct KnownCaller {
        char name[32];
        uid_t uid;
} KnownCaller;

#define API_KNOWN_CALLERS 64

struct Api {
        sd_bus *bus;
        const Node *node;
        const ApiOperations *operations;
        const ApiOptions *options;
        void *userdata;
        sd_bus_slot *slots[8]; /* what to take off the bus at the end */
        size_t n_slots;
        KnownCaller callers[API_KNOWN_CALLERS];
        unsigned next_caller;
        sd_bus_vtable *allocation_vtable; /* made from the model's table of keys */
};

/* Each adds its objects to api->bus and their slots to api. */
int api_add_manager(Api *api);
int api_add_objects(Api *api);
/* Where the next slot goes. */
sd_bus_slot **api_slot(Api *api);

/* Answers a refusal, or an errno, by its D-Bus name; for use as `return api_fail(...)` in a handler. */
int api_fail(int r, const Failure *failure, sd_bus_error *ret_error);

/* The effective uid behind a message: the bus daemon is asked once a connection. */
int api_caller(Api *api, sd_bus_message *message, uid_t *ret_uid);

/* The caller frees. NULL: no memory. */
char *api_tenant_path(const char *id);
char *api_allocation_path(const char *id);

/* Whether the user is among the Users of one of the tenant's live allocations. */
bool api_is_tenant_user(const Node *node, const char *tenant_id, uid_t uid);

/* The users of the tenant's live allocations; borrowed strings in an array that the caller frees with free().
 */
int api_tenant_users(const Node *node, const char *tenant_id, const char ***ret_users);

/* as: who lends, each once. */
int api_append_lenders(sd_bus_message *message, const Loan *loans, size_t n);

/* The Manager's handlers: api-requests.c, api-processes.c, api-standing.c, api-node.c. */
#define API_METHOD(name) int name(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
API_METHOD(api_method_apply);
API_METHOD(api_method_sync);
API_METHOD(api_method_check);
API_METHOD(api_method_renew);
API_METHOD(api_method_release);
API_METHOD(api_method_attach);
API_METHOD(api_method_attach_unit);
API_METHOD(api_method_set_mode);
API_METHOD(api_method_diff);
API_METHOD(api_method_explain);
API_METHOD(api_method_adopt);
API_METHOD(api_method_abandon);
API_METHOD(api_method_snapshot);
API_METHOD(api_method_get_calendar);
API_METHOD(api_method_drain);
API_METHOD(api_method_resume);
API_METHOD(api_method_set_capacity);
API_METHOD(api_method_accept_clock);
API_METHOD(api_method_culprits);
API_METHOD(api_method_drift);
API_METHOD(api_method_release_all);

#define API_GETTER(name)                                                                     \
        int name(sd_bus *bus, const char *path, const char *interface, const char *property, \
                        sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
API_GETTER(api_get_string);
API_GETTER(api_get_amounts);
API_GETTER(api_get_features);
API_GETTER(api_get_clock_trusted);
API_GETTER(api_get_horizon);
