/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a stranger may hold: how long, how many at once, and how many of headgated's pages, each of which is
 * its memory for as long as somebody reads it. It speaks no HTTP and reads no clock.
 */

#include "client.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

static void client_unlink(Client *client) {
        Clients *clients = client->clients;

        if (client->next)
                client->next->previous = client->previous;
        else
                clients->last = client->previous;
        if (client->previous)
                client->previous->next = client->next;
        else
                clients->first = client->next;
        client->next = client->previous = NULL;
}

static void client_append(Client *client) {
        Clients *clients = client->clients;

        client->previous = clients->last;
        if (client->previous)
                client->previous->next = client;
        else
                clients->first = client;
        clients->last = client;
}

int client_new(Clients *clients, int fd, const struct sockaddr *address, const void *listener,
                uint64_t now_usec, Client **ret) {
        Client *client = calloc(1, sizeof(*client));

        if (!client)
                return -ENOMEM;
        client->clients = clients;
        client->fd = fd;
        client->listener = listener;
        memcpy(&client->address, address,
                        address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                       : sizeof(struct sockaddr_in));
        client_append(client);
        client_turn(client, 0, now_usec);
        *ret = client;
        return 0;
}

Client *client_free(Client *client) {
        if (!client)
                return NULL;
        client_unlink(client);
        free(client);
        return NULL;
}

void client_turn(Client *client, uint64_t page, uint64_t now_usec) {
        client_unlink(client);
        client_append(client);
        client->deadline_usec = now_usec + CLIENT_REQUEST_SEC * UINT64_C(1000000);
        client->page = page;
}

void client_wait(Client *client) {
        client->deadline_usec = UINT64_MAX;
}

void client_cut(Client *client) {
        client->page = 0;
        client->deadline_usec = UINT64_MAX;
        (void) shutdown(client->fd, SHUT_RDWR);
}

uint64_t clients_cut_overdue(Clients *clients, uint64_t now_usec) {
        for (Client *client = clients->first; client; client = client->next) {
                if (client->deadline_usec == UINT64_MAX)
                        continue;
                if (client->deadline_usec > now_usec)
                        return client->deadline_usec;
                client_cut(client);
        }
        return UINT64_MAX;
}

/* They stand in the order of their turns, so those who are sent one page stand together. */
void clients_cut_behind(Clients *clients) {
        uint64_t page = 0;
        unsigned n = 0;

        for (Client *client = clients->last; client; client = client->previous) {
                if (client->page == 0)
                        continue;
                if (client->page != page)
                        n++;
                page = client->page;
                if (n > CLIENT_PAGES_MAX)
                        client_cut(client);
        }
}

static bool is_same_source(const Client *a, const Client *b) {
        const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *) &a->address,
                                  *b6 = (const struct sockaddr_in6 *) &b->address;
        const struct sockaddr_in *a4 = (const struct sockaddr_in *) &a->address,
                                 *b4 = (const struct sockaddr_in *) &b->address;

        if (a->stranger < 0 || b->stranger < 0)
                return a->stranger < 0 && b->stranger < 0;
        if (a->is_local || b->is_local)
                return a->is_local && b->is_local && a->uid == b->uid;
        if (a->address.ss_family != b->address.ss_family)
                return false;
        if (a->address.ss_family == AF_INET6)
                return memcmp(&a6->sin6_addr, &b6->sin6_addr, 8) == 0;
        return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
}

unsigned client_count_source(const Client *client) {
        unsigned n = 0;

        for (const Client *other = client->clients->first; other; other = other->next)
                n += other->listener == client->listener && is_same_source(other, client);
        return n;
}
