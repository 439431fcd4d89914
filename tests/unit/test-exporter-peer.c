/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whose the other end of a connection is, over loopback: ours, as long as somebody has it, and never "of
 * another host", whatever address it has. Connections from other hosts and namespaces are in
 * tests/system/test-telemetry. */

#include "exporter/peer.h"

#include "util/cleanup.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

typedef struct Pair {
        int client, server;
} Pair;

static void pair_close(Pair *pair) {
        cleanup_close(&pair->client);
        cleanup_close(&pair->server);
}

/* False where there is no such address here. */
static bool connect_pair(int family, const char *from, const char *to, const char *device, Pair *ret) {
        struct sockaddr_storage address = { .ss_family = (sa_family_t) family };
        struct sockaddr_in *v4 = (struct sockaddr_in *) &address;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) &address;
        void *raw = family == AF_INET6 ? (void *) &v6->sin6_addr : &v4->sin_addr;
        _cleanup_close_ int listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        socklen_t size = sizeof(address);

        *ret = (Pair){ -EBADF, -EBADF };
        if (listener < 0)
                return false;
        cr_assert_eq(inet_pton(family, to, raw), 1);
        if (bind(listener, (struct sockaddr *) &address, size) < 0)
                return false;
        cr_assert_eq(listen(listener, 1), 0);
        cr_assert_eq(getsockname(listener, (struct sockaddr *) &address, &size), 0);
        ret->client = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (device && setsockopt(ret->client, SOL_SOCKET, SO_BINDTODEVICE, device,
                                      (socklen_t) strlen(device)) < 0)
                return false;
        if (from) {
                struct sockaddr_in source = { .sin_family = AF_INET };

                cr_assert_eq(inet_pton(AF_INET, from, &source.sin_addr), 1);
                cr_assert_eq(bind(ret->client, (struct sockaddr *) &source, sizeof(source)), 0);
        }
        cr_assert_eq(connect(ret->client, (struct sockaddr *) &address, size), 0);
        ret->server = accept(listener, NULL, NULL);
        cr_assert_geq(ret->server, 0);
        return true;
}

static void expect_peer(int fd, int expected, const char *what) {
        uid_t uid = (uid_t) -1;
        int r = peer_find(fd, &uid);

        cr_expect_eq(r, expected, "%s: %d", what, r);
        cr_expect_eq(uid, expected == 0 ? geteuid() : (uid_t) -1, "%s: user %u", what, uid);
}

Test(exporter_peer, is_told_while_it_is_there) {
        static const struct {
                const char *what;
                int family;
                const char *from, *to;
        } cases[] = {
                { "IPv4", AF_INET, NULL, "127.0.0.1" },
                { "IPv4 from another loopback address", AF_INET, "127.0.0.2", "127.0.0.1" },
                { "IPv6", AF_INET6, NULL, "::1" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(pair_close) Pair pair;

                if (!connect_pair(cases[i].family, cases[i].from, cases[i].to, NULL, &pair)) {
                        cr_expect_eq(cases[i].family, AF_INET6); /* may be off */
                        continue;
                }
                expect_peer(pair.server, 0, cases[i].what);
                expect_peer(pair.client, 0, cases[i].what);
                cr_assert_eq(shutdown(pair.client, SHUT_WR), 0);
                expect_peer(pair.server, 0, "one that has said all");
                close(pair.client);
                pair.client = -EBADF;
                expect_peer(pair.server, -ESRCH, "one that is closed");
        }
}

/* Bound to a device it is not found: then it is nobody's, not another host's. */
Test(exporter_peer, does_not_pass_for_remote) {
        static const char *const addresses[] = { "127.0.0.1", "127.0.0.2" };

        for (size_t i = 0; i < ELEMENTSOF(addresses); i++) {
                _cleanup_(pair_close) Pair pair;

                if (!connect_pair(AF_INET, addresses[i], "127.0.0.1", "lo", &pair))
                        cr_skip_test("skipped: no SO_BINDTODEVICE for this user (Linux before 5.7)");
                expect_peer(pair.server, -ESRCH, addresses[i]);
        }
}

Test(exporter_peer, needs_a_connection) {
        _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        expect_peer(fd, -ENOTCONN, "none");
}
