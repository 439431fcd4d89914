/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who is cut off, and when, of connections that are socket pairs. */

#include "exporter/client.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>

#define SEC UINT64_C(1000000)
#define N 8

static Clients clients;
static Client *client[N];
static int here[N], there[N];

static void connect_from(size_t i, const char *address, const void *listener, uint64_t now_usec) {
        struct sockaddr_in v4 = { .sin_family = AF_INET };
        struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
        bool is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
        int fds[2];

        cr_assert(is_v4 || inet_pton(AF_INET6, address, &v6.sin6_addr) == 1);
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
        here[i] = fds[0];
        there[i] = fds[1];
        cr_assert_eq(client_new(&clients, here[i], is_v4 ? (void *) &v4 : (void *) &v6, listener, now_usec,
                                     &client[i]),
                        0);
}

/* He finds an end of file, where he would have to wait else. */
static bool is_cut(size_t i) {
        char c;

        return recv(there[i], &c, 1, 0) == 0;
}

static void expect_cut(const char *mask) {
        for (size_t i = 0; mask[i]; i++)
                cr_expect_eq(is_cut(i), mask[i] == 'x', "%zu of %s", i, mask);
}

Test(exporter_client, time_is_up) {
        for (size_t i = 0; i < 5; i++)
                connect_from(i, "192.0.2.1", NULL, i * SEC);
        client_wait(client[1]);
        client_turn(client[2], 0, 50 * SEC);
        cr_expect_eq(clients_cut_overdue(&clients, 59 * SEC), 60 * SEC);
        expect_cut(".....");
        cr_expect_eq(clients_cut_overdue(&clients, 60 * SEC), 63 * SEC);
        expect_cut("x....");
        cr_expect_eq(clients_cut_overdue(&clients, 64 * SEC), 110 * SEC);
        expect_cut("x..xx");
        cr_expect_eq(clients_cut_overdue(&clients, 110 * SEC), UINT64_MAX, "who waits for us is not late");
        expect_cut("x.xxx");
        client_turn(client[1], 7, 200 * SEC);
        cr_expect_eq(clients_cut_overdue(&clients, 259 * SEC), 260 * SEC);
        cr_expect_eq(clients_cut_overdue(&clients, 260 * SEC), UINT64_MAX);
        expect_cut("xxxxx");
        for (size_t i = 0; i < 5; i++)
                client[i] = client_free(client[i]);
        cr_expect(!clients.first && !clients.last);
}

Test(exporter_client, the_oldest_pages_go) {
        static const uint64_t pages[] = { 11, 11, 0, 12, 13, 14, 14, 15 };

        for (size_t i = 0; i < N; i++)
                connect_from(i, "192.0.2.1", NULL, 0);
        for (size_t i = 0; i < N - 1; i++)
                client_turn(client[i], pages[i], i);
        clients_cut_behind(&clients);
        expect_cut("........");
        client_turn(client[7], pages[7], 7);
        clients_cut_behind(&clients);
        expect_cut("xx......");
        client_turn(client[3], 0, 8);
        client_turn(client[2], 16, 9);
        clients_cut_behind(&clients);
        expect_cut("xx......");
        client_turn(client[3], 17, 10);
        clients_cut_behind(&clients);
        expect_cut("xx..x...");
}

Test(exporter_client, where_they_are) {
        static const struct {
                const char *address;
                bool other_listener;
                unsigned n;
        } cases[N] = {
                { "192.0.2.1", false, 2 },
                { "192.0.2.2", false, 1 },
                { "192.0.2.1", true, 1 },
                { "192.0.2.1", false, 2 },
                { "2001:db8:0:1::1", false, 2 },
                { "2001:db8:0:1:ffff::2", false, 2 },
                { "2001:db8:0:2::1", false, 1 },
                { "c000:201::", false, 1 },
        };

        for (size_t i = 0; i < N; i++)
                connect_from(i, cases[i].address, cases[i].other_listener ? &clients : NULL, 0);
        for (size_t i = 0; i < N; i++)
                cr_expect_eq(client_count_source(client[i]), cases[i].n, "%s: %u", cases[i].address,
                                client_count_source(client[i]));
        /* Of this host it is by user, and of strangers by nothing. */
        client[0]->is_local = client[1]->is_local = client[3]->is_local = true;
        client[0]->uid = client[1]->uid = 1000;
        client[3]->uid = 1001;
        cr_expect_eq(client_count_source(client[0]), 2);
        cr_expect_eq(client_count_source(client[3]), 1);
        client[0]->stranger = client[3]->stranger = -EACCES;
        cr_expect_eq(client_count_source(client[0]), 2);
        cr_expect_eq(client_count_source(client[1]), 1);
        client_free(client[0]);
        cr_expect_eq(client_count_source(client[3]), 1);
}
