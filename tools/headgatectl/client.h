/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The way to headgated. Every function that can fail returns 0 or an exit code, having said why on one line:
 * verbs just hand the code on.
 */

#include "headgatectl.h"
#include "snapshot.h"
#include "variant.h"

#define HEADGATE_NAME "org.headgate.Node1"
#define HEADGATE_PATH "/org/headgate/Node1"
#define HEADGATE_MANAGER HEADGATE_NAME ".Manager"
#define HEADGATE_TENANT HEADGATE_NAME ".Tenant"
#define HEADGATE_ALLOCATION HEADGATE_NAME ".Allocation"
#define HEADGATE_TENANT_PREFIX HEADGATE_PATH "/tenant"
#define HEADGATE_ALLOCATION_PREFIX HEADGATE_PATH "/allocation"

/* What changes the node may take long, and must not be given up while it goes on. */
#define CLIENT_TIMEOUT_READ 0 /* sd-bus's own, 25 s */
#define CLIENT_TIMEOUT_CHANGE (180U * 1000000U)

typedef struct Client {
        sd_bus *bus;
        char *where; /* owned; "the system bus": for sentences */
        bool keep;   /* a failure is kept in `kept` instead of printed */
        char *kept;  /* owned; the last */
} Client;

#define CLIENT_NULL \
        { NULL, NULL, false, NULL }

int client_open(const Ctl *ctl, Client *ret);
void client_deinit(Client *client);
#define _cleanup_client_ _cleanup_(client_deinit)

int client_new_call(Client *client, const char *path, const char *interface, const char *member,
                sd_bus_message **ret);
/* `ret_reply` may be NULL. */
int client_call(Client *client, sd_bus_message *call, uint64_t timeout_usec, sd_bus_message **ret_reply);
/*
 * A connection for one call: the Manager's `member`, which changes something and answers nothing. `types` and
 * what follows are as for sd_bus_message_append(3).
 */
int client_change(const Ctl *ctl, const char *member, const char *types, ...);
/* The same of one that changes nothing, and what it answers. */
int client_ask(Client *client, const char *member, json_t **ret, const char *types, ...);
/* For a negative errno from sd-bus while a message was made or read. */
int client_fail(Client *client, int error, const char *what);

/* All properties of the Manager. */
int client_get_node(Client *client, json_t **ret);
/* Over a connection that it opens, which is there in the end even where they are not to be had. */
int client_open_node(const Ctl *ctl, Client *ret, json_t **ret_node);

/* Arrays of property dictionaries, ordered by id, from one call for all. */
int client_get_objects(Client *client, json_t **ret_tenants, json_t **ret_allocations);

/* One object's properties, by id. Where there is none: CTL_NOT_FOUND, and nothing was said. */
int client_get_tenant(Client *client, const char *id, json_t **ret);
int client_get_allocation(Client *client, const char *id, json_t **ret);

/*
 * The allocations that a tenant's properties name, in their order, one call each: its own users may ask so,
 * who may not ask for all objects. One that has gone meanwhile is left out.
 */
int client_get_allocations_of(Client *client, const json_t *tenant, json_t **ret);

int client_get_snapshot(Client *client, Snapshot *ret);

/* From here on headgated's signals go to the one, and to the other that it came or went. */
int client_listen(Client *client, sd_bus_message_handler_t on_signal, sd_bus_message_handler_t on_owner,
                void *userdata);

/* The id in an object's path, decoded; NULL where the path is not below `prefix`. To be freed. */
char *client_path_id(const char *path, const char *prefix);
