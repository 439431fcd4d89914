/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the files of this room alone: the api itself, and the vtables that each of them brings. */

#include "api.h"
#include "pages.h"

#include "util/user-database.h"

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

/* What the objects are served on: the bus, or one peer's socket. */
typedef struct ApiConnection ApiConnection;
struct ApiConnection {
        Api *api;
        sd_bus *bus;
        sd_bus_slot *slots[8]; /* what to take off it at the end */
        size_t n_slots;
        bool is_peer;
        uid_t uid;                 /* a peer's, as the kernel says of its socket */
        sd_event_source *deadline; /* a peer's: until then it has authenticated itself */
        ApiConnection *next;
};

/* What polkit said of the call that is being handled. */
typedef enum ApiVerdict { API_VERDICT_NONE, API_VERDICT_DENIED, API_VERDICT_GRANTED } ApiVerdict;

typedef struct ApiQuestion ApiQuestion; /* api-polkit.c */

struct Api {
        const Node *node;
        const ApiOperations *operations;
        const ApiOptions *options;
        void *userdata;
        UserDatabase *users;
        Pages pages;
        ApiConnection *connections;
        KnownCaller callers[API_KNOWN_CALLERS];
        unsigned next_caller;
        ApiQuestion *questions;           /* to polkit, whose answer is not in yet */
        ApiVerdict verdict;               /* of the call that is being handled */
        sd_bus_vtable *allocation_vtable; /* made from the model's table of keys */
        sd_event_source *listener;        /* api-peer.c; NULL: no peers */
        char *listener_path;
};

/* Puts all objects on the bus, of which it takes a reference. */
int api_connection_new(Api *api, sd_bus *bus, ApiConnection **ret);
/* Takes it off the list, too; a peer is closed, the bus is not. */
ApiConnection *api_connection_free(ApiConnection *connection);
DEFINE_CLEANUP(ApiConnection *, api_connection_free);

/* Closes a peer that leaves more unread than is kept for it, and says so: true where it did. */
bool api_peer_drop_slow(ApiConnection *connection);

/* Who is there to be told, each once: NULL at the end, and where there is no api. */
ApiConnection *api_next_listener(Api *api, ApiConnection *last);
#define API_FOREACH_LISTENER(c, api) \
        for (ApiConnection *c = api_next_listener(api, NULL); c; c = api_next_listener(api, c))

/* Each adds its objects to the connection's bus, and their slots to the connection. */
int api_add_manager(ApiConnection *connection);
int api_add_objects(ApiConnection *connection);
/* Makes the vtable that api_add_objects() needs; once. */
int api_make_vtables(Api *api);
extern const sd_bus_vtable api_tenant_vtable[];

/* api-size.c: the most bytes that all objects are as one message. */
size_t api_objects_bytes(const Api *api);
/* 1: the call asks for all objects, which are more than a message may be there, and has been answered so. */
int api_refuse_large(const Api *api, sd_bus_message *message);

/* Where the next slot goes. */
sd_bus_slot **api_slot(ApiConnection *connection);

/* Answers a refusal, or an errno, by its D-Bus name; for use as `return api_fail(...)` in a handler. */
int api_fail(int r, const Failure *failure, sd_bus_error *ret_error);

/* Answers with aa{sv}: an a{sv} of each of the n. */
int api_reply_list(sd_bus_message *message, const void *list, size_t n,
                int (*append)(sd_bus_message *reply, const void *list, size_t i));

/* The effective uid behind a message: a peer's by its socket, whatever name it claims; of others the bus
 * daemon is asked once a connection. */
int api_caller(Api *api, sd_bus_message *message, uid_t *ret_uid);

/* Whether it is served at the peer socket, where names are not the bus daemon's. */
bool api_is_peer(const Api *api, const sd_bus *bus);

/* Whether the call that is being handled may be told of all tenants: by who it is from, or by polkit's word.
 */
bool api_is_reader(const Api *api, uid_t caller);

/* Asks polkit whether the caller may read. 1: it was asked, and the call is to be left alone (a handler
 * returns 1 itself): it comes again. 0: nobody can be asked, or the answer was no; or a negative errno. */
int api_polkit_ask(Api *api, sd_bus_message *call, uid_t uid);
/* What it said of this call, once; for the guard. */
ApiVerdict api_polkit_take_verdict(Api *api, const sd_bus_message *call);
/* What waits on a connection that goes is not answered any more. */
void api_polkit_forget(Api *api, const sd_bus *bus);

/* The caller frees. NULL: no memory. */
char *api_tenant_path(const char *id);
char *api_allocation_path(const char *id);

/* Whether the user is among the Users of one of the tenant's live allocations. */
bool api_is_tenant_user(const Api *api, const char *tenant_id, uid_t uid);

/* The users of the tenant's live allocations; borrowed strings in an array that the caller frees with free().
 */
int api_tenant_users(const Node *node, const char *tenant_id, const char ***ret_users);

/* a{st}: what the sample has, by its names. */
int api_append_usage(sd_bus_message *reply, const Sample *sample);
/* a{sat}: what is told of a tenant's durations, or with NULL of the control class's. */
int api_append_histograms(sd_bus_message *reply, const Node *node, const Tenant *tenant);

/* as: who lends, each once; of this tenant's alone where one is given. */
int api_append_lenders(sd_bus_message *message, const char *tenant_id, const Loan *loans, size_t n);

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
API_GETTER(api_get_control_usage);
API_GETTER(api_get_control_histograms);
API_GETTER(api_get_clock_trusted);
API_GETTER(api_get_horizon);
