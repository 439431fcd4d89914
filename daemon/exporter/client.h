/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define CLIENT_REQUEST_SEC 60U   /* for a request, from the end of the one before, and again for its answer */
#define CLIENT_PAGES_MAX 4U      /* distinct ones that are being sent */
#define CLIENTS_OF_SOURCE_MAX 16 /* at each listening address */

/* Those who are connected, he whose turn is longest ago first. */
typedef struct Clients {
        struct Client *first, *last;
} Clients;

typedef struct Client {
        Clients *clients;
        int fd; /* of the connection, who closes it */
        struct sockaddr_storage address;
        const void *listener;
        bool is_local; /* of this host: its user is known, or he is a stranger */
        uid_t uid;
        int stranger;           /* negative errno: why he may not read; 0: he may */
        uint64_t deadline_usec; /* CLOCK_MONOTONIC; UINT64_MAX: it is for us to do something */
        uint64_t page;          /* that he is being sent: any number of its own; 0: none */
        struct Client *next, *previous;
} Client;

/* `address` is whose the connection is, `listener` where it came in. */
int client_new(Clients *clients, int fd, const struct sockaddr *address, const void *listener,
                uint64_t now_usec, Client **ret);
Client *client_free(Client *client);
DEFINE_CLEANUP(Client *, client_free);

/* He is to send a request (`page` is 0), or to take a page or another answer: time runs from now. */
void client_turn(Client *client, uint64_t page, uint64_t now_usec);
/* He waits for us. */
void client_wait(Client *client);

/* Ends the connection: whoever reads or writes it finds that the other side has left. */
void client_cut(Client *client);
/* Cuts all who had their time. When it is next one's: CLOCK_MONOTONIC, or UINT64_MAX. */
uint64_t clients_cut_overdue(Clients *clients, uint64_t now_usec);
/* Cuts who are behind with the oldest pages, until no more than CLIENT_PAGES_MAX are being sent. */
void clients_cut_behind(Clients *clients);
/* How many are connected from where he is, to his listener: of his user, where that is of this host; else
 * from his address, or his /64 of IPv6. Strangers are one source together. */
unsigned client_count_source(const Client *client);
